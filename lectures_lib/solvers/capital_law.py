"""Laws of motion of mean capital, and how well they describe a path (Den Haan 2010)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Variance of the logarithm of capital that is rounding.
NOTHING = 1e-20


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
            found.append((intercept - slope * x.mean(), slope, _explained(left, y[now])))
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
        r2.append(_explained(left, y[now]))
    return LawAccuracy(tuple(r2), float(apart.mean()), float(apart.max()))


def _explained(left, y) -> float:
    """The share of variance that is explained; one, where nothing but rounding varies."""
    return float(1 - left.var() / max(y.var(), NOTHING))
