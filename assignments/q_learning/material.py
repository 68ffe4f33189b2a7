"""Code that is given in the assignment on Q-learning."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from course import my_firm, pick, shuffled

from lectures_lib.agents.q_learning import QLearning, QLearningConfig
from lectures_lib.plotting import COLOURS, DASHES
from lectures_lib.solvers.dynamic_programming import expectation, with_payoff

STEPS = {
    "1/n, from above": {"step_size": "1/n"},
    "n^-0.8, from zero": {"step_size": "polynomial", "power": 0.8},
    "constant 0.1, from zero": {"step_size": "constant", "rate": 0.1},
    "constant 0.01, from zero": {"step_size": "constant", "rate": 0.01},
}


def exact(tables):
    """v*(s) and Q*(s, u), by policy iteration; ndarrays (states,) and (states, actions)."""
    v = tables.discrete_dp().solve("policy_iteration").v
    return v, with_payoff(tables, expectation(tables, v))


def errors(firm, marks, seeds, **settings):
    """Largest errors |Q - Q*| / max |Q*| at the marks, (learners, marks), of the library's learner.

    Parameters
    ----------
    firm : Monopolist
    marks : sequence of int
        Updates after which errors are measured, increasing.
    seeds : iterable of int
        One for each learner.
    **settings
        Of :class:`~lectures_lib.agents.q_learning.QLearningConfig`.
    """
    tables = firm.tables()
    _, q_exact = exact(tables)
    agent = QLearning(firm, seeds=seeds, config=QLearningConfig(**settings))
    found, done = [], 0
    for mark in marks:
        agent.learn(mark - done, show_progress=False)
        done = mark
        found.append(np.abs(agent.q_values - q_exact).max((1, 2)) / np.abs(q_exact).max())
    return np.array(found).T


def mystery(number, seeds=range(6)):
    """The marks, and for each letter the errors (learners, marks) of one of the four step sizes."""
    firm = my_firm(number)
    _, q_exact = exact(firm.tables())
    marks = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    names = shuffled(number, "step sizes", list(STEPS))
    curves = {}
    for letter, name in zip("ABCD", names, strict=True):
        first = 2 * float(q_exact.max()) if name.endswith("above") else 0.0
        curves[letter] = errors(firm, marks, seeds, initial_value=first, **STEPS[name])
    return marks, curves


def draw_mystery(marks, curves):
    """Median errors with the band over all learners, one line for each letter."""
    _, ax = plt.subplots()
    for (letter, found), colour, dash in zip(curves.items(), COLOURS, DASHES, strict=False):
        ax.fill_between(marks, found.min(0), found.max(0), color=colour, alpha=0.25, linewidth=0)
        middle = np.median(found, 0)
        ax.plot(marks, middle, color=colour, linestyle=dash)
        ax.annotate(letter, (marks[-1], middle[-1]), xytext=(6, 0), textcoords="offset points")
    ax.set(xscale="log", yscale="log", xlabel="updates", ylabel="largest error / largest Q*")
    plt.show()


def my_epsilon(number):
    """The probability of an action at random in the question on exploration."""
    return pick(number, "epsilon", (0.04, 0.05, 0.06, 0.08, 0.12, 0.15))


def replay_with_mistakes(payoffs, history, discount):
    """Q-learning on a history that has been recorded. Two of its lines are wrong."""
    q = np.zeros(payoffs.shape)
    visits = np.zeros(payoffs.shape)
    for s, u, s_next in history:
        visits[s, u] += 1
        step = visits[s].sum() ** -0.8
        target = payoffs[s, u] + discount * q[s_next, u]
        q[s, u] = (1 - step) * q[s, u] + step * target
    return q
