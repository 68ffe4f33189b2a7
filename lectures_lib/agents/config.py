"""Settings that actor-critics share. Chapter *Learning when shocks are inputs*."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from ..parameters import Parameters, entered, require


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
    """Rounds of steps on the critic per iteration."""
    warm_up: int = 20
    """Iterations at the start in which only the critic learns."""
    average: float = 0.98
    """Weight of the past in the average of policy weights that is reported."""
    settled: float = 1.0
    """Share of the steps after which the scales of inputs and rewards stay as they are. A scale
    that moves changes what the networks on it compute, which then have to follow; one that stays
    has seen less."""
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
    the role (`"team"`), or what the role says (`"role"`), which is the mean if they are a team.
    Outside a team the mean makes a cartel: `"team"` is refused there but for the roles that
    `cartel` names."""
    cartel: tuple[str, ...] = ()
    """Roles that are no teams, and whose agents are judged by the mean of all on purpose."""
    relative_rates: Mapping[str, float] | tuple[tuple[str, float], ...] = ()
    """By role, a multiple of the policy's learning rate, such as ``{"firm": 0.3}``."""
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
        enter_names(self, "cartel")
        enter_multiples(self, "relative_rates")
        require(self.replicates % 2 == 0, "replicates", self.replicates, "an even number")
        for name in ("groups", "replicates", "horizon"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("lam", "average", "settled", "restart", "final_rate"):
            require(getattr(self, name) <= 1, name, getattr(self, name), "a number in [0, 1]")


def require_not_negative(config) -> None:
    """Refuse settings that are numbers below zero, infinite or NaN."""
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int | float):
            good = 0 <= value < math.inf
            require(good, field.name, value, "a finite number that is not negative")


def enter_names(config, name: str) -> None:
    """Make a setting that lists roles a tuple of their names.

    Raises
    ------
    ValueError
        If it does not list names.
    """
    value, expected = getattr(config, name), "a tuple of roles, such as ('firm',)"
    require(isinstance(value, Iterable) and not isinstance(value, str), name, value, expected)
    require(all(isinstance(x, str) for x in value), name, value, expected)
    object.__setattr__(config, name, tuple(map(str, value)))


def enter_multiples(config, name: str) -> None:
    """Make a setting that has multiples by role a sorted tuple of pairs.

    Raises
    ------
    ValueError
        If it does not give positive numbers by role.
    """
    value, expected = getattr(config, name), "positive numbers by role, such as {'firm': 0.3}"
    try:
        pairs: tuple = tuple(sorted(dict(value).items()))
    except (TypeError, ValueError):
        pairs = ((None, value),)
    require(all(isinstance(role, str) for role, _ in pairs), name, value, expected)
    pairs = tuple((role, entered(name, x, float)) for role, x in pairs)
    require(all(0 < x < math.inf for _, x in pairs), name, value, expected)
    object.__setattr__(config, name, pairs)


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
