"""Mean capital's law of motion, of any policy."""

import math

import numpy as np
import pytest
import torch

from lectures_lib.economies import FixedAction, KrusellSmith, Planner
from lectures_lib.evaluation import law_of_motion
from lectures_lib.solvers import solve

ECONOMY = KrusellSmith(200)


def test_a_constant_share_has_the_law_that_is_computed_by_hand():
    """All save the same share of resources, which add up: K' = s ((1 - delta) K + Y)."""
    share = 0.92
    found = law_of_motion(FixedAction(ECONOMY, share), ECONOMY, periods=300, first=400)
    capital, z = found.capital[:-1], found.aggregate[:-1]
    work = np.array(ECONOMY.labour)[z] ** (1 - ECONOMY.alpha)
    output = np.array(ECONOMY.aggregate.values)[z] * capital**ECONOMY.alpha * work
    following = share * ((1 - ECONOMY.delta) * capital + output)
    assert found.capital[1:] == pytest.approx(following, rel=1e-12)
    for state in (0, 1):
        now = z == state
        mean = capital[now].mean()
        slope = share * ((1 - ECONOMY.delta) * mean + 0.36 * output[now].mean()) / following[now]
        assert found.law.slopes[state] == pytest.approx(slope.mean(), abs=5e-3)
    assert min(found.accuracy.r2) > 0.9999


def test_a_sample_of_households_has_the_law_of_the_continuum():
    solution = solve(KrusellSmith())
    found = law_of_motion(solution, KrusellSmith(1000), periods=500, first=300)
    at = math.log(found.capital.mean())
    for z in (0, 1):
        ours = found.law.intercepts[z] + found.law.slopes[z] * at
        theirs = solution.law.intercepts[z] + solution.law.slopes[z] * at
        # Luck of a thousand households.
        assert ours == pytest.approx(theirs, abs=5e-4)
    assert found.accuracy.largest < 0.01
    assert "Den Haan's errors: 0." in str(found) and "R2 0.999" in str(found)


def test_a_continuum_that_follows_the_exact_rule_is_the_solutions_own():
    solution = solve(KrusellSmith())
    where = {"periods": 10_000, "first": 1_000, "seed": 1, "continuum": True}
    found = law_of_motion(solution, KrusellSmith(), **where)
    assert found.capital == pytest.approx(solution.tested["capital"], rel=1e-9)
    assert found.law.slopes == pytest.approx(solution.law.slopes, abs=1e-5)
    assert found.accuracy.largest == pytest.approx(solution.accuracy.largest, rel=1e-2)


def test_a_rule_far_from_the_exact_one_can_have_a_perfect_law():
    """All save the same share, so that the mean alone decides: no test of laws finds a fault."""

    def constant(state):
        return {"household": torch.full_like(state.capital, 0.92)}

    found = law_of_motion(constant, ECONOMY, 500, 100, continuum=True)
    exact = solve(KrusellSmith()).accuracy
    assert found.accuracy.largest < exact.largest
    assert found.capital.mean() < 0.9 * ECONOMY.efficient_capital


def test_what_has_no_law_is_refused(as_runs):
    fixed = FixedAction(ECONOMY, 0.9)
    with pytest.raises(TypeError, match=r"law_of_motion is for a KrusellSmith.*got Planner"):
        law_of_motion(FixedAction(Planner(), 0.1), Planner())
    with pytest.raises(ValueError, match=r"expected one run, such as policy\[0\] of these 2"):
        law_of_motion(as_runs(fixed, fixed), ECONOMY)
    with pytest.raises(ValueError, match="expected one with aggregate shocks"):
        law_of_motion(fixed, ECONOMY.without_aggregate_shocks())
    with pytest.raises(ValueError, match="periods=3: expected more"):
        law_of_motion(fixed, ECONOMY, periods=3, first=0)
