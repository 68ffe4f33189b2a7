"""Who acts in an economy: groups of agents that share a policy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..parameters import Parameters, require


def between(raw: Tensor, low: float, high: float) -> Tensor:
    """Numbers between two others from any numbers, of which zero is the middle."""
    return low + (high - low) * torch.sigmoid(raw)


@dataclass(frozen=True)
class Role(Parameters):
    """A group of symmetric agents that share a policy.

    Attributes
    ----------
    n_agents, n_features, n_actions : int
        Observations of the role have shape (*batch, n_agents, n_features), its actions
        (*batch, n_agents, n_actions).
    team : bool
        Whether the agents maximise the mean of all their rewards (a planner's households) or each
        its own (households in a market).
    to_physical : callable
        Maps an unbounded Tensor (*batch, n_agents, n_actions) to actions that are always feasible.
        Zero maps to a neutral action: the middle of the feasible range where it has one.
    full_information : bool
        Whether agents see a population besides themselves (`Economy.sights`), by default the
        agents of the role. Otherwise the features that `Economy.observe` returns are all that they
        know.
    follows : str or None
        The role whose policy these agents follow, without exploring or learning: a crowd. Agents
        of a role that is followed are massless: they affect nobody but themselves.
    choices : tuple of float or None
        Physical actions from which learners choose that need a finite number of them.
    alike_actions : bool
        Whether an agent's actions are alike and its first features belong to one of them each, as
        capital goods do.
    per_action : int
        How many features belong to each of the alike actions, such as a good's stock and its price:
        first come those of one kind for all actions, then those of the next.
    low, high : float
        Between which each physical action lies.
    shares : bool
        Whether the actions of an agent are positive and add up to at most one.
    discount : float or None
        Discount factor of the role's rewards, in [0, 1), zero for who is myopic; the economy's by
        default.
    measure : str
        What the role's welfare is measured in, such as consumption or profit.
    equivalent : callable or None
        Maps discounted rewards to the constant amount of the `measure` that is worth as much; the
        economy's `consumption_equivalent` by default.

    Raises
    ------
    ValueError
        If a number is outside its range; the message names it.
    """

    n_agents: int
    n_features: int
    n_actions: int
    team: bool
    to_physical: Callable[[Tensor], Tensor]
    full_information: bool = True
    follows: str | None = None
    choices: tuple[float, ...] | None = None
    alike_actions: bool = False
    per_action: int = 1
    low: float = -math.inf
    high: float = math.inf
    shares: bool = False
    discount: float | None = None
    measure: str = "consumption"
    equivalent: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self):
        for name in ("n_agents", "n_features", "n_actions", "per_action"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        fits = self.per_action * self.n_actions <= self.n_features or not self.alike_actions
        require(fits, "per_action", self.per_action, "no more features than there are")
        require(self.low < self.high, "high", self.high, f"more than low={self.low}")
        patient = self.discount is None or 0 <= self.discount < 1
        require(patient, "discount", self.discount, "a number in [0, 1), or None")
