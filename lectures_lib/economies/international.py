"""Countries that trade: the international real business cycle that solution methods are put to.

Backus, Kehoe and Kydland (1992) with costs of adjustment, as a test of solution methods: Juillard
and Villemot (2011), Brumm and Scheidegger (2017). Chapter *Beside published numbers*.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..autoregression import AutoRegression, require_productivity
from ..markov import MarkovChain
from ..parameters import require
from .base import Actions, Economy, Role, Step
from .fields import Field, Fields

# The world spends at most this share of its output on capital; in the steady state, a fifth.
LARGEST_SPENDING = 0.75
# Newton steps to the price of consumption. The function is convex, and the last two carry
# derivatives of first and second order.
STEPS, LAST_STEPS = 5, 2
# In float64, to the consumption that a welfare is worth.
WELFARE_STEPS = 60


class InternationalState(NamedTuple):
    """State of the world.

    Attributes
    ----------
    capital : Tensor, shape (*batch, countries)
    idiosyncratic : Tensor, shape (*batch, countries)
        Each country's own log productivity (an index, if it follows a chain).
    aggregate : Tensor, shape (*batch,)
        The same of what all have in common.
    """

    capital: Tensor
    idiosyncratic: Tensor
    aggregate: Tensor


class InternationalShocks(NamedTuple):
    """Uniform draws that move productivity: (*batch, countries) and (*batch,)."""

    idiosyncratic: Tensor
    aggregate: Tensor


def _growth(raw: Tensor, mean: float, relative: float) -> Tensor:
    """Numbers between minus and plus a bound: the first's, and that of all others."""
    bounds = torch.full_like(raw[..., :1, :], relative)
    bounds[..., 0] = mean
    return bounds * torch.tanh(raw)


def _autoregression():
    return AutoRegression(0.95, 0.01, nodes=3)


@dataclass(frozen=True)
class InternationalCycle(Economy[InternationalState, InternationalShocks]):
    r"""A planner of the world decides where capital is built; all countries share consumption.

    .. math:: \max E\sum_t \beta^t \frac1N \sum_j u_j(c_{jt}), \qquad
              u_j(c) = \frac{c^{1-1/\gamma_j}-1}{1-1/\gamma_j}, \\
              \sum_j \bar c\, c_j = \sum_j\Bigl[A z_j Z K_j^\alpha + (1-\delta)K_j - K_j'
              - \frac\kappa2 K_j\Bigl(\frac{K_j'}{K_j}-1\Bigr)^2\Bigr].

    Consumption :math:`c_j` is in units of what a country consumes in the steady state,
    :math:`\bar c = A - \delta`, where with :math:`A = (1/\beta-1+\delta)/\alpha` capital is one.
    In these units equal weights are the Pareto weights :math:`\bar c^{1/\gamma_j}` of the
    literature, up to a common factor. The planner's marginal utility of the world's consumption is
    everybody's, :math:`c_j^{-1/\gamma_j} = \lambda`, which divides consumption. The first action is
    the mean over countries of capital's growth :math:`g_j = K_j'/K_j - 1`, the others are
    :math:`g_j - g_N`: how much to save, and where, which are of different sizes. What all would
    cost beyond three quarters of the world's output is cut, the same share of every country's
    purchases. Capital may be sold.

    Parameters
    ----------
    substitution : tuple of float
        Intertemporal elasticity of substitution :math:`\gamma_j` of each country, in [0.2, 2].
    alpha : float
        Exponent of capital, in (0, 1).
    beta : float
        Discount factor, in (0, 1).
    delta : float
        Depreciation per period, in (0, 1).
    kappa : float
        Cost of adjustment, not negative.
    idiosyncratic, aggregate : AutoRegression or MarkovChain
        Productivity of a country, and of all.
    largest_growth, largest_difference : float
        Bounds of the first action and of the others, in (0, 0.4]. Raw actions of zero keep all
        capital as it is, the middle of these ranges.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.
    """

    substitution: tuple[float, ...] = (0.25, 1.0)
    alpha: float = 0.36
    beta: float = 0.99
    delta: float = 0.01
    kappa: float = 0.5
    idiosyncratic: AutoRegression | MarkovChain = field(default_factory=_autoregression)
    aggregate: AutoRegression | MarkovChain = field(default_factory=_autoregression)
    largest_growth: float = 0.05
    largest_difference: float = 0.4

    State = InternationalState
    Shocks = InternationalShocks

    def __post_init__(self):
        s = self.substitution
        good = len(s) > 0 and all(0.2 <= x <= 2 for x in s)
        require(good, "substitution", s, "a tuple of numbers from 0.2 to 2, one for each country")
        for name in ("alpha", "beta", "delta"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "a number strictly between 0 and 1")
        require(0 <= self.kappa < 100, "kappa", self.kappa, "a number in [0, 100)")
        for name in ("largest_growth", "largest_difference"):
            require(0 < getattr(self, name) <= 0.4, name, getattr(self, name), "in (0, 0.4]")
        for name in ("idiosyncratic", "aggregate"):
            require_productivity(name, getattr(self, name))

    @property
    def n_countries(self) -> int:
        """Number N of countries."""
        return len(self.substitution)

    @property
    def discount(self) -> float:
        """The discount factor beta."""
        return self.beta

    @property
    def technology(self) -> float:
        """The factor A, with which capital is one in the steady state."""
        return (1 / self.beta - 1 + self.delta) / self.alpha

    @property
    def usual_consumption(self) -> float:
        """A country's consumption in the steady state, in units of output."""
        return self.technology - self.delta

    @property
    def risk_aversion(self) -> float:
        """The planner's, towards the world's consumption, in the steady state."""
        return self.n_countries / sum(self.substitution)

    @property
    def _one_luck(self) -> bool:
        """Whether the sum of both log productivities is all that matters of them."""
        own, common = self.idiosyncratic, self.aggregate
        if isinstance(own, AutoRegression) and isinstance(common, AutoRegression):
            return own.persistence == common.persistence
        return False

    @cached_property
    def roles(self):
        """One role, a planner alone, with an action for each country."""
        n, bounds = self.n_countries, (self.largest_growth, self.largest_difference)
        feasible = partial(_growth, mean=bounds[0], relative=bounds[1])
        ends = {"low": -max(bounds), "high": max(bounds)}
        seen = 2 * n + (not self._one_luck)
        return {"planner": Role(1, seen, n, team=True, to_physical=feasible, **ends)}

    @cached_property
    def fields(self) -> Fields:
        """Capital, which the planner chooses, and what moves productivity."""
        countries = (self.n_countries,)
        return Fields(
            capital=Field(countries),
            idiosyncratic=Field.of(self.idiosyncratic, countries),
            aggregate=Field.of(self.aggregate),
        )

    # ------------------------------------------------------------------ what the world consumes
    def _elasticities(self, like: Tensor) -> Tensor:
        return torch.tensor(self.substitution, dtype=like.dtype, device=like.device)

    def price(self, consumption: Tensor) -> Tensor:
        r"""Log of everybody's marginal utility :math:`\lambda`, by Newton's method.

        Parameters
        ----------
        consumption : Tensor, shape (*batch,)
            Mean over countries, in units of the steady state's.
        """
        gamma, target = self._elasticities(consumption), consumption.log()

        def step(log):
            terms = -gamma * log.unsqueeze(-1)
            gap = terms.logsumexp(-1) - gamma.new_tensor(self.n_countries).log() - target
            return log + gap / (terms.softmax(-1) * gamma).sum(-1)

        with torch.no_grad():
            # Exact where all elasticities are equal.
            log = -target / gamma.mean()
            for _ in range(STEPS - LAST_STEPS):
                log = step(log)
        for _ in range(LAST_STEPS):
            log = step(log)
        return log

    def _utility(self, log_price: Tensor) -> Tensor:
        """Mean utility of countries at a price: u = gamma (1 - lambda^(1-gamma)) / (1-gamma)."""
        gamma, log = self._elasticities(log_price), log_price.unsqueeze(-1)
        x = (1 - gamma) * log
        # Where gamma is one it is -log, and so near it that the quotient says nothing.
        near = x.abs() < 1e-4
        quotient = torch.expm1(x) / torch.where(gamma == 1, 1.0, 1 - gamma)
        series = log * (1 + x / 2 + x * x / 6)
        return (-gamma * torch.where(near | (gamma == 1), series, quotient)).mean(-1)

    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """The world's constant consumption worth `value`, relative to the steady state's."""
        target = (1 - self.beta) * value.double()
        log, gamma = torch.zeros_like(target), self._elasticities(target)
        for _ in range(WELFARE_STEPS):
            slope = (gamma * ((1 - gamma) * log.unsqueeze(-1)).exp()).mean(-1)
            # Utility is concave in the log price, and steps are kept from where it is flat.
            log = log + ((self._utility(log) - target) / slope).clamp(-1, 1)
        return (-gamma * log.unsqueeze(-1)).exp().mean(-1).to(value.dtype)

    # ------------------------------------------------------------------ a period
    def productivity(self, state: InternationalState) -> Tensor:
        """Productivity of each country, shape (*batch, countries)."""
        own = self.idiosyncratic.level(state.idiosyncratic, state.capital.dtype)
        return own * self.aggregate.level(state.aggregate, state.capital.dtype).unsqueeze(-1)

    def output(self, state: InternationalState) -> Tensor:
        """Output of each country, shape (*batch, countries)."""
        return self.technology * self.productivity(state) * state.capital**self.alpha

    def reset(self, batch, generator, dtype=torch.float32) -> InternationalState:
        """Log capital uniform from log 0.65 to log 1.45, productivity stationary."""
        luck = self.draw(batch, generator, dtype)
        shape = (*batch, self.n_countries)
        uniform = torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)
        return InternationalState(
            0.65 * (1.45 / 0.65) ** uniform,
            self.idiosyncratic.initial(luck.idiosyncratic),
            self.aggregate.initial(luck.aggregate),
        )

    def observe(self, state, moved=None):
        """Log capital, and log productivity of each country; the common one apart, if it matters.

        It does not where both parts are autoregressions of the same persistence.
        """
        features = [state.capital.log(), self.productivity(state).log()]
        if not self._one_luck:
            common = self.aggregate.level(state.aggregate, state.capital.dtype).log()
            features.append(common.unsqueeze(-1))
        return {"planner": torch.cat(features, -1).unsqueeze(-2)}

    def _affordable(self, wanted: Tensor, state: InternationalState, output: Tensor) -> Tensor:
        """Net growth of capital that the world can pay for."""
        cost = self._spending(wanted, state).sum(-1)
        least = self._spending(torch.full_like(wanted, -self.delta), state).sum(-1)
        limit = LARGEST_SPENDING * output.sum(-1)
        # Costs are convex, so that this share of the way costs no more than the limit.
        share = (limit - least) / (cost - least).clamp_min(1e-12)
        share = torch.where(cost > limit, share, torch.ones_like(share)).unsqueeze(-1)
        return share * wanted - (1 - share) * self.delta

    def _spending(self, growth: Tensor, state: InternationalState) -> Tensor:
        return state.capital * (self.delta + growth + self.kappa / 2 * growth.square())

    def transition(
        self, state: InternationalState, actions: Actions, shocks: InternationalShocks
    ) -> Step[InternationalState]:
        """One period; `actions["planner"]` is mean and relative growth (*batch, 1, countries)."""
        output, action = self.output(state), actions["planner"].squeeze(-2)
        beyond = torch.cat([action[..., 1:], torch.zeros_like(action[..., :1])], -1)
        wanted = action[..., :1] + beyond - beyond.mean(-1, keepdim=True)
        growth = self._affordable(wanted, state, output)
        left = (output - self._spending(growth, state)).sum(-1)
        log_price = self.price(left / (self.n_countries * self.usual_consumption))
        consumption = (-self._elasticities(log_price) * log_price.unsqueeze(-1)).exp()
        next_state = InternationalState(
            state.capital * (1 + growth), **self.move_chance(state, shocks)
        )
        info = {
            "capital": state.capital,
            "output": output,
            "consumption": self.usual_consumption * consumption,
            "investment": state.capital * (self.delta + growth),
            "productivity": self.productivity(state),
            "marginal_utility": log_price.exp().unsqueeze(-1),
        }
        return Step(next_state, {"planner": self._utility(log_price).unsqueeze(-1)}, info)
