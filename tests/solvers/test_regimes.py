"""First-order conditions written by hand against the derivatives of the simulating code."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lectures_lib.economies import BrockMirman, Market, Planner
from lectures_lib.solvers import conditions_of, marginal_values, regimes_of
from lectures_lib.solvers.euler import in_regime
from lectures_lib.solvers.regimes import Conditions, resolve_regime

SIZES = [(1, 1), (3, 1), (1, 2), (3, 2)]
CASES = [
    (kind(*size, risk_aversion=sigma, **kwargs), regime)
    for size, sigma in zip(SIZES, (1.0, 2.0, 0.5, 2.0), strict=True)
    for kind, kwargs, regimes in [
        (Planner, {}, ("planner",)),
        *(
            (Market, {"action": action, "rebate_profits": rebate}, regimes_of(Market()))
            for action in ("spending", "quantity")
            for rebate in (False, True)
        ),
    ]
    for regime in regimes
]


def name(value):
    if isinstance(value, str):
        return value
    words = [f"{value.n_households}x{value.n_goods}", type(value).__name__]
    words += [getattr(value, "action", "")]
    return "-".join([*words, "rebate"] if getattr(value, "rebate_profits", False) else words)


cases = pytest.mark.parametrize(("economy", "regime"), CASES, ids=name)


@pytest.fixture
def point(economy, states):
    """Unequal households, in states and in what they buy of each good."""
    state = states(economy, 5)
    draw = torch.rand(
        state.capital.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    investment = economy.delta * economy.efficient_capital * (0.3 + 1.4 * draw)
    return SimpleNamespace(state=state, investment=investment, output=economy.output(state))


@cases
def test_marginal_cost_and_the_worth_of_capital_are_those_of_the_code(economy, regime, point):
    conditions = conditions_of(economy, regime)

    def policy(state, moved=None):
        return economy.actions_for(state, point.investment)

    costate, value = marginal_values(economy, policy, point.state, regime)
    by_hand = conditions.marginal_cost(point.investment, point.output)
    torch.testing.assert_close(by_hand.flatten(-2), costate, rtol=1e-9, atol=0)
    # The envelope theorem: whatever is bought, if it is worth what it costs.
    utility = conditions.marginal_utility(point.investment, point.output)
    worth = conditions.worth(utility, point.output, point.state.capital, by_hand)
    torch.testing.assert_close(worth.flatten(-2), value, rtol=1e-9, atol=0)


@cases
def test_consumption_and_investment_are_those_of_the_simulation(economy, regime, point):
    shocks = economy.draw((5,), torch.Generator().manual_seed(0), torch.float64)
    actions = economy.actions_for(point.state, point.investment)
    info = economy.step(point.state, actions, shocks).info
    torch.testing.assert_close(info["investment"], point.investment, rtol=1e-12, atol=0)
    consumption = conditions_of(economy, regime).consumption(point.investment, point.output)
    torch.testing.assert_close(info["consumption"], consumption, rtol=1e-12, atol=0)
    assert (consumption > 0.1).all()


@cases
def test_slopes_are_those_of_automatic_differentiation(economy, regime, point):
    conditions = conditions_of(economy, regime)
    slopes = conditions.log_slopes(point.investment, point.output)
    for i in range(5):
        exact = torch.autograd.functional.jacobian(
            lambda plan: conditions.marginal_cost(plan, point.output[i]).log(),  # noqa: B023
            point.investment[i],
        )
        torch.testing.assert_close(slopes[i], exact, rtol=1e-9, atol=1e-12)


def test_costs_are_ordered_by_how_much_of_their_effect_households_see(states):
    # Prices taken as given, then one's own effect on them, then everybody's.
    economy = Market(3)
    investment = torch.full((4, 3, 1), 0.5, dtype=torch.float64)
    output = economy.output(states(economy, 4))
    costs = [
        conditions_of(economy, r).marginal_cost(investment, output) for r in regimes_of(Market())
    ]
    torch.testing.assert_close(costs[1], costs[0] / (1 - 1 / 6))
    utility = conditions_of(economy, "nash").marginal_utility(investment, output)
    others = 1 + utility.mean(-1, keepdim=True) / utility
    torch.testing.assert_close(costs[2], costs[0] * others.unsqueeze(-1))


def test_regimes_have_names_and_a_first_one():
    assert resolve_regime(Planner(), None) == resolve_regime(BrockMirman(), None) == "planner"
    assert resolve_regime(Market(), None) == "competitive"
    assert resolve_regime(Market(), "monopsony") == "monopsony"
    with pytest.raises(ValueError, match=r"regime='nash': Planner knows \('planner',\)"):
        resolve_regime(Planner(), "nash")
    with pytest.raises(ValueError, match="regime='planner': Market knows"):
        resolve_regime(Market(), "planner")


def test_conditions_that_do_not_know_a_regime_say_so():
    with pytest.raises(ValueError, match=r"regime='nash': Conditions knows \('competitive',\)"):
        Conditions(Market(2), "nash")


def test_crowds_and_limits_to_information_change_no_condition():
    market = Market(3, 2, action="quantity", rebate_profits=True)
    for other in ({"atomistic": True}, {"n_uninformed": 2}):
        assert conditions_of(replace(market, **other), "nash").economy == market


JOINT_CASES = [(e, r) for e, r in CASES if in_regime(e, r)[1]]


@pytest.mark.parametrize(("economy", "regime"), JOINT_CASES, ids=name)
def test_joint_investment_is_where_its_marginal_cost_is_its_worth(economy, regime, point):
    conditions = conditions_of(economy, regime)
    # Near the steady state, where there is one answer.
    unit = economy.delta * economy.efficient_capital
    investment = unit + 0.1 * (point.investment - unit)
    output = point.output.mean(-1, keepdim=True) * (1 + 0.1 * (point.output - 1).tanh())
    value = conditions.marginal_cost(investment, output).mean(-1)
    away = investment - investment.mean(-1, keepdim=True)
    found = conditions.joint_investment(value, output, away)
    torch.testing.assert_close(found, investment, rtol=1e-10, atol=0)
    # Its derivatives in what capital is worth are those of finite differences.
    value = value.requires_grad_(True)
    (slope,) = torch.autograd.grad(conditions.joint_investment(value, output, away).sum(), value)
    nudge = 1e-6 * torch.rand(value.shape, generator=torch.Generator().manual_seed(2)).double()
    up, down = (conditions.joint_investment(value + s * nudge, output, away) for s in (1, -1))
    change = (up - down).sum() / 2
    assert (slope * nudge).sum().item() == pytest.approx(change.item(), rel=1e-5)


def test_who_would_like_to_sell_buys_nothing():
    economy = Planner(2)
    conditions = conditions_of(economy, "planner")
    output = torch.tensor([[2.5, 2.5]], dtype=torch.float64)
    value = torch.tensor([[0.2, 0.6]], dtype=torch.float64)
    found = conditions.joint_investment(value, output, torch.zeros(1, 2, 1, dtype=torch.float64))
    assert found[0, 0, 0] == pytest.approx(0, abs=1e-12)
    cost = conditions.marginal_cost(found, output)[..., 0]
    assert cost[0, 1].item() == pytest.approx(0.6, rel=1e-10)
    assert cost[0, 0] > 0.2
