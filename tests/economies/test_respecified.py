"""Other words for the same economy; test_contract.py holds what all economies keep."""

import math

import pytest
import torch
from registry import same, situation

from lectures_lib.economies import Market, Planner, Respecified
from lectures_lib.economies.respecified import UNITS
from lectures_lib.evaluation import evaluate
from lectures_lib.solvers import markov_perfect, solve

ECONOMIES = {
    "planner": Planner(2, 2),
    "market": Market(3, 2),
    "market, quantities": Market(2, action="quantity"),
    "market, rebates": Market(2, rebate_profits=True),
}


def choices(economy, state, spending):
    """A choice in the economy's units that spends so much."""
    income = economy.economy.income(state).unsqueeze(-1)
    investment = spending / economy.economy.unit_cost_of(spending)
    in_units = {
        "share": spending / income,
        "level": spending,
        "quantity": investment,
        "rate": investment / state.capital,
    }
    return {name: in_units[economy.action] for name in economy.roles}


@pytest.mark.parametrize("name", ECONOMIES)
def test_the_same_spending_brings_the_same_in_every_unit(name):
    original = ECONOMIES[name]
    state, _, shocks = situation(original, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    part = torch.rand(state.capital.shape, generator=generator, dtype=torch.float64)
    spending = part * original.income(state).unsqueeze(-1) / original.n_goods / 2
    steps = []
    for action in UNITS:
        economy = Respecified(original, action=action)
        steps.append(economy.step(state, choices(economy, state, spending), shocks))
    for step in steps[1:]:
        torch.testing.assert_close(step.state, steps[0].state)
        torch.testing.assert_close(step.rewards, steps[0].rewards)


def test_with_shares_nothing_changes_at_all():
    economy = Planner(2)
    state, actions, shocks = situation(economy)
    one, other = (e.step(state, actions, shocks) for e in (economy, Respecified(economy)))
    assert same(one.state, other.state)
    assert torch.equal(one.rewards["planner"], other.rewards["planner"])
    (own, population), (seen, others) = (
        e.sights(state)["planner"] for e in (economy, Respecified(economy))
    )
    assert torch.equal(own, seen) and torch.equal(population, others)


@pytest.mark.parametrize("action", UNITS[1:])
def test_what_nobody_can_pay_is_cut_to_what_one_can(action):
    economy = Respecified(Market(2), action=action)
    state, _, shocks = situation(economy, dtype=torch.float64)
    most = {"household": torch.full((*state.capital.shape,), 1e9, dtype=torch.float64)}
    step = economy.step(state, most, shocks)
    assert (step.info["consumption"] > 0).all()
    assert (step.info["saving_share"] > 0.1).all()


def test_zero_is_half_of_income_on_average_in_every_unit():
    original = Planner()
    for action in UNITS:
        economy = Respecified(original, action=action)
        state = economy.reset((4096,), torch.Generator().manual_seed(0), torch.float64)
        raw = torch.zeros_like(state.capital)
        choice = economy.roles["planner"].to_physical(raw)
        half = original.income(state).unsqueeze(-1) / 2
        expected = choices(economy, state, half)["planner"].mean()
        assert choice.mean().item() == pytest.approx(expected.item(), rel=2e-3)


def test_observations_say_what_they_should():
    economy = Planner()
    state, _, _ = situation(economy, dtype=torch.float64)
    logs, raw, relative = (
        Respecified(economy, sees=x).observe(state)["planner"] for x in ("log", "raw", "relative")
    )
    torch.testing.assert_close(raw, logs.exp())
    torch.testing.assert_close(raw[..., 0], state.capital.squeeze(-1))
    ratio = state.capital.squeeze(-1) / economy.output(state)
    torch.testing.assert_close(relative[..., 0], ratio.log())
    torch.testing.assert_close(relative[..., 1:], logs[..., 1:])


@pytest.mark.parametrize("risk_aversion", [1.0, 2.5])
def test_welfare_is_measured_as_in_the_original(risk_aversion):
    economy = Planner(risk_aversion=risk_aversion)
    other = Respecified(economy, reward_scale=3.0, reward_shift=-10.0)
    state, actions, shocks = situation(economy, dtype=torch.float64)
    reward = other.step(state, actions, shocks).rewards["planner"]
    plain = economy.step(state, actions, shocks).rewards["planner"]
    torch.testing.assert_close(reward, 3 * plain - 10)
    each = [
        e.consumption_equivalent(r / (1 - economy.beta))
        for e, r in ((other, reward), (economy, plain))
    ]
    torch.testing.assert_close(*each)


@pytest.mark.parametrize("action", UNITS)
def test_a_rule_of_the_other_units_is_as_good_in_the_original(action):
    original = Planner()
    exact, economy = solve(original), Respecified(original, action=action)

    def rule(state, moved=None):
        spending = exact.policy(state)["planner"] * original.income(state).unsqueeze(-1)
        return choices(economy, state, spending)

    report = evaluate(economy.original(rule), original, exact, paths=8)
    assert report.policy_error_max < 1e-9
    assert abs(report.consumption_equivalent_loss) < 1e-9


def test_quantities_are_another_game_than_spending():
    # Exact rules of both games, in the same units: the open-loop steady states' ratio is
    # [(1 - 1/2N)(1 + 1/N)]^(1/(2 - alpha)), and feedback is nearly the same in both.
    spending = markov_perfect(Market(2))
    quantity = markov_perfect(Market(2, action="quantity"))
    translated = Respecified(Market(2), action="quantity").original(quantity.policy)
    reports = [evaluate(rule, Market(2), paths=16) for rule in (spending, translated)]
    capital = [report.moments["mean of capital"] for report in reports]
    assert capital[0] / capital[1] == pytest.approx(1.125 ** (1 / 1.7), rel=5e-3)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"action": "bid"}, "action='bid'.*share.*rate"),
        ({"sees": "levels"}, "sees='levels'.*relative"),
        ({"reward_scale": 0.0}, "reward_scale=0.0: expected a positive number"),
        ({"reward_shift": math.inf}, "reward_shift=inf: expected a finite number"),
        ({"economy": Market(2, atomistic=True)}, "economy=Market.*households have mass"),
        ({"economy": Market(3, n_uninformed=1)}, "economy=Market.*see everything"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, names):
    with pytest.raises(ValueError, match=f"(?s)^{names}"):
        Respecified(**({"economy": Planner()} | changes))
