"""The compiled loops of Q-learning: one decision maker, or several players of a game.

Chapters *Q-learning* and *Algorithmic collusion*. Functions take a table and a row, not the row
itself: a view of an array is slow to make.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

# Constants of splitmix64 (Steele, Lea and Flood 2014).
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_1, SHIFT_2, SHIFT_3, SHIFT_4 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@njit(cache=True)
def uniform(stream):
    """The next number in [0, 1): splitmix64, whose state is one integer."""
    stream[0] += GOLDEN
    z = stream[0]
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return ((z ^ (z >> SHIFT_3)) >> SHIFT_4) * 2.0**-53


@njit(cache=True)
def greedy(q, s):
    """The action with the highest Q in state s, the first of several."""
    best = 0
    top = q[s, 0]
    for a in range(1, q.shape[1]):
        if q[s, a] > top:
            best, top = a, q[s, a]
    return best


@njit(cache=True)
def highest(q, s):
    """The highest Q in state s."""
    top = q[s, 0]
    for a in range(1, q.shape[1]):
        top = max(top, q[s, a])
    return top


@njit(cache=True)
def epsilon_greedy(q, s, epsilon, stream):
    """Any action with probability epsilon, otherwise the best."""
    if uniform(stream) < epsilon:
        return int(uniform(stream) * q.shape[1])
    return greedy(q, s)


@njit(cache=True)
def boltzmann(q, s, temperature, stream, weights):
    """Each action with a probability proportional to exp(Q / temperature)."""
    top, total = highest(q, s), 0.0
    for a in range(q.shape[1]):
        weights[a] = math.exp((q[s, a] - top) / temperature)
        total += weights[a]
    left = uniform(stream) * total
    for a in range(q.shape[1] - 1):
        left -= weights[a]
        if left < 0:
            return a
    return q.shape[1] - 1


@njit(cache=True)
def step_size(alphas, n):
    """The step size at the n-th visit of a pair.

    `alphas` are a table, with the n-th in place n, and a power: beyond the table, step sizes are
    n**-power, or those of its last place if the power is zero.
    """
    table, power = alphas
    if n < len(table):
        return table[n]
    return table[-1] if power == 0.0 else float(n) ** -power


@njit(cache=True)
def outcome(cumulative, s, a, u):
    """How many of the cumulative probabilities, the last apart, u has passed."""
    k = 0
    for j in range(cumulative.shape[2] - 1):
        k += u >= cumulative[s, a, j]
    return k


@njit(cache=True, parallel=True)
def run_learners(
    q,
    visits,
    state,
    random,
    world,
    updates,
    soft,
    level,
    restart,
    alphas,
):
    """Make updates in place.

    Parameters
    ----------
    q, visits : ndarray, shape (runs, states, actions)
    state, random : ndarray, shape (runs,)
        Where each learner is, and the state of its random numbers.
    world : tuple
        Payoffs (states, actions); successors and their cumulative probabilities (states, actions,
        outcomes); states from which the economy begins; discount factor.
    updates : int
    soft : bool
        Boltzmann exploration with temperature `level`, otherwise epsilon-greedy with epsilon
        `level`.
    level, restart : float
    alphas : tuple
        What :func:`step_size` needs.

    Returns
    -------
    ndarray, shape (runs,)
        Each learner's mean reward.
    """
    payoffs, successors, cumulative, starts, discount = world
    rewards = np.zeros(len(q))
    for i in prange(len(q)):
        table, count, stream = q[i], visits[i], random[i : i + 1]
        weights = np.empty(table.shape[1])
        s, total = state[i], 0.0
        for _ in range(updates):
            if soft:
                a = boltzmann(table, s, level, stream, weights)
            else:
                a = epsilon_greedy(table, s, level, stream)
            r = payoffs[s, a]
            drawn = outcome(cumulative, s, a, uniform(stream))
            following = successors[s, a, drawn]
            count[s, a] += 1
            target = r + discount * highest(table, following)
            step = step_size(alphas, count[s, a])
            table[s, a] += step * (target - table[s, a])
            total += r
            s = following
            if uniform(stream) < restart:
                s = starts[int(uniform(stream) * len(starts))]
        state[i], rewards[i] = s, total / updates
    return rewards


# ---------------------------------------------------------------------- games
@njit(cache=True)
def learn_entry(q, best, i, s, a, n, target, step):
    """Move an entry of a player's table, and its best choice in the state; has that changed?

    Parameters
    ----------
    q : ndarray, shape (players, states, choices)
    best : ndarray of int, shape (players, states)
        The first of the best choices in each state.
    i, s, a : int
    n : int
        Number of the player's choices.
    target, step : float
    """
    before, leader = q[i, s, a], best[i, s]
    now = before + step * (target - before)
    q[i, s, a] = now
    if a != leader:
        top = q[i, s, leader]
        if now < top or (now == top and a > leader):
            return False
        best[i, s] = a
        return True
    if now >= before:
        return False
    first = 0
    for b in range(1, n):
        if q[i, s, b] > q[i, s, first]:
            first = b
    best[i, s] = first
    return first != leader


@njit(cache=True, parallel=True)
def run_players(
    q,
    visits,
    best,
    state,
    random,
    unchanged,
    world,
    updates,
    soft,
    levels,
    restart,
    alphas,
    stop_after,
):
    """Let the players of each run learn side by side, in place: Q-learning, independently.

    Parameters
    ----------
    q, visits : ndarray, shape (runs, players, states, choices)
    best : ndarray of int, shape (runs, players, states)
        Each player's first best choice in each state.
    state, random : ndarray, shape (runs,)
        Where each run is, and the state of its random numbers.
    unchanged : ndarray of int, shape (runs,)
        Periods since a best choice has changed. A run in which they are `stop_after` is over.
    world : tuple
        Payoffs (states, joint choices, outcomes, players), successors and their cumulative
        probabilities (states, joint choices, outcomes), numbers of choices and what one of them
        adds to the number of the joint one (players,), states to begin from, discount factors.
    updates : int
        Of each entry's player; periods.
    soft : bool
        Boltzmann exploration, otherwise epsilon-greedy.
    levels : tuple of float
        Temperature or epsilon in the first period, by what it is multiplied after each, and below
        what it does not fall.
    restart : float
    alphas : tuple
        What :func:`step_size` needs.
    stop_after : int

    Returns
    -------
    rewards : ndarray, shape (runs, players)
        Mean rewards; NaN of runs that were over.
    taken : ndarray of int, shape (runs,)
        Periods.
    """
    payoffs, successors, cumulative, sizes, strides, starts, discounts = world
    runs, players, outcomes = q.shape[0], q.shape[1], cumulative.shape[2]
    rewards = np.zeros((runs, players))
    taken = np.zeros(runs, np.int64)
    level_first, factor, lowest = levels
    for run in prange(runs):
        tables, counts, leaders, stream = q[run], visits[run], best[run], random[run : run + 1]
        weights, chosen = np.empty(q.shape[3]), np.empty(players, np.int64)
        s, level, quiet = state[run], level_first, unchanged[run]
        t = 0
        while t < updates and quiet < stop_after:
            joint = 0
            for i in range(players):
                if soft:
                    chosen[i] = boltzmann(tables[i, :, : sizes[i]], s, level, stream, weights)
                elif uniform(stream) < level:
                    chosen[i] = int(uniform(stream) * sizes[i])
                else:
                    chosen[i] = leaders[i, s]
                joint += chosen[i] * strides[i]
            drawn = 0
            if outcomes > 1:
                drawn = outcome(cumulative, s, joint, uniform(stream))
            following = successors[s, joint, drawn]
            changed = False
            for i in range(players):
                a = chosen[i]
                r = payoffs[s, joint, drawn, i]
                counts[i, s, a] += 1
                target = r + discounts[i] * tables[i, following, leaders[i, following]]
                step = step_size(alphas, counts[i, s, a])
                changed |= learn_entry(tables, leaders, i, s, a, sizes[i], target, step)
                rewards[run, i] += r
            quiet = 0 if changed else quiet + 1
            level = max(level * factor, lowest)
            t += 1
            s = following
            if restart > 0.0 and uniform(stream) < restart:
                s = starts[int(uniform(stream) * len(starts))]
        state[run], unchanged[run], taken[run] = s, quiet, t
        for i in range(players):
            rewards[run, i] = rewards[run, i] / t if t else np.nan
    return rewards, taken
