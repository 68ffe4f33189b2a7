"""The planner's rule against a plan that no rule takes part in."""

import numpy as np
import pytest
import torch

from benchmarks.planner.whole_path import PLANNED, best_plan, plans_of
from lectures_lib.economies import Planner
from lectures_lib.solvers import solve, without_risk

UNEQUAL = np.array([(20.0, 14.0), (16.0, 18.0), (12.0, 8.0), (24.0, 12.0)])[..., None]


@pytest.fixture(scope="module")
def riskless():
    return solve(without_risk(Planner(2)))


@pytest.fixture(scope="module")
def plans(riskless):
    return [best_plan(riskless.economy, capital) for capital in UNEQUAL]


def shares_now(solution, capital):
    state = solution.economy.reset((len(capital),), torch.Generator().manual_seed(0), torch.float64)
    return solution.policy(state._replace(capital=torch.from_numpy(capital)))["planner"].numpy()


def test_the_rule_of_two_unequal_households_begins_the_best_plan(riskless, plans):
    best = np.stack([plan.shares[0] for plan in plans])
    assert shares_now(riskless, UNEQUAL) == pytest.approx(best, rel=1e-4, abs=1e-8)


def test_the_rule_loses_next_to_nothing_against_the_best_plan(riskless, plans):
    (rule,) = plans_of(riskless.policy, riskless.economy, UNEQUAL[:1])
    assert rule.welfare == pytest.approx(plans[0].welfare, abs=1e-9)
    # At rest only this share can be wrong, and it is much worse.
    (worse,) = plans_of(
        lambda s: {"planner": 0.9 * riskless.policy(s)["planner"]}, riskless.economy, UNEQUAL[:1]
    )
    assert worse.welfare < plans[0].welfare - 1e-3


def test_shares_at_unequal_capital_are_those_of_another_search(riskless):
    """Found in November 2026 with gradients of torch, in 300 periods."""
    assert shares_now(riskless, UNEQUAL[:1]).ravel() == pytest.approx(
        [0.037560, 0.154702], abs=2e-6
    )


def test_who_is_at_rest_plans_to_stay(riskless):
    rest = riskless.steady_state
    best = best_plan(riskless.economy, np.full((2, 1), rest.capital))
    assert best.shares == pytest.approx(np.full((PLANNED, 2, 1), rest.saving_share), rel=1e-4)
