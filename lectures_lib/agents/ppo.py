"""Proximal policy optimisation (Schulman et al. 2017), with shocks that replicates share.

Chapter *Proximal policy optimisation* explains each part of this file, and *Learning when shocks
are inputs* what sharing them is good for. It reads from top to bottom, and `actor_critic.py` holds
what other learners also do: restarting economies, simulating them and fitting the critic.

Differences from the paper: (i) replicates of a group receive the same shocks, the critic is fitted
on differences within the group and advantages are differences within the group, each of which can
be switched off; (ii) exploration is Gaussian noise of a scheduled size, in antithetic pairs; (iii)
full batches; no entropy bonus and no gradient clipping; (iv) advantages are scaled to a
root mean square of one; (v) the policy reported is an average of weights over iterations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..economies.base import Economy
from ..parameters import require
from .actor_critic import ActorCritic
from .config import ActorCriticConfig, enter_multiples, geometric, require_noise
from .losses import clipped_surrogate, demean, generalized_advantages
from .network_agent import descend, sum_of_run_means

# Multiple of the learning rate, by default, of roles that move before others.
FIRST_MOVERS_RATE = 0.3


@dataclass(frozen=True)
class PPOConfig(ActorCriticConfig):
    """Settings of :class:`PPO`, beside those of :class:`ActorCriticConfig`."""

    noise: tuple[float, float] = (0.37, 0.05)
    """Standard deviation of the noise in actions before squashing, at the start and at the end;
    it falls geometrically."""
    relative_noise: Mapping[str, float] | tuple[tuple[str, float], ...] = ()
    """By role, a multiple of the noise, such as ``{"firm": 0.5}``."""
    clip: float = 0.2
    """Half-width of the band for the ratio of probabilities."""
    policy_epochs: int = 3
    """Full-batch steps on the policy per iteration."""
    group_advantage: bool = True
    """Whether advantages are differences within the group."""
    antithetic: bool = True
    """Whether noise comes in pairs of opposite sign."""
    paired_starts: bool = False
    """Whether the two economies of such a pair start from the same state. With one household they
    start from neighbouring capital; with several, each household's capital is shifted by itself,
    and a pair that starts apart no longer shows what its noise has done."""

    def __post_init__(self):
        super().__post_init__()
        require_noise(self.noise)
        enter_multiples(self, "relative_noise")
        fits = self.antithetic or not self.paired_starts
        require(fits, "paired_starts", True, "antithetic=True beside it")

    @classmethod
    def ordinary(cls, **changes) -> PPOConfig:
        """PPO without control of the shocks: the same settings, the switches off.

        Economies go on from where they were, with their own luck and independent noise.
        """
        off = {
            "common_shocks": False,
            "difference_critic": False,
            "group_advantage": False,
            "antithetic": False,
            "jitter": 0.0,
            "restart": 0.03,
        }
        return cls(**(off | changes))

    @classmethod
    def sellers(cls, **changes) -> PPOConfig:
        """Settings for several roles that learn side by side, such as buyers and sellers.

        What one role should do depends on how the others' actions change with the state, and these
        slopes cost next to nothing where nobody goes: replicates are scattered twice as far. Short
        paths in few economies leave time for more iterations. Chapter *Sellers who learn*.
        """
        wide = {"steps": 512_000, "groups": 4, "replicates": 8, "horizon": 8, "jitter": 0.7}
        return cls(**(wide | changes))

    @classmethod
    def suited_to(cls, economy: Economy) -> PPOConfig:
        """The settings of a PPO that is given none.

        :meth:`sellers` if several roles learn, each for itself, and the usual ones elsewhere.
        Where some move before others these learn more slowly, and all for longer, because what a
        first mover should do depends on how the others answer, who have to learn that first.
        """
        learn = {n: role for n, role in economy.roles.items() if role.follows is None}
        if len(learn) == 1 or any(role.team for role in learn.values()):
            return cls()
        before = [n for stage in economy.stages[:-1] for n in stage if n in learn]
        if not before:
            return cls.sellers()
        return cls.sellers(steps=640_000, relative_rates=dict.fromkeys(before, FIRST_MOVERS_RATE))


class PPO(ActorCritic):
    """Proximal policy optimisation for any economy; agents of a role share a policy.

    Parameters
    ----------
    economy : Economy
    seed, seeds, device
        As for every :class:`Agent`.
    config : PPOConfig, optional
        By default :meth:`PPOConfig.suited_to` the economy.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> agent = PPO(Planner(), seeds=range(2), device="cpu")
    >>> history = agent.learn(steps=3 * agent.steps_per_iteration)
    >>> len(agent.policy[0](Planner().reset((4,), torch.Generator()))["planner"])
    4
    """

    config_class = PPOConfig
    config: PPOConfig

    @classmethod
    def default_config(cls, economy):
        """Those that suit the economy."""
        return cls.config_class.suited_to(economy)

    @property
    def noise(self) -> float:
        """Standard deviation of exploration now, before squashing."""
        return geometric(self.config.noise, self.progress)

    @property
    def paired_starts(self) -> bool:
        """Whether the two economies of an antithetic pair start from the same state."""
        return self.config.paired_starts

    def draw_noise(self) -> dict[str, Tensor]:
        """Standard normal noise for each role's actions, in antithetic pairs if so configured."""
        c = self.config
        noise = {}
        for name in self.learners:
            role = self.economy.roles[name]
            shape = (c.horizon, c.groups, c.replicates, role.n_agents, role.n_actions)
            if c.antithetic:
                half = (*shape[:2], c.replicates // 2, *shape[3:])
                e = self._normal(half)
                # A pair's two economies start from neighbouring strata of capital.
                noise[name] = torch.stack([e, -e], 4).flatten(3, 4)
            else:
                noise[name] = self._normal(shape)
        return noise

    def _normal(self, shape):
        drawn = self.streams.stack(lambda _, g: torch.randn(shape, generator=g, device=self.device))
        return self.processes.mine(drawn, 2)

    def gains(self, name, rollout) -> Tensor:
        """What actions have brought each agent, shape (runs, T, groups, replicates, agents)."""
        values = self.values(name, rollout.surveys[name]).movedim(1, 0)
        rewards, lam = rollout.rewards[name], self.config.lam
        discount = self.economy.discount_of(name)
        gains = generalized_advantages(rewards, values, discount, lam)
        return gains.movedim(0, 1)

    @torch.no_grad()
    def advantages(self, name, rollout) -> Tensor:
        """Advantages (runs, T, groups, replicates, agents).

        They are scaled to a root mean square of one.
        """
        c = self.config
        advantages = self.gains(name, rollout)
        advantages = self.credit(name, advantages).expand_as(advantages)
        if c.group_advantage:
            advantages = demean(advantages, dim=3)
        else:
            level = advantages.mean(dim=(1, 2, 3), keepdim=True)
            advantages = advantages - self.processes.mean(level)
        size = advantages.square().mean(dim=(1, 2, 3, 4), keepdim=True)
        size = self.processes.mean(size).sqrt()
        return advantages / size.clamp_min(torch.finfo(size.dtype).tiny)

    def acted(self, name, observations) -> Tensor:
        """Mean actions to which the rollout's noise was added."""
        return self.act(name, observations)

    def improve(self, rollout):
        """Some steps up the clipped surrogate."""
        c = self.config
        names = tuple(self.learners)
        advantages = {name: self.advantages(name, rollout) for name in names}
        seen = rollout.observations
        observations = {name: seen[name][:, :-1] for name in names}
        with torch.no_grad():
            old = {name: self.acted(name, observations[name]) for name in names}
        for _ in range(c.policy_epochs):
            loss = 0.0
            for name in names:
                e = rollout.noise[name]
                new = self.act(name, observations[name])
                moved = e + (old[name] - new) / self.noise_of(name)
                ratio = ((e.square() - moved.square()) / 2).sum(-1).exp()
                surrogate = clipped_surrogate(ratio, advantages[name], c.clip)
                loss = loss - sum_of_run_means(surrogate)
            descend(self.policy_optimizer, loss)
