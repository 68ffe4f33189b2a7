"""Residuals of solutions and their seconds: the table of chapter *How exact is it?*.

Residuals are those of automatic differentiation of the economy's own code, at states on the
solution's ergodic set. Seconds begin when one small solution has warmed the libraries up.
"""

from __future__ import annotations

from functools import cache

import torch

from benchmarks.harness import CALIBRATIONS, swept, timed
from lectures_lib.economies import Market, Planner, map_state
from lectures_lib.evaluation import initial_states, simulate
from lectures_lib.solvers import solve

OTHER = CALIBRATIONS["other"]
QUANTITY = {"action": "quantity"}


def ergodic_states(policy, economy, count=800, seed=7):
    """About `count` states, in units of stocks, on paths that have forgotten their start."""
    stocks = economy.n_households * economy.n_goods
    paths = max(4, count // stocks // 4)
    start = initial_states(policy, economy, paths, seed)
    kept = simulate(policy, economy, start, 500, seed, first=300, every=50).states
    return map_state(lambda *x: torch.cat(x), *kept)


def unconstrained(economy, policy, states):
    """Where nobody would sell capital: a purchase of nothing does not say what it is worth."""
    bought = policy.investment(states).flatten(-2)
    return (bought > 1e-3 * economy.delta * economy.efficient_capital).all(-1)


def accuracy(solution, ahead=False):
    """Absolute residuals on the ergodic set, apart from states in which somebody would sell
    capital, or, looking `ahead`, might want to in the next period."""
    economy, policy = solution.economy, solution.policy
    states = ergodic_states(policy, economy)
    residuals = solution.euler_residuals(states).abs()
    free = unconstrained(economy, policy, states)
    if ahead:
        (shocks, probability), actions = economy.outcomes(states), policy(states)
        for j in range(len(probability)):
            outcome = map_state(lambda x: x[j], shocks)  # noqa: B023
            free &= unconstrained(economy, policy, economy.step(states, actions, outcome).state)
    kept = residuals[free]
    return {
        "largest": kept.max().item(),
        "mean": kept.mean().item(),
        "at the constraint": 1 - free.double().mean().item(),
        "mean capital": states.capital.mean().item(),
    }


@cache
def warm():
    """What takes time once in a process takes it before something is timed."""
    accuracy(solve(Market()))


def row(economy, regime, method, ahead):
    """Solve, and judge."""
    warm()
    solution, seconds = timed(solve, economy, regime, method)
    return {"seconds": seconds, **accuracy(solution, ahead)}


def _solved(rows, method, ahead=False):
    same = {"method": method, "ahead": ahead}
    return swept(row, {x: {"economy": e, "regime": regime, **same} for x, e, regime in rows})


def grids():
    """Time iteration, on polynomials or splines."""
    rows = [(f"market, {n} x 1", Market(n), "competitive") for n in (1, 2, 3, 4, 5)]
    rows += [(f"market, {n} x 2", Market(n, 2), "competitive") for n in (1, 2, 3)]
    rows += [(f"planner, {n} x 1", Planner(n), "planner") for n in (1, 2, 3)]
    rows += [("planner, 1 x 2", Planner(1, 2), "planner")]
    rows += [(f"Nash in spending, {n} x 1", Market(n), "nash") for n in (2, 5)]
    rows += [("Nash in quantities, 2 x 1", Market(2, **QUANTITY), "nash")]
    rows += [("joint monopsony, 2 x 1", Market(2), "monopsony")]
    rows += [("market, 2 x 1, other calibration", Market(2, **OTHER), "competitive")]
    rows += [("planner, 2 x 1, other calibration", Planner(2, **OTHER), "planner")]
    # With many households there is nearly always one at the constraint; here there are few.
    yield from _solved(rows, "time iteration", ahead=True)


def networks():
    """Networks trained on Euler residuals."""
    rows = [(f"market, {n} x 1", Market(n), "competitive") for n in (1, 2, 3, 5, 100)]
    rows += [("market, 10 x 10", Market(10, 10), "competitive")]
    rows += [(f"planner, {n} x 1", Planner(n), "planner") for n in (2, 3, 5, 100)]
    rows += [(f"planner, {n} x {m}", Planner(n, m), "planner") for n, m in ((3, 2), (10, 10))]
    rows += [
        (
            "planner, 3 x 1, risk aversion 2",
            Planner(3, **CALIBRATIONS["risk aversion 2"]),
            "planner",
        )
    ]
    rows += [("Nash in spending, 100 x 1", Market(100), "nash")]
    rows += [("market, 3 x 1, other calibration", Market(3, **OTHER), "competitive")]
    rows += [("planner, 3 x 1, other calibration", Planner(3, **OTHER), "planner")]
    yield from _solved(rows, "network")


PARTS = {"grids": grids, "networks": networks}
