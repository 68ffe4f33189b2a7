"""Probing: try each action a little higher and a little lower, from every state visited.

Chapter *Probing*. PPO's noise runs along whole paths, so that an advantage
collects the effects of many actions. A simulator that can restart from any state allows a cleaner
experiment (simultaneous perturbation, Spall 1992): from each visited state take the mean action
plus and minus a probe, under the *same* shocks, and compare reward plus discounted value of what
comes after. The path itself follows the mean policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .actor_critic import ActorCritic
from .config import ActorCriticConfig, enter_multiples, geometric, require_noise
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
    relative_noise: Mapping[str, float] | tuple[tuple[str, float], ...] = ()
    """By role, a multiple of the probe's size, such as ``{"firm": 0.5}``."""
    tremble: float = 0.0
    """Standard deviation of noise in what others have done earlier in a period, before squashing,
    while those probe who have seen it. Paths have none, so that without it they learn nothing of
    what to do when others do something else."""

    def __post_init__(self):
        super().__post_init__()
        require_noise(self.noise)
        enter_multiples(self, "relative_noise")


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
        loss = 0.0
        for name in self.learners:
            sd = self.noise_of(name)
            trembles, observations = self.look_again(name, rollout)
            with torch.no_grad():
                probe = self._drawn(name, rollout, _signs)
                more, less = (
                    self.worth(name, rollout, trembles | {name: x})
                    for x in (sd * probe, -sd * probe)
                )
                gain = self.credit(name, more - less)
                slope = gain.unsqueeze(-1) * probe / (2 * sd)
            mean = self.act(name, observations)
            loss = loss - sum_of_run_means((slope * mean).sum(-1))
        descend(self.policy_optimizer, loss)

    @torch.no_grad()
    def look_again(self, name, rollout) -> tuple[dict[str, Tensor], Tensor]:
        """Trembles of those who move earlier, and what a role then sees."""
        size, stages = self.config.tremble, self.economy.stages
        turn = next(i for i, stage in enumerate(stages) if name in stage)
        before = [x for stage in stages[:turn] for x in stage]
        earlier = [x for x in before if x in self.learners]
        if not (earlier and size):
            return {}, rollout.observations[name][:, :-1]
        draw = torch.randn
        trembles = {x: size * self._drawn(x, rollout, draw) for x in earlier}
        seen = self.decide(rollout.states, trembles).seen[name]
        return trembles, self.standardise(name, seen)

    def _drawn(self, name, rollout, draw):
        """For each action of a role, shape (runs, T, groups, replicates, agents, actions)."""
        groups, *rest = rollout.rewards[name].shape[2:]
        groups *= self.processes.count
        shape = (self.config.horizon, groups, *rest, self.economy.roles[name].n_actions)
        drawn = self.streams.stack(lambda _, g: draw(shape, generator=g, device=self.device))
        return self.processes.mine(drawn, 2)

    def worth(self, name, rollout, offsets) -> Tensor:
        """Reward and discounted value after offsets, (runs, T, groups, replicates, agents)."""
        decided = self.decide(rollout.states, offsets)
        step = self.economy.step(rollout.states, decided.actions, rollout.shocks)
        after = self.decide(step.state, {}, look_only=True).surveyed[name]
        value = self.values(name, self.standardise_survey(name, after))
        return step.rewards[name] + self.economy.discount_of(name) * value


def _signs(shape, **how) -> Tensor:
    """Plus or minus one at random."""
    return 2.0 * torch.randint(2, shape, **how) - 1
