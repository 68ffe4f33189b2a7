"""Dynamic programming on tables: Bellman's operator, its transforms, iteration.

Values are ndarrays: `v` (states,), `q` and `g` (states, actions). The exact solution is
quantecon's: ``tables.discrete_dp().solve("policy_iteration")``. Chapters *Markov decision
problems* and *Transformed Bellman equations*.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..economies.tables import Tables


# -------------------------------------------------------- one circle, opened at three places
def expectation(tables: Tables, v: np.ndarray) -> np.ndarray:
    """g(s, a) = sum over s' of p(s' | s, a) v(s'), from v(s); shape (states, actions)."""
    return tables.transitions @ v


def with_payoff(tables: Tables, g: np.ndarray) -> np.ndarray:
    """q(s, a) = r(s, a) + beta g(s, a), from the expected value g."""
    return tables.payoffs + tables.discount * g


def bellman(tables: Tables, v: np.ndarray) -> np.ndarray:
    """Bellman's operator T on values of states, shape (states,).

    The composition of :func:`expectation`, :func:`with_payoff` and the maximum over actions.
    """
    return with_payoff(tables, expectation(tables, v)).max(1)


def bellman_q(tables: Tables, q: np.ndarray) -> np.ndarray:
    """Bellman's operator on action values, shape (states, actions): the maximum comes first.

    Source: Ma and Stachurski (2021), *Operations Research*.
    """
    return with_payoff(tables, expectation(tables, q.max(1)))


def bellman_g(tables: Tables, g: np.ndarray) -> np.ndarray:
    """Bellman's operator on expected values g = E v, shape (states, actions).

    Bounded where v is not, if the reward is bounded in expectation: Ma, Stachurski and Toda
    (2022), *Journal of Mathematical Economics*.
    """
    return expectation(tables, with_payoff(tables, g).max(1))


def greedy(tables: Tables, v: np.ndarray) -> np.ndarray:
    """Index of the best action in each state if `v` is what the future is worth."""
    return with_payoff(tables, expectation(tables, v)).argmax(1)


def policy_value(tables: Tables, policy: np.ndarray) -> np.ndarray:
    """Value of choosing action `policy[s]` in state s for ever, shape (states,).

    Solves (I - beta P) v = r with quantecon.

    Raises
    ------
    ValueError
        If `policy` is not one index of an action for each state.
    """
    policy = np.asarray(policy)
    if policy.shape != (tables.n_states,) or not np.issubdtype(policy.dtype, np.integer):
        raise ValueError(
            f"policy has shape {policy.shape} and dtype {policy.dtype}: expected "
            f"{tables.n_states} integers, one action for each state."
        )
    if policy.min() < 0 or policy.max() >= tables.n_actions:
        raise ValueError(f"policy={policy}: expected indices from 0 to {tables.n_actions - 1}.")
    return tables.discrete_dp().evaluate_policy(policy)


# ---------------------------------------------------------------------- a transitory shock
def with_transitory(tables: Tables, payoffs: np.ndarray, probabilities: np.ndarray) -> Tables:
    """The problem in which a shock that does not last moves the payoff, written out in full.

    Parameters
    ----------
    tables : Tables
        Gives the transitions and the discount factor.
    payoffs : ndarray, shape (shocks, states, actions)
        Payoff for each value of the shock, which is seen before acting.
    probabilities : ndarray, shape (shocks,)
        Of the shock's values; it is independent over time and of everything else.

    Returns
    -------
    Tables
        State `s * shocks + k` is state s with the shock at k. The table of transitions has
        states² x shocks² x actions entries.
    """
    k, (n, m) = len(probabilities), tables.payoffs.shape
    _check_transitory(tables, payoffs, probabilities)
    following = np.einsum("sat,k->satk", tables.transitions, probabilities).reshape(n, m, n * k)
    return Tables(
        payoffs.transpose(1, 0, 2).reshape(n * k, m),
        np.repeat(following, k, 0),
        tables.discount,
        tables.actions,
    )


def bellman_integrated(
    tables: Tables, payoffs: np.ndarray, probabilities: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """Bellman's operator on w(s), the expected value before the transitory shock is seen.

    Parameters
    ----------
    tables, payoffs, probabilities
        As in :func:`with_transitory`.
    w : ndarray, shape (states,)

    Returns
    -------
    ndarray, shape (states,)
        The discounted future of each pair (s, a) is computed once for all values of the shock.
    """
    _check_transitory(tables, payoffs, probabilities)
    future = tables.discount * expectation(tables, w)
    return probabilities @ (payoffs + future).max(2)


def _check_transitory(tables, payoffs, probabilities):
    expected = (len(probabilities), *tables.payoffs.shape)
    if payoffs.shape != expected:
        raise ValueError(
            f"payoffs have shape {payoffs.shape}: expected (shocks, states, actions) = {expected}."
        )
    if probabilities.min() < 0 or abs(probabilities.sum() - 1) > 1e-9:
        raise ValueError(f"probabilities={probabilities}: expected numbers >= 0 that sum to one.")


# ------------------------------------------------------------------------------ iterations
@dataclass(frozen=True)
class Iterations:
    """What an iterative method found, and what it cost to get there.

    Attributes
    ----------
    result : ndarray
        The last iterate.
    errors : ndarray, shape (iterations + 1,)
        Sup-norm distance from `exact`, or from the iterate before where none was given.
    operations : ndarray, shape (iterations + 1,)
        Multiplications and comparisons so far.
    seconds : ndarray, shape (iterations + 1,)
        Process time so far, without what it took to measure the errors.
    """

    result: np.ndarray
    errors: np.ndarray
    operations: np.ndarray
    seconds: np.ndarray

    @property
    def count(self) -> int:
        """Number of iterations."""
        return len(self.errors) - 1


def iterate(
    operator: Callable,
    start: np.ndarray,
    operations: int,
    *,
    exact: np.ndarray | None = None,
    tolerance: float = 1e-10,
    most: int = 10_000,
) -> Iterations:
    """Apply an operator until its result stops moving.

    Parameters
    ----------
    operator : callable
        From an ndarray to one of the same shape.
    start : ndarray
    operations : int
        What one application costs; counted, not timed.
    exact : ndarray, optional
        Distances are measured to it; otherwise to the iterate before.
    tolerance : float
        Distance at which to stop.
    most : int
        Iterations at most.

    Raises
    ------
    RuntimeError
        If the distance is not below the tolerance after `most` iterations, or is not a number.
    """

    x, errors, counted, seconds = start, [_distance(start, exact)], [0], [0.0]
    while not errors[-1] <= tolerance:
        if np.isnan(errors[-1]):
            raise RuntimeError(
                f"after {len(errors) - 1} iterations the distance is not a number: the operator "
                "does not contract, or what it is given is not finite."
            )
        if len(errors) > most:
            raise RuntimeError(
                f"after {most} iterations the distance is {errors[-1]:.2g}, above the tolerance "
                f"{tolerance:.2g}; raise `most` or `tolerance`."
            )
        before, started = x, time.process_time()
        x = operator(before)
        seconds.append(seconds[-1] + time.process_time() - started)
        counted.append(counted[-1] + operations)
        errors.append(_distance(x, before if exact is None else exact))
    return Iterations(x, np.array(errors), np.array(counted), np.array(seconds))


def _distance(x, other):
    return np.inf if other is None else np.abs(x - other).max()


def value_iteration(tables: Tables, v: np.ndarray | None = None, **options) -> Iterations:
    """Iterate on :func:`bellman` from `v` (by default zero); `options` as in :func:`iterate`.

    An application costs states² x actions multiplications, and states x actions comparisons.
    """
    start = np.zeros(tables.n_states) if v is None else v
    cost = tables.n_states * tables.n_actions * (tables.n_states + 1)
    return iterate(lambda x: bellman(tables, x), start, cost, **options)
