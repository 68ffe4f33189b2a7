r"""Households who forecast capital by least squares: what they can learn, and where it leads.

Chapter *Which equilibrium?* Adaptive learning (Marcet and Sargent 1989; Evans and Honkapohja 2001)
in the economy of :mod:`lectures_lib.solvers.perfect_foresight`. Households perceive a law of motion

.. math:: \log K_{t+1} = \log\bar K + a_t + b_t\,(\log K_t - \log\bar K),

invest by their Euler equation given what it forecasts for the next two periods, and estimate
:math:`(a_t, b_t)` anew by recursive least squares. In logarithms around a rest point :math:`\bar K`
the capital :math:`y = x_{t+1}` that they make is

.. math:: y = \theta_0\, y^e + \theta_1\, y^{ee} + \theta_2\, x_t,
   \qquad y^e = a + b x_t,\quad y^{ee} = a + b y^e,

so that the law that holds if they perceive :math:`(a, b)` is

.. math:: T(a, b) = \bigl((\theta_0 + \theta_1(1+b))\,a,\;
                          \theta_0 b + \theta_1 b^2 + \theta_2\bigr).

A law with :math:`T(a,b)=(a,b)` is E-stable if both eigenvalues of the derivative of
:math:`T(a,b)-(a,b)` have negative real parts (Evans and Honkapohja 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..economies import Externality
from ..parameters import require
from .perfect_foresight import Motion, RestPoint, rest_points

#: Forecasts of capital stay within these multiples of the efficient capital without spillovers.
FORECASTS = (0.2, 5.0)
#: Slopes that households believe in: an estimate outside is cut, so that they never expect capital
#: to leave for good (the projection facility of Marcet and Sargent 1989).
SLOPES = (0.0, 0.995)
#: Newton's steps for a period's investment.
NEWTON_STEPS = 30
#: Relative step of numerical derivatives.
STEP = 1e-5


@dataclass(frozen=True)
class PerceivedLaw:
    r"""What households may believe next to a rest point, and whether they would learn it.

    Attributes
    ----------
    slope : float
        :math:`b` of a law that is true if believed; it is an eigenvalue of the motion with
        perfect foresight.
    eigenvalues : tuple of float
        Of the derivative of :math:`T(a,b)-(a,b)`: in the level and in the slope.
    """

    slope: float
    eigenvalues: tuple[float, float]

    @property
    def e_stable(self) -> bool:
        """Whether both eigenvalues are negative."""
        return max(self.eigenvalues) < 0

    @property
    def stationary(self) -> bool:
        """Whether capital stays near the rest point under this law."""
        return abs(self.slope) < 1


@dataclass(frozen=True)
class Learnable:
    r"""A rest point, its reduced form, and the laws that are true there if believed.

    Attributes
    ----------
    point : RestPoint
    coefficients : tuple of float
        :math:`\theta_0, \theta_1, \theta_2`.
    laws : tuple of PerceivedLaw
        By slope; none where the motion circles, because no slope is real.
    """

    point: RestPoint
    coefficients: tuple[float, float, float]
    laws: tuple[PerceivedLaw, ...]

    @property
    def can_be_learned(self) -> bool:
        """Whether capital can come to rest here while households learn by least squares."""
        return any(law.e_stable and law.stationary for law in self.laws)


@dataclass(frozen=True)
class LeastSquaresPath:
    """How capital and beliefs moved.

    Attributes
    ----------
    capital : ndarray, shape (periods + 1, starts)
    level : ndarray, shape (periods + 1, starts)
        Capital at which the perceived law would have capital rest.
    slope : ndarray, shape (periods + 1, starts)
    """

    capital: np.ndarray
    level: np.ndarray
    slope: np.ndarray


def made(economy: Externality, capital, intercept, slope):
    """Capital that households make who perceive a law, of the inputs' broadcast shape.

    Parameters
    ----------
    economy : Externality
    capital : ndarray
        Of each household now.
    intercept, slope : ndarray
        Of the law: the logarithm of capital tomorrow is the intercept, and the slope times that of
        capital today.
    """
    return _made(Motion(economy), *np.broadcast_arrays(capital, intercept, slope))


def _made(motion, capital, intercept, slope):
    e = motion.economy
    low, high = (x * e.efficient_capital for x in FORECASTS)

    def forecast(k):
        return np.exp(intercept + slope * np.log(k)).clip(low, high)

    following = forecast(capital)
    investment = forecast(following) - e.survival * following
    # Nobody sells capital, or orders what income cannot pay.
    most = np.sqrt(0.9 * (motion.output(following) + e.endowment) / motion.slope)
    worth = motion.worth(following, investment.clip(1e-3 * e.delta * following, most))
    return e.survival * capital + _invested(motion, capital, np.log(e.beta * worth))


def _invested(motion, capital, worth):
    """Investment that costs, in utility, what capital is worth in logarithms."""
    sigma = motion.economy.risk_aversion
    most = np.sqrt((motion.output(capital) + motion.economy.endowment) / motion.slope)
    low, high = np.zeros_like(most), most
    chosen = np.minimum(motion.economy.delta * capital, most / 2)
    for _ in range(NEWTON_STEPS):
        left = motion.consumption(capital, chosen).clip(1e-300)
        gap = np.log(motion.slope * chosen) - sigma * np.log(left) - worth
        low, high = np.where(gap > 0, low, chosen), np.where(gap > 0, chosen, high)
        step = chosen - gap / (1 / chosen + 2 * sigma * motion.slope * chosen / left)
        following = np.where((step > low) & (step < high), step, (low + high) / 2)
        done = np.max(abs(following - chosen) / most) < 1e-12
        chosen = following
        if done:
            break
    return chosen


def learnable(economy: Externality) -> list[Learnable]:
    """All rest points with the laws that are true there, and whether these are E-stable.

    Parameters
    ----------
    economy : Externality

    Raises
    ------
    TypeError
        If it is another economy.
    """
    motion = Motion(economy)
    return [_learnable(motion, point) for point in rest_points(economy)]


def _learnable(motion, point):
    e = motion.economy

    def cost(today, tomorrow):
        investment = tomorrow - e.survival * today
        consumption = motion.consumption(today, investment)
        return np.log(motion.slope * investment) - e.risk_aversion * np.log(consumption)

    def worth(tomorrow, later):
        return np.log(motion.worth(tomorrow, later - e.survival * tomorrow))

    def slopes(function):
        up, down = point.capital * np.exp(STEP), point.capital * np.exp(-STEP)
        here = point.capital
        first = function(up, here) - function(down, here)
        return first / (2 * STEP), (function(here, up) - function(here, down)) / (2 * STEP)

    (today, tomorrow), (forecast, further) = slopes(cost), slopes(worth)
    theta = tuple(float(x / tomorrow) for x in (forecast, further, -today))
    roots = np.roots((theta[1], theta[0] - 1, theta[2]))
    laws = tuple(
        PerceivedLaw(b, (theta[0] + theta[1] * (1 + b) - 1, theta[0] + 2 * theta[1] * b - 1))
        for b in sorted(float(x.real) for x in roots if abs(x.imag) < 1e-9)
    )
    return Learnable(point, theta, laws)


def least_squares(
    economy: Externality,
    capital,
    expected,
    slope=0.9,
    *,
    periods: int = 2000,
    weight: float = 50.0,
    gain: float | None = None,
    luck: float = 0.01,
    seed: int = 0,
) -> LeastSquaresPath:
    r"""Let households live, forecast and estimate.

    Each period the estimate moves by a share :math:`\gamma_t` of the way that the last error of the
    forecast suggests,

    .. math:: R_{t+1} = R_t + \gamma_t (z_t z_t' - R_t), \qquad
       \phi_{t+1} = \phi_t + \gamma_t R_{t+1}^{-1} z_t\,(\log K_{t+1} - \phi_t' z_t),

    with :math:`\phi=(a,b)` and :math:`z_t` a one and the distance of :math:`\log K_t` from that of
    what was expected first.

    Parameters
    ----------
    economy : Externality
        Of which the mean productivity counts.
    capital : float or ndarray, shape (starts,)
        Of each household in the first period.
    expected : float or ndarray, shape (starts,)
        Capital at which households first believe that it will rest.
    slope : float or ndarray, shape (starts,)
        Of the law that they perceive first, in the range of `SLOPES`.
    periods : int
    weight : float
        Periods of observations that the first belief counts for: the gain is one over this and the
        periods that have passed.
    gain : float, optional
        A constant one instead.
    luck : float
        Standard deviation of the logarithm of a shock to capital, common to all: without one,
        nothing could be estimated at rest.
    seed : int

    Returns
    -------
    LeastSquaresPath

    Raises
    ------
    TypeError
        If it is another economy.
    ValueError
        If a number is out of range.
    """
    motion = Motion(economy)
    k, expected, b = _starts(capital, expected, slope)
    require(bool((k > 0).all()), "capital", capital, "positive numbers")
    require(bool((expected > 0).all()), "expected", expected, "positive numbers")
    low, high = SLOPES
    require(bool(((b >= low) & (b <= high)).all()), "slope", slope, f"numbers in [{low}, {high}]")
    require(weight > 1, "weight", weight, "a number above one")
    require(gain is None or 0 < gain < 1, "gain", gain, "a number between 0 and 1")
    require(luck > 0, "luck", luck, "a positive number")
    centre, random = np.log(expected), np.random.default_rng(seed)
    belief = np.stack([np.zeros_like(b), b], -1)
    # As if the first belief came from data that varied by a tenth.
    moments = np.zeros((*b.shape, 2, 2))
    moments[:, 0, 0], moments[:, 1, 1] = 1.0, 0.01
    capitals, beliefs = [k], [belief]
    for t in range(periods):
        a, b = belief.T
        following = _made(motion, k, centre + a - b * centre, b)
        shock = np.exp(luck * random.standard_normal(k.shape))
        following = following * shock
        z = np.stack([np.ones_like(k), np.log(k) - centre], -1)
        error = np.log(following) - centre - (belief * z).sum(-1)
        share = 1 / (weight + t) if gain is None else gain
        moments = moments + share * (z[:, :, None] * z[:, None, :] - moments)
        surprise = (z * error[:, None])[..., None]
        towards = np.linalg.solve(moments, surprise)[..., 0]
        belief, k = belief + share * towards, following
        belief[:, 1] = belief[:, 1].clip(*SLOPES)
        capitals.append(k)
        beliefs.append(belief)
    a, b = np.moveaxis(np.array(beliefs), -1, 0)
    return LeastSquaresPath(np.array(capitals), np.exp(centre + a / (1 - b)), b)


def _starts(*numbers):
    """Of each start its numbers, as arrays of one length."""
    each = np.broadcast_arrays(*(np.asarray(x, float) for x in numbers))
    return [np.atleast_1d(x).copy() for x in each]


def expected_fates(
    economy: Externality,
    capital,
    expected,
    slope=0.9,
    *,
    time: float = 40.0,
    step: float = 0.2,
) -> np.ndarray:
    r"""Where beliefs lead if they follow the differential equation of E-stability.

    In :math:`\frac{d}{d\tau}(a,b) = T(a,b)-(a,b)`, :math:`T` is the straight line in logarithms
    that touches the actual law where capital rests under present beliefs.

    Parameters
    ----------
    economy, capital, expected, slope
        As for :func:`least_squares`.
    time, step : float
        How long, in logarithms of the number of periods that a decreasing gain takes; and in which
        steps.

    Returns
    -------
    ndarray, shape (starts,)
        Capital in the end.
    """
    motion = Motion(economy)
    k, expected, b = _starts(capital, expected, slope)
    a = (1 - b) * np.log(expected)
    k = _rest(motion, k, a, b, 400)
    for _ in range(round(time / step)):
        k = _rest(motion, k, a, b, 4)
        up, down = (_made(motion, k * np.exp(x), a, b) for x in (1e-4, -1e-4))
        true = np.log(up / down) / 2e-4
        level = np.log(_made(motion, k, a, b)) - true * np.log(k)
        a, b = a + step * (level - a), (b + step * (true - b)).clip(*SLOPES)
    return k


def _rest(motion, k, a, b, periods):
    for _ in range(periods):
        k = _made(motion, k, a, b)
    return k
