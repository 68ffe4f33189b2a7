"""Actor and critic: what PPO, Probing and Analytic have in common.

Chapter *Learning when shocks are inputs*. An iteration

1. restarts the economies: replicates of a group begin around one state (`_restart`),
2. lets them run for a few periods (`_collect`),
3. fits the critic to the returns (`_fit_critic`),
4. improves the policy (`_improve`), each algorithm in its own way.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..economies.base import map_state
from ..networks import MLP, RunningScale
from .base import Agent
from .losses import demean, lambda_returns
from .policy import NetworkPolicy


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


class _Learner(nn.Module):
    """One role's networks: actor, its running average, critic, and the scales of their inputs."""

    def __init__(self, role, config, streams, device, surveyed, surveyed_second_moments):
        super().__init__()
        each = role.alike_actions
        inputs, outputs = (role.n_action_inputs, 1) if each else (role.n_inputs, role.n_actions)
        second_moments = role.n_action_second_moments if each else role.n_second_moments
        runs = len(streams.generators)
        #: Whether the critic is applied to each action.
        self.critic_each = each and not config.central_critic
        own, critic_own = (
            None if config.shared else (role.n_agents, -3 if x else -2)
            for x in (each, self.critic_each)
        )
        # A last layer near zero makes the first policy neutral: the middle of what is feasible.
        self.actor = MLP((inputs, *config.hidden, outputs), streams, 0.01, own)
        self.average = MLP((inputs, *config.hidden, outputs), streams, separate=own)
        self.average.load_state_dict(self.actor.state_dict())
        seen = surveyed if config.central_critic else inputs
        self.critic = MLP((seen, *config.hidden, 1), streams, separate=critic_own)
        self.scale = RunningScale(runs, inputs, device, second_moments)
        self.critic_scale = (
            RunningScale(runs, seen, device, surveyed_second_moments)
            if config.central_critic
            else self.scale
        )
        self.reward_scale = RunningScale(runs, 1, device)


class _Carried:
    """The states in which the economies stand between iterations, as a part that can be saved."""

    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return {name: getattr(self.state, name) for name in self.state._fields}

    def load_state_dict(self, stored):
        self.state = type(self.state)(**stored)


class ActorCritic(Agent):
    """Networks, restarts, paths and critic; a subclass says how the policy improves.

    Parameters are those of :class:`~lectures_lib.agents.Agent`.
    """

    #: Standard deviation of exploration now, before squashing.
    noise = 0.0
    #: Whether networks are applied to each action where a role's actions are alike.
    by_action = True

    # ------------------------------------------------------------------ set-up
    def _build(self):
        c = self.config
        anywhere = self.economy.reset((), torch.Generator().manual_seed(0))
        surveys = self.economy.observe_centrally(anywhere)
        self.learners = nn.ModuleDict(
            {
                name: _Learner(
                    role,
                    c,
                    self.streams,
                    self.device,
                    surveys[name].shape[-1],
                    self.economy.n_central_second_moments(name),
                )
                for name, role in self.economy.roles.items()
                if role.follows is None
            }
        )
        adam = partial(torch.optim.Adam, betas=(0.9, 0.99), fused=True)
        actors = [p for each in self.learners.values() for p in each.actor.parameters()]
        critics = [p for each in self.learners.values() for p in each.critic.parameters()]
        # The rates are set anew in every iteration.
        self.policy_optimizer = adam(actors, lr=1.0)
        self.critic_optimizer = adam(critics, lr=1.0)
        self._carried = _Carried(self._fresh())

    def _parts(self):
        return {
            "learners": self.learners,
            "policy_optimizer": self.policy_optimizer,
            "critic_optimizer": self.critic_optimizer,
            "states": self._carried,
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

    def start_from(self, other: ActorCritic) -> None:
        """Begin with another agent's networks and what it knows of scales.

        Parameters
        ----------
        other : ActorCritic
            With as many runs, networks of the same shapes, and roles of the same names: an agent
            that has learned with few households, for example.

        Raises
        ------
        ValueError
            If its networks have other shapes.
        TypeError
            If it is no such agent.
        """
        if not isinstance(other, ActorCritic):
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

    # ------------------------------------------------------------------ an iteration
    def _iterate(self):
        self._set_learning_rates()
        self._remember_scales()
        rollout = self._collect(self._restart())
        self._fit_critic(rollout)
        if self.iteration >= self.config.warm_up:
            self._improve(rollout)
        self._average_weights()
        return {
            f"{name} reward": rewards.mean(dim=(0, 2, 3, 4))
            for name, rewards in rollout.rewards.items()
        }

    def _set_learning_rates(self):
        c = self.config
        decay = c.final_rate + (1 - c.final_rate) * (1 + math.cos(math.pi * self.progress)) / 2
        for optimizer, rate in (
            (self.policy_optimizer, c.policy_rate),
            (self.critic_optimizer, c.critic_rate),
        ):
            for group in optimizer.param_groups:
                group["lr"] = rate * decay

    def _remember_scales(self):
        # Standardisation stays put in an iteration, so that old and new policy see the same.
        self._standard, self._critic_standard, self._value_scale = {}, {}, {}
        for name, learner in self.learners.items():
            self._standard[name] = learner.scale.moments(2, torch.float32)
            self._critic_standard[name] = learner.critic_scale.moments(2, torch.float32)
            spread = learner.reward_scale.variance.sqrt().float().reshape(-1, 1, 1, 1, 1)
            self._value_scale[name] = spread / (1 - self.economy.discount)

    # ------------------------------------------------------------------ 1. restart
    def _fresh(self):
        c = self.config
        replicates = 1 if c.common_shocks else c.replicates
        state = self.streams.stack(lambda _, g: self.economy.reset((c.groups, replicates), g))
        return self._expand(state)

    def _expand(self, state):
        c = self.config
        return map_state(lambda x: x.expand(-1, c.groups, c.replicates, *x.shape[3:]), state)

    def _restart(self):
        c = self.config
        state, fresh = self._carried.state, self._fresh()
        if c.jitter > 0:
            chosen = self.streams.stack(
                lambda _, g: torch.randint(
                    c.replicates, (c.groups, 1), generator=g, device=self.device
                )
            )
            run = torch.arange(len(self.seeds), device=self.device)[:, None, None]
            group = torch.arange(c.groups, device=self.device)[:, None]
            state = self._expand(map_state(lambda x: x[run, group, chosen], state))
        new = self.streams.stack(
            lambda _, g: (
                torch.rand(
                    (c.groups, 1 if c.common_shocks else c.replicates),
                    generator=g,
                    device=self.device,
                )
                < c.restart
            )
        )
        state = map_state(
            lambda old, x: torch.where(new.reshape(*new.shape, *[1] * (x.dim() - 3)), x, old),
            state,
            fresh,
        )
        if c.jitter > 0:
            state = self.streams.stack(
                lambda run, g: self.economy.perturb(map_state(lambda x: x[run], state), g, c.jitter)
            )
        return state

    # ------------------------------------------------------------------ 2. collect
    def _draw_noise(self) -> dict[str, Tensor]:
        """Noise for the actions of roles that explore (none by default)."""
        return {}

    def _play(self, state, noise, look_only=False):
        """Everybody moves, stage by stage: the inputs of networks, raw and physical actions.

        With `look_only` the last stage's roles look and do not act. A crowd plays the mean action
        of the role that it follows, and is taken as given.
        """
        seen, raw, actions = {}, {}, {}
        stages = self.economy.stages
        for stage in stages:
            observations = self.economy.observe(state, actions)
            for name in stage:
                role, look = self.economy.roles[name], observations[name]
                leader = role.follows or name
                each = self.by_action and role.alike_actions
                seen[name] = role.action_inputs(look) if each else role.inputs(look)
                if look_only and stage is stages[-1]:
                    continue
                raw[name] = self._act(
                    leader, self._standardise(leader, seen[name]), noise.get(name)
                )
                if role.follows:
                    raw[name] = raw[name].detach()
                actions[name] = role.to_physical(raw[name])
        return seen, raw, actions

    def _act(self, name, x, noise=None) -> Tensor:
        """Raw actions (..., agents, actions) of a role: its mean action, and noise."""
        raw = self.learners[name].actor(x)
        raw = raw.squeeze(-1) if self.economy.roles[name].alike_actions else raw
        return raw if noise is None else raw + noise

    def _standardise(self, name, x):
        return _shift_and_scale(x, *self._standard[name])

    def _survey(self, state, seen) -> dict[str, Tensor]:
        """Inputs of critics in a state, standardised."""
        if self.config.central_critic:
            seen = self.economy.observe_centrally(state)
        return {
            name: _shift_and_scale(seen[name], *self._critic_standard[name])
            for name in self.learners
        }

    @torch.no_grad()
    def _collect(self, state) -> Rollout:
        c = self.config
        shocks = self.streams.stack(
            lambda _, g: self.economy.draw(
                (c.horizon, c.groups, 1 if c.common_shocks else c.replicates), g
            )
        )
        noise = self._draw_noise()
        states, seen, rewards = [], [], []
        for t in range(c.horizon):
            now = {name: self.noise * e[:, t] for name, e in noise.items()}
            features, _, actions = self._play(state, now)
            step = self.economy.step(state, actions, map_state(lambda x: x[:, t], shocks))  # noqa: B023
            states.append(state)
            seen.append(features)
            rewards.append(step.rewards)
            state = step.state
        seen.append(self._play(state, {}, look_only=True)[0])
        self._carried.state = state
        return self._package([*states, state], shocks, seen, noise, rewards)

    def _package(self, states, shocks, seen, noise, rewards) -> Rollout:
        observations, surveys, stacked_rewards = {}, {}, {}
        states = map_state(lambda *x: torch.stack(x, 1), *states)
        central = self.config.central_critic
        everything = self.economy.observe_centrally(states) if central else {}
        for name, learner in self.learners.items():
            features = torch.stack([s[name] for s in seen], 1)
            observations[name] = surveys[name] = self._standardise(name, features)
            learner.scale.update(features)
            if central:
                surveys[name] = _shift_and_scale(everything[name], *self._critic_standard[name])
                learner.critic_scale.update(everything[name])
            stacked_rewards[name] = torch.stack([r[name] for r in rewards])
            learner.reward_scale.update(stacked_rewards[name].movedim(0, -1).unsqueeze(-1))
        states = map_state(lambda x: x[:, :-1], states)
        return Rollout(states, shocks, observations, surveys, noise, stacked_rewards)

    # ------------------------------------------------------------------ 3. critic
    def _values(self, name, survey) -> Tensor:
        """Values (runs, T, groups, replicates, agents), in units of utility."""
        learner = self.learners[name]
        centre = learner.reward_scale.mean.float().reshape(-1, 1, 1, 1, 1)
        level = centre / (1 - self.economy.discount)
        value = learner.critic(survey).squeeze(-1)
        value = value.mean(-1) if learner.critic_each else value
        return level + self._value_scale[name] * value

    def _fit_critic(self, rollout):
        c = self.config
        with torch.no_grad():
            targets = {
                name: lambda_returns(
                    rewards,
                    self._values(name, rollout.surveys[name]).movedim(1, 0),
                    self.economy.discount,
                    c.lam,
                ).movedim(0, 1)
                for name, rewards in rollout.rewards.items()
            }
        for _ in range(c.critic_epochs):
            loss = 0.0
            for name, target in targets.items():
                values = self._values(name, rollout.surveys[name][:, :-1])
                error = (values - target) / self._value_scale[name]
                if c.difference_critic:
                    error = demean(error, dim=3)
                loss = loss + sum_of_run_means(error.square())
            descend(self.critic_optimizer, loss)

    # ------------------------------------------------------------------ 4. policy
    def _credit(self, name, gain) -> Tensor:
        """What actions are judged by, shape (..., agents) or (..., 1), from each agent's gain."""
        credit = self.config.credit
        if credit == "team" or (credit == "role" and self.economy.roles[name].team):
            return gain.mean(-1, keepdim=True)
        return gain

    @abstractmethod
    def _improve(self, rollout: Rollout) -> None:
        """Change the actors' weights, given what the iteration has seen."""

    @torch.no_grad()
    def _average_weights(self):
        # Until the policy has begun to move there is nothing to average.
        weight = 1 - self.config.average if self.iteration >= 2 * self.config.warm_up else 1.0
        for learner in self.learners.values():
            for mean, now in zip(
                learner.average.parameters(), learner.actor.parameters(), strict=True
            ):
                mean.lerp_(now, weight)


def _shift_and_scale(x, mean, scale):
    """Standardise (runs, *any, features) by moments of shape (runs, features)."""
    shape = (len(mean),) + (1,) * (x.dim() - 2) + (x.shape[-1],)
    return (x - mean.reshape(shape)) * scale.reshape(shape)


def sum_of_run_means(x: Tensor) -> Tensor:
    """Mean over everything but the runs, summed over runs: gradients stay apart."""
    return x.flatten(1).mean(1).sum()


def descend(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
