"""What learners with a network for the policy share, whether they learn from what they have just
seen or from what they remember.

Chapter *Learning when shocks are inputs*.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..economies.play import play
from ..parameters import require
from .base import Agent
from .config import ActorCriticConfig, cosine
from .inputs import input_sizes, network_inputs, pooled_features
from .policy import NetworkPolicy
from .world import World

#: Adam as all learners use it; its rate is set anew in every iteration.
adam = partial(torch.optim.Adam, lr=1.0, betas=(0.9, 0.99), fused=True)


class Decisions(NamedTuple):
    """What everybody has seen and done in a period, by role.

    Attributes
    ----------
    seen : dict of Tensor, shape (*batch, agents, inputs)
        Inputs of policies, not yet standardised; where these are applied to each of the alike
        actions, with one more dimension before the last.
    surveyed : dict of Tensor
        The same of critics.
    raw : dict of Tensor, shape (*batch, agents, actions)
    actions : dict of Tensor, shape (*batch, agents, actions)
        In physical units.
    """

    seen: dict[str, Tensor]
    surveyed: dict[str, Tensor]
    raw: dict[str, Tensor]
    actions: dict[str, Tensor]


class NetworkAgent(Agent):
    """Networks that act, the world they act in, and the averages of their weights.

    Parameters are those of :class:`~lectures_lib.agents.Agent`.
    """

    #: Whether networks are applied to each action where a role's actions are alike.
    by_action = True
    config: ActorCriticConfig

    # ------------------------------------------------------------------ set-up
    def _build(self):
        c, economy = self.config, self.economy
        seen = input_sizes(economy, self.by_action)
        surveyed = input_sizes(economy, survey=True) if c.central_critic else seen
        self.learners = nn.ModuleDict(
            {
                name: self.make_networks(role, seen[name], surveyed[name])
                for name, role in economy.roles.items()
                if role.follows is None
            }
        )
        self._require_roles()
        # A group for each role, whose rate may be its own.
        groups: Any = [{"params": list(x.actor.parameters())} for x in self._each()]
        self.policy_optimizer = adam(groups)
        self.critic_optimizer = adam([p for x in self._each() for p in x.critic.parameters()])
        self._average_gradients()
        self.world = World(
            economy,
            self.streams,
            groups=c.groups,
            replicates=c.replicates,
            common_shocks=c.common_shocks,
            restart=c.restart,
            jitter=c.jitter,
            paired=self.paired_starts,
            processes=self.processes,
        )

    def _average_gradients(self):
        for optimizer in (self.policy_optimizer, self.critic_optimizer):
            self.processes.average_gradients_of(optimizer)

    def __setstate__(self, state):
        # An optimiser that is copied has lost what is to be done before its steps.
        self.__dict__.update(state)
        self._average_gradients()

    def _require_roles(self):
        """Refuse settings for roles that there are not, and cartels that nobody asked for."""
        c, roles = self.config, self.economy.roles
        for field in fields(c):
            by_role = field.name == "cartel" or field.name.startswith("relative_")
            value = getattr(c, field.name) if by_role else ()
            named = {x if isinstance(x, str) else x[0] for x in value}
            known = named <= set(self.learners)
            require(known, field.name, value, f"roles that learn, of {tuple(self.learners)}")
        alone = tuple(
            name
            for name in self.learners
            if not roles[name].team and roles[name].n_agents > 1 and name not in c.cartel
        )
        if c.credit == "team" and alone:
            raise ValueError(
                f"credit='team': {alone} of {type(self.economy).__name__} are no team, and who is "
                "judged by the mean of all colludes. If that is what you want, say it again: "
                f"cartel={alone}."
            )

    @property
    def paired_starts(self) -> bool:
        """Whether economies start in pairs from the same state; they do not by default."""
        return False

    @abstractmethod
    def make_networks(self, role, seen, surveyed) -> nn.Module:
        """A module with `actor`, its `average`, `critic` and the scales of what they see.

        Parameters
        ----------
        role : Role
        seen, surveyed : InputSizes
            Of policy and critic.
        """

    def _each(self) -> Any:
        return self.learners.values()

    def _parts(self):
        return {
            "learners": self.learners,
            "policy_optimizer": self.policy_optimizer,
            "critic_optimizer": self.critic_optimizer,
            "states": self.world,
        }

    @property
    def policy(self):
        """The policy with averaged weights; it adds no noise to its actions."""
        return NetworkPolicy(
            self.economy,
            {name: learner.average for name, learner in self.learners.items()},
            {name: learner.scale for name, learner in self.learners.items()},
            self.runs,
            self.by_action,
        )

    def start_from(self, other: NetworkAgent) -> None:
        """Begin with another agent's networks and what it knows of scales.

        Parameters
        ----------
        other : NetworkAgent
            With as many runs, networks of the same shapes, and roles of the same names: an agent
            that has learned with few households, for example.

        Raises
        ------
        ValueError
            If its networks have other shapes.
        TypeError
            If it is no such agent.
        """
        if not isinstance(other, NetworkAgent):
            raise TypeError(
                f"other is a {type(other).__name__}: expected an agent with networks, not a policy."
            )
        mine, theirs = self.learners.state_dict(), other.learners.state_dict()
        shapes = [{k: tuple(x.shape) for k, x in part.items()} for part in (mine, theirs)]
        if shapes[0] != shapes[1]:
            wrong = next(
                k for k in sorted({*mine, *theirs}) if shapes[0].get(k) != shapes[1].get(k)
            )
            raise ValueError(
                f"the other agent's networks have other shapes: {wrong} is {shapes[1].get(wrong)}, "
                f"and {shapes[0].get(wrong)} here. Give both the same number of runs and the same "
                "config, and at least two agents in each role."
            )
        self.learners.load_state_dict(theirs)

    @property
    def steps_per_iteration(self):
        """Environment steps that an iteration takes in each run."""
        return self.config.groups * self.config.replicates * self.config.horizon

    @property
    def scales_move(self) -> bool:
        """Whether what is seen now still enters the scales of inputs and rewards."""
        return self.progress < self.config.settled or self.iteration == 0

    # ------------------------------------------------------------------ before an iteration
    def _prepare(self):
        c = self.config
        decay = cosine(c.final_rate, self.progress)
        multiples = dict(c.relative_rates)
        for name, group in zip(self.learners, self.policy_optimizer.param_groups, strict=True):
            group["lr"] = multiples.get(name, 1.0) * c.policy_rate * decay
        for group in self.critic_optimizer.param_groups:
            group["lr"] = c.critic_rate * decay
        # Standardisation stays put in an iteration, so that old and new policy see the same.
        self._standard = {n: x.scale.moments(2, torch.float32) for n, x in self.learners.items()}
        self._critic_standard = {
            n: x.critic_scale.moments(2, torch.float32) for n, x in self.learners.items()
        }

    def standardise(self, name: str, x: Tensor) -> Tensor:
        """What a policy sees, in standard deviations from the mean."""
        return _shift_and_scale(x, *self._standard[name])

    def standardise_survey(self, name: str, x: Tensor) -> Tensor:
        """What a critic sees, in standard deviations from the mean."""
        return _shift_and_scale(x, *self._critic_standard[name])

    # ------------------------------------------------------------------ in the economy
    def act(self, name: str, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Raw actions (*batch, agents, actions) of a role: its mean action, and noise."""
        raw = self.learners[name].actor(x)
        raw = raw.squeeze(-1) if self.by_action and self.economy.roles[name].alike_actions else raw
        return raw if noise is None else raw + noise

    def decide(
        self,
        state,
        noise: Mapping[str, Tensor],
        look_only: bool = False,
    ) -> Decisions:
        """Everybody moves, stage by stage.

        With `look_only` the last stage's roles look and do not act. A crowd
        plays the mean action of the role that it follows, taken as given.
        """
        only_look = self.economy.stages[-1] if look_only else ()
        seen, raw = {}, {}

        def choose(name, sight):
            role = self.economy.roles[name]
            leader = role.follows or name
            seen[name] = network_inputs(role, sight, self.by_action)
            if name in only_look:
                return None
            x = self.standardise(leader, seen[name])
            raw[name] = self.act(leader, x, noise.get(name))
            if role.follows:
                raw[name] = raw[name].detach()
            return role.to_physical(raw[name])

        central = self.config.central_critic
        played = play(self.economy, state, choose, survey=central)
        sights = played.surveyed.items()
        surveyed = {name: pooled_features(*sight) for name, sight in sights}
        surveyed = surveyed if central else seen
        return Decisions(seen, surveyed, raw, played.actions)

    # ------------------------------------------------------------------ learning
    def credit(self, name: str, gain: Tensor) -> Tensor:
        """What actions are judged by, from each agent's gain.

        Shape (..., agents), or (..., 1) where it is the same for all.
        """
        if self.judged_together(name):
            gain = gain.mean(-1, keepdim=True)
        return gain

    def judged_together(self, name: str) -> bool:
        """Whether all agents of a role are judged by the mean of their gains."""
        credit, in_cartel = self.config.credit, name in self.config.cartel
        of_a_team = credit == "role" and self.economy.roles[name].team
        return credit == "team" or of_a_team or in_cartel

    def _average_weights(self):
        # Until the policy has begun to move there is nothing to average.
        weight = 1 - self.config.average if self.iteration >= 2 * self.config.warm_up else 1.0
        for learner in self._each():
            follow(learner.average, learner.actor, weight)


def _shift_and_scale(x, mean, scale):
    """Standardise (runs, *any, features) by moments of shape (runs, features)."""
    shape = (len(mean),) + (1,) * (x.dim() - 2) + (x.shape[-1],)
    return (x - mean.reshape(shape)) * scale.reshape(shape)


def sum_of_run_means(x: Tensor) -> Tensor:
    """Mean over everything but the runs, summed over runs: gradients stay apart."""
    return x.flatten(1).mean(1).sum()


@torch.no_grad()
def follow(slow: nn.Module, present: nn.Module, share: float) -> None:
    """Move a network's weights by a share of the way to another one's."""
    both = slow.parameters(), present.parameters()
    for old, new in zip(*both, strict=True):
        old.lerp_(new, share)


def descend(optimizer, loss):
    """A step of an optimiser down the slope of a loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
