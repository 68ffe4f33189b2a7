"""Best responses in finite games, by dynamic programming.

Where states are indices and an agent chooses from a list, nothing has to be approximated: the
economy in which all others follow a policy (:class:`~lectures_lib.economies.Alone`) is a Markov
decision problem with tables. Chapter *Partially observed Markov games*.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ..agents.table_policy import TablePolicy
from ..economies import Alone, Economy
from ..economies.game_tables import GameTables
from ..economies.play import Policy, in_actions
from ..economies.tables import all_states, transitions_of
from ..parameters import require
from .simulation import initial_states


def is_finite(economy: Economy, role: str) -> bool:
    """Whether states are finitely many, and an agent of the role chooses from a list."""
    one = economy.roles[role]
    indices = all(field.domain == "index" for field in economy.fields.values())
    return indices and one.choices is not None and one.n_actions == 1


class Cycle(NamedTuple):
    """Where rules lead in the long run, in a game without luck.

    Attributes
    ----------
    payoffs : ndarray, shape (players,)
        Mean of a period.
    states : ndarray of int, shape (length,)
        In the order in which they are visited, again and again.
    """

    payoffs: np.ndarray
    states: np.ndarray


def limit_cycle(tables: GameTables, choices: np.ndarray, state: int) -> Cycle:
    """Where everybody's rules lead from a state.

    Parameters
    ----------
    tables : GameTables
        Of a game without luck.
    choices : ndarray of int, shape (states, players)
    state : int

    Raises
    ------
    ValueError
        If there is luck in the game.
    """
    require(tables.successors.shape[-1] == 1, "tables", tables, "those of a game without luck")
    chosen = tables.joint(choices)
    seen: dict[int, int] = {}
    while state not in seen:
        seen[state] = len(seen)
        state = int(tables.successors[state, chosen[state], 0])
    states = np.array(list(seen))[seen[state] :]
    return Cycle(tables.payoffs[states, chosen[states], 0].mean(0), states)


def departure_gains(tables: GameTables, choices: np.ndarray) -> np.ndarray:
    """What each player would gain from each state on by its best response to the others' rules.

    Rules are a Nash equilibrium from a state if nobody gains there, and a Markov-perfect one if
    nobody gains anywhere.

    Parameters
    ----------
    tables : GameTables
    choices : ndarray of int, shape (states, players)

    Returns
    -------
    ndarray, shape (states, players)
        Differences of discounted payoffs.
    """
    best = [
        tables.alone(choices, i).solve(method="policy_iteration").v for i in range(tables.n_players)
    ]
    return np.stack(best, -1) - tables.values(choices)


class FiniteResponse:
    """A policy from which one agent departs, as a table says.

    The table holds on the policy's path: an agent who moves late has one action for a state,
    whatever others have done in this period.

    Parameters
    ----------
    alone : Alone
    table : ndarray, shape (states,)
        The agent's action in each state.
    """

    def __init__(self, alone: Alone, table: np.ndarray):
        self.alone, self.own = alone, TablePolicy(alone, table)

    def __call__(self, state, moved=None):
        """Actions of every role; those of roles that have `moved` are taken as given."""
        if moved and self.alone.role in moved:
            return self.alone.policy(state, moved)
        return self.alone.actions(state, self.own(state), moved)


def finite_response(policy: Policy, economy: Economy, role: str, agent: int, seed: int, paths: int):
    """What :class:`.Exploitability` holds of an agent in a finite game.

    Gains are exact but for the draws from the initial distribution.

    Returns
    -------
    gain, standard_error, ergodic_gain, ergodic_standard_error : float
    converged : bool
    best_response : FiniteResponse
    """
    alone = Alone(economy, policy, role, agent)
    tables = alone.tables()
    solved = tables.discrete_dp().solve(method="policy_iteration")
    state = all_states(alone)
    zero = economy.zeros(state)
    actions = {k: a.to(zero) for k, a in in_actions(economy, policy(state)).items()}
    rewards, moves = transitions_of(economy, state, actions)
    reward = rewards[role][:, agent]
    kept = np.linalg.solve(np.eye(len(moves)) - tables.discount * moves, reward)

    def gain(weights):
        """Of who begins in a state drawn by these weights (states,)."""
        best, own = (
            alone.consumption_equivalent(torch.tensor(weights @ v)) for v in (solved.v, kept)
        )
        return ((best - own) / own.abs()).item()

    starts = alone.index(initial_states(policy, economy, paths, seed))
    drawn = torch.bincount(starts, minlength=len(kept)).double().numpy()
    weights = drawn / paths
    # The gain is nearly linear in the difference of values: its slope scales their spread.
    better = solved.v - kept
    spread = np.sqrt(weights @ (better - weights @ better) ** 2)
    value = torch.tensor(weights @ kept)
    nudge = 1e-6 * (float(weights @ np.abs(kept)) or 1.0)
    one, two = (alone.consumption_equivalent(value + x) for x in (0.0, nudge))
    slope = (two - one) / nudge / one.abs()
    # Where the policy leads from there in the long run, on average over time.
    late, doubled = drawn / paths, moves
    for _ in range(40):
        late, doubled = (late + late @ doubled) / 2, doubled @ doubled
    response = FiniteResponse(alone, tables.actions[solved.sigma])
    error = (slope * float(spread) / paths**0.5).item()
    return gain(weights), error, gain(late / late.sum()), 0.0, True, response
