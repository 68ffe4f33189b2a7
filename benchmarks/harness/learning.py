"""Several seeds that learn at once, and the exact solutions that they are put beside."""

from functools import cache

from lectures_lib.solvers import markov_perfect, solve

from .clock import seconds_per_iteration


def train(kind, economy, config, seeds, *, iterations=None, seconds=None):
    """Train all seeds at once.

    Parameters
    ----------
    kind : type
        The agent's class.
    economy : Economy
    config
        The agent's configuration.
    seeds : sequence of int
    iterations : int, optional
        How long, or
    seconds : float, optional
        for how many processor seconds each seed would train by itself.

    Returns
    -------
    agent, seconds
        The seconds are those that a single seed needs by itself: iterations, times the seconds of
        an iteration of a single run.
    """
    each = seconds_per_iteration(kind(economy, seeds=seeds[:1], device="cpu", config=config))
    iterations = iterations or round(seconds / each)
    agent = kind(economy, seeds=seeds, device="cpu", config=config)
    agent.learn(iterations * agent.steps_per_iteration)
    return agent, iterations * each


@cache
def solved(economy, regime=None):
    """An exact solution, solved for once; the regime may be "markov perfect", too."""
    return markov_perfect(economy) if regime == "markov perfect" else solve(economy, regime)
