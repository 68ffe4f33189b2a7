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

from ..parameters import require
from .actor_critic import ActorCritic
from .config import ActorCriticConfig, enter_multiples, geometric, require_noise
from .losses import demean
from .network_agent import descend, sum_of_run_means
from .polynomial import AGENTS, PolynomialCritic


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
    split_probes: bool = False
    """Whether the agents of a team probe all in the same direction in every other period, and in
    directions that cancel out in the others. What all should do together and what each should do
    beside the others are then learned from probes of their own: neither is noise in the other. For
    teams of several agents that share their networks; others probe as ever."""
    critic: str = "network"
    """What values are: a `"network"`, fitted by steps to lambda-returns, or a `"polynomial"` of
    degree three in the same inputs, fitted by least squares
    (:class:`~lectures_lib.agents.polynomial.PolynomialCritic`). The latter knows slopes far more
    precisely where values are smooth. It has no use for `critic_rate`, `critic_epochs` and `lam`,
    and needs `difference_critic`, `common_shocks` and `shared`."""

    def __post_init__(self):
        super().__post_init__()
        expected = "'network' or 'polynomial'"
        require(self.critic in ("network", "polynomial"), "critic", self.critic, expected)
        if self.critic == "polynomial":
            for name in ("difference_critic", "common_shocks", "shared"):
                value = getattr(self, name)
                require(value, name, value, "True, which a polynomial critic needs")
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

    def make_networks(self, role, seen, surveyed):
        """Networks, and a polynomial in the place of the critic if the config says so."""
        networks = super().make_networks(role, seen, surveyed)
        if self.config.critic == "polynomial":
            sizes = surveyed.inputs, self.device, surveyed.second_moments
            networks.critic = PolynomialCritic(len(self.seeds), *sizes)
        return networks

    def fit_critic(self, rollout):
        """Move the critic towards what has followed, or solve for it."""
        if self.config.critic == "network":
            return super().fit_critic(rollout)
        # Before anything has been seen inputs have no scale.
        for name in rollout.rewards if self.iteration else ():
            self._solve_for_critic(name, rollout)

    @torch.no_grad()
    def _solve_for_critic(self, name, rollout):
        learner, survey = self.learners[name], rollout.surveys[name]
        earned = rollout.rewards[name].movedim(0, 1) / self._value_scale[name]
        n = earned.shape[-1]
        if n > AGENTS:
            some = self.streams.stack(
                lambda _, g: torch.randperm(n, generator=g, device=self.device)[:AGENTS]
            )
            run = torch.arange(len(some), device=self.device).unsqueeze(-1)
            earned = earned.movedim(-1, 1)[run, some].movedim(1, -1)
            survey = survey.movedim(4, 1)[run, some].movedim(1, 4)
        critic: PolynomialCritic = learner.critic
        critic.varies |= (learner.critic_scale.variance > 1e-10).any(0)
        features = critic.features(survey)
        if learner.critic_each:
            features = features.mean(-2)
        features, earned = demean(features, dim=3), demean(earned, dim=3)
        later = self.economy.discount_of(name) * features[:, 1:]
        now, later = (x.flatten(1, -2) for x in (features[:, :-1], later))
        critic.fit(now, later, earned.flatten(1), self.processes)

    def improve(self, rollout):
        """A step along the slopes that the probes have found."""
        loss = 0.0
        for name in self.learners:
            sd = self.noise_of(name)
            trembles, observations = self.look_again(name, rollout)
            with torch.no_grad():
                probe, weight = self.probes(name, rollout)
                more, less = (
                    self.worth(name, rollout, trembles | {name: x})
                    for x in (sd * probe, -sd * probe)
                )
                gain = self.credit(name, more - less)
                slope = gain.unsqueeze(-1) * weight / (2 * sd)
            mean = self.act(name, observations)
            loss = loss - sum_of_run_means((slope * mean).sum(-1))
        descend(self.policy_optimizer, loss)

    def probes(self, name, rollout) -> tuple[Tensor, Tensor]:
        """Probes, and what to multiply their gains by: the product's mean is the gradient."""
        signs = self._drawn(name, rollout, _signs)
        role = self.economy.roles[name]
        judged_together = self.config.shared and self.judged_together(name)
        if not (self.config.split_probes and judged_together and role.n_agents > 1):
            return signs, signs
        n, half = role.n_agents, role.n_agents // 2
        rank = self._drawn(name, rollout, torch.rand).argsort(-2).argsort(-2)
        apart = (rank < half).to(signs) - (rank >= n - half).to(signs)
        together = signs[..., :1, :].expand_as(signs)
        period = torch.arange(self.config.horizon, device=self.device) + self.iteration
        is_common = (period % 2 == 0).reshape(1, -1, *[1] * (signs.dim() - 2))
        # Each kind is seen half of the time. Where directions cancel out, the mean product of a
        # gain with one's own is (2 half / n) (n / (n - 1)) times how far one's slope is from the
        # mean of all; where all have one direction it is n times this mean.
        return (
            torch.where(is_common, together, apart),
            torch.where(is_common, 2 / n * together, (n - 1) / half * apart),
        )

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
