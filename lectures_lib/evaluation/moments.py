"""Moments of the long run, with their Monte Carlo errors. Chapter *Global solution*."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..economies.base import Economy
from .simulation import as_policy, batch_shape, initial_states, walk

#: Names of an economy's quantities, and what they are called in moments.
QUANTITIES = {
    "capital": "capital",
    "total_capital": "total capital",
    "consumption": "consumption",
    "saving_share": "saving share",
    "investment": "investment",
    "output": "output",
    "price": "price",
    "customers": "customers",
    "sales": "sales",
}
#: The pair whose correlation is reported.
PAIR = ("saving_share", "productivity")
CORRELATION = "correlation of saving share and productivity"
# Periods until the mean of initial capital, an eighth below the steady state, is forgotten to a
# few parts in a million at the paper's calibration.
FORGOTTEN_AFTER = 300


class Estimate(NamedTuple):
    """A moment of a simulation.

    Attributes
    ----------
    value, standard_error : float, or array over runs
        The standard error takes paths, which are independent, as the observations.
    """

    value: float | np.ndarray
    standard_error: float | np.ndarray


class Moments(dict):
    """A dictionary {name: :class:`Estimate`} that prints as a table."""

    def __str__(self):
        many = any(np.ndim(estimate.value) for estimate in self.values())
        head = ("median run", "lowest", "highest") if many else ("value",)
        lines = [("", *head, "standard error")]
        for name, (value, error) in self.items():
            shown = (np.median(value), np.min(value), np.max(value)) if many else (value,)
            lines.append((name, *(f"{x:.5g}" for x in shown), f"{np.max(error):.1g}"))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            line[0].ljust(widths[0])
            + "".join("  " + cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))
            for line in lines
        )

    __repr__ = __str__


class MomentSums:
    """Sums over the periods of a simulation, path by path: all that moments need.

    Parameters
    ----------
    economy : Economy
    """

    def __init__(self, economy: Economy):
        self.economy, self.periods = economy, 0
        self._origin: dict[str, Tensor] = {}
        self._sums: dict[object, Tensor] = {}

    def add(self, state, info: dict[str, Tensor]) -> None:
        """Add a period: its state and its quantities, shape (*runs, paths, ...)."""
        lead = batch_shape(self.economy, state)
        info = {name: x.reshape(*lead, -1) for name, x in info.items()}
        if self.economy.state_shapes.get("capital", (1,))[0] > 1:
            capital = state.capital
            info["total_capital"] = capital.sum(capital.dim() - 2)
        if self.periods == 0:
            # Differences from a value near the mean keep the squares from cancelling.
            self._origin = {n: x.flatten(-2).mean(-1)[..., None, None] for n, x in info.items()}
        self.periods += 1
        centred = {name: x - self._origin[name] for name, x in info.items()}
        for name in (*QUANTITIES, "productivity"):
            if name in centred:
                self._add(name, centred[name])
                self._add((name, name), centred[name].square())
        if all(name in centred for name in PAIR):
            self._add(PAIR, centred[PAIR[0]] * centred[PAIR[1]])

    def _add(self, key, x):
        self._sums[key] = self._sums.get(key, 0.0) + x.mean(-1)

    def moments(self) -> Moments:
        """Means, standard deviations and a correlation, by name.

        Raises
        ------
        ValueError
            If a quantity was not a finite number.
        """
        found = Moments()
        for name, label in QUANTITIES.items():
            if name in self._sums:
                mean, variance = self._central(name), self._central((name, name))
                if not torch.isfinite(variance).all():
                    raise ValueError(f"the policy leads to values of {name} that are not finite.")
                sd = variance.mean(-1).clamp_min(0).sqrt()
                level = self._origin[name].squeeze(-1).squeeze(-1)
                found[f"mean of {label}"] = _estimate(level + mean.mean(-1), mean)
                # The delta method: a variance moves the standard deviation by half its relative
                # change.
                spread = variance / (2 * sd.unsqueeze(-1)).clamp_min(1e-300)
                found[f"s.d. of {label}"] = _estimate(sd, spread)
        if PAIR in self._sums:
            found[CORRELATION] = self._correlation()
        return found

    def _central(self, key) -> Tensor:
        """Each path's mean (from the origin) or second moment around the mean of all paths."""
        own = self._sums[key] / self.periods
        if not isinstance(key, tuple):
            return own
        one, other = (self._sums[name] / self.periods for name in key)
        centre, second = (x.mean(-1, keepdim=True) for x in (one, other))
        return own - centre * other - second * one + centre * second

    def _correlation(self) -> Estimate:
        """Pearson's correlation; NaN for a constant, whose correlation is not defined."""
        covariance = self._central(PAIR)
        variances = [self._central((name, name)) for name in PAIR]
        spread = (variances[0].mean(-1) * variances[1].mean(-1)).sqrt().unsqueeze(-1)
        spread = torch.where(spread > 1e-10, spread, torch.nan)
        value = covariance.mean(-1, keepdim=True) / spread
        moved = sum(v / v.mean(-1, keepdim=True) for v in variances)
        return _estimate(value.squeeze(-1), covariance / spread - value / 2 * moved)


def _estimate(value: Tensor, by_path: Tensor) -> Estimate:
    """An estimate whose error is that of the mean of `by_path`."""
    n = by_path.shape[-1]
    error = by_path.std(-1) / n**0.5 if n > 1 else torch.full_like(value, torch.nan)
    return Estimate(*(x.item() if x.dim() == 0 else x.numpy() for x in (value, error)))


def ergodic_moments(
    policy,
    economy: Economy,
    paths: int = 512,
    periods: int = 500,
    seed: int = 0,
    first: int = FORGOTTEN_AFTER,
) -> Moments:
    """Means and standard deviations in the long run, with Monte Carlo standard errors.

    Paths are independent of each other, so that their means are the observations that standard
    errors are computed from; periods of a path are not.

    Parameters
    ----------
    policy : callable or Solution
        With several runs, all of them under the same shocks.
    economy : Economy
    paths : int
        Number of simulated economies.
    periods : int
        Periods of each that count.
    seed : int
        Of initial states and shocks.
    first : int
        Periods before those that count, in which initial capital is forgotten.

    Returns
    -------
    Moments
        ``"mean of x"`` and ``"s.d. of x"`` of what the economy has of capital, consumption, saving
        share, investment, output, price, customers and sales, over periods, households and goods;
        of the total of a capital good that households own, if there are several; and the
        correlation of the saving share and productivity.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> from lectures_lib.solvers import solve
    >>> moments = ergodic_moments(solve(Planner()), Planner(), paths=64, periods=200)
    >>> mean, error = moments["mean of capital"]
    >>> abs(mean - 25.5) < 4 * error
    True
    """
    policy = as_policy(policy)
    start, sums = initial_states(policy, economy, paths, seed), MomentSums(economy)
    for t, state, step in walk(policy, economy, start, first + periods, seed):
        if t >= first:
            sums.add(state, step.info)
    return sums.moments()
