"""Strategic buyers: the tables of chapter *Strategic buyers*."""

from __future__ import annotations

from functools import cache

from benchmarks.harness import solved, swept, timed
from lectures_lib.economies import FixedAction, Market
from lectures_lib.evaluation import exploitability
from lectures_lib.solvers import markov_perfect, solve, without_risk

from .accuracy import OTHER, QUANTITY, ergodic_states


def games():
    """Markov-perfect equilibrium beside open-loop Nash equilibrium."""
    rows = [
        ("spending, N = 2", Market(2)),
        ("spending, N = 2, no risk", without_risk(Market(2))),
        ("quantities, N = 2", Market(2, **QUANTITY)),
        ("quantities, N = 2, no risk", without_risk(Market(2, **QUANTITY))),
        ("spending, N = 2, profit rebated", Market(2, rebate_profits=True)),
        ("spending, N = 2, other calibration", Market(2, **OTHER)),
        ("spending, N = 3", Market(3)),
        ("quantities, N = 3", Market(3, **QUANTITY)),
        ("spending, N = 5", Market(5)),
        ("quantities, N = 5", Market(5, **QUANTITY)),
    ]
    yield from swept(game, {label: {"economy": economy} for label, economy in rows})


@cache
def warm():
    """What takes time once in a process takes it before something is timed."""
    markov_perfect(without_risk(Market(2)))


def game(economy) -> dict[str, float]:
    """The equilibrium of a game, beside open-loop Nash equilibrium."""
    warm()
    solution, seconds = timed(markov_perfect, economy)
    open_loop = solve(economy, "nash")
    capital = [
        ergodic_states(s.policy, economy, 4000).capital.mean().item() for s in (solution, open_loop)
    ]
    states = ergodic_states(solution.policy, economy, 100)
    gradients = solution.policy.own_gradients(states).abs()
    return {
        "seconds": seconds,
        "iterations": solution.iterations,
        "own gradient": gradients.max().item(),
        "mean capital": capital[0],
        "open-loop capital": capital[1],
        "feedback": capital[0] / capital[1] - 1,
    }


def exploitabilities():
    """What one household gains by departing from a rule that all others keep to."""
    rows = [(f"{r}, N = {n}", Market(n), r) for n in (2, 5) for r in ("competitive", "nash")]
    rows += [("monopsony, N = 2", Market(2), "monopsony")]
    rows += [("nash in quantities, N = 2", Market(2, **QUANTITY), "nash")]
    rows += [("markov perfect, N = 2", Market(2), "markov perfect")]
    rows += [("constant share, N = 2", Market(2), "constant")]
    rows += [(f"{r}, N = 100", Market(100), r) for r in ("nash", "constant")]
    yield from swept(gain, {x: {"economy": economy, "rule": rule} for x, economy, rule in rows})


def gain(economy, rule) -> dict[str, float]:
    """What a departure from a rule gains, and how sure that is."""
    constant = rule == "constant"
    policy = FixedAction(economy, 0.1) if constant else solved(economy, rule).policy
    result, seconds = timed(exploitability, policy, economy)
    return {
        "seconds": seconds,
        "gain": result.gain,
        "standard error": result.standard_error,
        "ergodic gain": result.ergodic_gain,
        "ergodic standard error": result.ergodic_standard_error,
    }


PARTS = {"games": games, "exploitability": exploitabilities}
