"""How wrong may a network reference be? Bounds of its rule's error from its Euler residuals.

In `bounds_known` time iteration gives the exact rule, and the error of the network's rule with it.
In `bounds` there are networks alone.
"""

from __future__ import annotations

import math

from benchmarks.harness import swept, timed
from lectures_lib.economies import Market, Planner
from lectures_lib.evaluation import error_bound
from lectures_lib.evaluation.distances import action_errors
from lectures_lib.solvers import solve

from .accuracy import ergodic_states

FEW, LONG = {"paths": 16}, {"paths": 4, "periods": 200}


def row(economy, regime, known, how) -> dict[str, float | None]:
    """Train a network, and bound its error; compare with the error itself where it is `known`.

    There is no bound, None, where errors would grow along a path."""
    solution, training = timed(solve, economy, regime, "network")
    bound, seconds = timed(error_bound, solution, economy, **how)
    found = {
        "mean residual": solution.residual["long run"].mean,
        "step": bound.step,
        "bound": bound.mean if math.isfinite(bound.mean) else None,
        "modulus": bound.modulus,
        "training": training,
        "seconds": seconds,
    }
    if known:
        exact = solve(economy, regime, "time iteration").policy
        states = ergodic_states(solution.policy, economy)
        ((errors,),) = action_errors(economy, [solution.policy], exact, states).values()
        found["error"] = errors.mean().item()
    return found


def _cells(rows, known, how):
    return {
        label: {"economy": economy, "regime": regime, "known": known, "how": how}
        for label, economy, regime in rows
    }


def bounds_known():
    """Networks whose error is known, from time iteration."""
    rows = [(f"planner, {n} x 1", Planner(n), "planner") for n in (1, 2)]
    rows += [("market, 2 x 1", Market(2), "competitive")]
    yield from swept(row, _cells(rows, True, FEW))


def bounds():
    """Networks that are the only reference there is."""
    few = [("planner, 4 x 1", Planner(4), "planner")]
    yield from swept(row, _cells(few, False, FEW))
    some = [("market, 10 x 1", Market(10), "competitive")]
    some += [(f"planner, {n} x {m}", Planner(n, m), "planner") for n, m in ((100, 1), (10, 10))]
    yield from swept(row, _cells(some, False, LONG))


PARTS = {f.__name__: f for f in (bounds_known, bounds)}
