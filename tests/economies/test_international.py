"""The international business cycle against what follows from its own first-order conditions."""

import math

import pytest
import torch

from lectures_lib.economies import AutoRegression, InternationalCycle, MarkovChain
from lectures_lib.economies.international import LARGEST_SPENDING


def at_rest(economy):
    n = economy.n_countries
    zeros = torch.zeros(n, dtype=torch.float64)
    return economy.State(torch.ones(n, dtype=torch.float64), zeros, zeros[0])


def period(economy, state, actions):
    moves = {"planner": torch.as_tensor(actions, dtype=torch.float64).unsqueeze(-2)}
    return economy.step(state, moves, economy.no_luck(state))


def test_the_published_constants():
    economy = InternationalCycle()
    # "A_tfp = 0.055836, Y_ref = 0.055836, C_ref = 0.045836" (lectures_book/published.py).
    assert economy.technology == pytest.approx(0.055836, abs=5e-7)
    assert economy.usual_consumption == pytest.approx(0.045836, abs=5e-7)
    deviation = math.hypot(economy.idiosyncratic.spread, economy.aggregate.spread)
    assert deviation == pytest.approx(0.04529, abs=5e-6)


def test_at_rest_everybody_consumes_what_is_usual():
    economy = InternationalCycle()
    step = period(economy, at_rest(economy), [0.0, 0.0])
    torch.testing.assert_close(step.state.capital, torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(
        step.info["consumption"],
        torch.full((2,), economy.usual_consumption, dtype=torch.float64),
    )
    assert step.rewards["planner"].abs().max() < 1e-12


@pytest.mark.parametrize("substitution", [(0.25, 1.0), (0.5, 1.0, 2.0), (1.0,)])
def test_resources_are_used_up_and_shared_at_one_price(substitution):
    economy = InternationalCycle(substitution)
    n, g = economy.n_countries, torch.Generator().manual_seed(0)
    state = economy.reset((40,), g, torch.float64)
    actions = 0.01 * torch.randn((40, n), generator=g, dtype=torch.float64)
    step = period(economy, state, actions)
    k, following = state.capital, step.state.capital
    growth = following / k - 1
    cost = economy.kappa / 2 * k * growth.square()
    left = (economy.output(state) + (1 - economy.delta) * k - following - cost).sum(-1)
    torch.testing.assert_close(step.info["consumption"].sum(-1), left, rtol=1e-10, atol=0)
    relative = step.info["consumption"] / economy.usual_consumption
    price = relative ** (-1 / torch.tensor(substitution, dtype=torch.float64))
    torch.testing.assert_close(
        price, step.info["marginal_utility"].expand(40, n), rtol=1e-8, atol=0
    )
    torch.testing.assert_close(growth.mean(-1), actions[:, 0], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(growth[:, :-1] - growth[:, -1:], actions[:, 1:])


def test_the_price_is_the_slope_of_utility():
    economy = InternationalCycle()
    c = torch.linspace(0.4, 2.0, 9, dtype=torch.float64, requires_grad=True)
    log = economy.price(c)
    slope, *_ = torch.autograd.grad(economy._utility(log).sum(), c)
    # A unit of mean consumption is a unit of everybody's, at the price of it.
    torch.testing.assert_close(slope, log.detach().exp(), rtol=1e-10, atol=0)


def test_an_order_beyond_what_the_world_can_pay_is_cut():
    economy = InternationalCycle(largest_growth=0.4)
    state = at_rest(economy)
    step = period(economy, state, [0.3, 0.1])
    total = economy.output(state).sum()
    least = (1 - LARGEST_SPENDING) * total
    consumed = step.info["consumption"].sum()
    # Costs are convex, so that the cut is a little more than it need be.
    assert least <= consumed < 1.3 * least < economy.usual_consumption
    # The same share of purchases: both grow by the same part of growth and depreciation wanted.
    growth = step.state.capital - 1
    wanted = torch.tensor([0.35, 0.25], dtype=torch.float64)
    part = (growth + economy.delta) / (wanted + economy.delta)
    assert part[0].item() == pytest.approx(part[1].item())


def test_a_constant_welfare_is_worth_the_consumption_that_gives_it():
    economy = InternationalCycle((0.25, 1.0, 1.6))
    c = torch.tensor([0.5, 1.0, 1.7], dtype=torch.float64)
    value = economy._utility(economy.price(c)) / (1 - economy.beta)
    torch.testing.assert_close(economy.consumption_equivalent(value), c, rtol=1e-9, atol=0)


def test_only_the_sum_of_log_productivities_is_seen_where_it_is_all_that_matters():
    alike = InternationalCycle()
    assert alike.roles["planner"].n_features == 4
    other = InternationalCycle(aggregate=AutoRegression(0.5, 0.01))
    assert other.roles["planner"].n_features == 5
    chain = InternationalCycle(aggregate=MarkovChain.symmetric((0.99, 1.01), stay=0.9))
    state = chain.reset((3,), torch.Generator().manual_seed(0))
    assert chain.observe(state)["planner"].shape == (3, 1, 5)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"substitution": ()}, r"substitution=\(\)"),
        ({"substitution": (0.1, 1.0)}, "substitution="),
        ({"beta": 1.0}, "beta=1.0"),
        ({"kappa": -1.0}, "kappa=-1.0"),
        ({"largest_growth": 0.0}, "largest_growth=0.0"),
        ({"aggregate": 3}, "aggregate=3"),
    ],
)
def test_a_bad_parameter_is_named(given, named):
    with pytest.raises(ValueError, match=named):
        InternationalCycle(**given)
