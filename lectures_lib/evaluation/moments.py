"""Moments of the long run, with their Monte Carlo errors. Chapter *What rules look like*."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..economies.base import Economy
from ..economies.play import Policy
from ..solvers import Solution
from .long_run import burn_in
from .simulation import as_policy, batch_shape, initial_states, learned_roles, walk

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
# What varies by less than this, relative to its mean, is a constant up to rounding.
CONSTANT = 1e-11
#: The pair whose correlation is reported.
PAIR = ("saving_share", "productivity")
CORRELATION = "correlation of saving share and productivity"
# Periods left out at least, though fewer would do at the paper's calibration: after so many its
# initial capital, an eighth below the steady state, is forgotten to a few parts in a million.
SHORTEST = 300


class Estimate(NamedTuple):
    """A moment of a simulation.

    Attributes
    ----------
    value, standard_error : float, or array over runs
        The standard error takes paths, which are independent, as the observations, and leaves
        out one at a time (the jackknife). Of a few paths the error itself is uncertain: 95%
        intervals take Student's t with one degree of freedom less than there are paths, 2.4
        standard errors each way for 8 of them rather than 2. Of standard deviations in economies
        with a long memory, whose distribution is skewed, even they cover the truth in 85% to 90%
        of cases with 8 paths; 95% take hundreds of paths.
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
    roles : sequence of str
        Whose rewards are quantities as well, called "reward of" the role.
    """

    def __init__(self, economy: Economy, roles: Sequence[str] = ()):
        self.economy, self.periods = economy, 0
        #: What agents own; a crowd's stocks are copies of theirs.
        self._stocks = economy.fields.stocks
        others = {name: name.replace("_", " ") for name in self._stocks if name not in QUANTITIES}
        rewards = (f"reward of {role}" for role in roles)
        self._labels = QUANTITIES | others | {name: name for name in rewards}
        self._origin: dict[str, Tensor] = {}
        self._sums: dict[object, Tensor] = {}

    def add(self, state, info: dict[str, Tensor]) -> None:
        """Add a period: its state and its quantities, shape (*runs, paths, ...)."""
        lead = batch_shape(self.economy, state)
        # Stocks are known from the state even where an economy does not report them.
        info = {name: getattr(state, name) for name in self._stocks} | info
        info = {name: x.reshape(*lead, -1) for name, x in info.items()}
        info = {name: x if x.is_floating_point() else x.double() for name, x in info.items()}
        shape = self.economy.fields["capital"].shape if "capital" in self._stocks else ()
        if len(shape) == 2 and shape[0] > 1:  # households, goods
            capital = state.capital
            info["total_capital"] = capital.sum(capital.dim() - 2)
        if self.periods == 0:
            # Differences from a value near the mean keep the squares from cancelling.
            self._origin = {n: x.flatten(-2).mean(-1)[..., None, None] for n, x in info.items()}
        self.periods += 1
        centred = {name: x - self._origin[name] for name, x in info.items()}
        for name in (*self._labels, "productivity"):
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
        for name, label in self._labels.items():
            if name in self._sums:
                mean, variance = self._means(name), self._covariance(name, name)
                if not torch.isfinite(variance[..., 0]).all():
                    raise ValueError(f"the policy leads to values of {name} that are not finite.")
                found[f"mean of {label}"] = _estimate(self._origin[name].squeeze(-1) + mean)
                found[f"s.d. of {label}"] = _estimate(variance.sqrt())
        if PAIR in self._sums:
            found[CORRELATION] = self._correlation()
        return found

    def _means(self, key) -> Tensor:
        """Means over all paths, and without each of them, shape (*runs, 1 + paths)."""
        own = self._sums[key] / self.periods
        n = own.shape[-1]
        mean = own.mean(-1, keepdim=True)
        return torch.cat([mean, (n * mean - own) / (n - 1)], -1)

    def _covariance(self, one, other) -> Tensor:
        """Second moments around :meth:`_means`, of the same shape."""
        product = self._means((one, other)) - self._means(one) * self._means(other)
        return product.clamp_min(0) if one == other else product

    def _correlation(self) -> Estimate:
        """Pearson's correlation; NaN for a constant, whose correlation is not defined."""
        covariance = self._covariance(*PAIR)
        for name in PAIR:
            sd = self._covariance(name, name).sqrt()
            level = (self._origin[name].squeeze(-1) + self._means(name)).abs()
            covariance = covariance / torch.where(sd > CONSTANT * level, sd, torch.nan)
        return _estimate(covariance)


def _estimate(values: Tensor) -> Estimate:
    """An estimate with its jackknife error, from :meth:`MomentSums._means` or what they give."""
    value, left_out = values[..., 0], values[..., 1:]
    # Without one path there is nothing left of one: a division of zero by zero, whose error is NaN.
    error = left_out.std(-1, correction=0) * (left_out.shape[-1] - 1) ** 0.5
    return Estimate(*(x.item() if x.dim() == 0 else x.numpy() for x in (value, error)))


def ergodic_moments(
    policy: Policy | Solution,
    economy: Economy,
    paths: int = 512,
    periods: int = 500,
    seed: int = 0,
    first: int | None = None,
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
    first : int, optional
        Periods before those that count. By default as many as it takes to forget where the
        economies began (:func:`burn_in`), and at least 300.

    Returns
    -------
    Moments
        ``"mean of x"`` and ``"s.d. of x"`` of what the economy has of capital, consumption, saving
        share, investment, output, price, customers and sales, and of stocks with other names, over
        periods, households and goods; of the total of a capital good that households own, if there
        are several; and the correlation of the saving share and productivity. Where several roles
        choose for themselves, also of each role's reward in a period, such as
        ``"mean of reward of firm"``: no number averages a profit and a utility.

    Warns
    -----
    RuntimeWarning
        If `first` is left out and the beginning is never forgotten.

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
    if first is None:
        first = burn_in(policy, economy, SHORTEST)
    learned = learned_roles(economy)
    several = learned if len(learned) > 1 else []
    start, sums = initial_states(policy, economy, paths, seed), MomentSums(economy, several)
    for t, state, step in walk(policy, economy, start, first + periods, seed):
        if t >= first:
            rewards = {f"reward of {role}": step.rewards[role] for role in several}
            sums.add(state, step.info | rewards)
    return sums.moments()
