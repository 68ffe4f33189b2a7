"""The same economy in other words: other units of choices, other observations, other rewards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..parameters import require, seeded
from .base import Sight, Step
from .capital import SMALLEST_SHARE, CapitalEconomy, spending_shares
from .derived import SameAgents
from .play import Policy

UNITS = ("share", "level", "quantity", "rate")
SIGHTS = ("log", "raw", "relative")
#: Initial states of which the unit of a choice is the mean.
STATES = 4096
# What softplus makes one of.
ONE = math.log(math.e - 1)


def _positive(raw: Tensor, unit: float) -> Tensor:
    """Any positive number; zero is the unit."""
    return unit * (SMALLEST_SHARE + softplus(raw + ONE))


class Translated:
    """A policy of a respecified economy, in the physical actions of the original one.

    Parameters
    ----------
    policy : callable
    economy : Respecified
    """

    def __init__(self, policy: Policy, economy: Respecified):
        self.policy, self.economy = policy, economy
        self.runs: int | None = getattr(policy, "runs", None)

    def __getitem__(self, run: int) -> Translated:
        """The policy of one run."""
        return type(self)(self.policy[run], self.economy)  # type: ignore[index]

    def __call__(self, state, moved: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Actions of every role of the original economy."""
        return self.economy.actions_of_original(state, self.policy(state))


@dataclass(frozen=True)
class Respecified(SameAgents):
    r"""An economy whose agents choose in other units, see or are rewarded in other units.

    States, shocks, technology and preferences are the original's. Chapter *Spending or quantities*.

    Parameters
    ----------
    economy : Planner or Market
        Its agents are of one role, all of them have mass and see everything.
    action : {"share", "level", "quantity", "rate"}
        What an agent chooses of each good: spending as a share of its income or in units of the
        final good, investment in units of the good or as a share of its stock. Who would spend more
        than its income at the price of all orders spends its income. The raw action zero is, in
        all units, what one use of income gets if all uses get the same, on average over the states
        in which the economy begins.
    sees : {"log", "raw", "relative"}
        Logarithms of capital and productivities, as in the original; these numbers themselves; or
        logarithms with capital in units of what its owner produces. All three say the same.
    reward_scale, reward_shift : float
        Agents are rewarded with ``reward_scale * u + reward_shift``. Welfare is measured as in the
        original.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Notes
    -----
    In a market with several households shares and levels of *spending* are two names for the same
    choice of a game in which everybody takes the spending of the others as given; *quantities* and
    rates are two names for the choice of another game.

    Examples
    --------
    >>> import torch
    >>> from lectures_lib.economies import Planner
    >>> economy = Respecified(Planner(), action="rate", sees="raw")
    >>> state = economy.reset((2,), torch.Generator().manual_seed(0))
    >>> rate = {"planner": torch.full((2, 1, 1), 0.04)}
    >>> step = economy.step(state, rate, economy.no_luck(state))
    >>> bool(step.state.capital.isclose(state.capital).all())
    True
    """

    action: str = "share"
    sees: str = "log"
    reward_scale: float = 1.0
    reward_shift: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        require(self.action in UNITS, "action", self.action, f"one of {UNITS}")
        require(self.sees in SIGHTS, "sees", self.sees, f"one of {SIGHTS}")
        for name in ("reward_scale", "reward_shift"):
            x = getattr(self, name)
            require(math.isfinite(x), name, x, "a finite number")
        require(self.reward_scale > 0, "reward_scale", self.reward_scale, "a positive number")
        kind = "a Planner or Market with one role, whose households have mass and see everything"
        roles = tuple(self.economy.roles.values())
        fits = isinstance(self.economy, CapitalEconomy) and len(roles) == 1
        fits = fits and roles[0].n_features == self.economy.n_goods + 2
        require(fits, "economy", self.economy, kind)

    # ------------------------------------------------------------------ what agents choose
    @cached_property
    def _role(self) -> str:
        return next(iter(self.economy.roles))

    @cached_property
    def unit(self) -> float:
        """What the raw action zero stands for, in units of the choice (see `action`)."""
        state = self.reset((STATES,), seeded(0), torch.float64)
        zero = state.capital.new_zeros(state.capital.shape)
        spending = spending_shares(zero) * self.economy.income(state).unsqueeze(-1)
        return self._own_units(state, spending).mean().item()

    def _own_units(self, state, spending: Tensor) -> Tensor:
        """The choices (*batch, N, M) that spend so much."""
        if self.action == "share":
            return spending / self.economy.income(state).unsqueeze(-1)
        if self.action == "level":
            return spending
        investment = spending / self.economy.unit_cost_of(spending)
        return investment if self.action == "quantity" else investment / state.capital

    @cached_property
    def roles(self):
        """Those of the original economy, in the units of the choice."""
        share = self.action == "share"
        squash = spending_shares if share else partial(_positive, unit=self.unit)
        units = {"to_physical": squash, "low": 0.0, "high": 1.0 if share else math.inf}
        role = self.economy.roles[self._role]
        return {self._role: replace(role, choices=None, shares=share, **units)}

    def spending(self, state, choice: Tensor) -> Tensor:
        """What households spend (*batch, N, M) that choose so, all of them.

        Parameters
        ----------
        state : State, shape (*batch, ...)
        choice : Tensor, shape (*batch, N, M)
            In units of `action`.
        """
        income = self.economy.income(state).unsqueeze(-1)
        if self.action == "share":
            return income * choice
        wanted = choice
        if self.action != "level":
            rate = self.action == "rate"
            ordered = choice * state.capital if rate else choice
            total = ordered.sum(-2, keepdim=True)
            wanted = self.economy.unit_cost(total) * ordered
        limit = (1 - SMALLEST_SHARE) * income
        cost = wanted.sum(-1, keepdim=True)
        return wanted * (limit / torch.maximum(cost, limit))

    def actions_of_original(self, state, actions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Physical actions of the original economy that mean the same.

        Parameters
        ----------
        state : State, shape (*batch, ...)
        actions : dict of str to Tensor, shape (*batch, N, M)
            In units of `action`.
        """
        choice, shares = actions[self._role], self.economy.roles[self._role].shares
        if self.action == "share" and shares:
            return {self._role: choice}
        spending = self.spending(state, choice)
        if shares:
            return {self._role: spending / self.economy.income(state).unsqueeze(-1)}
        return {self._role: spending / self.economy.unit_cost_of(spending)}

    def original(self, policy: Policy) -> Translated:
        """A policy of this economy as one of the original.

        All measures, solvers and figures of the original take it.

        Parameters
        ----------
        policy : callable
            Learned here, or any function of a state that chooses in these units. It may have
            several runs.
        """
        return Translated(policy, self)

    # ------------------------------------------------------------------ what agents see
    def _seen(self, features: Tensor) -> Tensor:
        """The original's features (*batch, agents, M + 2), as this economy shows them."""
        if self.sees == "log":
            return features
        if self.sees == "raw":
            return features.exp()
        capital, luck = features[..., :-2], features[..., -2:]
        output = self.economy.alpha * capital.mean(-1, keepdim=True) + luck.sum(-1, keepdim=True)
        return torch.cat([capital - output, luck], -1)

    def _shown(self, sights) -> dict[str, Sight]:
        return {
            name: Sight(self._seen(own), None if population is None else self._seen(population))
            for name, (own, population) in sights.items()
        }

    def observe(self, state, moved=None):
        """What agents see of themselves."""
        return {name: self._seen(x) for name, x in self.economy.observe(state, moved).items()}

    def sights(self, state, moved=None):
        """What agents see, the others included."""
        return self._shown(self.economy.sights(state, moved))

    def observe_centrally(self, state, moved=None):
        """What a critic may see."""
        return self._shown(self.economy.observe_centrally(state, moved))

    # ------------------------------------------------------------------ what happens
    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """Of the original economy, whatever the units of rewards."""
        earned = value - self.reward_shift / (1 - self.discount)
        return self.economy.consumption_equivalent(earned / self.reward_scale)

    def transition(self, state, actions, shocks) -> Step:
        """A period of the original economy."""
        step = self.economy.step(state, self.actions_of_original(state, actions), shocks)
        if (self.reward_scale, self.reward_shift) == (1.0, 0.0):
            return step
        scale, shift = self.reward_scale, self.reward_shift
        return step._replace(rewards={k: scale * r + shift for k, r in step.rewards.items()})
