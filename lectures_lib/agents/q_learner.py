"""What a role learns in deep Q-learning: networks, scales, and how far values are from targets.

Chapters *Deep Q-learning* and, for teams with a mixer, *Centralised training*.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ..economies.role import Role
from ..networks import RunningScale, Streams
from .inputs import InputSizes
from .losses import demean, projection_weights, q_target
from .mixers import Free, Mixer, make_mixer
from .network_agent import follow
from .q_network import QNetwork

if TYPE_CHECKING:
    from .dqn import DQNConfig


#: What is better by less than this is as good for a free mixer, in standard deviations of reward.
TIE = 0.01


class Transitions(NamedTuple):
    """What is remembered of a role, shape (runs, n, replicates, ...).

    Attributes
    ----------
    inputs, following : Tensor, shape (..., agents, inputs)
        What networks were given, and what they would be given in the next period.
    choice : Tensor of int64, shape (..., agents)
    reward : Tensor, shape (..., agents)
    world, next_world : Tensor, shape (..., agents, features), optional
        What a mixer is given: what a critic may see of each agent.
    """

    inputs: Tensor
    choice: Tensor
    reward: Tensor
    following: Tensor
    world: Tensor | None = None
    next_world: Tensor | None = None


class QLearner(nn.Module):
    """One role's networks, present and target, the scales of inputs and rewards, its choices.

    Parameters
    ----------
    role : Role
    config : DQNConfig
    streams : Streams
    seen, surveyed : InputSizes
        Of each agent's network, and of what the mixer is given of each agent.
    """

    def __init__(
        self,
        role: Role,
        config: DQNConfig,
        streams: Streams,
        seen: InputSizes,
        surveyed: InputSizes,
    ):
        super().__init__()
        c, self.config, self.agents = config, config, role.n_agents
        device, runs = streams.generators[0].device, len(streams.generators)
        choices = torch.tensor(role.choices, device=device)
        self.register_buffer("choices", choices, persistent=False)
        sizes = (seen.inputs, *c.hidden, len(choices))
        own = None if c.shared else (role.n_agents, -2)
        self.online = QNetwork(sizes, c.dueling, streams, own)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        size = c.second_moment_size
        self.scale = RunningScale(runs, seen.inputs, device, seen.second_moments, size)
        self.reward_scale = RunningScale(runs, 1, device)
        self.mixer: Mixer | None = None
        self.target_mixer: Mixer | None = None
        if c.mixer is not None:
            features = role.n_agents * surveyed.inputs
            self.mixer = make_mixer(c, role.n_agents, features, len(choices), streams)
            self.target_mixer = copy.deepcopy(self.mixer).requires_grad_(False)
            self.world_scale = RunningScale(
                runs, surveyed.inputs, device, surveyed.second_moments, size
            )

    def learned(self):
        """The weights that an optimiser moves."""
        mixer = [] if self.mixer is None else self.mixer.parameters()
        return [*self.online.parameters(), *mixer]

    def set_units(self, horizon: float) -> None:
        """Let values count in units of reward, as seen so far, over a horizon of so many periods.

        A target network differs in its weights alone. Of a team's level, each agent's values have
        their part.
        """
        mean, inverse = self.reward_scale.moments(2, torch.float32)
        parts = 1 if self.mixer is None else self.agents
        for network in (self.online, self.target):
            network.level.copy_(horizon * mean[:, 0] / parts)
            network.spread.copy_(horizon / inverse[:, 0])

    def move_target(self, share: float) -> None:
        """Let the target network, and the target mixer, follow the present ones by a share."""
        follow(self.target, self.online, share)
        if self.mixer is not None and self.target_mixer is not None:
            follow(self.target_mixer, self.mixer, share)

    # ------------------------------------------------------------------ errors
    def errors(self, seen: Transitions, discount: float) -> Tensor:
        """Temporal-difference errors, in units of reward.

        Returns
        -------
        Tensor, shape (runs, n, replicates, agents)
            With a mixer there is one for the team, shape (..., 1); with a free mixer there are
            two, shape (..., 2): that of the joint choice's value, and how far the mixture of the
            agents' values is from it, times the root of its weight.
        """
        if self.mixer is None:
            return self.own_errors(seen, discount)
        each = self.online(self.scale(seen.inputs))
        values = _of(each, seen.choice)
        with torch.no_grad():
            following = self.scale(seen.following)
            ahead = self.target(following)
            best = (self.online(following) if self.config.double else ahead).argmax(-1)
        world, next_world = (self.world_scale(x).flatten(-2) for x in (seen.world, seen.next_world))
        with torch.no_grad():
            ahead = self._joint(self.target_mixer, _of(ahead, best), best, next_world)
            # One reward for all, and one joint choice ahead.
            target = q_target(seen.reward[..., 0], ahead.unsqueeze(-1), discount)
        joint = self._joint(self.mixer, values, seen.choice, world)
        error = self._less_luck(joint - target).unsqueeze(-1)
        if not isinstance(self.mixer, Free):
            return error
        with torch.no_grad():
            own_best = each.argmax(-1)
            thought = self._joint(self.mixer, values, own_best, world)
            same = (own_best == seen.choice).all(-1)
            tie = TIE * (1 - discount) * _like(self.online.spread, joint)
            weight = projection_weights(joint, thought, same, self.config.weight, tie)
        # What a network says of joint choices is free of luck, so that levels can be compared.
        mixed = self._in_units(self.mixer(self._pure(values), world))
        gap = weight.sqrt() * (mixed - joint.detach())
        return torch.cat([error, gap.unsqueeze(-1)], -1)

    def own_errors(self, seen: Transitions, discount: float) -> Tensor:
        """Errors (runs, n, replicates, agents) of each agent's own choice."""
        values = self.online(self.scale(seen.inputs))
        chosen = values.gather(-1, seen.choice.unsqueeze(-1)).squeeze(-1)
        with torch.no_grad():
            next_inputs, picked = self.scale(seen.following), None
            if self.config.double:
                picked = self.online(next_inputs).argmax(-1)
            ahead = self.target(next_inputs)
            target = q_target(seen.reward, ahead, discount, picked)
        return self._less_luck(chosen - target)

    def _less_luck(self, error: Tensor) -> Tensor:
        # What luck does to all economies of a group is no choice's merit.
        return demean(error, dim=2) if self.config.common_shocks else error

    def _joint(self, mixer, values: Tensor, chosen: Tensor, world: Tensor) -> Tensor:
        """Value (runs, *any) of a joint choice, in units of reward."""
        return self._in_units(mixer.joint(self._pure(values), chosen, world))

    def _pure(self, values: Tensor) -> Tensor:
        """Each agent's values, of order one."""
        level, spread = (_like(x, values) for x in (self.online.level, self.online.spread))
        return (values - level) / spread

    def _in_units(self, x: Tensor) -> Tensor:
        """What is of order one, as a team's value."""
        return self.agents * _like(self.online.level, x) + _like(self.online.spread, x) * x


def _of(values: Tensor, chosen: Tensor) -> Tensor:
    """The values (...) of choices (...) among those of all choices (..., choices)."""
    return values.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)


def _like(x: Tensor, other: Tensor) -> Tensor:
    """Numbers (runs,), shaped to act on (runs, *any)."""
    return x.reshape(-1, *[1] * (other.dim() - 1))
