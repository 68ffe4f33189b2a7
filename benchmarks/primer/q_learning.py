"""Tabular Q-learning on the monopolist."""

from __future__ import annotations

import numba
import numpy as np

from benchmarks.harness import rounded, timed
from lectures_lib.agents import QLearning, QLearningConfig
from lectures_lib.economies import Monopolist
from lectures_lib.solvers.dynamic_programming import expectation, with_payoff

ECONOMY = Monopolist()
CROWD, MILLION = 1_000, 1_000_000
# Updates at which the error is taken: four to a power of ten.
MARKS = tuple(1_000 * round(10 ** (k / 4)) for k in range(17))
STEP_SIZES = {
    "n^-0.8": {"step_size": "polynomial", "power": 0.8},
    "n^-0.6": {"step_size": "polynomial", "power": 0.6},
    "1/n": {"step_size": "1/n"},
    "1/n, from above": {"step_size": "1/n", "initial_value": 5.0},
    "n^-0.3": {"step_size": "polynomial", "power": 0.3},
    "constant 0.1": {"step_size": "constant", "rate": 0.1},
    "constant 0.01": {"step_size": "constant", "rate": 0.01},
    "n^-1.5": {"step_size": "polynomial", "power": 1.5},
}
EXPLORATIONS = {
    "epsilon 0.1": {"epsilon": (0.1, 0.1)},
    "epsilon from 1 to 0": {"epsilon": (1.0, 0.0)},
    "Boltzmann, temperature 0.02": {"exploration": "boltzmann", "temperature": (0.02, 0.02)},
    "Boltzmann, from 1 to 0.001": {"exploration": "boltzmann", "temperature": (1.0, 0.001)},
    "optimistic start": {"exploration": "optimistic"},
    "greedy from zero": {"epsilon": (0.0, 0.0)},
}


def q_learning(seeds=24):
    """Speed, error by step size, regret by exploration; errors and losses in per cent."""
    tables = ECONOMY.tables()
    v = tables.discrete_dp().solve("policy_iteration").v
    q = with_payoff(tables, expectation(tables, v))
    yield "1,000 learners, 1 million updates", _speed(q)
    for label, settings in STEP_SIZES.items():
        yield f"step size {label}", _convergence(q, settings, range(seeds))
    for label, settings in EXPLORATIONS.items():
        yield f"exploration {label}", _regret(v, q, settings, range(seeds))


def relative_error(agent, q):
    """max |Q - Q*| / max |Q*| of each learner, in per cent."""
    return 100 * np.abs(agent.q_values - q).max((1, 2)) / np.abs(q).max()


def _speed(q):
    QLearning(ECONOMY).learn(1_000)  # compiles
    numba.set_num_threads(1)
    agent = QLearning(ECONOMY, seeds=range(CROWD))
    _, seconds = timed(agent.learn, MILLION)
    error = relative_error(agent, q)
    return {
        "seconds": seconds,
        "steps": MILLION,
        "learners": CROWD,
        "error": float(np.median(error)),
        "largest": float(error.max()),
        "below one per cent": float((error <= 1).mean()),
    }


def _convergence(q, settings, seeds):
    agent = QLearning(ECONOMY, seeds=seeds, config=QLearningConfig(**settings))
    total, errors = 0.0, []
    for n in MARKS:
        _, seconds = timed(agent.learn, n)
        total += seconds
        errors.append(rounded(relative_error(agent, q)))
    return {
        "seconds": total,
        "steps": MARKS[-1],
        "learners": len(seeds),
        "error": float(np.median(errors[-1])),
        "largest": max(errors[-1]),
        "updates": list(MARKS),
        "errors": errors,
    }


def _regret(v, q, settings, seeds):
    """Of learners that live through one path each."""
    config = QLearningConfig(restart=0.0, power=0.6, **settings)
    agent = QLearning(ECONOMY, seeds=seeds, config=config)

    def measure(agent):
        visits = agent.visits
        return {
            "regret": ((v[:, None] - q) * visits).sum((1, 2)),
            "worth": (v[:, None] * visits).sum((1, 2)),
        }

    history, seconds = timed(agent.learn, MILLION, callback=measure, callback_every=1)
    regret, worth = history["regret"], history["worth"]
    places = [history.steps.index(n) for n in MARKS if n <= MILLION]
    # A period's gap is a share (1 - beta) of the value that is lost by going on like this.
    late = np.diff(regret[[-11, -1]], axis=0)[0] / np.diff(worth[[-11, -1]], axis=0)[0]
    loss = 100 * late / (1 - ECONOMY.beta)
    return {
        "seconds": seconds,
        "steps": MILLION,
        "learners": len(seeds),
        "error": float(np.median(relative_error(agent, q))),
        "largest": float(relative_error(agent, q).max()),
        "regret": float(np.median(regret[-1])),
        "loss in the last hundredth": float(np.median(loss)),
        "updates": [history.steps[i] for i in places],
        "regrets": [rounded(regret[i]) for i in places],
    }


PARTS = {"q_learning": q_learning}
