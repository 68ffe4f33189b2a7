"""Who acts in an economy: groups of agents that share a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..networks import (
    action_features,
    n_action_features,
    n_action_second_moments,
    n_pooled_features,
    n_second_moments,
    pooled_features,
)


@dataclass(frozen=True)
class Role:
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
        Whether each agent sees what all agents of the role see. Its network is then given the
        population's moments beside its own features (:attr:`inputs`); otherwise the features that
        the economy's `observe` returns are all that it knows.
    follows : str or None
        The role whose policy these agents follow, without exploring or learning: a crowd. Agents
        of a role that is followed are massless: they affect nobody but themselves.
    choices : tuple of float or None
        Physical actions from which learners choose that need a finite number of them.
    second_moments : int
        How many of the last features are second moments of a population already.
    alike_actions : bool
        Whether an agent's actions are alike and its first features belong to one of them each, as
        capital goods do. A network may then be applied to each action (:attr:`action_inputs`).
    """

    n_agents: int
    n_features: int
    n_actions: int
    team: bool
    to_physical: Callable[[Tensor], Tensor]
    full_information: bool = True
    follows: str | None = None
    choices: tuple[float, ...] | None = None
    second_moments: int = 0
    alike_actions: bool = False

    @property
    def n_inputs(self) -> int:
        """Number of inputs of a network that plays the role."""
        if self.full_information:
            return n_pooled_features(self.n_agents, self.n_features)
        return self.n_features

    @property
    def n_second_moments(self) -> int:
        """How many of the last inputs are second moments of a population."""
        if self.full_information:
            return n_second_moments(self.n_agents, self.n_features)
        return self.second_moments

    def inputs(self, observation: Tensor) -> Tensor:
        """A network's inputs (*batch, n_agents, n_inputs) from (*batch, n_agents, n_features)."""
        return pooled_features(observation) if self.full_information else observation

    @property
    def n_action_inputs(self) -> int:
        """Number of inputs of a network that is applied to each of the alike actions."""
        return n_action_features(self.n_agents, self.n_features, self.n_actions)

    @property
    def n_action_second_moments(self) -> int:
        """How many of the last of :attr:`action_inputs` are second moments."""
        return n_action_second_moments(self.n_agents, self.n_features, self.n_actions)

    def action_inputs(self, observation: Tensor) -> Tensor:
        """Inputs (*batch, n_agents, n_actions, n_action_inputs) of such a network."""
        return action_features(observation, self.n_actions)
