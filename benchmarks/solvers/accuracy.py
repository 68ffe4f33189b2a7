"""How precise are the exact solutions, and how long do they take?

    python benchmarks/solvers.py [--only PART ...]

Prints the tables of chapters *Global solution* and *Strategic buyers* and stores them, with
device, versions and command, in `benchmarks/results/solvers.json`. Parts: `grids` (time iteration),
`networks` (trained on Euler residuals), `games` (Markov-perfect equilibrium) and `exploitability`.
A part named by `--only` replaces the stored one.

Residuals are those of automatic differentiation of the economy's own code, at states on the
solution's ergodic set. Each part has one thread; seconds are those of the core that it used, so
that other work on the machine does not shorten them, and begin when one small solution has warmed
the libraries up.
"""

from __future__ import annotations

import argparse
import json

import torch
from record import FOLDER, provenance, table, timed

from lectures_lib.economies import FixedAction, Market, Planner, map_state
from lectures_lib.evaluation import initial_states, simulate
from lectures_lib.evaluation.exploitability import exploitability
from lectures_lib.solvers import markov_perfect, solve, without_risk

PATH = FOLDER / "solvers.json"
OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}
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


def _solved(rows, method, ahead=False):
    found = {}
    for label, economy, regime in rows:
        solution, seconds = timed(lambda: solve(economy, regime, method))  # noqa: B023
        found[label] = {"seconds": seconds, **accuracy(solution, ahead)}
        print(f"{label}: {found[label]}", flush=True)
    return found


def grids():
    """Time iteration."""
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
    return _solved(rows, "time iteration", ahead=True)


def networks():
    """Networks trained on Euler residuals."""
    rows = [(f"market, {n} x 1", Market(n), "competitive") for n in (1, 2, 3, 5, 100)]
    rows += [("market, 10 x 10", Market(10, 10), "competitive")]
    rows += [(f"planner, {n} x 1", Planner(n), "planner") for n in (2, 3, 5, 100)]
    rows += [(f"planner, {n} x {m}", Planner(n, m), "planner") for n, m in ((3, 2), (10, 10))]
    rows += [("planner, 3 x 1, risk aversion 2", Planner(3, risk_aversion=2.0), "planner")]
    rows += [("Nash in spending, 100 x 1", Market(100), "nash")]
    rows += [("market, 3 x 1, other calibration", Market(3, **OTHER), "competitive")]
    rows += [("planner, 3 x 1, other calibration", Planner(3, **OTHER), "planner")]
    return _solved(rows, "network")


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
    found = {}
    for label, economy in rows:
        solution, seconds = timed(lambda: markov_perfect(economy))  # noqa: B023
        open_loop = solve(economy, "nash")
        capital = [
            ergodic_states(s.policy, economy, 4000).capital.mean().item()
            for s in (solution, open_loop)
        ]
        states = ergodic_states(solution.policy, economy, 100)
        gradients = solution.policy.own_gradients(states).abs()
        found[label] = {
            "seconds": seconds,
            "iterations": solution.iterations,
            "own gradient": gradients.max().item(),
            "mean capital": capital[0],
            "open-loop capital": capital[1],
            "feedback": capital[0] / capital[1] - 1,
        }
        print(f"{label}: {found[label]}", flush=True)
    return found


def exploitabilities():
    """What one household gains by departing from a rule that all others keep to."""
    rows = [(f"{r}, N = {n}", Market(n), r) for n in (2, 5) for r in ("competitive", "nash")]
    rows += [("monopsony, N = 2", Market(2), "monopsony")]
    rows += [("nash in quantities, N = 2", Market(2, **QUANTITY), "nash")]
    rows += [("markov perfect, N = 2", Market(2), "markov perfect")]
    rows += [("constant share, N = 2", Market(2), "constant")]
    rows += [(f"{r}, N = 100", Market(100), r) for r in ("nash", "constant")]
    found = {}
    for label, economy, rule in rows:
        if rule == "constant":
            policy = FixedAction(economy, 0.1)
        elif rule == "markov perfect":
            policy = markov_perfect(economy).policy
        else:
            policy = solve(economy, rule).policy
        result, seconds = timed(lambda: exploitability(policy, economy))  # noqa: B023
        found[label] = {
            "seconds": seconds,
            "gain": result.gain,
            "standard error": result.standard_error,
            "ergodic gain": result.ergodic_gain,
            "ergodic standard error": result.ergodic_standard_error,
        }
        print(f"{label}: {found[label]}", flush=True)
    return found


PARTS = {
    "grids": grids,
    "networks": networks,
    "games": games,
    "exploitability": exploitabilities,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads(PATH.read_text()) if PATH.exists() else {}
    accuracy(solve(Market()))
    for part in arguments.only:
        print(f"--- {part}", flush=True)
        results[part] = PARTS[part]()
        command = "python benchmarks/solvers.py"
        results.setdefault("made", {})[part] = provenance(command)
        PATH.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results, PARTS))


if __name__ == "__main__":
    main()
