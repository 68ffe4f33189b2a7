"""Economies made of another one: with its states and its luck, and other agents or choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .base import Economy, require_economy
from .fields import Fields


@dataclass(frozen=True)
class Derived(Economy):
    """An economy whose states, shocks and chances are those of another one.

    Parameters
    ----------
    economy : Economy
    """

    economy: Any

    def __post_init__(self):
        require_economy(self.economy)

    @property
    def State(self):
        """Of the original economy."""
        return self.economy.State

    @property
    def Shocks(self):
        """Of the original economy."""
        return self.economy.Shocks

    @property
    def fields(self) -> Fields:
        """Of the original economy."""
        return self.economy.fields

    @property
    def shock_shapes(self):
        """Of the original economy."""
        return self.economy.shock_shapes

    @property
    def risk_aversion(self) -> float:
        """Of the original economy, if it has one."""
        return self.economy.risk_aversion

    def reset(self, batch, generator, dtype=torch.float32):
        """Of the original economy."""
        return self.economy.reset(batch, generator, dtype)

    def draw(self, batch, generator, dtype=torch.float32):
        """Of the original economy."""
        return self.economy.draw(batch, generator, dtype)

    def outcomes(self, state):
        """Of the original economy."""
        return self.economy.outcomes(state)

    def move_chance(self, state, shocks) -> dict[str, Tensor]:
        """Of the original economy."""
        return self.economy.move_chance(state, shocks)

    def no_luck(self, state):
        """Of the original economy."""
        return self.economy.no_luck(state)

    def perturb(self, state, generator, scale):
        """Of the original economy."""
        return self.economy.perturb(state, generator, scale)

    def check_state(self, state) -> None:
        """Of the original economy."""
        self.check_form(state)
        self.economy.check_state(state)


@dataclass(frozen=True)
class SameAgents(Derived):
    """An economy whose agents, besides, see, move and value what they do in another one.

    Parameters
    ----------
    economy : Economy
    """

    @property
    def discount(self) -> float:
        """Of the original economy."""
        return self.economy.discount

    @property
    def stages(self):
        """Of the original economy."""
        return self.economy.stages

    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """Of the original economy."""
        return self.economy.consumption_equivalent(value)

    def observe(self, state, moved=None):
        """What agents see in the original economy."""
        return self.economy.observe(state, moved)

    def sights(self, state, moved=None):
        """What agents see in the original economy, the others included."""
        return self.economy.sights(state, moved)

    def observe_centrally(self, state, moved=None):
        """What a critic may see in the original economy."""
        return self.economy.observe_centrally(state, moved)
