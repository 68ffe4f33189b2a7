"""A Markov decision problem with finitely many states and actions, written out in full."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..memory import require_memory
from ..parameters import Parameters, require
from .base import Economy

if TYPE_CHECKING:
    import quantecon


@dataclass(frozen=True, eq=False)
class Tables(Parameters):
    """Payoffs and transition probabilities. Chapter *Markov decision problems*.

    Parameters
    ----------
    payoffs : ndarray, shape (states, actions)
        Expected reward of an action in a state.
    transitions : ndarray, shape (states, actions, states)
        Probabilities of the next state; they sum to one over the last dimension.
    discount : float
        In [0, 1); zero for who is myopic.
    actions : ndarray, shape (actions,)
        The physical action that goes with each index.

    Raises
    ------
    ValueError
        If shapes do not fit, a payoff is not finite, or a row is not a distribution.
    """

    payoffs: np.ndarray
    transitions: np.ndarray
    discount: float
    actions: np.ndarray

    def __post_init__(self):
        for name in ("payoffs", "transitions", "actions"):
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, np.asarray(value, dtype=float))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}={value!r}: expected numbers ({error}).") from error
        shape = self.payoffs.shape
        good = len(shape) == 2 and min(shape) > 0
        require(good, "payoffs.shape", shape, "(states, actions)")
        states, actions = shape
        require(
            self.transitions.shape == (states, actions, states),
            "transitions.shape",
            self.transitions.shape,
            f"{(states, actions, states)}, as payoffs have shape {(states, actions)}",
        )
        require(
            self.actions.shape == (actions,), "actions.shape", self.actions.shape, f"({actions},)"
        )
        require(
            bool(np.isfinite(self.payoffs).all()),
            "payoffs",
            self.payoffs,
            "finite numbers only. Learners average payoffs: mark an infeasible action by a finite "
            "loss larger than all that could be gained later, (highest - lowest payoff) / "
            "(1 - discount) below the lowest",
        )
        worst = max(-self.transitions.min(), np.abs(self.transitions.sum(-1) - 1).max())
        require(
            bool(worst < 1e-9),
            "transitions",
            self.transitions,
            "rows of probabilities that sum to one",
        )
        require(0 <= self.discount < 1, "discount", self.discount, "a number in [0, 1)")

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.payoffs.shape[0]

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return self.payoffs.shape[1]

    def discrete_dp(self) -> quantecon.markov.DiscreteDP:
        """The same problem for quantecon's solvers."""
        import quantecon  # only here, as in `markov.py`

        return quantecon.markov.DiscreteDP(self.payoffs, self.transitions, self.discount)


# ---------------------------------------------------------------------- made of an economy
def sizes_of(economy: Economy) -> list[int]:
    """Number of values of each entry of each field of a state.

    Raises
    ------
    TypeError
        If a field is no index, so that states are not finitely many.
    """
    sizes: list[int] = []
    for name, field in economy.fields.items():
        if field.values is None:
            raise TypeError(
                f"{type(economy).__name__}: state.{name} is no index, so that there are no tables "
                "of its states. PPO learns in any economy."
            )
        sizes += [field.values] * math.prod(field.shape)
    return sizes


def all_states(economy: Economy):
    """Every state of a finite economy, shape (states, ...), in the order of :func:`number_of`."""
    sizes = sizes_of(economy)
    every = torch.cartesian_prod(torch.arange(1), *map(torch.arange, sizes))
    columns = every.reshape(-1, 1 + len(sizes))[:, 1:]
    fields, begin = {}, 0
    for name, field in economy.fields.items():
        n = math.prod(field.shape)
        fields[name] = columns[:, begin : begin + n].reshape(-1, *field.shape)
        begin += n
    return economy.State(**fields)


def number_of(economy: Economy, state) -> Tensor:
    """The number of each state in :func:`all_states`, shape (*batch,)."""
    batch, number, sizes = economy.zeros(state).shape, torch.zeros(()).long(), sizes_of(economy)
    entries = [
        x
        for name, field in economy.fields.items()
        for x in getattr(state, name)
        .expand(*batch, *field.shape)
        .reshape(*batch, math.prod(field.shape))
        .unbind(-1)
    ]
    for x, size in zip(entries, sizes, strict=True):
        number = number.to(x.device) * size + x
    return number


def transitions_of(economy: Economy, state, actions) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Expected rewards, and probabilities of the next state, where everybody's actions are given.

    Parameters
    ----------
    economy : Economy
        Finite.
    state : State, shape (n, ...)
    actions : dict of str to Tensor, shape (n, agents, actions)

    Returns
    -------
    rewards : dict of str to ndarray, shape (n, agents)
    probabilities : ndarray, shape (n, states)
    """
    shocks, chance = economy.outcomes(state)
    step = economy.step(state, actions, shocks)
    n, states = chance.shape[1], math.prod(sizes_of(economy))
    rewards = {
        name: (chance.unsqueeze(-1) * r).sum(0).double().numpy() for name, r in step.rewards.items()
    }
    following = number_of(economy, step.state).expand(chance.shape)
    probabilities = torch.zeros(n, states, dtype=torch.float64)
    probabilities.scatter_add_(1, following.T, chance.T.double())
    return rewards, (probabilities / probabilities.sum(1, keepdim=True)).numpy()


@torch.no_grad()
def tabulate(economy: Economy) -> Tables:
    """A finite economy with a single agent, written out.

    Parameters
    ----------
    economy : Economy
        With states of indices, and one agent who has `choices`, such as :class:`.Alone` in a
        finite game.

    Raises
    ------
    TypeError
        If it is no such economy.
    MemoryError
        If the tables would not fit into memory.
    """
    roles = list(economy.roles.items())
    (name, role) = roles[0]
    if len(roles) > 1 or role.n_agents > 1 or role.n_actions > 1 or role.choices is None:
        raise TypeError(
            f"{type(economy).__name__} has the roles {tuple(economy.roles)}: tables are for one "
            "agent who takes one action from a list of choices. Alone(economy, policy, role) is "
            "the problem of one among others."
        )
    n, choices = math.prod(sizes_of(economy)), role.choices
    require_memory(
        4 * 8 * n * len(choices) * n,
        "cpu",
        f"tables of {n:,} states and {len(choices):,} choices",
        "have fewer values in the state, or fewer choices",
    )
    state = all_states(economy)
    payoffs, transitions = [], []
    for choice in choices:
        action = torch.full((n, 1, 1), choice, dtype=economy.zeros(state).dtype)
        rewards, probabilities = transitions_of(economy, state, {name: action})
        payoffs.append(rewards[name][:, 0])
        transitions.append(probabilities)
    return Tables(
        np.stack(payoffs, 1), np.stack(transitions, 1), economy.discount_of(name), np.array(choices)
    )
