"""A Markov game with finitely many states and choices, written out in full."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..memory import require_memory
from ..parameters import Parameters, require
from .base import Economy, map_state
from .tables import all_states, number_of, sizes_of

if TYPE_CHECKING:
    import quantecon
    import scipy.sparse


@dataclass(frozen=True, eq=False)
class GameTables(Parameters):
    """Payoffs and transitions of a Markov game. Chapter *Partially observed Markov games*.

    Everybody's choices together are one number: the last player's choice counts most quickly. What
    does not differ between states may be an array of stride zero (:func:`numpy.broadcast_to`).

    Parameters
    ----------
    payoffs : ndarray, shape (states, joint choices, outcomes, players)
    successors : ndarray of int, shape (states, joint choices, outcomes)
        The next states that there may be.
    probabilities : ndarray, shape (states, joint choices, outcomes)
        They sum to one over the last dimension.
    discounts : tuple of float
        Of each player, in [0, 1).
    actions : tuple of tuple of float
        The physical action that goes with each choice, for each player.

    Raises
    ------
    ValueError
        If shapes do not fit, a payoff is not finite, or a row is not a distribution.
    """

    payoffs: np.ndarray
    successors: np.ndarray
    probabilities: np.ndarray
    discounts: tuple[float, ...]
    actions: tuple[tuple[float, ...], ...]

    def __post_init__(self):
        good = self.payoffs.ndim == 4 and min(self.payoffs.shape) > 0
        expected = "(states, joint choices, outcomes, players)"
        require(good, "payoffs.shape", self.payoffs.shape, expected)
        *shape, players = self.payoffs.shape
        for name in ("successors", "probabilities"):
            found = getattr(self, name).shape
            require(found == tuple(shape), f"{name}.shape", found, f"{tuple(shape)}, as of payoffs")
        for name in ("discounts", "actions"):
            found = len(getattr(self, name))
            require(found == players, f"len({name})", found, f"{players}, one for each player")
        joint = math.prod(self.n_actions)
        require(
            joint == shape[1], "payoffs.shape", self.payoffs.shape, f"{joint} joint choices of all"
        )
        payoffs, chances, following = (
            _distinct(x) for x in (self.payoffs, self.probabilities, self.successors)
        )
        require(bool(np.isfinite(payoffs).all()), "payoffs", payoffs, "finite numbers only")
        inside = following.min() >= 0 and following.max() < self.n_states
        require(bool(inside), "successors", following, f"states from 0 to {self.n_states - 1}")
        sums = bool((chances >= 0).all() and np.allclose(chances.sum(-1), 1, rtol=0, atol=1e-9))
        require(sums, "probabilities", chances, "rows of probabilities that sum to one")
        for discount in self.discounts:
            require(0 <= discount < 1, "discounts", self.discounts, "numbers in [0, 1)")

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.payoffs.shape[0]

    @property
    def n_players(self) -> int:
        """Number of players."""
        return self.payoffs.shape[-1]

    @property
    def n_actions(self) -> tuple[int, ...]:
        """Number of choices of each player."""
        return tuple(map(len, self.actions))

    def joint(self, choices: np.ndarray) -> np.ndarray:
        """The number of everybody's choices (..., players) together, shape (...)."""
        return np.ravel_multi_index(tuple(np.moveaxis(choices, -1, 0)), self.n_actions)

    def chain(self, choices: np.ndarray) -> tuple[np.ndarray, scipy.sparse.csr_matrix]:
        """What follows if everybody keeps to a rule.

        Parameters
        ----------
        choices : ndarray of int, shape (states, players)

        Returns
        -------
        payoffs : ndarray, shape (states, players)
            Expected, of a period.
        transitions : sparse matrix, shape (states, states)
        """
        states, chosen = np.arange(self.n_states), self.joint(choices)
        chance = self.probabilities[states, chosen]
        payoffs = np.einsum("so,soi->si", chance, self.payoffs[states, chosen])
        return payoffs, _sparse(self.successors[states, chosen], chance, self.n_states)

    def values(self, choices: np.ndarray) -> np.ndarray:
        """Discounted payoffs of rules (states, players), by solving a linear equation.

        Returns
        -------
        ndarray, shape (states, players)
        """
        import scipy.sparse.linalg  # only here, as in `markov.py`

        payoffs, moves = self.chain(choices)
        one = scipy.sparse.identity(self.n_states, format="csc")
        solved = [
            scipy.sparse.linalg.spsolve(one - discount * moves.tocsc(), payoff)
            for discount, payoff in zip(self.discounts, payoffs.T, strict=True)
        ]
        return np.stack(solved, -1)

    def alone(self, choices: np.ndarray, player: int) -> quantecon.markov.DiscreteDP:
        """The problem of one player among others who keep to their rules, for quantecon's solvers.

        Parameters
        ----------
        choices : ndarray of int, shape (states, players)
            The player's own are not looked at.
        player : int
        """
        n = self.n_actions[player]
        every = np.repeat(choices[:, None], n, 1)
        every[..., player] = np.arange(n)
        states = np.arange(self.n_states)[:, None]
        chosen = self.joint(every)
        chance = self.probabilities[states, chosen]
        payoffs = np.einsum("sao,sao->sa", chance, self.payoffs[states, chosen][..., player])
        return self._problem(payoffs, self.successors[states, chosen], chance, player)

    def together(self, weights: Sequence[float] | None = None) -> quantecon.markov.DiscreteDP:
        """The problem of somebody who chooses for all, such as a monopoly, for quantecon's solvers.

        Its choices are joint ones, and it maximises the sum of payoffs, or a weighted one.

        Raises
        ------
        ValueError
            If players do not discount alike.
        """
        alike = len(set(self.discounts)) == 1
        require(alike, "discounts", self.discounts, "the same for all who are to choose together")
        each = np.ones(self.n_players) if weights is None else np.array(weights, dtype=float)
        payoffs = np.einsum("sao,saoi,i->sa", self.probabilities, self.payoffs, each)
        return self._problem(payoffs, self.successors, self.probabilities, 0)

    def _problem(self, payoffs, successors, chance, player):
        import quantecon  # only here, as in `markov.py`

        states, choices = payoffs.shape
        moves = _sparse(
            successors.reshape(-1, successors.shape[-1]),
            chance.reshape(-1, chance.shape[-1]),
            self.n_states,
        )
        pairs = np.divmod(np.arange(states * choices), choices)
        beta = self.discounts[player]
        return quantecon.markov.DiscreteDP(payoffs.ravel(), moves, beta, *pairs)


def _distinct(x: np.ndarray) -> np.ndarray:
    """An array without its repetitions along dimensions of stride zero."""
    return x[tuple(slice(0, 1) if step == 0 else slice(None) for step in x.strides)]


def _sparse(successors, chance, states: int) -> scipy.sparse.csr_matrix:
    """Rows of probabilities of the next state, from (rows, outcomes)."""
    import scipy.sparse  # only here, as in `markov.py`

    rows = np.repeat(np.arange(len(successors)), successors.shape[1])
    entries = (np.ravel(chance), (rows, np.ravel(successors)))
    return scipy.sparse.csr_matrix(entries, shape=(len(successors), states))


@torch.no_grad()
def tabulate_game(economy: Economy) -> GameTables:
    """A finite game, written out; players are the agents of all roles in their order.

    Parameters
    ----------
    economy : Economy
        With states of indices, and agents who have `choices`, all of whom move at the same time.

    Raises
    ------
    TypeError
        If it is no such economy.
    MemoryError
        If the tables would not fit into memory.
    """
    roles = economy.roles
    finite = all(r.choices is not None and r.n_actions == 1 for r in roles.values())
    if not finite or len(economy.stages) > 1:
        raise TypeError(
            f"{type(economy).__name__} has the roles {tuple(roles)}: tables are for agents who "
            "take one action each from a list of choices, all at the same time."
        )
    n = math.prod(sizes_of(economy))
    players = [(name, role) for name, role in roles.items() for _ in range(role.n_agents)]
    actions = tuple(tuple(map(float, role.choices or ())) for _, role in players)
    sizes = tuple(map(len, actions))
    state, joint = all_states(economy), math.prod(sizes)
    shocks, chance = economy.outcomes(state)
    zero, shocks = economy.zeros(state).double(), map_state(lambda x: x.double(), shocks)
    require_memory(
        8 * n * joint * len(chance) * (len(players) + 2) * 2,
        "cpu",
        f"tables of {n:,} states and {joint:,} joint choices",
        "have fewer values in the state, or fewer choices",
    )
    places = np.unravel_index(np.arange(joint), sizes)
    payoffs, successors = [], []
    for k in range(joint):
        chosen = zero.new_tensor([a[p[k]] for a, p in zip(actions, places, strict=True)])
        parts, begin = {}, 0
        for name, role in roles.items():
            mine = chosen[begin : begin + role.n_agents, None]
            parts[name] = mine.expand(n, role.n_agents, 1)
            begin += role.n_agents
        step = economy.step(state, parts, shocks)
        rewards = [step.rewards[name].expand(len(chance), n, -1) for name in roles]
        payoffs.append(torch.cat(rewards, -1).double().transpose(0, 1))
        successors.append(number_of(economy, step.state).expand(len(chance), n).T)
    probabilities = chance.double().T / chance.double().sum(0).unsqueeze(-1)
    return GameTables(
        torch.stack(payoffs, 1).numpy(),
        torch.stack(successors, 1).numpy(),
        np.broadcast_to(probabilities.numpy()[:, None], (n, joint, len(chance))),
        tuple(economy.discount_of(name) for name, _ in players),
        actions,
    )
