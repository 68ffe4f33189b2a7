"""One line that solves: which method it takes, what it returns and what it refuses."""

import importlib

import pytest
import torch

from lectures_lib.economies import BrockMirman, Market, Planner
from lectures_lib.solvers import REGIMES, Solution, euler_residuals, solve, steady_state

module = importlib.import_module("lectures_lib.solvers.solution")


def test_brock_and_mirman_consume_a_fixed_share(states):
    economy = BrockMirman(alpha=0.4, beta=0.9)
    state = states(economy, 20)
    solution = solve(economy)
    consumption = solution.policy(state)["planner"].squeeze(-1)
    torch.testing.assert_close(consumption, 0.64 * economy.output(state), rtol=1e-14, atol=0)
    assert solution.iterations == 0 and solution.regime == "planner"


@pytest.mark.parametrize("economy", [Planner(), BrockMirman(), Market(2)], ids=["P", "B", "M"])
def test_the_first_regime_is_solved_by_default(economy, solved):
    assert solve(economy).regime == REGIMES[type(economy)][0]


@pytest.mark.parametrize("regime", REGIMES[Market])
def test_a_solution_brings_its_conditions_and_its_steady_state(regime, solved, states):
    economy = Market(2)
    solution = solved(economy, regime)
    state = states(economy, 20)
    assert solution.economy is not None and solution.regime == regime and solution.iterations > 5
    assert solution.steady_state == steady_state(economy, regime)
    own = solution.euler_residuals(state)
    torch.testing.assert_close(own, euler_residuals(economy, solution.policy, state, regime))
    others = [r for r in REGIMES[Market] if r != regime]
    for other in others:
        wrong = euler_residuals(economy, solution.policy, state, other)
        assert wrong.abs().mean() > 10 * own.abs().mean()


def test_regimes_are_ordered_by_restraint(solved, states):
    state = states(Market(2))
    investment = [solved(Market(2), r).policy.investment(state).sum(-2) for r in REGIMES[Market]]
    assert (investment[0] > investment[1]).all() and (investment[1] > investment[2]).all()


def test_few_households_are_solved_by_time_iteration_and_many_by_a_network(monkeypatch):
    asked = []

    def record(method):
        def solver(economy, regime):
            asked.append((method, economy.n_households, regime))
            return "policy", 3

        return solver

    monkeypatch.setattr(module, "time_iteration", record("time iteration"))
    monkeypatch.setattr(module, "euler_network", record("network"))
    solve(Planner())
    solve(Market(3), "nash")
    solve(Market(100))
    solve(Planner(40))
    solve(Market(5), "monopsony")
    solve(Market(2), method="network")
    solution = solve(Planner(40), method="time iteration")
    assert asked == [
        ("time iteration", 1, "planner"),
        ("time iteration", 3, "nash"),
        ("network", 100, "competitive"),
        ("network", 40, "planner"),
        ("network", 5, "monopsony"),
        ("network", 2, "competitive"),
        ("time iteration", 40, "planner"),
    ]
    assert solution == Solution(Planner(40), "planner", "policy", 3)


@pytest.mark.parametrize(
    ("economy", "kwargs", "message"),
    [
        (Planner(), {"regime": "nash"}, r"regime='nash': Planner knows \('planner',\)"),
        (Market(), {"regime": "planner"}, "regime='planner': Market knows"),
        (Market(), {"method": "guess"}, "method='guess': expected 'time iteration' or 'network'"),
        (Market(50), {"method": "time iteration"}, r"n_households=50, .*use method='network'"),
    ],
)
def test_what_is_unknown_is_refused(economy, kwargs, message):
    with pytest.raises(ValueError, match=message):
        solve(economy, **kwargs)


def test_what_is_no_economy_is_refused():
    with pytest.raises(TypeError, match="no solver for dict"):
        solve({})
