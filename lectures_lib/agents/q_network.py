"""A network for the values of choices, and the policy that takes the best of them.

Chapter *Deep Q-learning*.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from ..economies.base import Economy
from ..economies.play import play
from ..networks import MLP
from .losses import dueling_values
from .policy import NetworkPolicy


class QNetwork(MLP):
    """Values of all choices, in units of reward; a network for each run.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of units of each hidden layer, of choices.
    dueling : bool
    streams : Streams
    separate : tuple of int, optional
        As for :class:`~lectures_lib.networks.MLP`.
    """

    level: Tensor
    spread: Tensor

    def __init__(self, sizes, dueling, streams, separate=None):
        super().__init__((*sizes[:-1], sizes[-1] + dueling), streams, 0.1, separate)
        self.dueling = dueling
        runs, device = len(streams.generators), streams.generators[0].device
        # What the network puts out is of order one: values are so many spreads from a level.
        self.register_buffer("level", torch.zeros(runs, device=device))
        self.register_buffer("spread", torch.ones(runs, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Map (runs, *any, inputs) to (runs, *any, choices)."""
        out = super().forward(x)
        if self.dueling:
            out = dueling_values(out[..., :1], out[..., 1:])
        shape = (-1,) + (1,) * (out.dim() - 1)
        return self.level.reshape(shape) + self.spread.reshape(shape) * out


class GreedyPolicy(NetworkPolicy):
    """A learned policy that takes the choice with the highest value, in physical units.

    Parameters are those of :class:`NetworkPolicy`, with a network for each role that gives
    the values of all its choices.
    """

    def on(self, economy: Economy) -> Self:
        """The same networks, unchanged, in another economy with the same choices.

        Raises
        ------
        ValueError
            If a network does not fit, or a role chooses from another list: a value belongs to a
            choice, whatever its place in the list.
        """
        policy = super().on(economy)
        for name in self._actors:
            known, theirs = (e.roles[name].choices for e in (self.economy, economy))
            if known != theirs:
                raise ValueError(
                    f"the network of role {name!r} values the choices {known}, and {economy!r} has "
                    f"{theirs}: expected the same. Learn anew there."
                )
        return policy

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """Actions of every role; those of roles that have `moved` are taken as given."""
        return self._play(state, moved)[0]

    def q_values(self, state) -> dict[str, Tensor]:
        """Values (*batch, agents, choices) of each role's choices, in units of its reward."""
        return self._play(state, None)[1]

    @torch.no_grad()
    def _play(self, state, moved):
        self.economy.check_form(state)
        values = {}

        def choose(name, sight):
            role = self.economy.roles[name]
            values[name] = q = self._raw(role, role.follows or name, sight)
            return q.new_tensor(self._choices(role))[q.argmax(-1, keepdim=True)]

        return play(self.economy, state, choose, moved).actions, values

    def _choices(self, role):
        return role.choices or self.economy.roles[role.follows].choices
