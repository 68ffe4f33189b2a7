"""The chain that all productivities follow together."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from ..economies.capital import CapitalEconomy, CapitalState

# Combinations whose transition matrix, in float64, takes an eighth of a gigabyte.
MOST_COMBINATIONS = 4096


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

    Raises
    ------
    ValueError
        If there are more than 4,096 combinations: their transition matrix would not fit.
    """

    def __init__(self, economy: CapitalEconomy):
        count = self.count(economy)
        if count > MOST_COMBINATIONS:
            raise ValueError(
                f"{economy.n_households} households with {len(economy.idiosyncratic)} levels of "
                f"productivity each, and {len(economy.aggregate)} in common, have {count:,} "
                f"combinations, more than {MOST_COMBINATIONS:,}: use method='network', fewer "
                "levels or fewer households."
            )
        own, common = economy.idiosyncratic, economy.aggregate
        self.n_own, n = len(own), economy.n_households
        each = itertools.product(common.values, *[own.values] * n)
        self.levels = torch.tensor([[a * z for z in own] for a, *own in each], dtype=torch.float64)
        transition = np.array(common.transition)
        for _ in range(n):
            transition = np.kron(transition, np.array(own.transition))
        self.transition = torch.as_tensor(transition)

    @staticmethod
    def count(economy: CapitalEconomy) -> int:
        """How many combinations an economy has."""
        return len(economy.idiosyncratic) ** economy.n_households * len(economy.aggregate)

    def __len__(self) -> int:
        return len(self.levels)

    def state(self, capital: Tensor, index: Tensor) -> CapitalState:
        """States with `capital` (*batch, N, M) that are in combination `index` (*batch,)."""
        n = self.levels.shape[-1]
        own = torch.stack([index // self.n_own**k % self.n_own for k in reversed(range(n))], -1)
        return CapitalState(capital, own, index // self.n_own**n)

    def index(self, state) -> Tensor:
        """Which combination each state (*batch, ...) is in."""
        index = state.aggregate
        for z in state.idiosyncratic.unbind(-1):
            index = index * self.n_own + z
        return index
