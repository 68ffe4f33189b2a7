"""Importance-weighted actor-learner (Espeholt et al. 2018): PPO whose actors lag behind.

Chapter *The parallel framework*. Where actors live on other machines than the learner, what they
send was done by weights that the learner has left. Here all is one process, and the lag is exact:
the weights that act are those of `delay` iterations ago, so that what it costs, and what V-trace
mends of it, can be measured.

Differences from the paper: (i) the learner is PPO, with its groups, its pairs and its several steps
a batch; (ii) V-trace's temporal differences are those within a group
(:func:`~lectures_lib.agents.losses.vtrace`), because luck that all of a group share has to leave
before weights that they do not share come in; (iii) the ratio is that of a whole economy, the
product over all who act in it; (iv) what is seen is standardised as the learner does now.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..parameters import require
from .losses import vtrace, weighted_mean
from .ppo import PPO, PPOConfig

CORRECTIONS = ("v-trace", "ratio", "none")


@dataclass(frozen=True)
class IMPALAConfig(PPOConfig):
    """Settings of :class:`IMPALA`, beside those of :class:`PPOConfig`."""

    delay: int = 4
    """How many iterations old the weights are that act."""
    correction: str = "v-trace"
    """What is made of the difference. `"v-trace"` weights what was done by how likely the present
    policy does it; `"ratio"` leaves it to PPO's clipped ratio, taken to the policy that has acted;
    `"none"` learns as if the present policy had acted."""
    ratio_clip: float = 1.0
    """V-trace's bar on the ratio of probabilities."""
    group_trace: bool = True
    """Whether V-trace's temporal differences are those within the group."""

    def __post_init__(self):
        super().__post_init__()
        expected = "one of " + ", ".join(map(repr, CORRECTIONS))
        require(self.correction in CORRECTIONS, "correction", self.correction, expected)
        require(self.ratio_clip > 0, "ratio_clip", self.ratio_clip, "a positive number")

    @classmethod
    def ordinary(cls, **changes):
        """Without control of the shocks, as :meth:`PPOConfig.ordinary`."""
        return super().ordinary(**({"group_trace": False} | changes))


class IMPALA(PPO):
    """PPO whose actors have weights that are some iterations old, with V-trace.

    Parameters
    ----------
    economy : Economy
    seed, seeds, device
        As for every :class:`Agent`.
    config : IMPALAConfig, optional
        By default :meth:`PPOConfig.suited_to` the economy.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> agent = IMPALA(Planner(), seed=0, device="cpu", config=IMPALAConfig(delay=8))
    >>> history = agent.learn(steps=3 * agent.steps_per_iteration)
    >>> len(agent.past)
    8
    """

    # Means over groups enter the weights' levels, and are not taken over processes.
    shares_groups = False
    config_class = IMPALAConfig
    config: IMPALAConfig

    def _build(self):
        super()._build()
        #: Probability of an economy's last actions under the present policy over that of who has
        #: acted, shape (runs, T, groups, replicates, 1).
        self.ratio = torch.ones((1,) * 5)
        self._acted: dict[str, Tensor] = {}
        #: Actors of the last iterations, in a ring; all are the first one at the start.
        self.past = nn.ModuleList(self._copy() for _ in range(self.config.delay))

    def _copy(self) -> nn.ModuleDict:
        actors = nn.ModuleDict({name: x.actor for name, x in self.learners.items()})
        return deepcopy(actors).requires_grad_(False)

    def _parts(self):
        return super()._parts() | {"past": self.past}

    def start_from(self, other):
        """As every agent; who acts begins with the same networks."""
        super().start_from(other)
        for actors in self.past:
            actors.load_state_dict(self._copy().state_dict())

    # ------------------------------------------------------------------ actors
    def collect(self, state):
        """Let the economies run under the oldest actors, who then take the present weights."""
        if not self.past:
            rollout = super().collect(state)
            some = next(iter(rollout.rewards.values()))
            self.ratio = torch.ones_like(some[..., :1]).movedim(1, 0)
            return rollout
        oldest = self.past[self.iteration % len(self.past)]
        with self._acting(oldest):
            rollout = super().collect(state)
        rollout = self._retold(rollout)
        oldest.load_state_dict(self._copy().state_dict())
        return rollout

    @contextmanager
    def _acting(self, actors):
        """For a while, other networks act."""
        present = {name: learner.actor for name, learner in self.learners.items()}
        try:
            for name, learner in self.learners.items():
                learner.actor = actors[name]
            yield
        finally:
            for name, learner in self.learners.items():
                learner.actor = present[name]

    @torch.no_grad()
    def _retold(self, rollout):
        """The same actions, as noise around what the present policy does."""
        oldest = self.past[self.iteration % len(self.past)]
        noise, exponent = {}, torch.zeros(())
        for name, e in rollout.noise.items():
            seen = rollout.observations[name][:, :-1]
            with self._acting(oldest):
                self._acted[name] = self.act(name, seen)
            noise[name] = e + (self._acted[name] - self.act(name, seen)) / self.noise_of(name)
            exponent = exponent + (e.square() - noise[name].square()).sum((-1, -2)) / 2
        self.ratio = exponent.exp().unsqueeze(-1)
        return rollout if self.config.correction == "ratio" else rollout._replace(noise=noise)

    def acted(self, name, observations):
        """Mean actions to which the rollout's noise was added: the actors', or the present ones."""
        if self.past and self.config.correction == "ratio":
            return self._acted[name]
        return super().acted(name, observations)

    # ------------------------------------------------------------------ learner
    def _trace(self, name, rollout) -> tuple[Tensor, Tensor]:
        c = self.config
        values = self.values(name, rollout.surveys[name]).movedim(1, 0)
        ratio, rewards = self.ratio.movedim(1, 0), rollout.rewards[name]
        group = 3 if c.group_trace else None
        discount = self.economy.discount_of(name)
        traced = vtrace(rewards, values, ratio, discount, c.lam, c.ratio_clip, group)
        return traced[0].movedim(0, 1), traced[1].movedim(0, 1)

    def returns(self, name, rollout):
        """What the critic's values should be, by V-trace if so configured."""
        if self.config.correction != "v-trace":
            return super().returns(name, rollout)
        return self._trace(name, rollout)[0]

    def gains(self, name, rollout):
        """What actions have brought, by V-trace if so configured, and weighted by its ratio."""
        c = self.config
        if c.correction != "v-trace":
            return super().gains(name, rollout)
        gains = self._trace(name, rollout)[1]
        weight = self.ratio.clamp(max=c.ratio_clip).expand_as(gains)
        # What is common to those who are compared leaves before the weights come in.
        compared = 3 if c.group_trace else (1, 2, 3)
        return weight * (gains - weighted_mean(gains, weight, compared))
