"""Enhanced policy iteration with Q-learning (Bertsekas and Yu 2012), computed and simulated.

Policy iteration evaluates a policy by the value of following it for ever. Bertsekas and Yu let the
evaluation stop: in each state the follower of the policy may instead collect J(s), the best value
known before. This is a contraction whatever the policy and whatever J, so that policies, J and Q
may be updated in any order and at any time. Chapter *Why Q-learning converges*.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..economies.tables import Tables
from ..parameters import entered
from .dynamic_programming import Iterations, expectation, iterate, with_payoff


def stopping_operator(tables: Tables, q: np.ndarray, j: np.ndarray, nu: np.ndarray) -> np.ndarray:
    r"""One step of the stopping problem of Bertsekas and Yu (2012), on action values.

    .. math:: (F_{J,\nu}Q)(s,a) = r(s,a) + \beta \sum_{s'} p(s'|s,a) \sum_b \nu(b|s')
              \max\{J(s'), Q(s',b)\}

    Parameters
    ----------
    q : ndarray, shape (states, actions)
    j : ndarray, shape (states,)
        What stopping is worth.
    nu : ndarray, shape (states, actions)
        Probabilities of the actions that are evaluated.
    """
    return with_payoff(tables, expectation(tables, (nu * np.maximum(j[:, None], q)).sum(1)))


def enhanced_policy_iteration(
    tables: Tables,
    evaluations: int,
    q: np.ndarray | None = None,
    **options,
) -> Iterations:
    r"""Enhanced policy iteration with Q-learning, in its deterministic form.

    A round takes the policy that is greedy for Q as :math:`\nu` and :math:`J = \max_a Q`, and
    applies :func:`stopping_operator` `evaluations + 1` times. All but the last time only the pairs
    that the policy chooses are computed, as no other enters what follows. Each round brings Q
    nearer by the factor beta at least, from any start. Without evaluations it is value iteration
    on Q. Source: Bertsekas and Yu (2012), *Mathematics of Operations Research* 37, with
    maximisation for minimisation.

    Parameters
    ----------
    tables : Tables
    evaluations : int
        At least zero.
    q : ndarray, shape (states, actions), optional
        Where to start, by default at zero.
    **options
        As in :func:`lectures_lib.solvers.dynamic_programming.iterate`; distances are those of Q.

    Returns
    -------
    Iterations
    """
    if evaluations < 0:
        raise ValueError(f"evaluations={evaluations}: expected a whole number, zero or more.")
    rows, n, m = np.arange(tables.n_states), tables.n_states, tables.n_actions
    cost = n * m * (n + 1) + evaluations * n * (n + 1)

    def one_round(q):
        policy = q.argmax(1)
        j = q[rows, policy]
        payoff, moves = tables.payoffs[rows, policy], tables.transitions[rows, policy]
        chosen = j
        for _ in range(evaluations):
            chosen = payoff + tables.discount * (moves @ np.maximum(j, chosen))
        return with_payoff(tables, expectation(tables, np.maximum(j, chosen)))

    return iterate(one_round, np.zeros((n, m)) if q is None else q, cost, **options)


@dataclass(frozen=True)
class SimulatedPaths:
    """What independent simulated learners found on the way.

    Attributes
    ----------
    q : ndarray, shape (learners, states, actions)
        At the end.
    visits : ndarray, shape (learners, states, actions)
        How often each pair was updated.
    updates : ndarray, shape (records,)
        Updates made when the errors were recorded.
    errors : ndarray, shape (records, learners)
        Sup-norm distance of Q from the exact one.
    reads : ndarray, shape (records, learners)
        Entries of Q and J that were read to form the targets so far.
    seconds : float
        Process time of all learners together.
    """

    q: np.ndarray
    visits: np.ndarray
    updates: np.ndarray
    errors: np.ndarray
    reads: np.ndarray
    seconds: float


def simulated_policy_iteration(
    tables: Tables,
    updates: int,
    *,
    exact: np.ndarray,
    refresh: int = 10,
    learners: int = 20,
    decay: float | None = None,
    start: float = 0.0,
    restart: float = 0.05,
    records: int = 30,
    seed: int = 0,
) -> SimulatedPaths:
    r"""Enhanced policy iteration with Q-learning, in its simulated and asynchronous form.

    Each learner walks through the economy with actions at random, and from s, a, r and s' it makes

    .. math:: Q(s,a) \leftarrow Q(s,a) + \alpha_n
              \bigl[r + \beta \max\{J(s'), Q(s', \mu(s'))\} - Q(s,a)\bigr],
              \qquad \alpha_n = \frac{1}{1 + d n},

    where n counts the pair's earlier updates. Every `refresh`-th time that the path arrives in s',
    :math:`J(s')` becomes :math:`\max_b Q(s',b)` and :math:`\mu(s')` the action that attains it.
    With ``refresh=1`` this is Q-learning, entry by entry; otherwise most targets read two numbers
    instead of one for each action. The random numbers do not depend on `refresh`.

    Parameters
    ----------
    tables : Tables
    updates : int
        Of each learner.
    exact : ndarray, shape (states, actions)
        The exact action values, from which errors are measured; no learner sees them.
    refresh : int
        At least one.
    learners : int
    decay : float, optional
        The step size's d, in (0, 1]; by default 1 - beta.
    start : float
        All entries of Q and J at the beginning.
    restart : float
        Probability per step that the path goes on from a state at random, in [0, 1].
    records : int
        How often errors are recorded, evenly in the logarithm of the updates.
    seed : int

    Returns
    -------
    SimulatedPaths
    """
    decay = 1 - tables.discount if decay is None else decay
    if refresh < 1 or updates < 1 or learners < 1 or records < 2:
        raise ValueError(
            f"refresh={refresh}, updates={updates}, learners={learners}, records={records}: "
            "expected whole numbers of at least one, and at least two records."
        )
    if not 0 < decay <= 1:
        raise ValueError(f"decay={decay}: expected a number in (0, 1].")
    if not 0 <= restart <= 1:
        raise ValueError(f"restart={restart}: expected a number in [0, 1].")
    n, m = tables.payoffs.shape
    marks = np.unique(np.geomspace(min(100, updates), updates, records).astype(np.int64))
    q = np.full((learners, n, m), float(start))
    visits = np.zeros((learners, n, m), np.int64)
    errors, reads = np.empty((2, len(marks), learners))
    world = tables.payoffs, np.cumsum(tables.transitions, -1), tables.discount
    started = time.process_time()
    for i, rng in enumerate(np.random.default_rng(entered("seed", seed, int)).spawn(learners)):
        errors[:, i], reads[:, i] = _learn(
            world, q[i], visits[i], marks, exact, (refresh, decay, restart), rng
        )
    return SimulatedPaths(q, visits, marks, errors, reads, time.process_time() - started)


@njit(cache=True)
def _learn(world, q, visits, marks, exact, rule, rng):
    """One learner's updates, made in place; its errors and reads at the marks."""
    payoffs, cumulative, discount = world
    refresh, decay, restart = rule
    n, m = payoffs.shape
    j, policy = q[:, 0].copy(), np.zeros(n, np.int64)
    arrivals = np.zeros(n, np.int64)
    errors, reads = np.empty(len(marks)), np.empty(len(marks))
    s, count, mark = rng.integers(0, n), 0, 0
    for t in range(marks[-1]):
        a = rng.integers(0, m)
        following = np.searchsorted(cumulative[s, a], rng.random(), side="right")
        following = min(following, n - 1)  # rounding may leave the last sum below one
        arrivals[following] += 1
        if arrivals[following] % refresh == 0:
            policy[following] = np.argmax(q[following])
            j[following] = q[following, policy[following]]
            future, count = j[following], count + m
        else:
            future, count = max(j[following], q[following, policy[following]]), count + 2
        alpha = 1 / (1 + decay * visits[s, a])
        visits[s, a] += 1
        q[s, a] += alpha * (payoffs[s, a] + discount * future - q[s, a])
        s = rng.integers(0, n) if rng.random() < restart else following
        if t + 1 == marks[mark]:
            errors[mark], reads[mark] = np.abs(q - exact).max(), count
            mark += 1
    return errors, reads
