"""Bounds of a rule's error, where the exact rule is known."""

import sys

import pytest

from lectures_lib.agents import PPO
from lectures_lib.economies import Market, Planner
from lectures_lib.evaluation import error_bound, evaluate

# The function has its name, too.
MODULE = sys.modules[error_bound.__module__]
OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}


class Scaled:
    """A rule whose spending is wrong in one way in good times and in another in bad ones."""

    def __init__(self, base, good, bad):
        self.base, self.good, self.bad = base, good, bad

    def __call__(self, state, moved=None):
        factor = self.bad + (self.good - self.bad) * state.aggregate.double()
        return {name: x * factor[..., None, None] for name, x in self.base(state).items()}


CASES = {
    "planner": (Planner(**OTHER), "planner"),
    "market": (Market(2, **OTHER), "competitive"),
    "nash": (Market(2, **OTHER), "nash"),
    "goods": (Market(1, 2, **OTHER), "competitive"),
    "planner of two": (Planner(2, **OTHER), "planner"),
}


@pytest.mark.parametrize("good, bad", [(1.01, 1.01), (1.01, 0.99)])
@pytest.mark.parametrize("name", CASES)
def test_it_bounds_an_error_that_is_known_and_not_by_far(solved, name, good, bad):
    economy, regime = CASES[name]
    exact = solved(economy, regime)
    wrong = Scaled(exact.policy, good, bad)
    found = error_bound(wrong, economy, regime, paths=6, periods=100)
    error = evaluate(wrong, economy, exact, paths=16).policy_error_mean
    assert error == pytest.approx(0.01, rel=0.01)
    # To first order, on six short paths, whose luck counts where errors differ by state.
    assert 0.94 * error < found.mean < 1.5 * error
    assert found.step < found.mean <= found.largest and 0 < found.modulus < 1


def test_of_the_exact_rule_there_is_next_to_no_error(solved):
    economy = Planner(**OTHER)
    found = error_bound(solved(economy, "planner"), economy, paths=4, periods=60)
    assert found.mean < 1e-6
    assert "on average" in str(found)


def test_errors_that_grow_along_a_path_have_no_bound(solved, monkeypatch):
    economy = Planner(**OTHER)
    right = MODULE.TimeIteration.change_of_worth

    def larger(*arguments):
        return 1e4 * right(*arguments)

    monkeypatch.setattr(MODULE.TimeIteration, "change_of_worth", larger)
    wrong = Scaled(solved(economy, "planner").policy, 1.01, 1.01)
    found = error_bound(wrong, economy, paths=4, periods=200)
    assert found.mean == float("inf") and 0 < found.step < 0.01


def test_many_stocks_are_moved_together_with_nearly_the_result_of_one_by_one(solved, monkeypatch):
    economy = Market(2, **OTHER)
    wrong = Scaled(solved(economy, "competitive").policy, 1.01, 0.99)
    results = []
    for limit in (10, 1):
        monkeypatch.setattr(MODULE, "ONE_BY_ONE", limit)
        results.append(error_bound(wrong, economy, paths=8, periods=60).mean)
    assert results[0] == pytest.approx(results[1], rel=0.02)


def test_drawn_shocks_give_nearly_what_listed_ones_give(solved, monkeypatch):
    economy = Market(2, **OTHER)
    wrong = Scaled(solved(economy, "competitive").policy, 1.01, 1.01)
    listed = error_bound(wrong, economy, paths=8, periods=60)
    monkeypatch.setattr(MODULE, "MAX_OUTCOMES", 1)
    drawn = error_bound(wrong, economy, paths=8, periods=60)
    assert drawn.mean == pytest.approx(listed.mean, rel=0.1) and drawn.mean != listed.mean


def test_several_runs_and_other_regimes_are_refused():
    economy = Planner()
    agent = PPO(economy, seeds=(0, 1))
    with pytest.raises(ValueError, match="2 runs: ask for one"):
        error_bound(agent.policy, economy)
    with pytest.raises(ValueError, match="regime='nash'"):
        error_bound(agent.policy[0], economy, "nash")
