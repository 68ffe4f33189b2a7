"""Krusell and Smith's economy: luck at work, the limit to borrowing, accounts."""

import math

import pytest
import torch
from registry import close, generator

from lectures_lib.economies import Constrained, FixedAction, KrusellSmith, MarkovChain
from lectures_lib.economies.employment import every_employment, next_employment
from lectures_lib.economies.krusell_smith import LARGEST_SHARE, saving_share
from lectures_lib.solvers import without_risk

#: Den Haan, Judd and Juillard (2010): unemployed and employed in the bad state, then in the good.
PRINTED = [
    [0.525, 0.35, 0.03125, 0.09375],
    [0.038889, 0.836111, 0.002083, 0.122917],
    [0.09375, 0.03125, 0.291667, 0.583333],
    [0.009115, 0.115885, 0.024306, 0.850694],
]


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


# ---------------------------------------------------------------------- luck
def test_chances_are_those_of_the_published_matrix():
    economy = KrusellSmith()
    for z in range(2):
        for e in range(2):
            row = []
            for y in range(2):
                idle = economy.chances[z][y][e]
                stay = economy.aggregate.transition[z][y]
                row += [stay * idle, stay * (1 - idle)]
            assert row == pytest.approx(PRINTED[2 * z + e], abs=5e-7)


def test_the_share_of_the_unemployed_is_that_of_the_continuum():
    economy, g = KrusellSmith(100), generator()
    state = economy.reset((40,), g)
    rates = torch.tensor(economy.unemployment)
    for _ in range(50):
        idle = (state.idiosyncratic == 0).sum(-1)
        assert torch.equal(idle, (100 * rates[state.aggregate]).round().long())
        shocks = economy.draw((40,), g)
        state = state._replace(**economy.move_chance(state, shocks))


def test_where_shares_are_no_whole_numbers_they_are_rounded():
    economy, g = KrusellSmith(30), generator()  # 3 of 30, and 1.2
    state = economy.reset((500,), g)
    for _ in range(30):
        idle = (state.idiosyncratic == 0).sum(-1)
        bad = state.aggregate == 0
        assert ((idle[bad] >= 2) & (idle[bad] <= 4)).all()
        assert (idle[~bad] <= 2).all()
        state = state._replace(**economy.move_chance(state, economy.draw((500,), g)))
    assert (idle[~bad] == 1).any() and (idle[~bad] == 2).any()


def test_each_household_keeps_its_own_chance():
    n, draws, g = 7, 40_000, generator(3)
    employed = torch.tensor([1, 0, 1, 1, 0, 1, 1])
    chance = torch.where(employed == 1, 0.0729, 0.75).double()
    order = torch.rand((draws, n), generator=g, dtype=torch.float64)
    offset = torch.rand((draws,), generator=g, dtype=torch.float64)
    idle = 1 - next_employment(chance, employed, order, offset)
    error = (chance * (1 - chance) / draws).sqrt()
    assert ((idle.double().mean(0) - chance).abs() < 4.5 * error).all()
    count = idle.sum(-1)
    assert set(count.tolist()) == {1, 2}  # 1.86 on average


@pytest.mark.parametrize("n", [1, 4])
def test_listed_employment_has_each_households_chance_and_draws_that_lead_there(n):
    g = generator(n)
    employed = torch.randint(2, (20, n), generator=g)
    stay, lose = double(0.6).expand(20), double(0.0444).expand(20)
    order, offset, probability = every_employment(stay, lose, employed)
    close(probability.sum(0), torch.ones(20, dtype=torch.float64))
    chance = torch.where(employed == 1, lose[:, None], stay[:, None])
    following = next_employment(chance.expand(len(order), 20, n), employed, order, offset)
    wanted = torch.cartesian_prod(*n * [torch.arange(2)]).reshape(-1, 1, n)
    right = (following == wanted).all(-1)
    assert right[probability > 0].all()
    idle = (probability.unsqueeze(-1) * (1 - wanted)).sum(0)
    torch.testing.assert_close(idle, chance, rtol=1e-12, atol=1e-14)


def test_sampled_outcomes_have_each_households_chance():
    economy, g = KrusellSmith(20), generator()
    state = economy.reset((6,), g, torch.float64)
    shocks, weight = economy.sampled_outcomes(state, 10, g)
    assert weight.shape == (120, 6, 20)  # as many as meet the rarest chance, one in sixty
    close(weight.sum(0), torch.ones(6, 20, dtype=torch.float64), rtol=1e-12)
    following = economy.move_chance(state, shocks)
    idle = (weight * (following["idiosyncratic"] == 0)).sum(0)
    own, now = [], zip(state.aggregate.tolist(), state.idiosyncratic.tolist(), strict=True)
    for z, row in now:
        moves = economy.aggregate.transition[z]
        own.append([sum(moves[y] * economy.chances[z][y][e] for y in (0, 1)) for e in row])
    torch.testing.assert_close(idle, double(*own), rtol=1e-12, atol=0)


# ---------------------------------------------------------------------- a period
def test_a_period_worked_out_by_hand():
    chain = MarkovChain((1.0,), ((1.0,),))
    economy = KrusellSmith(
        *(2, chain, (0.5,), (2.0,)), alpha=0.5, delta=0.1, hours=2.0, benefit=0.2, beta=0.9
    )
    state = economy.State(double([4.0], [0.0]), torch.tensor([1, 0]), torch.tensor(0))
    step = economy.step(state, {"household": double([0.5], [0.25])}, economy.no_luck(state))
    # Mean capital 2 and labour 2 * 0.5 = 1: output 2 ** 0.5 per household.
    output = 2**0.5
    rent, wage, tax = output / 4, output / 2, 0.2 * 0.5 / 1.0
    rich = (1 - 0.1 + rent) * 4 + wage * 2 * (1 - tax)
    poor = 0.2 * wage
    assert step.info["output"].item() == pytest.approx(output)
    close(step.state.capital, double([0.5 * rich], [0.25 * poor]))
    close(step.rewards["household"], double(math.log(0.5 * rich), math.log(0.75 * poor)))
    # Who works pays for who does not: what they earn is what labour earns.
    earned = economy.earnings(state.idiosyncratic, state.aggregate, step.info["wage"])
    assert earned.mean().item() == pytest.approx(wage * 1.0)


@pytest.mark.parametrize("massless", [False, True])
def test_incomes_add_up_to_output(massless):
    economy, g = KrusellSmith(50, atomistic=massless), generator()
    state = economy.reset((30,), g, torch.float64)
    shares = {n: torch.rand((30, 50, 1), generator=g, dtype=torch.float64) for n in economy.roles}
    step = economy.step(state, shares, economy.draw((30,), g, torch.float64))
    crowd = economy.crowd(state).capital.squeeze(-1)
    made = step.info["output"].squeeze(-1) + (1 - economy.delta) * crowd.mean(-1)
    close(economy.resources(economy.crowd(state)).mean(-1), made, rtol=1e-12)
    used = step.info["consumption"] + step.state.capital.squeeze(-1)
    close(used, economy.resources(state), rtol=1e-12)


def test_massless_households_meet_the_prices_of_the_crowd():
    economy, g = KrusellSmith(3, atomistic=True), generator()
    state = economy.reset((4,), g, torch.float64)
    richer = state._replace(capital=2 * state.capital)
    assert torch.equal(economy.mean_capital(richer), economy.mean_capital(state))
    prices = economy.prices(economy.mean_capital(state), state.aggregate)
    more = economy.resources(richer) - economy.resources(state)
    close(more, (1 - economy.delta + prices.rent) * state.capital.squeeze(-1), rtol=1e-11)


# ---------------------------------------------------------------------- the limit to borrowing
def test_nothing_at_all_can_be_saved_and_the_next_capital_is_zero():
    raw = torch.tensor([-3.0, -2.4, 0.0, 1.0, 50.0])
    one = 1 - 0.1 / math.e
    assert saving_share(raw).tolist() == pytest.approx([0, 0, 0.9, one, LARGEST_SHARE])
    economy = KrusellSmith(2)
    state = economy.reset((5,), generator())
    step = economy.step(state, FixedAction(economy, 0.0)(state), economy.no_luck(state))
    assert (step.state.capital == 0).all()
    economy.check_state(step.state)
    assert torch.isfinite(economy.observe(step.state)["household"]).all()
    with pytest.raises(ValueError, match="must not be negative; its smallest entry is -1"):
        economy.check_state(step.state._replace(capital=step.state.capital - 1))


def test_restarts_leave_the_limit_and_never_cross_it():
    economy = KrusellSmith(2)
    state = economy.reset((4000,), generator(), torch.float64)
    poor = state._replace(capital=torch.zeros_like(state.capital))
    near = economy.perturb(poor, generator(1), 0.3).capital
    assert (near >= 0).all() and 0.4 < (near > 0).double().mean() < 0.6
    # A little is in units of what is produced in a period, some 3.5 of the good.
    assert 0.5 < near.max() < 0.3 * 2 * 3.5 * 1.5


def test_other_ways_to_impose_the_limit():
    role = Constrained(KrusellSmith(), "squash").roles["household"]
    assert 0 < role.to_physical(torch.tensor(-8.0)) < 1e-3


# ---------------------------------------------------------------------- what is seen, sizes
def test_households_see_themselves_and_means():
    economy = KrusellSmith(4, sees_spread=True)
    state = economy.reset((3,), generator(), torch.float64)
    seen = economy.observe(state)["household"]
    capital = state.capital.squeeze(-1)
    close(seen[..., 0], economy.resources(state).log())
    assert torch.equal(seen[..., 1], state.idiosyncratic.double())
    variation = capital.std(-1, correction=0) / capital.mean(-1)
    close(seen[:, 0, 2], (1 + variation**2).log(), rtol=1e-10)
    close(seen[:, 0, 3], double(0.99, 1.01)[state.aggregate].log())
    close(seen[:, 0, 4], capital.mean(-1).log())
    assert economy.sights(state)["household"].population is None
    assert KrusellSmith(4).observe(state)["household"].shape == (3, 4, 4)


def test_ten_thousand_households():
    economy, g = KrusellSmith(10_000), generator()
    state = economy.reset((2,), g)
    for _ in range(3):
        action = FixedAction(economy, 0.93)(state)
        state = economy.step(state, action, economy.draw((2,), g)).state
    idle = (state.idiosyncratic == 0).sum(-1)
    # In float32 a sum of ten thousand chances may be off by one.
    expected = 10_000 * torch.tensor(economy.unemployment)[state.aggregate]
    assert ((idle - expected).abs() <= 1).all()


# ---------------------------------------------------------------------- parameters
def test_efficient_capital_earns_what_patience_asks_for():
    economy = KrusellSmith().without_aggregate_shocks()
    mean = double(economy.efficient_capital)
    rent = economy.prices(mean, torch.tensor(0)).rent.item()
    assert economy.beta * (1 - economy.delta + rent) == pytest.approx(1, rel=1e-13)


def test_without_aggregate_shocks_all_is_at_its_mean():
    economy = KrusellSmith(3, atomistic=True).without_aggregate_shocks()
    assert economy.aggregate.values == pytest.approx((1.0,))
    assert economy.unemployment == pytest.approx((0.07,))
    assert economy.spell == pytest.approx((2.0,)) and economy.atomistic
    stay, lose = economy.chances[0][0]
    assert 0.07 * stay + 0.93 * lose == pytest.approx(0.07) and stay == pytest.approx(0.5)


def test_risk_that_is_not_a_chains_is_not_taken_away():
    with pytest.raises(ValueError, match=r"^unemployment=.*without_aggregate_shocks\(\)"):
        without_risk(KrusellSmith())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("beta", 1.0, "strictly between"),
        ("delta", 0.0, "in \\(0, 1\\]"),
        ("unemployment", (0.1,), "each of 2 aggregate states"),
        ("unemployment", (0.1, 0.01), "they go from -0.0167 to 0.75"),
        ("spell", (0.5, 1.5), "\\[1, inf\\)"),
        ("turns", (0.75,), "two factors"),
        ("hours", 0.0, "positive"),
        ("benefit", -0.1, "at least 0"),
        ("benefit", 12.0, "a tax of 1.2 of the wage"),
        ("aggregate", None, "MarkovChain"),
        ("n_households", 0, "at least 1"),
    ],
)
def test_a_bad_parameter_is_named(name, value, said):
    with pytest.raises(ValueError, match=f"^{name}=.*expected.*{said}"):
        KrusellSmith(**{name: value})


def test_too_many_outcomes_are_refused_with_the_way_out():
    economy = KrusellSmith(12)
    with pytest.raises(ValueError, match=r"8,192 combinations.*sampled_outcomes"):
        economy.outcomes(economy.reset((1,), generator()))


def test_a_step_of_the_raw_action_changes_consumption_by_a_constant_rate():
    raw = torch.tensor([0.0, 0.5, 3.0, 3.5], dtype=torch.float64)
    eaten = 1 - saving_share(raw)
    assert eaten[0].item() == pytest.approx(0.1)
    assert (eaten[1] / eaten[0]).log().item() == pytest.approx(-0.5)
    assert (eaten[3] / eaten[2]).log().item() == pytest.approx(-0.5)
    # All is eaten from one amount on, and nothing else is found far beyond.
    far = torch.tensor([-2.35, -5.0, -1e4], requires_grad=True)
    share = saving_share(far)
    assert share.tolist() == [0.0, 0.0, 0.0]
    share.sum().backward()
    assert far.grad.tolist() == [0.0, 0.0, 0.0]
