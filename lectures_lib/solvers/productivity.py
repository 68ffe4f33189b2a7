"""The chain that all productivities follow together."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from ..economies.capital import CapitalEconomy


class JointChain:
    """All combinations of aggregate and individual productivity of an economy.

    Parameters
    ----------
    economy : CapitalEconomy

    Attributes
    ----------
    levels : Tensor of float64, shape (combinations, households)
        Total productivity of each household.
    transition : Tensor of float64, shape (combinations, combinations)
    """

    def __init__(self, economy: CapitalEconomy):
        own, common = economy.idiosyncratic, economy.aggregate
        self.n_own, n = len(own), economy.n_households
        each = itertools.product(common.values, *[own.values] * n)
        self.levels = torch.tensor([[a * z for z in own] for a, *own in each], dtype=torch.float64)
        transition = np.array(common.transition)
        for _ in range(n):
            transition = np.kron(transition, np.array(own.transition))
        self.transition = torch.as_tensor(transition)

    def __len__(self) -> int:
        return len(self.levels)

    def index(self, state) -> Tensor:
        """Which combination each state (*batch, ...) is in."""
        index = state.aggregate
        for z in state.idiosyncratic.unbind(-1):
            index = index * self.n_own + z
        return index
