"""Benchmark `solvers`: some of its rows are made again."""

from functools import cache

import pytest
import torch

from benchmarks.harness import stored
from lectures_lib.economies import Market
from lectures_lib.evaluation import error_bound, initial_states
from lectures_lib.solvers import euler_residuals, markov_perfect, solve, without_risk

SOLVERS = stored("solvers")
#: Found once, so that where it leads is remembered as well.
exact = cache(solve)


def state_shocks(economy):
    return economy.draw((1,), torch.Generator().manual_seed(0), torch.float64)


def test_a_row_of_the_grids():
    stored = SOLVERS["grids"]["market, 2 x 1"]
    solution = exact(Market(2))
    generator = torch.Generator().manual_seed(1)
    state = initial_states(solution.policy, Market(2), 64, 1)
    for _ in range(300):
        shocks = Market(2).draw((64,), generator, torch.float64)
        state = Market(2).step(state, solution.policy(state), shocks).state
    residuals = euler_residuals(Market(2), solution.policy, state, "competitive").abs()
    assert residuals.mean().item() == pytest.approx(stored["mean"], rel=0.5)
    assert residuals.max() < 2 * stored["largest"]


@pytest.mark.row
def test_a_row_of_the_games():
    stored = SOLVERS["games"]["spending, N = 2, no risk"]
    economy = without_risk(Market(2))
    state = initial_states(None, economy, 1, 0)
    policy = markov_perfect(economy).policy
    for _ in range(600):
        state = economy.step(state, policy(state), state_shocks(economy)).state
    assert state.capital.mean().item() == pytest.approx(stored["mean capital"], rel=1e-5)


def test_a_row_of_the_bounds():
    stored = SOLVERS["bounds_known"]["market, 2 x 1"]
    found = error_bound(solve(Market(2), method="network"), Market(2), paths=8)
    # The mean over half as many paths, and a network that differs by rounding.
    assert found.mean == pytest.approx(stored["bound"], rel=0.5)
    assert stored["error"] < stored["bound"]
