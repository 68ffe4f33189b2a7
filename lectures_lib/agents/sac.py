r"""Soft actor-critic (Haarnoja et al. 2018a, 2018b), with shocks that replicates share.

Chapter *Soft actor-critic* explains each part of this file. An iteration

1. restarts the economies and lets them run for a few periods (`collect`),
2. remembers what was seen,
3. and a few times draws a batch from memory, fits both critics to soft targets, moves the policy
   along the critics' slope and the temperature towards its target entropy (`learn_from`).

*Whose entropy?* An economy maps any raw number to a feasible action. Entropy of the feasible
action would depend on its units and, for shares, on how many goods there are; that of an unbounded
raw number has no upper end, so that where utility is flat nothing would hold the policy. Here the
raw action is a Gaussian number squashed to :math:`(-B, B)` with slope one at zero: entropy is
largest for the uniform distribution there, zero stays the neutral action, and near zero entropy
is that of the Gaussian itself.

*Common shocks off-policy.* A temporal-difference error compares a critic with
:math:`r + \gamma Q(s', u')`, whose luck is in the shock that led to :math:`s'`. Replicates of a
group get the same shocks, are remembered as one group and replayed together, and the next
actions of a group are drawn with the same noise. Critics are then fitted to *differences* of
errors within the group. What luck does to all alike leaves, and with it the level of Q, which no
action depends on: a policy needs only the slope of Q in the action.

Differences from the papers: (i) common shocks and the critics' differences, each of which can be
switched off; (ii) many economies are stepped at once, restarted now and then, and paths never end;
(iii) the target entropy is that of a Gaussian whose standard deviation falls over time, because
the best *noisy* policy is not the best policy; (iv) rewards' running standard deviation is the unit
of the temperature and of the critics, so that units of utility do not matter; (v) learning rates
fall; (vi) the policy reported is the mean action with weights averaged over iterations; (vii)
agents of a role share weights, each has critics of its own action, and others' actions are part
of its surroundings.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..economies.base import map_state
from ..networks import RunningScale
from ..parameters import require
from .config import ActorCriticConfig, geometric, require_noise
from .losses import (
    demean,
    soft_targets,
    temperature_loss,
    twin_minimum,
)
from .network_agent import NetworkAgent, adam, descend, follow, sum_of_run_means
from .replay import Replay
from .squashed import GaussianActor, TwinCritics


@dataclass(frozen=True)
class SACConfig(ActorCriticConfig):
    """Settings of :class:`SAC`, beside those of :class:`ActorCriticConfig`."""

    steps: int = 400_000
    """Environment steps per run that `learn` takes by default."""
    groups: int = 4
    """Groups of economies."""
    horizon: int = 4
    """Periods between two rounds of learning."""
    warm_up: int = 80
    """Iterations at the start in which only the critics learn. Critics that know no future yet
    would have the policy consume everything."""
    lam: float = 0.0
    """Zero and nothing else. Remembered actions are another policy's, so that targets look one
    period ahead."""
    critic_rate: float = 1e-2
    """Adam's learning rate for the critics."""
    critic_epochs: int = 2
    """Batches drawn per iteration; each moves critics, policy and temperature once."""
    batch: int = 256
    """Transitions in a batch; a multiple of `replicates`."""
    memory: int = 100_000
    """Transitions that each run remembers; a multiple of `replicates`."""
    noise: tuple[float, float] = (0.4, 0.05)
    """The target entropy is that of a Gaussian with this standard deviation, before squashing, at
    the start and at the end; it falls geometrically."""
    bound: float = 5.0
    """Raw actions lie between minus and plus this number."""
    temperature: float = 0.1
    """The first temperature, in standard deviations of reward."""
    temperature_rate: float = 0.01
    """Adam's learning rate for the logarithm of the temperature."""
    unit: float = 5.0
    """Standard deviations of reward in a unit of the critics' output."""
    track: float = 0.05
    """Share by which the target critics follow the critics at each batch, in [0, 1]."""
    twin: bool = True
    """Whether targets and policy use the smaller of both critics, or one critic alone."""

    def __post_init__(self):
        super().__post_init__()
        require_noise(self.noise)
        require(self.lam == 0, "lam", self.lam, "zero: SAC's targets look one period ahead")
        require(self.track <= 1, "track", self.track, "a number in [0, 1]")
        for name in ("batch", "memory"):
            value = getattr(self, name)
            fits = value > 0 and value % self.replicates == 0
            require(fits, name, value, f"a positive multiple of replicates={self.replicates}")
        fresh = self.groups * self.replicates * self.horizon
        require(self.memory >= fresh, "memory", self.memory, f"room for an iteration's {fresh}")
        for name in ("bound", "temperature", "unit"):
            require(getattr(self, name) > 0, name, getattr(self, name), "a positive number")

    @classmethod
    def ordinary(cls, **changes) -> SACConfig:
        """SAC without control of the shocks: the same settings, the switches off.

        Economies go on from where they were, with their own luck; transitions are remembered and
        replayed one by one, and critics are fitted to levels.
        """
        off = {"common_shocks": False, "difference_critic": False, "jitter": 0.0, "restart": 0.03}
        return cls(**(off | changes))


class _Networks(nn.Module):
    """One role's networks, the scales of their inputs and the temperature."""

    def __init__(self, role, config, streams, device, seen, surveyed):
        super().__init__()
        runs, size = len(streams.generators), config.second_moment_size
        own = None if config.shared else (role.n_agents, -2)
        self.actor = GaussianActor(
            (seen.inputs, *config.hidden, role.n_actions),
            streams,
            config.bound,
            config.noise[0],
            own,
        )
        self.average = copy.deepcopy(self.actor)
        self.critic = TwinCritics(
            (surveyed.inputs + role.n_actions, *config.hidden, 1), streams, own
        )
        self.targets = copy.deepcopy(self.critic).requires_grad_(False)
        first = torch.full((runs, 1), math.log(config.temperature), device=device)
        self.log_temperature = nn.Parameter(first)
        self.scale = RunningScale(runs, seen.inputs, device, seen.second_moments, size)
        self.critic_scale = (
            RunningScale(runs, surveyed.inputs, device, surveyed.second_moments, size)
            if config.central_critic
            else self.scale
        )
        self.reward_scale = RunningScale(runs, 1, device)


class SAC(NetworkAgent):
    """Soft actor-critic for any economy; agents of a role share a policy.

    Parameters
    ----------
    economy : Economy
    seed, seeds, device
        As for every :class:`Agent`.
    config : SACConfig, optional

    Examples
    --------
    >>> from lectures_lib.economies import BrockMirman
    >>> agent = SAC(BrockMirman(), seeds=range(2), device="cpu")
    >>> history = agent.learn(steps=3 * agent.steps_per_iteration)
    >>> agent.temperature["planner"].shape
    torch.Size([2])
    """

    config_class = SACConfig
    config: SACConfig
    # A critic of an action has to see all that the agent does.
    by_action = False

    # ------------------------------------------------------------------ set-up
    def _build(self):
        super()._build()
        c = self.config
        self._actor_weights = [p for each in self._each() for p in each.actor.parameters()]
        self.temperature_optimizer = adam(
            [each.log_temperature for each in self._each()], lr=c.temperature_rate
        )
        # Critics on differences need whole groups, others learn from single transitions.
        self._together = c.replicates if c.difference_critic else 1
        self.replay = Replay(c.memory // self._together, self.streams)

    def make_networks(self, role, seen, surveyed):
        """A role's actor, its running average, both critics, and the temperature."""
        return _Networks(role, self.config, self.streams, self.device, seen, surveyed)

    def _parts(self):
        return super()._parts() | {
            "temperature_optimizer": self.temperature_optimizer,
            "replay": self.replay,
        }

    @property
    def noise(self) -> float:
        """Standard deviation of the Gaussian whose entropy is the target now."""
        return geometric(self.config.noise, self.progress)

    @property
    def target_entropy(self) -> float:
        """Entropy per action that the temperature now steers to, in nats."""
        return math.log(self.noise) + 0.5 * math.log(2 * math.pi * math.e)

    @property
    def temperature(self) -> dict[str, Tensor]:
        """The temperature of each role now, in units of reward, shape (runs,)."""
        return {
            name: (x.log_temperature.exp() * _spread(x, 2)).squeeze(-1).detach()
            for name, x in self.learners.items()
        }

    # ------------------------------------------------------------------ an iteration
    def iterate(self):
        """Live for some periods, remember them, and learn from some batches."""
        c = self.config
        self._prepare()
        rewards = self.collect(self.world.restart(self.economy))
        for _ in range(c.critic_epochs):
            self.learn_from(self.replay.sample(c.batch // self._together))
        self._average_weights()
        return {f"{name} reward": r.mean(dim=(1, 2, 3, 4)) for name, r in rewards.items()}

    # ------------------------------------------------------------------ 1. collect
    def _normal(self, *shape):
        return self.streams.stack(lambda _, g: torch.randn(shape, generator=g, device=self.device))

    def act(self, name, x, noise=None):
        """Raw actions of a role: its mean action, or one that standard normal noise leads to."""
        actor = self.learners[name].actor
        return actor(x) if noise is None else actor.sample(x, noise)[0]

    @torch.no_grad()
    def collect(self, state) -> dict[str, Tensor]:
        """Let the economies run for some periods and remember them; returns rewards by role."""
        c = self.config
        shocks = self.world.draw(self.economy, c.horizon)
        noise = {
            name: self._normal(
                c.horizon + 1, c.groups, c.replicates, *(role.n_agents, role.n_actions)
            )
            for name, role in self.economy.roles.items()
            if role.follows is None
        }
        decisions, rewards = [], []
        for t in range(c.horizon):
            decided = self.decide(state, {k: e[:, t] for k, e in noise.items()})
            luck = map_state(lambda x: x[:, t], shocks)  # noqa: B023
            step = self.economy.step(state, decided.actions, luck)
            decisions.append(decided)
            rewards.append(step.rewards)
            state = step.state
        last = {name: e[:, -1] for name, e in noise.items()}
        decisions.append(self.decide(state, last, look_only=True))
        self.world.state = state
        return self._remember(decisions, rewards)

    # ------------------------------------------------------------------ 2. remember
    def _remember(self, decisions, rewards) -> dict[str, Tensor]:
        """Store transitions as (runs, n, replicates or 1, agents, ...); returns the rewards."""
        fields: dict[str, Tensor] = {}
        earned: dict[str, Tensor] = {}
        for name, learner in self.learners.items():
            features = torch.stack([d.seen[name] for d in decisions], 1)
            earned[name] = torch.stack([r[name] for r in rewards], 1)
            if self.scales_move:
                learner.scale.update(features)
                learner.reward_scale.update(earned[name].unsqueeze(-1))
            reward = self.credit(name, earned[name]).expand_as(earned[name])
            fields |= {
                f"{name} seen": features[:, :-1],
                f"{name} action": torch.stack([d.raw[name] for d in decisions[:-1]], 1),
                f"{name} reward": reward,
                f"{name} next": features[:, 1:],
            }
            if self.config.central_critic:
                everything = torch.stack([d.surveyed[name] for d in decisions], 1)
                if self.scales_move:
                    learner.critic_scale.update(everything)
                fields[f"{name} surveyed"] = everything[:, :-1]
                fields[f"{name} next surveyed"] = everything[:, 1:]
        self.replay.add(
            **{key: x.flatten(1, 3).unflatten(1, (-1, self._together)) for key, x in fields.items()}
        )
        return earned

    def _surveys(self, name, batch):
        """What critics saw then and saw next, standardised."""
        keys = ("surveyed", "next surveyed") if self.config.central_critic else ("seen", "next")
        return (self.standardise_survey(name, batch[f"{name} {key}"]) for key in keys)

    # ------------------------------------------------------------------ 3. learn
    def learn_from(self, batch):
        """Fit critics to a batch; once they know something, move the policy."""
        c = self.config
        loss = 0.0
        for name in self.learners:
            loss = loss + self.critic_loss(name, batch)
        descend(self.critic_optimizer, loss)
        self.move_targets()
        if self.iteration >= c.warm_up:
            self.improve(batch)

    def _smaller(self, values):
        """From both critics' values (runs, 2, n, together, agents) to one."""
        if not self.config.twin:
            return values[:, 0]
        return twin_minimum(values, 1, group=3 if self.config.difference_critic else None)

    def critic_loss(self, name, batch):
        """Squared errors of both critics against targets, or of differences."""
        c, learner = self.config, self.learners[name]
        role = self.economy.roles[name]
        reward, action = batch[f"{name} reward"], batch[f"{name} action"]
        then = self.standardise(name, batch[f"{name} next"])
        surveyed, surveyed_next = self._surveys(name, batch)
        n, together = reward.shape[1:3]
        with torch.no_grad():
            # Who shares shocks shares the noise in the next actions, too.
            own = 1 if c.common_shocks else together
            noise = self._normal(n, own, role.n_agents, role.n_actions)
            following, log_prob = learner.actor.sample(then, noise)
            later = learner.targets(surveyed_next, following)
            # Values are in units of `spread` and have no level of their own.
            spread = _spread(learner, 4)
            centre = learner.reward_scale.mean.float().reshape(-1, 1, 1, 1)
            target = soft_targets(
                (reward - centre) / spread,
                self._smaller(later) * c.unit,
                log_prob,
                learner.log_temperature.exp().reshape(-1, 1, 1, 1),
                self.economy.discount_of(name),
            ).unsqueeze(1)
        error = learner.critic(surveyed, action) - target / c.unit
        if c.difference_critic:
            error = demean(error, dim=3)
        # A sum over both critics, which share no weight.
        return 2 * sum_of_run_means(error.square())

    def move_targets(self):
        """Let the target critics follow the critics a little."""
        for learner in self.learners.values():
            follow(learner.targets, learner.critic, self.config.track)

    def improve(self, batch):
        """Move policies up the critics' slope, temperatures to their target."""
        c = self.config
        policy_loss = heat_loss = 0.0
        for name, learner in self.learners.items():
            role = self.economy.roles[name]
            now = self.standardise(name, batch[f"{name} seen"])
            surveyed, _ = self._surveys(name, batch)
            noise = self._normal(*now.shape[1:-1], role.n_actions)
            action, log_prob = learner.actor.sample(now, noise)
            value = self._smaller(learner.critic(surveyed, action)) * c.unit
            heat = learner.log_temperature.reshape(-1, 1, 1, 1)
            cost = heat.exp().detach() * log_prob - value
            policy_loss = policy_loss + sum_of_run_means(cost)
            target = role.n_actions * self.target_entropy
            heated = temperature_loss(heat, log_prob, target)
            heat_loss = heat_loss + sum_of_run_means(heated)
        # Only the actors' gradients: the critics are taken as given.
        gradients = torch.autograd.grad(policy_loss, self._actor_weights)
        pairs = zip(self._actor_weights, gradients, strict=True)
        for weight, gradient in pairs:
            weight.grad = gradient
        self.policy_optimizer.step()
        descend(self.temperature_optimizer, heat_loss)


def _spread(learner, dims):
    """Standard deviation of reward, shaped (runs, 1, ...)."""
    return learner.reward_scale.spread.float().reshape(-1, *[1] * (dims - 1))
