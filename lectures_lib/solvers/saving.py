"""Households that save in an economy without insurance: their rule, their errors, all of them.

A rule is found by time iteration with endogenous grid points (Carroll 2006), given what households
believe of mean capital; a continuum of them is followed as a histogram (Young 2010). The compiled
loops are in :mod:`lectures_lib.solvers.incomplete_markets`.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..economies import KrusellSmith
from ..economies.capital import CapitalState
from ..economies.crowds import CrowdState
from ..economies.play import Policy, in_actions
from .capital_law import CapitalLaw
from .piece import ConvergenceError
from .registry import require_kind

#: Points of a household's own capital and of the mean, cells of the histogram.
OWN, MEANS, CELLS = 400, 16, 1200
# Largest own capital for which there is a rule and in the histogram, and the range of means, in
# units of the efficient capital. Points are denser where capital is small, by these powers.
LARGEST_OWN, LARGEST_CELL, LOWEST_MEAN, HIGHEST_MEAN = 20.0, 8.0, 0.6, 1.5
OWN_POWER, CELL_POWER = 4.0, 2.0
# Consumption is found to this precision, in units of itself, in so many steps at most.
TOLERANCE, MAX_STEPS = 1e-9, 20_000


@lru_cache(maxsize=32)
def of_size(economy: KrusellSmith, n: int, massless: bool) -> KrusellSmith:
    """The same economy with n households."""
    return replace(economy, n_households=n, atomistic=massless)


def lagrange_weights(t):
    """Weights at -1, 0, 1 and 2 of the cubic through four points, for its value at t."""
    return (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )


class SavingRule:
    """What households save, between the points of a grid: the policy of a solution.

    It takes states of any number of households, massless or not. Where mean capital is beyond the
    grid, its end is taken.

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

    def __repr__(self):
        return f"a grid of {len(self.own)} x {len(self.means)} points in own and mean capital"

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """Shares of resources (*batch, households, 1), of all roles."""
        e = of_size(self.economy, state.capital.shape[-2], hasattr(state, "crowd"))
        dtype = state.capital.dtype
        log = e.mean_capital(state).double().clamp_min(1e-300).log()
        first, weights = self._means(log)
        z, saved = state.aggregate.unsqueeze(-1), torch.as_tensor(self.saved, device=log.device)
        own, shares = torch.as_tensor(self.own, device=log.device), {}
        for suffix, who in e.populations(state).items():
            capital = who.capital.squeeze(-1).double()
            i = (torch.searchsorted(own, capital.contiguous()) - 1).clamp(0, len(own) - 2)
            part = (capital - own[i]) / (own[i + 1] - own[i])
            kept = torch.zeros_like(capital)
            for k, weight in enumerate(weights):
                at = z, state.idiosyncratic, first + k
                kept = kept + weight * ((1 - part) * saved[(*at, i)] + part * saved[(*at, i + 1)])
            resources = e.resources(state._replace(capital=who.capital)).double()
            share = (kept / resources.clamp_min(1e-300)).clamp(0, 1)
            shares["household" + suffix] = share.unsqueeze(-1).to(dtype)
        return shares

    def _means(self, log):
        """The first of the neighbours of a logarithm of the mean, and their weights."""
        n = len(self.means)
        if n == 1:
            return torch.zeros_like(log, dtype=torch.int64), (torch.ones_like(log),)
        low, step = self.means[0], (self.means[-1] - self.means[0]) / (n - 1)
        away = (log - low).clamp(0, (n - 1) * step) / step
        first = (away.long() - 1).clamp(0, n - 4)
        return first, lagrange_weights(away - first - 1)


class Households:
    """Households that believe in a law, and what becomes of all of them.

    Parameters
    ----------
    economy : KrusellSmith
    own, means, cells : int
        Points of a household's own capital and of the mean (at least four), and cells of the
        histogram.
    """

    def __init__(
        self, economy: KrusellSmith, own: int = OWN, means: int = MEANS, cells: int = CELLS
    ):
        self.economy, unit = economy, economy.efficient_capital
        self.own = LARGEST_OWN * unit * np.linspace(0, 1, own) ** OWN_POWER
        self.cells = LARGEST_CELL * unit * np.linspace(0, 1, cells) ** CELL_POWER
        self.means = np.log(unit * np.geomspace(LOWEST_MEAN, HIGHEST_MEAN, means))
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
            gap = np.abs(new - saved) / np.maximum(resources - saved, 1e-12)
            saved = new
            if gap.max() < TOLERANCE:
                self.saved = saved
                return SavingRule(e, self.own, means, saved)
        raise ConvergenceError(
            f"households' rule has not been found in {MAX_STEPS:,} steps: its last change was "
            f"{gap.max():.1e} of consumption, more than {TOLERANCE:.0e}."
        )

    @torch.no_grad()
    def tabulated(self, policy: Policy) -> SavingRule:
        """Any policy on the grid, learned or not: with it, a continuum can be followed.

        Parameters
        ----------
        policy : callable
            Of one run; it takes states of massless households. Who sees how unequally capital is
            distributed sees a crowd whose members all own the mean.
        """
        states, means = len(self.economy.aggregate), len(self.means)
        massless = of_size(self.economy, len(self.own), True)
        act = policy.on(massless) if hasattr(policy, "on") else policy
        own = torch.as_tensor(self.own).expand(means, -1).unsqueeze(-1)
        crowd = torch.as_tensor(np.exp(self.means))[:, None, None].expand_as(own)
        saved = np.empty((states, 2, means, len(self.own)))
        for z, e in itertools.product(range(states), range(2)):
            work = torch.full((means, len(self.own)), e)
            state = CrowdState(own, crowd, work, torch.full((means,), z))
            share = in_actions(massless, act(state))["household"].squeeze(-1).double()
            saved[z, e] = (share * massless.resources(state)).numpy()
        return SavingRule(self.economy, self.own, self.means, saved)

    def everybody(self, z: int) -> np.ndarray:
        """A histogram (2, cells) in which all own the efficient capital, in an aggregate state."""
        mass = np.zeros((2, len(self.cells)))
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


def household_residuals(economy: KrusellSmith, policy: Policy, state) -> Tensor:
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

    Raises
    ------
    TypeError
        If the economy is no :class:`~lectures_lib.economies.KrusellSmith`.
    """
    require_kind(economy, "household_residuals", (KrusellSmith,))
    massless = of_size(economy, economy.n_households, True)
    if not hasattr(state, "crowd"):
        state = massless.with_crowd(state)
    state = state._replace(capital=state.capital.double(), crowd=state.crowd.double())

    def act(state):
        seen = state if economy.atomistic else CapitalState(state.capital, *state[2:])
        return {n: x.double() for n, x in in_actions(massless, policy(seen)).items()}

    step = massless.step(state, act(state), massless.no_luck(state))
    chances = torch.tensor(economy.chances, dtype=torch.float64, device=state.capital.device)
    moves = torch.tensor(economy.aggregate.transition, dtype=torch.float64, device=chances.device)
    moves = moves[state.aggregate]
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
