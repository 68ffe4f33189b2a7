"""Brock and Mirman's growth model: the one economy of the book with a closed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..autoregression import AutoRegression, require_productivity
from ..markov import MarkovChain
from ..parameters import require
from .base import Actions, Economy, Role, Step
from .fields import Field, Fields
from .role import between

# Orders above this share of output are cut to it, so that some capital is always left.
LARGEST_CONSUMPTION_SHARE = 0.999
ACTIONS = ("consumption", "share")


def _share(raw: Tensor) -> Tensor:
    """A saving share, a half for zero, that leaves something to eat and something to sow."""
    least = 1 - LARGEST_CONSUMPTION_SHARE
    return between(raw, least, 1 - least)


def _consumption(raw: Tensor) -> Tensor:
    """Any positive number; zero is a third of steady-state output, far from the exact rule."""
    return softplus(raw) / 2


class GrowthState(NamedTuple):
    """State of the growth model.

    Attributes
    ----------
    capital : Tensor, shape (*batch, 1)
    aggregate : Tensor, shape (*batch,)
        Index into the values of productivity (int64), or its logarithm if that is an
        AutoRegression.
    """

    capital: Tensor
    aggregate: Tensor


class GrowthShocks(NamedTuple):
    """A uniform draw that moves productivity, shape (*batch,)."""

    aggregate: Tensor


@dataclass(frozen=True)
class BrockMirman(Economy[GrowthState, GrowthShocks]):
    r"""Stochastic growth with log utility and full depreciation (Brock and Mirman 1972).

    .. math:: \max E\sum_t \beta^t \log C_t, \qquad K_{t+1} = Y_t - C_t, \qquad
              Y_t = Z_t A K_t^\alpha .

    The exact rule is :math:`C_t = (1-\alpha\beta) Y_t`. The action is *consumption* itself, so that
    this rule varies with the state and has to be learned, or the saving share, of which the exact
    rule is a constant. Units are chosen so that
    output is one in the deterministic steady state: :math:`A = (\alpha\beta)^{-\alpha}`. An order
    above 99.9% of output is cut to that.

    Parameters
    ----------
    alpha : float
        Exponent of capital, in (0, 1).
    beta : float
        Discount factor, in (0, 1).
    aggregate : MarkovChain or AutoRegression
        Productivity Z.
    action : {"consumption", "share"}
        What the planner chooses.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.
    """

    alpha: float = 0.36
    beta: float = 0.96
    aggregate: MarkovChain | AutoRegression = field(
        default_factory=lambda: MarkovChain.symmetric((0.9, 1.1), stay=0.9)
    )
    action: str = "consumption"

    State = GrowthState
    Shocks = GrowthShocks
    risk_aversion = 1.0

    def __post_init__(self):
        require(0 < self.alpha < 1, "alpha", self.alpha, "a number strictly between 0 and 1")
        require(0 < self.beta < 1, "beta", self.beta, "a number strictly between 0 and 1")
        require_productivity("aggregate", self.aggregate)
        require(self.action in ACTIONS, "action", self.action, f"one of {ACTIONS}")

    @property
    def discount(self) -> float:
        """The discount factor beta."""
        return self.beta

    @cached_property
    def roles(self):
        """One role, a planner alone; the action is a share, or in units of steady-state output."""
        if self.action == "share":
            share = {"to_physical": _share, "low": 0.0, "high": 1.0, "shares": True}
            return {"planner": Role(1, 2, 1, team=True, **share)}
        return {"planner": Role(1, 2, 1, team=True, to_physical=_consumption, low=0.0)}

    @cached_property
    def fields(self) -> Fields:
        """Capital, which the planner chooses, and the productivity chain."""
        return Fields(capital=Field((1,)), aggregate=Field.of(self.aggregate))

    @property
    def efficient_capital(self) -> float:
        """Capital in the deterministic steady state, alpha * beta in these units."""
        return self.alpha * self.beta

    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """The constant consumption worth `value`."""
        return ((1 - self.beta) * value).exp()

    def productivity(self, state: GrowthState) -> Tensor:
        """Productivity Z, shape (*batch, 1)."""
        return self.aggregate.level(state.aggregate, state.capital.dtype).unsqueeze(-1)

    def output(self, state: GrowthState) -> Tensor:
        """Output, shape (*batch, 1)."""
        return self.productivity(state) * (state.capital / self.efficient_capital) ** self.alpha

    def reset(self, batch, generator, dtype=torch.float32) -> GrowthState:
        """Capital uniform on [0.5, 1.25] of its steady state, productivity stationary."""
        luck = self.draw(batch, generator, dtype)
        uniform = torch.rand((*batch, 1), generator=generator, device=generator.device, dtype=dtype)
        return GrowthState(
            self.efficient_capital * (0.5 + 0.75 * uniform), self.aggregate.initial(luck.aggregate)
        )

    def observe(self, state, moved=None):
        """Log capital and log productivity, shape (*batch, 1, 2)."""
        features = torch.stack([state.capital.log(), self.productivity(state).log()], -1)
        return {"planner": features}

    def transition(
        self, state: GrowthState, actions: Actions, shocks: GrowthShocks
    ) -> Step[GrowthState]:
        """One period; `actions["planner"]` holds consumption or saving shares (*batch, 1, 1)."""
        output = self.output(state)
        order = actions["planner"].squeeze(-1)
        if self.action == "share":
            order = (1 - order) * output
        consumption = torch.minimum(order.clamp_min(0.0), LARGEST_CONSUMPTION_SHARE * output)
        utility = consumption.clamp_min(1e-7).log()
        next_state = GrowthState(output - consumption, **self.move_chance(state, shocks))
        info = {
            "capital": state.capital,
            "output": output,
            "consumption": consumption,
            "saving_share": 1 - consumption / output,
            "investment": output - consumption,
            "productivity": self.productivity(state),
        }
        return Step(next_state, {"planner": utility}, info)
