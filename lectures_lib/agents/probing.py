"""Probing: try each action a little higher and a little lower, from every state visited.

Chapter *Probing*. PPO's noise runs along whole paths, so that an advantage
collects the effects of many actions. A simulator that can restart from any state allows a cleaner
experiment (simultaneous perturbation, Spall 1992): from each visited state take the mean action
plus and minus a probe, under the *same* shocks, and compare reward plus discounted value of what
comes after. The path itself follows the mean policy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .actor_critic import ActorCritic
from .config import ActorCriticConfig, geometric, require_noise
from .network_agent import descend, sum_of_run_means


@dataclass(frozen=True)
class ProbingConfig(ActorCriticConfig):
    """Settings of :class:`Probing`, beside those of :class:`ActorCriticConfig`."""

    steps: int = 7_400_000
    """Environment steps per run that `learn` takes by default, probes counted."""
    policy_rate: float = 6e-3
    """Adam's learning rate for the policy."""
    replicates: int = 8
    """Economies per group; an even number."""
    noise: tuple[float, float] = (0.15, 0.03)
    """Size of the probe before squashing, at the start and at the end; it falls geometrically."""

    def __post_init__(self):
        super().__post_init__()
        require_noise(self.noise)


class Probing(ActorCritic):
    """Policy improvement by antithetic probes from visited states.

    Restarts, paths and critic are PPO's; paths have no noise, and the policy takes one step per
    iteration along the probes' finite differences.

    Parameters
    ----------
    economy : Economy
    seed, seeds, device
        As for every :class:`Agent`.
    config : ProbingConfig, optional
    """

    config_class = ProbingConfig
    config: ProbingConfig

    @property
    def steps_per_iteration(self):
        """Environment steps per iteration and run, both probes of every learner counted."""
        return super().steps_per_iteration * (1 + 2 * len(self.learners))

    @property
    def noise(self) -> float:
        """Size of the probe now, before squashing."""
        return geometric(self.config.noise, self.progress)

    def improve(self, rollout):
        """A step along the slopes that the probes have found."""
        sd = self.noise
        loss = 0.0
        for name in self.learners:
            role = self.economy.roles[name]
            observations = rollout.observations[name][:, :-1]
            with torch.no_grad():
                shape = (*rollout.rewards[name].shape[1:], role.n_actions)
                probe = self._signs(shape)
                gain = self.worth(name, rollout, sd * probe) - self.worth(
                    name, rollout, -sd * probe
                )
                slope = self.credit(name, gain).unsqueeze(-1) * probe / (2 * sd)
            mean = self.act(name, observations)
            loss = loss - sum_of_run_means((slope * mean).sum(-1))
        descend(self.policy_optimizer, loss)

    def _signs(self, shape):
        shape = (self.config.horizon, *shape[1:])
        return self.streams.stack(
            lambda _, g: 2.0 * torch.randint(2, shape, generator=g, device=self.device) - 1
        )

    def worth(self, name, rollout, offset) -> Tensor:
        """Reward and discounted value after a probe, (runs, T, groups, replicates, agents)."""
        decided = self.decide(rollout.states, {name: offset})
        step = self.economy.step(rollout.states, decided.actions, rollout.shocks)
        after = self.decide(step.state, {}, look_only=True).surveyed[name]
        value = self.values(name, self.standardise_survey(name, after))
        return step.rewards[name] + self.economy.discount_of(name) * value
