"""A rule for a finite economy, written out state by state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..economies.base import Economy, require_economy
from .policy import which_run


class TablePolicy:
    """A rule for a finite economy: what to do in the table's state nearest to a state.

    Parameters
    ----------
    economy : Economy
        With `index(state)`, which finds the nearest state.
    table : ndarray, shape (runs, states) or (states,)
        Actions in physical units; without runs, states of any batch shape are taken. With several
        agents, of one role or more, a last dimension has them in the order of their roles.
    """

    def __init__(self, economy: Economy, table: np.ndarray):
        require_economy(economy)
        self.economy: Any = economy  # one that numbers its states: `index`
        self.table = np.array(table, dtype=float)
        agents = [role.n_agents for role in economy.roles.values()]
        self._several = sum(agents) > 1
        shape = self.table.shape
        good = len(shape) in ((2, 3) if self._several else (1, 2))
        if not good or (self._several and shape[-1] != sum(agents)):
            expected = "(states,) or (runs, states)"
            if self._several:
                expected = expected.replace(",)", ")").replace("states)", f"states, {sum(agents)})")
            raise ValueError(f"table has shape {shape}: expected {expected}.")
        self.runs = shape[0] if len(shape) == 2 + self._several else None

    def __getitem__(self, run: int) -> TablePolicy:
        """The policy of one run."""
        return TablePolicy(self.economy, self.table[which_run(run, self.runs)])

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """Actions (*batch, agents, 1) by role, of the type and on the device of the state.

        Those of roles that have `moved` are taken as given.
        """
        actions = dict(moved or {})
        if all(name in actions for name in self.economy.roles):
            return actions
        self.economy.check_form(state)
        table = torch.from_numpy(self.table).to(self.economy.zeros(state))
        if not self._several:
            table = table.unsqueeze(-1)
        index, states = self.economy.index(state), table.shape[-2]
        if index.numel() and index.max() >= states:
            raise ValueError(
                f"the table has {states} states, and this is number {index.max()} of "
                f"{self.economy!r}, counted from 0: a table has an action for each state."
            )
        if self.runs is None:
            chosen = table[index]
        elif index.dim() == 0 or len(index) != self.runs:
            raise ValueError(
                f"this policy has {self.runs} runs, so states need a first dimension of "
                f"{self.runs}; got {tuple(index.shape)}. Take policy[i] for a single run."
            )
        else:
            run = torch.arange(self.runs, device=index.device)
            chosen = table[run.reshape(-1, *[1] * (index.dim() - 1)), index]
        begin = 0
        for name, role in self.economy.roles.items():
            own = chosen[..., begin : begin + role.n_agents].unsqueeze(-1)
            actions[name] = actions.get(name, own)
            begin += role.n_agents
        return actions
