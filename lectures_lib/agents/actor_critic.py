"""Actor and critic: what PPO, Probing and Analytic have in common.

Chapter *Learning when shocks are inputs*. An iteration

1. restarts the economies: replicates of a group begin around one state (:meth:`.World.restart`),
2. lets them run for a few periods (`collect`),
3. fits the critic to the returns (`fit_critic`),
4. improves the policy (`improve`), each algorithm in its own way.

Several processes may do so together, each in its own groups; what they have to agree on goes
through `self.processes` (:class:`~lectures_lib.distributed.Processes`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..economies.base import map_state
from ..networks import MLP, RunningScale
from .losses import demean, lambda_returns
from .network_agent import NetworkAgent, descend, sum_of_run_means


class Rollout(NamedTuple):
    """What an iteration has seen; dictionaries are by role, of those that learn.

    Attributes
    ----------
    states, shocks : NamedTuple of Tensor, shape (runs, T, groups, replicates or 1, ...)
    observations : dict of Tensor, shape (runs, T + 1, groups, replicates, agents, features)
        Standardised inputs of policies; where these are applied to each of the alike actions, with
        one more dimension before the last.
    surveys : dict of Tensor
        The same of critics.
    noise : dict of Tensor, shape (runs, T, groups, replicates, agents, actions)
        Standard normal; what was added to the mean action in units of its standard deviation.
    rewards : dict of Tensor, shape (T, runs, groups, replicates, agents)
    """

    states: tuple
    shocks: tuple
    observations: dict[str, Tensor]
    surveys: dict[str, Tensor]
    noise: dict[str, Tensor]
    rewards: dict[str, Tensor]


class _Networks(nn.Module):
    """One role's networks: actor, its running average, critic, and the scales of their inputs."""

    def __init__(self, role, config, streams, device, seen, surveyed):
        super().__init__()
        each = role.alike_actions
        runs, size = len(streams.generators), config.second_moment_size
        #: Whether the critic is applied to each action.
        self.critic_each = each and not config.central_critic
        own, critic_own = (
            None if config.shared else (role.n_agents, -3 if x else -2)
            for x in (each, self.critic_each)
        )
        layers = (seen.inputs, *config.hidden, 1 if each else role.n_actions)
        # A last layer near zero makes the first policy neutral: the middle of what is feasible.
        self.actor = MLP(layers, streams, 0.01, own)
        self.average = MLP(layers, streams, separate=own)
        self.average.load_state_dict(self.actor.state_dict())
        self.critic = MLP((surveyed.inputs, *config.hidden, 1), streams, separate=critic_own)
        self.scale = RunningScale(runs, seen.inputs, device, seen.second_moments, size)
        self.critic_scale = (
            RunningScale(runs, surveyed.inputs, device, surveyed.second_moments, size)
            if config.central_critic
            else self.scale
        )
        self.reward_scale = RunningScale(runs, 1, device)


class ActorCritic(NetworkAgent):
    """Networks, paths and critic; a subclass says how the policy improves.

    Parameters are those of :class:`~lectures_lib.agents.Agent`.
    """

    shares_groups = True

    @property
    def noise(self) -> float:
        """Standard deviation of exploration now, before squashing; none by default."""
        return 0.0

    def noise_of(self, name: str) -> float:
        """The same of a role, which may have a multiple of it."""
        return self.noise * dict(getattr(self.config, "relative_noise", ())).get(name, 1.0)

    def make_networks(self, role, seen, surveyed):
        """A role's actor, its running average, and its critic."""
        return _Networks(role, self.config, self.streams, self.device, seen, surveyed)

    # ------------------------------------------------------------------ an iteration
    def iterate(self):
        """Live for some periods, fit the critic and improve the policy."""
        self._prepare()
        rollout = self.collect(self.world.restart(self.economy))
        self.fit_critic(rollout)
        if self.iteration >= self.config.warm_up:
            self.improve(rollout)
        self._average_weights()
        return {
            f"{name} reward": rewards.mean(dim=(0, 2, 3, 4))
            for name, rewards in rollout.rewards.items()
        }

    def _prepare(self):
        super()._prepare()
        self._value_scale = {}
        for name, learner in self.learners.items():
            spread = learner.reward_scale.spread.float().reshape(-1, 1, 1, 1, 1)
            self._value_scale[name] = spread / (1 - self.economy.discount_of(name))

    # ------------------------------------------------------------------ collect
    def draw_noise(self) -> dict[str, Tensor]:
        """Noise for the actions of roles that explore (none by default)."""
        return {}

    @torch.no_grad()
    def collect(self, state) -> Rollout:
        """Let the economies run for some periods."""
        shocks = self.world.draw(self.economy, self.config.horizon)
        noise = self.draw_noise()
        states, decisions, rewards = [], [], []
        for t in range(self.config.horizon):
            now = {name: self.noise_of(name) * e[:, t] for name, e in noise.items()}
            decided = self.decide(state, now)
            luck = map_state(lambda x: x[:, t], shocks)  # noqa: B023
            step = self.economy.step(state, decided.actions, luck)
            states.append(state)
            decisions.append(decided)
            rewards.append(step.rewards)
            state = step.state
        decisions.append(self.decide(state, {}, look_only=True))
        self.world.state = state
        states = map_state(lambda *x: torch.stack(x, 1), *states)
        return self._package(states, shocks, decisions, noise, rewards)

    def _package(self, states, shocks, decisions, noise, rewards) -> Rollout:
        observations, surveys, stacked_rewards = {}, {}, {}
        moving = self.scales_move
        for name, learner in self.learners.items():
            features = torch.stack([d.seen[name] for d in decisions], 1)
            observations[name] = surveys[name] = self.standardise(name, features)
            if moving:
                learner.scale.update(features, self.processes)
            if self.config.central_critic:
                everything = torch.stack([d.surveyed[name] for d in decisions], 1)
                surveys[name] = self.standardise_survey(name, everything)
                if moving:
                    learner.critic_scale.update(everything, self.processes)
            stacked_rewards[name] = torch.stack([r[name] for r in rewards])
            earned = stacked_rewards[name].movedim(0, -1).unsqueeze(-1)
            if moving:
                learner.reward_scale.update(earned, self.processes)
        return Rollout(states, shocks, observations, surveys, noise, stacked_rewards)

    # ------------------------------------------------------------------ critic
    def values(self, name: str, survey: Tensor) -> Tensor:
        """Values (runs, T, groups, replicates, agents), in units of utility."""
        centre = self.learners[name].reward_scale.mean.float().reshape(-1, 1, 1, 1, 1)
        level = centre / (1 - self.economy.discount_of(name))
        return level + self.relative_values(name, survey)

    def relative_values(self, name: str, survey: Tensor) -> Tensor:
        """Values without the level that the mean reward gives them all."""
        learner = self.learners[name]
        value = learner.critic(survey).squeeze(-1)
        value = value.mean(-1) if learner.critic_each else value
        return self._value_scale[name] * value

    def returns(self, name: str, rollout: Rollout) -> Tensor:
        """The critic's targets, (runs, T, groups, replicates, agents)."""
        values = self.values(name, rollout.surveys[name]).movedim(1, 0)
        rewards, lam = rollout.rewards[name], self.config.lam
        discount = self.economy.discount_of(name)
        targets = lambda_returns(rewards, values, discount, lam)
        return targets.movedim(0, 1)

    def fit_critic(self, rollout: Rollout) -> None:
        """Move the critic towards what has followed.

        With `difference_critic`, differences towards differences.
        """
        c = self.config
        with torch.no_grad():
            targets = {n: self.returns(n, rollout) for n in rollout.rewards}
        for _ in range(c.critic_epochs):
            loss: Tensor | float = 0.0
            for name, target in targets.items():
                values = self.values(name, rollout.surveys[name][:, :-1])
                error = (values - target) / self._value_scale[name]
                if c.difference_critic:
                    error = demean(error, dim=3)
                loss = loss + sum_of_run_means(error.square())
            descend(self.critic_optimizer, loss)

    # ------------------------------------------------------------------ policy
    @abstractmethod
    def improve(self, rollout: Rollout) -> None:
        """Change the actors' weights, given what the iteration has seen."""
