"""Settings that actor-critics share. Chapter *Learning when shocks are inputs*."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ..parameters import Parameters, require


@dataclass(frozen=True)
class ActorCriticConfig(Parameters):
    """Settings that PPO, Probing and Analytic share."""

    steps: int = 3_000_000
    """Environment steps per run that `learn` takes by default."""
    groups: int = 8
    """Groups of economies."""
    replicates: int = 16
    """Economies per group; an even number."""
    horizon: int = 32
    """Periods between two updates."""
    hidden: tuple[int, ...] = (48, 48)
    """Units of each hidden layer, of policy and critic alike."""
    lam: float = 0.95
    """The lambda of returns and advantages, in [0, 1]."""
    policy_rate: float = 3e-3
    """Adam's learning rate for the policy."""
    critic_rate: float = 3e-3
    """Adam's learning rate for the critic."""
    final_rate: float = 0.02
    """Share of both rates that is left at the end of a cosine schedule."""
    critic_epochs: int = 3
    """Full-batch steps on the critic per iteration."""
    warm_up: int = 20
    """Iterations at the start in which only the critic learns."""
    average: float = 0.98
    """Weight of the past in the average of policy weights that is reported."""
    restart: float = 0.3
    """Probability per iteration that a group returns to the initial distribution."""
    jitter: float = 0.35
    """Half-width, in logs, of the range around a group's state in which replicates restart; with
    zero each replicate goes on from where it was."""
    common_shocks: bool = True
    """Whether the replicates of a group receive the same shocks."""
    difference_critic: bool = True
    """Whether the critic is fitted on differences within the group, and not on levels."""
    credit: str = "role"
    """Whose gain an action is judged by. It is its own agent's (`"own"`), the mean of all agents of
    the role (`"team"`), or what the role says (`"role"`), which is the mean if they are a team."""
    shared: bool = True
    """Whether the agents of a role share networks, or each has its own."""
    central_critic: bool = False
    """Whether critics see everything (`Economy.observe_centrally`), whatever policies see."""
    second_moment_size: float = 0.1
    """Size that a population's second moments are given, beside one for all other inputs. What
    agents do depends on them far less than on means (Krusell and Smith 1998), and in a large
    population they move by chance alone; at full size a hundred households learn worse."""

    def __post_init__(self):
        require_not_negative(self)
        sizes = all(n >= 1 for n in self.hidden)
        require(sizes, "hidden", self.hidden, "whole numbers of at least 1")
        require(
            self.credit in ("role", "own", "team"), "credit", self.credit, "'role', 'own' or 'team'"
        )
        require(self.replicates % 2 == 0, "replicates", self.replicates, "an even number")
        for name in ("groups", "replicates", "horizon"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("lam", "average", "restart", "final_rate"):
            require(getattr(self, name) <= 1, name, getattr(self, name), "a number in [0, 1]")


def require_not_negative(config) -> None:
    """Refuse settings that are numbers below zero, infinite or NaN."""
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int | float):
            good = 0 <= value < math.inf
            require(good, field.name, value, "a finite number that is not negative")


def require_noise(noise) -> None:
    """Refuse a schedule of noise that is not a pair of positive numbers."""
    good = len(noise) == 2 and all(0 < sd < math.inf for sd in noise)
    require(good, "noise", noise, "two positive numbers, at the start and at the end")


def geometric(ends: tuple[float, float], progress: float) -> float:
    """From the first number to the second at a constant rate, as progress goes from 0 to 1."""
    first, last = ends
    return first * (last / first) ** progress


def cosine(final: float, progress: float) -> float:
    """From one to `final` along half a cosine, as progress goes from 0 to 1."""
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
