"""How wrong may a network reference be? Bounds of its rule's error from its Euler residuals.

In `bounds_known` time iteration gives the exact rule, and the error of the network's rule with it.
In `bounds` and `bounds_many` there are networks alone.
"""

from __future__ import annotations

from benchmarks.harness import swept, timed
from lectures_lib.economies import Market, Planner
from lectures_lib.evaluation import error_bound
from lectures_lib.evaluation.distances import action_errors
from lectures_lib.solvers import solve

from .accuracy import ergodic_states

MARKET = "competitive"
FEW, LONG, SHORT = {"paths": 16}, {"paths": 4, "periods": 200}, {"paths": 3, "periods": 120}


def row(economy, regime, known, how) -> dict[str, float]:
    """Train a network, and bound its error; compare with the error itself where it is `known`."""
    solution, training = timed(solve, economy, regime, "network")
    bound, seconds = timed(error_bound, solution, economy, **how)
    found = {
        "mean residual": solution.residual["long run"].mean,
        "step": bound.step,
        "bound": bound.mean,
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
    rows = [(f"planner, {n} x 1", Planner(n), "planner") for n in (1, 2, 3)]
    rows += [(f"market, {n} x 1", Market(n), "competitive") for n in (1, 2, 3)]
    rows += [("Nash in spending, 2 x 1", Market(2), "nash")]
    yield from swept(row, _cells(rows, True, FEW))


def bounds():
    """Networks that are the only reference there is."""
    few = [("planner, 4 x 1", Planner(4), "planner")]
    yield from swept(row, _cells(few, False, FEW))
    some = [("planner, 10 x 1", Planner(10), "planner"), ("market, 10 x 1", Market(10), MARKET)]
    yield from swept(row, _cells(some, False, LONG))


def bounds_many():
    """The same with a hundred stocks."""
    many = [("market, 100 x 1", Market(100), MARKET), ("planner, 100 x 1", Planner(100), "planner")]
    many += [("planner, 10 x 10", Planner(10, 10), "planner")]
    yield from swept(row, _cells(many, False, SHORT))


PARTS = {"bounds_known": bounds_known, "bounds": bounds, "bounds_many": bounds_many}
