"""Parameters, technology and preferences that economies with capital share."""

import math

import pytest
import torch

from lectures_lib.economies import Market, MarkovChain, Planner
from lectures_lib.economies.capital import SMALLEST_SHARE, spending_shares


@pytest.mark.parametrize("goods", [1, 2, 5])
def test_zeros_give_every_use_of_output_the_same_share(goods):
    shares = spending_shares(torch.zeros(3, goods, dtype=torch.float64))
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / (goods + 1)))


@pytest.mark.parametrize("goods", [1, 2, 5])
@pytest.mark.parametrize("raw", [-1e4, -30.0, 30.0, 1e4])
def test_the_smallest_share_is_left_at_every_corner(goods, raw):
    x = torch.zeros(goods, dtype=torch.float64)
    x[0] = raw
    shares = spending_shares(x)
    rest = 1 - shares.sum()
    assert min(shares.min(), rest) >= SMALLEST_SHARE * (1 - 1e-9)
    if abs(raw) > 1e3:
        squeezed = shares[0] if raw < 0 else rest
        torch.testing.assert_close(squeezed.item(), SMALLEST_SHARE, rtol=1e-9, atol=0)


def test_one_good_is_the_softmax_with_one_entry():
    raw = torch.linspace(-8, 8, 33, dtype=torch.float64).unsqueeze(-1)
    pair = torch.softmax(torch.cat([raw, torch.zeros_like(raw)], -1), -1)[:, :1]
    expected = SMALLEST_SHARE + (1 - 2 * SMALLEST_SHARE) * pair
    torch.testing.assert_close(spending_shares(raw), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_households", 0),
        ("n_households", 1.5),
        ("n_goods", -1),
        ("alpha", 1.0),
        ("alpha", 0.0),
        ("beta", 1.0),
        ("beta", -0.1),
        ("delta", 0.0),
        ("delta", 1.1),
        ("phi", 0.0),
        ("phi", math.inf),
        ("phi", math.nan),
        ("alpha", math.nan),
        ("risk_aversion", 0.0),
        ("risk_aversion", 6.0),
        ("idiosyncratic", 1.0),
        ("aggregate", MarkovChain((-1.0, 1.0), ((0.5, 0.5), (0.5, 0.5)))),
    ],
)
def test_a_bad_parameter_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}=.*expected"):
        Planner(**{name: value})


def test_defaults_are_the_papers_calibration():
    economy = Planner()
    assert (economy.alpha, economy.beta, economy.delta, economy.phi) == (0.3, 0.98, 0.04, 0.5)
    assert (economy.n_households, economy.n_goods, economy.risk_aversion) == (1, 1, 1.0)
    assert economy.idiosyncratic == MarkovChain.symmetric((0.9, 1.1), stay=0.9)
    assert economy.aggregate == MarkovChain.symmetric((0.8, 1.2), stay=0.95)


def test_economies_with_the_same_parameters_are_equal_and_stay_as_they_are():
    assert Planner(2) == Planner(2) and hash(Planner(2)) == hash(Planner(2))
    assert Planner(2) != Planner(3)
    with pytest.raises(AttributeError):
        Planner().alpha = 0.4


def test_output_is_the_formula():
    economy = Planner(2, 2)
    state = economy.State(
        torch.tensor([[4.0, 9.0], [1.0, 16.0]], dtype=torch.float64),
        torch.tensor([0, 1]),
        torch.tensor(1),
    )
    expected = [0.9 * 1.2 * 36.0**0.15, 1.1 * 1.2 * 16.0**0.15]
    assert economy.output(state).tolist() == pytest.approx(expected, rel=1e-14)


def test_initial_capital_is_uniform_and_productivity_stationary():
    economy = Planner()
    n = 20_000
    state = economy.reset((n,), torch.Generator().manual_seed(0), torch.float64)
    position = (state.capital / economy.efficient_capital).flatten()
    assert 0.5 <= position.min() and position.max() <= 1.25
    # Mean and variance of a uniform law, within 4.5 standard errors.
    assert abs(position.mean() - 0.875) < 4.5 * 0.75 / math.sqrt(12 * n)
    assert abs(position.var() - 0.75**2 / 12) < 4.5 * 0.75**2 / math.sqrt(180 * n)
    for index in (state.idiosyncratic, state.aggregate):
        assert abs(index.double().mean() - 0.5) < 4.5 * 0.5 / math.sqrt(n)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 5.0])
def test_utility_has_the_stated_risk_aversion(sigma):
    economy = Planner(risk_aversion=sigma)
    c = torch.tensor([0.3, 1.0, 4.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(economy.utility(c).sum(), c)
    torch.testing.assert_close(slope, c.detach() ** -sigma, rtol=1e-13, atol=0)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_the_consumption_equivalent_of_constant_consumption_is_that_consumption(sigma):
    economy = Planner(risk_aversion=sigma)
    c = torch.tensor([0.3, 1.0, 4.0], dtype=torch.float64)
    value = economy.utility(c) / (1 - economy.beta)
    torch.testing.assert_close(economy.consumption_equivalent(value), c, rtol=1e-12, atol=0)


def test_zero_consumption_by_hand_is_worse_than_any_squashed_action_and_finite():
    for sigma in (0.5, 1.0, 5.0):
        utility = Planner(risk_aversion=sigma).utility(torch.tensor([0.0, 1e-5]))
        assert torch.isfinite(utility).all() and utility[0] < utility[1]


# ---------------------------------------------------------------------- sampled outcomes
def sampled(economy, draws, n_states=3, seed=0):
    state = economy.reset((n_states,), torch.Generator().manual_seed(1), torch.float64)
    generator = torch.Generator().manual_seed(seed)
    return state, *economy.sampled_outcomes(state, draws, generator)


THREE_LEVELS = Market(
    6,
    idiosyncratic=MarkovChain((0.5, 1.0, 1.5), ((0.7, 0.3, 0.0), (0.2, 0.6, 0.2), (0.0, 0.1, 0.9))),
)


@pytest.mark.parametrize("economy", [Planner(5), Market(40), THREE_LEVELS], ids=["P", "M", "3"])
@pytest.mark.parametrize("draws", [8, 30])
def test_sampled_chances_of_aggregate_and_own_productivity_are_exact(economy, draws):
    state, shocks, weight = sampled(economy, draws)
    n, common = economy.n_households, len(economy.aggregate)
    assert shocks.idiosyncratic.shape == weight.shape == (common * draws, 3, n)
    assert shocks.aggregate.shape == (common * draws, 3)
    torch.testing.assert_close(weight.sum(0), torch.ones(3, n, dtype=torch.float64))
    assert (weight >= 0).all()
    own, every = economy.move_productivity(state, shocks)
    own_chance = torch.tensor(economy.idiosyncratic.transition, dtype=torch.float64)
    common_chance = torch.tensor(economy.aggregate.transition, dtype=torch.float64)
    for a in range(common):
        for z in range(len(economy.idiosyncratic)):
            met = ((own == z) & (every == a).unsqueeze(-1)).double()
            exact = own_chance[state.idiosyncratic, z] * common_chance[state.aggregate, a][:, None]
            if draws == 30:  # enough that every possible level is drawn
                torch.testing.assert_close((weight * met).sum(0), exact)


def test_every_aggregate_productivity_meets_the_same_individual_luck():
    economy, draws = Planner(4), 10
    _, shocks, _ = sampled(economy, draws)
    first, second = shocks.idiosyncratic.split(draws)
    assert torch.equal(first, second)
    assert len(torch.unique(first)) == first.numel(), "no two draws are the same"


def test_means_of_what_the_others_draw_are_near_the_exact_ones():
    economy, draws = Planner(5), 400
    state, shocks, weight = sampled(economy, draws, n_states=20)
    every, probability = economy.outcomes(state)

    def function(shocks):
        """Something that depends on everybody's luck, and not in a linear way."""
        own, common = economy.move_productivity(state, shocks)
        return torch.exp(own.double().mean(-1) + 0.5 * own[..., 0] * own[..., 1] + common)

    exact = (probability * function(every)).sum(0)
    estimate = (weight * function(shocks).unsqueeze(-1)).sum(0)
    spread = ((probability * (function(every) - exact) ** 2).sum(0)).sqrt().unsqueeze(-1)
    assert (estimate - exact.unsqueeze(-1)).abs().max() < 5 * (spread / draws**0.5).max()
    assert (estimate - exact.unsqueeze(-1)).mean().abs() < (spread / draws**0.5).mean()


def test_sampled_outcomes_follow_their_generator():
    first, again, other = (sampled(Planner(3), 5, seed=s)[1].idiosyncratic for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
