r"""All rest points of an economy with an externality, and every future that fits its past.

Chapter *Which equilibrium?* Without risk, households who foresee everything move on paths of
capital :math:`K_t` and investment :math:`I_t` with

.. math:: K_{t+1} &= (1-\delta)K_t + I_t, \\
          p_t\,u'(C_t) &= \beta\, u'(C_{t+1})
             \left[\alpha \bar z \bar Z A(K_{t+1}) K_{t+1}^{\alpha-1} + (1-\delta)\,p_{t+1}\right],

where :math:`p_t = \phi N I_t` and :math:`C_t = \bar z\bar Z A(K_t)K_t^\alpha + e - p_t I_t`. Given
tomorrow, the two equations have one solution for today, because what is left to consume falls when
more is invested and less was owned. A path that ends in a saddle point is therefore found
backwards: from the direction in which the saddle is approached, period by period.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from ..economies import Externality
from .regimes import regimes_of
from .steady_state import SteadyState

#: Where paths begin to be followed backwards: relative distance from the saddle, and how many.
NEAR, STARTS = 1e-6, 200
#: Periods that a path may take to come so near. Those that circle an unstable point for longer
#: differ from each other only close to it.
LONGEST = 600
#: Steps of Newton's method, at most; four or five are needed.
NEWTON_STEPS = 60


@regimes_of.register(Externality)
def _(economy):
    return ("competitive",)


@dataclass(frozen=True)
class RestPoint(SteadyState):
    """A deterministic steady state with what happens next to it.

    Attributes
    ----------
    eigenvalues : tuple of complex
        Of the motion of capital and investment, by modulus. Capital is given and investment is
        chosen: with one eigenvalue inside the unit circle there is one path to the point.
    """

    eigenvalues: tuple[complex, complex]

    @property
    def kind(self) -> str:
        """`saddle`, `source` or `sink`."""
        inside = sum(abs(x) < 1 for x in self.eigenvalues)
        return ("source", "saddle", "sink")[inside]


@dataclass(frozen=True)
class ForesightPath:
    """A path on which everybody foresees what happens.

    Attributes
    ----------
    capital, investment, price, consumption : ndarray, shape (periods,)
        From the given capital to a millionth of the rest point.
    end : RestPoint
    """

    capital: np.ndarray
    investment: np.ndarray
    price: np.ndarray
    consumption: np.ndarray
    end: RestPoint


class Motion:
    """Technology without risk, households alike, in NumPy."""

    def __init__(self, economy: Externality):
        if not isinstance(economy, Externality) or economy.action != "spending":
            raise TypeError(f"economy={economy!r}: expected an Externality with action='spending'.")
        self.economy = economy
        self.mean = economy.idiosyncratic.mean * economy.aggregate.mean
        self.slope = economy.cost_slope * economy.n_households

    def spillover(self, capital):
        return self.economy.spillover(torch.as_tensor(capital, dtype=torch.float64)).numpy()

    def output(self, capital):
        return self.mean * self.spillover(capital) * capital**self.economy.alpha

    def output_slope(self, capital):
        """What a unit more of everybody's capital adds to output, spillovers included."""
        e, spillover = self.economy, self.spillover(capital)
        part = (spillover - 1) / max(e.gain, 1e-300)
        rise = e.gain * part * (1 - part) / e.width
        return self.output(capital) * (e.alpha / capital + rise / spillover)

    def consumption(self, capital, investment):
        income = self.output(capital) + self.economy.endowment
        return income - self.slope * investment**2

    def worth(self, capital, investment):
        """Utility of a unit of capital at the beginning of a period."""
        product = self.economy.alpha * self.output(capital) / capital
        price = self.slope * investment
        utility = self.consumption(capital, investment) ** -self.economy.risk_aversion
        return utility * (product + self.economy.survival * price)

    def before(self, capital, investment):
        """The state and choice of the period before, arrays of the same shape.

        What a unit of investment costs in utility rises with investment; Newton's method in logs,
        or half of the interval where a step would leave it.
        """
        e, sigma = self.economy, self.economy.risk_aversion
        worth = np.log(e.beta * self.worth(capital, investment))
        low, high, chosen = (
            np.zeros_like(capital),
            capital.copy(),
            np.minimum(investment, capital / 2),
        )
        for _ in range(NEWTON_STEPS):
            # Where nobody can have owned so little, what is found owns nothing: it is not followed.
            owned = (capital - chosen).clip(min=1e-12 * capital) / e.survival
            left = self.consumption(owned, chosen)
            gap = np.log(self.slope * chosen) - sigma * np.log(left.clip(min=1e-300)) - worth
            steep = 1 / chosen + sigma / left * (
                self.output_slope(owned) / e.survival + 2 * self.slope * chosen
            )
            enough = (left <= 0) | (gap > 0)
            low, high = np.where(enough, low, chosen), np.where(enough, chosen, high)
            step = chosen - gap / steep
            inside = (left > 0) & (step > low) & (step < high)
            following = np.where(inside, step, (low + high) / 2)
            done = np.max(abs(following - chosen) / capital) < 1e-15
            chosen = following
            if done:
                break
        return (capital - chosen) / e.survival, chosen

    def backward_derivative(self, point):
        """The Jacobian of :meth:`before` at a rest point, by central differences."""
        step = 1e-5 * np.array(point)
        moved = np.array(point)[:, None] + np.concatenate([np.diag(step), -np.diag(step)], 1)
        before = np.array(self.before(*moved))
        return (before[:, :2] - before[:, 2:]) / (2 * step)


def rest_points(economy: Externality) -> list[RestPoint]:
    r"""All deterministic steady states with capital, from the smallest.

    There, :math:`\phi N \delta K (1-\beta(1-\delta)) =
    \alpha\beta\,\bar z\bar Z A(K) K^{\alpha-1}`.

    Parameters
    ----------
    economy : Externality

    Raises
    ------
    TypeError
        If it is another economy.
    """
    from scipy.optimize import brentq  # where needed: it is slow to import

    motion, e = Motion(economy), economy
    cost = motion.slope * e.delta * (1 - e.beta * e.survival) / (e.alpha * e.beta)

    def gap(capital):
        return np.log(cost * capital**2 / motion.output(capital))

    # Spillovers lie between none and all of them, and so do the steady states.
    top = (1 + e.gain) ** (1 / (2 - e.alpha))
    grid = np.linspace(0.999, 1.001 * top, 20_001) * e.efficient_capital
    signs = np.flatnonzero(np.diff(np.sign(gap(grid))))
    found = []
    for capital in (brentq(gap, grid[i], grid[i + 1], xtol=1e-13, rtol=1e-14) for i in signs):
        investment = e.delta * capital
        output = float(motion.output(capital))
        spending = motion.slope * investment**2
        income = output + e.endowment
        backward = np.linalg.eigvals(motion.backward_derivative((capital, investment)))
        forward = sorted(1 / backward.astype(complex), key=abs)
        found.append(
            RestPoint(
                capital,
                investment,
                output,
                income - spending,
                spending / income,
                motion.slope * investment,
                (complex(forward[0]), complex(forward[1])),
            )
        )
    return found


def perfect_foresight(economy: Externality, capital: float) -> list[ForesightPath]:
    """Every path from a given capital that ends in a saddle point: an equilibrium without risk.

    All households own the same and expect what happens. There may be several paths, to different
    rest points or, circling an unstable one for longer or shorter, to the same.

    Parameters
    ----------
    economy : Externality
    capital : float
        Of each household in the first period.

    Returns
    -------
    list of ForesightPath
        By the rest point in which they end, those with most investment in the first period first.

    Raises
    ------
    TypeError
        If it is another economy.
    ValueError
        If capital is not positive.
    """
    if not 0 < capital < float("inf"):
        raise ValueError(f"capital={capital!r}: expected a positive number.")
    found = []
    for saddle, ways in _ways_to_saddles(economy):
        paths = [path for way in ways for path in _crossings(way, float(capital), saddle, economy)]
        found += sorted(paths, key=lambda path: -path.investment[0])
    return found


@cache
def _ways_to_saddles(economy):
    """Each saddle point, and how it is come to from above and from below."""
    motion = Motion(economy)
    saddles = [point for point in rest_points(economy) if point.kind == "saddle"]
    return [(saddle, [_way_to(motion, saddle, side) for side in (1, -1)]) for saddle in saddles]


def _way_to(motion, saddle, side):
    """Capital and investment (periods, 2, starts), backwards, of who comes to a saddle."""
    at = np.array((saddle.capital, saddle.investment))
    values, vectors = np.linalg.eig(motion.backward_derivative(at))
    fastest = np.argmax(abs(values))
    factor, direction = values[fastest].real, vectors[:, fastest].real
    direction = side * direction / direction[0] * saddle.capital
    # Whoever approaches the saddle has been in this interval of distances just once.
    points = at[:, None] + direction[:, None] * NEAR * np.linspace(1, factor, STARTS)
    way = [points]
    while len(way) < LONGEST and not _still(points, at):
        before = np.array(motion.before(*points))
        # Who owned next to nothing, or very much, is not followed further.
        on = (before[0] > 1e-2 * at[0]) & (before[0] < 10 * at[0])
        if not on.any():
            break
        points = np.where(on, before, points)
        way.append(points)
    return np.array(way)


def _crossings(way, capital, saddle, economy):
    """Paths from `capital` that lie between two neighbours on a way."""
    ahead = way[:, 0] - capital
    motion = Motion(economy)
    for last, i in np.argwhere((ahead[:, :-1] < 0) != (ahead[:, 1:] < 0)):
        left, right = ahead[last, i], ahead[last, i + 1]
        weight = left / (left - right)
        path = (1 - weight) * way[: last + 1, :, i] + weight * way[: last + 1, :, i + 1]
        yield _path(motion, path[::-1], saddle)


def _still(points, at):
    """Whether all have come to a rest point from which paths depart, backwards in time."""
    away = abs(points[0] / at[0] - 1).min() > 1e-2
    return away and np.ptp(points, 1).max() < 1e-4 * at[1]


def _path(motion, points, end):
    capital, investment = np.array(points).T
    return ForesightPath(
        capital,
        investment,
        motion.slope * investment,
        motion.consumption(capital, investment),
        end,
    )
