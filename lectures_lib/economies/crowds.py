"""Economies with capital whose households may be massless.

Chapter *Learning in a market*. Who has no mass affects nobody: prices and aggregates come from a
crowd of as many households, which follow the same policy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .capital import CapitalEconomy, CapitalState
from .fields import Fields


class CrowdState(NamedTuple):
    """State of an economy whose households are massless.

    Attributes
    ----------
    capital : Tensor, shape (*batch, households, goods)
        Of the massless households.
    crowd : Tensor, shape (*batch, households, goods)
        Of the crowd that makes the price; member i has household i's productivity.
    idiosyncratic : Tensor of int64, shape (*batch, households)
    aggregate : Tensor of int64, shape (*batch,)
    """

    capital: Tensor
    crowd: Tensor
    idiosyncratic: Tensor
    aggregate: Tensor


class Crowds:
    """What economies share whose households may be massless: a crowd that has mass for them."""

    #: Whether the households that act are massless; a derived class may make it a parameter.
    atomistic = False

    @cached_property
    def State(self):
        """`CapitalState`, or `CrowdState` if households are massless."""
        return CrowdState if self.atomistic else CapitalState

    def with_copy(self, fields: Fields) -> Fields:
        """The fields, and the capital of a crowd if there is one."""
        if not self.atomistic:
            return fields
        crowd = replace(fields["capital"], copies="capital")
        return Fields(**({"capital": fields["capital"], "crowd": crowd} | dict(fields)))

    def with_crowd(self, state: CapitalState) -> CrowdState:
        """The state of massless households that own what the crowd owns."""
        return CrowdState(state.capital, state.capital, state.idiosyncratic, state.aggregate)

    def crowd(self, state):
        """The state of those who make prices: of the crowd, if there is one."""
        return state._replace(capital=state.crowd) if self.atomistic else state

    def populations(self, state) -> dict[str, Any]:
        """Who owns `capital`, and the crowd if there is one, by the suffix of their roles."""
        return {"": state} | ({"_crowd": self.crowd(state)} if self.atomistic else {})


@dataclass(frozen=True)
class CrowdedEconomy(Crowds, CapitalEconomy):
    """An economy with capital whose households have mass, or a crowd that has it for them."""

    @cached_property
    def fields(self) -> Fields:
        """Capital and the two productivity chains; the capital of a crowd, if there is one."""
        return self.with_copy(super().fields)

    def reset(self, batch, generator, dtype=torch.float32):
        """Capital uniform on [0.5, 1.25] of its steady state, productivity stationary."""
        state = super().reset(batch, generator, dtype)
        return self.with_crowd(state) if self.atomistic else state
