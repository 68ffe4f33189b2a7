r"""Krusell and Smith's economy by the standard method: households that forecast mean capital.

Households believe that the mean of capital follows

.. math:: \log \bar K' = a_z + b_z \log \bar K

and save accordingly (time iteration by endogenous grid points, Carroll 2006). A continuum of them
is followed as a histogram (Young 2010); a regression on its path gives the next belief, until it
describes the path that it leads to. Without aggregate shocks mean capital does not move, and is
found as the root of what households own beyond what they expect all to own (Aiyagari 1994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..economies import KrusellSmith
from ..economies.capital import CapitalState
from ..economies.crowds import CrowdState
from ..economies.play import in_actions
from .euler import game_in
from .piece import ConvergenceError
from .regimes import regimes_of, resolve_regime
from .solution import Solution, require_no_choice, solve
from .visited import Residual

#: Points of a household's own capital and of the mean, cells of the histogram.
OWN, MEANS, CELLS = 400, 16, 1200
# Largest own capital for which there is a rule and in the histogram, and the range of means, in
# units of the efficient capital. Points are denser where capital is small, by these powers.
LARGEST_OWN, LARGEST_CELL, LOWEST_MEAN, HIGHEST_MEAN = 20.0, 8.0, 0.6, 1.5
OWN_POWER, CELL_POWER = 4.0, 2.0
# Periods of a path that are left out, and those that are used.
BURN, PERIODS = 1_000, 10_000
# Seeds of the path on which the law is estimated and of the one on which it is tested.
ESTIMATED, TESTED = 1, 2
# Consumption is found to this precision, in units of itself, and a law to this one.
RULE_TOLERANCE, LAW_TOLERANCE = 1e-9, 1e-7
MAX_STEPS, MAX_LAWS = 20_000, 60
# Of the search for a law: the slope that is tried first; the first step, because households who
# expect more capital bring about much less of it; and how many steps are remembered.
FIRST_SLOPE, STEP, MEMORY = 0.95, 0.25, 5
# Dates of the tested path and households of each at which Euler residuals are computed.
DATES, HOUSEHOLDS = 50, 500


@dataclass(frozen=True)
class CapitalLaw:
    r"""A law of motion of mean capital, :math:`\log \bar K' = a_z + b_z \log \bar K`.

    Attributes
    ----------
    intercepts, slopes : tuple of float
        :math:`a_z` and :math:`b_z` by aggregate state.
    """

    intercepts: tuple[float, ...]
    slopes: tuple[float, ...]

    def path(self, first: float, aggregate: np.ndarray) -> np.ndarray:
        """Mean capital as the law alone has it, from a first one on, along aggregate states."""
        log = np.empty(len(aggregate))
        log[0] = math.log(first)
        for t, z in enumerate(aggregate[:-1]):
            log[t + 1] = self.intercepts[z] + self.slopes[z] * log[t]
        return np.exp(log)

    @classmethod
    def fitted(cls, capital: np.ndarray, aggregate: np.ndarray) -> tuple[CapitalLaw, tuple]:
        """The law that least squares find on a path, and its R2 in each aggregate state."""
        x, y = np.log(capital[:-1]), np.log(capital[1:])
        found = []
        for z in range(aggregate.max() + 1):
            now = aggregate[:-1] == z
            slope, intercept = np.polyfit(x[now] - x.mean(), y[now], 1)
            left = y[now] - intercept - slope * (x[now] - x.mean())
            r2 = 1 - left.var() / y[now].var()
            found.append((intercept - slope * x.mean(), slope, r2))
        intercepts, slopes, r2 = (tuple(map(float, x)) for x in zip(*found, strict=True))
        return cls(intercepts, slopes), r2


class LawAccuracy(NamedTuple):
    """How well a law describes mean capital (Den Haan 2010).

    Attributes
    ----------
    r2 : tuple of float
        Of the regression, by aggregate state.
    mean, largest : float
        Absolute differences, as shares of capital, between the path of mean capital and the one
        that the law gives when it is fed with its own predictions.
    """

    r2: tuple[float, ...]
    mean: float
    largest: float


def law_accuracy(law: CapitalLaw, capital: np.ndarray, aggregate: np.ndarray) -> LawAccuracy:
    """Den Haan's test of a law on a path of mean capital.

    Parameters
    ----------
    law : CapitalLaw
    capital : ndarray, shape (periods,)
    aggregate : ndarray of int, shape (periods,)

    References
    ----------
    Den Haan (2010), "Assessing the accuracy of the aggregate law of motion in models with
    heterogeneous agents", *Journal of Economic Dynamics and Control* 34(1).
    """
    apart = np.abs(law.path(capital[0], aggregate) / capital - 1)
    x, y, r2 = np.log(capital[:-1]), np.log(capital[1:]), []
    for z in range(len(law.slopes)):
        now = aggregate[:-1] == z
        left = y[now] - law.intercepts[z] - law.slopes[z] * x[now]
        r2.append(float(1 - left.var() / y[now].var()))
    return LawAccuracy(tuple(r2), float(apart.mean()), float(apart.max()))


class SavingRule:
    """What households save, between the points of a grid: the policy of a solution.

    It takes states of any number of households, massless or not.

    Parameters
    ----------
    economy : KrusellSmith
    own, means : ndarray
        Own capital, and the logarithm of mean capital.
    saved : ndarray, shape (aggregate states, 2, len(means), len(own))
        By aggregate state, employment, mean and own capital.
    """

    def __init__(self, economy: KrusellSmith, own, means, saved):
        self.economy, self.own, self.means, self.saved = economy, own, means, saved

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """Shares of resources (*batch, households, 1), of all roles."""
        n, massless = state.capital.shape[-2], hasattr(state, "crowd")
        e = replace(self.economy, n_households=n, atomistic=massless)
        dtype = state.capital.dtype
        log = e.mean_capital(state).double().clamp_min(1e-300).log()
        m, weight = self._place(self.means, log)
        weight = weight.clamp(0, 1)
        z = state.aggregate.unsqueeze(-1)
        saved = torch.as_tensor(self.saved, device=log.device)
        shares = {}
        for suffix, who in e.populations(state).items():
            i, part = self._place(self.own, who.capital.squeeze(-1).double())
            at = z, state.idiosyncratic
            more = (m + 1).clamp_max(len(self.means) - 1)
            low = (1 - part) * saved[(*at, m, i)] + part * saved[(*at, m, i + 1)]
            high = (1 - part) * saved[(*at, more, i)] + part * saved[(*at, more, i + 1)]
            kept = (1 - weight) * low + weight * high
            resources = e.resources(state._replace(capital=who.capital)).double()
            share = (kept / resources.clamp_min(1e-300)).clamp(0, 1)
            shares["household" + suffix] = share.unsqueeze(-1).to(dtype)
        return shares

    @staticmethod
    def _place(grid, x):
        """The neighbour below, and the weight of the one above; beyond the last, the same line."""
        grid = torch.as_tensor(grid, device=x.device)
        if len(grid) == 1:
            return torch.zeros_like(x, dtype=torch.int64), torch.zeros_like(x)
        i = (torch.searchsorted(grid, x.contiguous()) - 1).clamp(0, len(grid) - 2)
        return i, (x - grid[i]) / (grid[i + 1] - grid[i])


class Households:
    """Households that believe in a law, and what becomes of all of them.

    Parameters
    ----------
    economy : KrusellSmith
    """

    def __init__(self, economy: KrusellSmith):
        self.economy, unit = economy, economy.efficient_capital
        self.own = LARGEST_OWN * unit * np.linspace(0, 1, OWN) ** OWN_POWER
        self.cells = LARGEST_CELL * unit * np.linspace(0, 1, CELLS) ** CELL_POWER
        self.means = np.log(unit * np.geomspace(LOWEST_MEAN, HIGHEST_MEAN, MEANS))
        stays = np.array(economy.chances)[..., None]  # (z, z', e, being without work)
        odds = np.concatenate([stays, 1 - stays], -1)
        odds *= np.array(economy.aggregate.transition)[..., None, None]
        self.chance = np.ascontiguousarray(odds.transpose(0, 2, 1, 3))
        #: What households save by :func:`rule`, kept as the start of the next search.
        self.saved: np.ndarray | None = None

    def _market(self, log: np.ndarray, z: int) -> tuple[np.ndarray, np.ndarray]:
        """Gross return (...) and earnings (..., 2) at logarithms of the mean, in a state."""
        e, mean = self.economy, torch.as_tensor(np.exp(log)).unsqueeze(-1)
        index = torch.full(mean.shape[:-1], z)
        prices = e.prices(mean, index)
        work = torch.arange(2).expand(*mean.shape[:-1], 2)
        earned = e.earnings(work, index, prices.wage)
        return (1 - e.delta + prices.rent).squeeze(-1).numpy(), earned.numpy()

    def rule(self, law: CapitalLaw) -> SavingRule:
        """What households save who believe in a law.

        Raises
        ------
        ConvergenceError
        """
        from .incomplete_markets import saving_step  # where needed: it brings numba along

        states, means = range(len(law.slopes)), self.means
        forecast = np.array([law.intercepts[z] + law.slopes[z] * means for z in states])
        now = [self._market(means, z) for z in states]
        gross = np.array([x for x, _ in now])
        earned = np.array([x.T for _, x in now])
        later = [self._market(forecast, y) for y in states]
        following = np.stack([np.concatenate([x[..., None], w], -1) for x, w in later], 2)
        saved = self.saved
        resources = gross[:, None, :, None] * self.own + earned[..., None]
        if saved is None or saved.shape != resources.shape:
            saved = 0.9 * np.minimum(resources, self.own)
        e = self.economy
        for _ in range(MAX_STEPS):
            new = saving_step(
                *(saved, self.own, means, gross, earned, forecast, following),
                *(self.chance, e.beta, e.risk_aversion),
            )
            # All that is saved beyond the grid's end would have to be consumed.
            gap = np.abs(new - saved) / np.maximum(resources - saved, 1e-12)
            saved = new
            if gap[..., :-1].max() < RULE_TOLERANCE:
                self.saved = saved
                return SavingRule(e, self.own, means, saved)
        raise ConvergenceError(
            f"households' rule has not been found in {MAX_STEPS:,} steps: its last change was "
            f"{gap.max():.1e} of consumption, more than {RULE_TOLERANCE:.0e}."
        )

    def everybody(self, z: int) -> np.ndarray:
        """A histogram (2, cells) in which all own the efficient capital, in an aggregate state."""
        mass = np.zeros((2, CELLS))
        high = int(np.searchsorted(self.cells, self.economy.efficient_capital))
        low, unit = self.cells[high - 1], self.economy.efficient_capital
        part = (unit - low) / (self.cells[high] - low)
        idle = self.economy.unemployment[z]
        mass[:, high - 1], mass[:, high] = 1 - part, part
        return mass * np.array([[idle], [1 - idle]])

    def follow(self, rule: SavingRule, path: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Mean capital along aggregate states; `mass` becomes the last histogram."""
        from .incomplete_markets import follow

        return follow(rule.saved, rule.own, rule.means, self.cells, mass, self.chance, path)


def aggregate_path(economy: KrusellSmith, periods: int, seed: int) -> np.ndarray:
    """Aggregate states of some periods, stationary from the first one on."""
    generator = np.random.default_rng(seed)
    moves = np.array(economy.aggregate.transition).cumsum(1)
    z = int(generator.choice(len(moves), p=economy.aggregate.stationary))
    path = np.empty(periods, dtype=np.int64)
    for t, draw in enumerate(generator.random(periods)):
        path[t] = z
        z = min(int(np.searchsorted(moves[z], draw, side="right")), len(moves) - 1)
    return path


@dataclass(frozen=True, repr=False)
class KrusellSmithSolution(Solution):
    """Households that forecast mean capital by a law which describes what they bring about.

    Attributes
    ----------
    law : CapitalLaw
        What households believe; without aggregate shocks, that mean capital stays where it is.
    """

    law: CapitalLaw = CapitalLaw((), ())

    @cached_property
    def households(self) -> Households:
        """What can be asked what becomes of everybody."""
        return Households(self.economy)  # type: ignore[arg-type]

    @cached_property
    def tested(self) -> dict[str, Any]:
        """A path of its own, on which the law has not been estimated.

        Returns
        -------
        dict
            ``aggregate`` and ``capital``, (periods,) each; ``histograms``, (dates, 2, cells), at
            the periods ``dates``.
        """
        every, (where, known) = PERIODS // DATES, (self.households, self.economy)
        path = aggregate_path(known, BURN + PERIODS, TESTED)  # type: ignore[arg-type]
        mass = where.everybody(path[0])
        where.follow(self.policy, path[: BURN + 1], mass)  # type: ignore[arg-type]
        path, capital, seen = path[BURN:], [], []
        for first in range(0, PERIODS, every):
            seen.append(mass.copy())
            part = path[first : first + every + 1]
            found = where.follow(self.policy, part, mass)  # type: ignore[arg-type]
            capital.append(found[:every])
        return {
            "aggregate": path,
            "capital": np.concatenate(capital),
            "histograms": np.array(seen),
            "dates": np.arange(0, PERIODS, every),
        }

    @cached_property
    def accuracy(self) -> LawAccuracy:
        """Den Haan's test of the law on the :attr:`tested` path."""
        return law_accuracy(self.law, self.tested["capital"], self.tested["aggregate"])

    def euler_residuals(self, state) -> Tensor:
        """Unit-free residuals of households at `state`, shape (*batch, households)."""
        return household_residuals(self.economy, self.policy, state)

    @cached_property
    def residual(self) -> dict[str, Residual]:
        """Euler residuals of households on the tested path, who save something or would like to."""
        states, n = self.sample(HOUSEHOLDS), HOUSEHOLDS
        massless = replace(self.economy, n_households=n, atomistic=True)
        residual = household_residuals(massless, self.policy, states)
        share = self.policy(states)["household"].squeeze(-1)
        error = torch.where(share > 0, residual.abs(), residual.clamp_min(0))
        return {"long run": Residual(error.mean().item(), error.max().item())}

    def sample(self, households: int) -> CrowdState:
        """So many households at each of the tested path's dates, in equal parts of the histogram.

        Returns
        -------
        CrowdState, shape (dates, ...)
            Massless households, that own what the crowd owns.
        """
        cells, found = self.households.cells, []
        for mass in self.tested["histograms"]:
            idle = round(households * mass[0].sum())
            rows = []
            for row, n in zip(mass, (idle, households - idle), strict=True):
                share = np.concatenate([[0.0], row.cumsum() / row.sum()])
                edges = np.concatenate([cells[:1], (cells[1:] + cells[:-1]) / 2, cells[-1:]])
                rows.append(np.interp((np.arange(n) + 0.5) / n, share, edges) if n else row[:0])
            found.append((np.concatenate(rows), np.repeat([0, 1], [idle, households - idle])))
        capital, employed = (torch.as_tensor(np.array(x)) for x in zip(*found, strict=True))
        aggregate = torch.as_tensor(self.tested["aggregate"][self.tested["dates"]])
        return CrowdState(capital.unsqueeze(-1), capital.unsqueeze(-1), employed, aggregate)


def household_residuals(economy: KrusellSmith, policy, state) -> Tensor:
    r"""Unit-free Euler residuals of households that take prices as given.

    They are those of :func:`lectures_lib.solvers.euler_residuals`, with expectations that are exact
    for any number of households: capital tomorrow is known today, and who sees of others only what
    they own is left with its own luck and that of all. A household's residual is

    .. math:: 1 - \frac{1}{c} \left( \beta \sum_{z', \varepsilon'} p\,
              (1 + r' - \delta)\, c'^{-\sigma} \right)^{-1/\sigma} .

    Parameters
    ----------
    economy : KrusellSmith
    policy : callable
        Of one run.
    state : State, shape (*batch, ...)
        Of massless households, or of others, whose effect on prices is left out.

    Returns
    -------
    Tensor of float64, shape (*batch, households)
        Negative where a household saves nothing and would like to borrow, which is no error.
    """
    massless = game_in(economy, "competitive")[0]
    if not hasattr(state, "crowd"):
        state = massless.with_crowd(state)
    state = state._replace(capital=state.capital.double(), crowd=state.crowd.double())

    def act(state):
        seen = state if economy.atomistic else CapitalState(state.capital, *state[2:])
        return {n: x.double() for n, x in in_actions(massless, policy(seen)).items()}

    step = massless.step(state, act(state), massless.no_luck(state))
    chances = torch.tensor(economy.chances, dtype=torch.float64, device=state.capital.device)
    moves = torch.tensor(economy.aggregate.transition).to(chances)[state.aggregate]
    worth = torch.zeros_like(step.info["consumption"])
    for y in range(len(economy.aggregate)):
        idle = chances[state.aggregate, y]
        idle = torch.where(state.idiosyncratic == 1, idle[..., 1:], idle[..., :1])
        for d, chance in enumerate((idle, 1 - idle)):
            following = step.state._replace(
                idiosyncratic=torch.full_like(state.idiosyncratic, d),
                aggregate=torch.full_like(state.aggregate, y),
            )
            info = massless.step(following, act(following), massless.no_luck(following)).info
            gross = 1 - economy.delta + info["rent"]
            marginal = info["consumption"].pow(-economy.risk_aversion)
            worth += moves[..., y : y + 1] * chance * gross * marginal
    implied = (economy.beta * worth).pow(-1 / economy.risk_aversion)
    return 1 - implied / step.info["consumption"]


@regimes_of.register(KrusellSmith)
def _(economy):
    return ("competitive",)


@game_in.register(KrusellSmith)
def _(economy, regime):
    if regime is None:
        return economy, False
    resolve_regime(economy, regime)
    return replace(economy, atomistic=True), False


@solve.register(KrusellSmith)
def _(economy, regime, method, domain):
    require_no_choice(economy, method, domain)
    regime = resolve_regime(economy, regime)
    find = solve_with_law if len(economy.aggregate) > 1 else solve_at_rest
    law, rule, iterations = find(Households(economy))
    return KrusellSmithSolution(economy, regime, rule, iterations, "time iteration", law)


def solve_with_law(households: Households) -> tuple[CapitalLaw, SavingRule, int]:
    """The law that describes the path to which belief in it leads.

    Returns
    -------
    law, rule, iterations

    Raises
    ------
    ConvergenceError
        If beliefs do not settle.
    """
    from scipy.optimize import NoConvergence, anderson  # where needed: it is slow to import

    economy, tried = households.economy, 0
    path = aggregate_path(economy, BURN + PERIODS, ESTIMATED)
    unit, states = math.log(economy.efficient_capital), len(economy.aggregate)

    def law_of(numbers):
        """From where each state leads from the efficient capital, and slopes."""
        values, slopes = np.split(numbers, 2)
        intercepts = unit + values - slopes * unit
        return CapitalLaw(tuple(intercepts.tolist()), tuple(slopes.tolist()))

    def gap(numbers):
        nonlocal tried
        tried += 1
        believed = law_of(numbers)
        capital = households.follow(
            households.rule(believed), path, households.everybody(path[0])
        )
        fitted, _ = CapitalLaw.fitted(capital[BURN:], path[BURN:])
        slopes = np.array(fitted.slopes)
        values = np.array(fitted.intercepts) + slopes * unit - unit
        return np.concatenate([values, slopes]) - numbers

    # Capital at first moves slowly towards what is efficient.
    start = np.repeat([0.0, FIRST_SLOPE], states)
    try:
        numbers = anderson(gap, start, alpha=STEP, M=MEMORY, f_tol=LAW_TOLERANCE, maxiter=MAX_LAWS)
    except NoConvergence as error:
        raise ConvergenceError(
            f"no law of motion has been found in {MAX_LAWS} iterations: the last one was "
            f"{law_of(error.args[0])}."
        ) from None
    law = law_of(numbers)
    return law, households.rule(law), tried


def solve_at_rest(households: Households) -> tuple[CapitalLaw, SavingRule, int]:
    """Mean capital that households own if they expect all to own it for ever.

    Returns
    -------
    law, rule, iterations
        The law that mean capital stays there; and the number of means that were tried.
    """
    from scipy.optimize import brentq  # where needed: it is slow to import

    path, tried = np.zeros(BURN + PERIODS, dtype=np.int64), 0

    def believed(log):
        households.means = np.array([log])
        return households.rule(CapitalLaw((log,), (0.0,)))

    def excess(log):
        nonlocal tried
        tried += 1
        capital = households.follow(believed(log), path, households.everybody(0))
        return math.log(capital[-1]) - log

    unit = math.log(households.economy.efficient_capital)
    # Who is insured would own the efficient capital, and nobody owns less for fear of bad luck.
    high = unit + 0.05
    while excess(high) > 0:
        high += 0.1
    log = brentq(excess, unit, high, xtol=1e-9)
    return CapitalLaw((log,), (0.0,)), believed(log), tried
