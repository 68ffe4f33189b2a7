"""Time iteration for the planner with one household and one good.

Chapter *Global solution*. The unknown is the logarithm of the expected marginal value of capital,
a function of next period's capital for each current productivity, written as a Chebyshev
polynomial in log capital: it is smooth and nearly linear, which investment is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.polynomial import chebyshev

from ..economies.planner import Planner


class ChebyshevPolicy:
    """A saving share that is the exponential of a polynomial in log capital, by productivity.

    Parameters
    ----------
    economy : Planner
    bounds : tuple of float
        Smallest and largest log capital; beyond them the share at the bound is used.
    coefficients : array, shape (states of productivity, degree + 1)
    """

    def __init__(self, economy: Planner, bounds: tuple[float, float], coefficients: np.ndarray):
        self.economy, self.bounds = economy, bounds
        self.coefficients = torch.as_tensor(coefficients)

    def __call__(self, state, moved=None):
        """Spending shares, shape (*batch, 1, 1)."""
        capital = state.capital.squeeze(-1)
        low, high = self.bounds
        x = ((2 * capital.double().log() - low - high) / (high - low)).clamp(-1, 1)
        coefficients = self.coefficients.to(x.device)
        joint = state.aggregate.unsqueeze(-1) * len(self.economy.idiosyncratic)
        joint = joint + state.idiosyncratic
        # Clenshaw's recursion: small arrays are far quicker than one with a basis for every state.
        one = two = torch.zeros_like(x)
        for column in coefficients[:, 1:].flip(-1).unbind(-1):
            one, two = column[joint] + 2 * x * one - two, one
        share = (coefficients[:, 0][joint] + x * one - two).exp()
        return {"planner": share.unsqueeze(-1).to(state.capital.dtype)}


def time_iteration(
    economy: Planner, degree: int = 24, tolerance: float = 1e-13, max_iterations: int = 10_000
) -> tuple[ChebyshevPolicy, int]:
    r"""Iterate on the Euler equation until tomorrow's rule is today's.

    For each productivity :math:`s` and capital :math:`K`, investment solves

    .. math:: \log(\phi I) - \sigma \log C = e_s\bigl(\log[(1-\delta)K + I]\bigr), \qquad
              C = Y - \tfrac{\phi}{2} I^2,

    and the marginal value that follows,
    :math:`C^{-\sigma}(\alpha Y/K + (1-\delta)\phi I)`, gives the next :math:`e_s`, the log of its
    discounted conditional expectation.

    Parameters
    ----------
    economy : Planner
        With one household and one good.
    degree : int
        Degree of the polynomials.
    tolerance : float
        Largest change of :math:`e_s` at which to stop.
    max_iterations : int

    Returns
    -------
    policy : ChebyshevPolicy
    iterations : int

    Raises
    ------
    RuntimeError
        If the iteration has not converged.
    """
    alpha, beta, delta, phi = economy.alpha, economy.beta, economy.delta, economy.phi
    own, common = economy.idiosyncratic, economy.aggregate
    productivity = np.kron(np.array(common.values), np.array(own.values))[:, None]
    transition = np.kron(np.array(common.transition), np.array(own.transition))
    nodes = _Nodes.around(economy, productivity, degree)
    output = productivity * nodes.capital**alpha

    # Spending at most a quarter of output is a feasible place to begin.
    investment = np.minimum(delta * nodes.capital, np.sqrt(output / (2 * phi)))
    expected = np.zeros_like(output)
    for iteration in range(1, max_iterations + 1):
        investment = _invest(economy, nodes, output, nodes.fit(expected), investment)
        consumption = output - phi / 2 * investment**2
        marginal_utility = consumption**-economy.risk_aversion
        gross_return = alpha * output / nodes.capital + (1 - delta) * phi * investment
        previous, expected = expected, np.log(beta * transition @ (marginal_utility * gross_return))
        change = np.abs(expected - previous).max()
        if change < tolerance:
            share = phi / 2 * investment**2 / output
            return ChebyshevPolicy(economy, nodes.bounds, nodes.fit(np.log(share))), iteration
    raise RuntimeError(
        f"time iteration on {economy} still changes by {change:.1e} after {max_iterations} "
        f"iterations (tolerance {tolerance:.1e})."
    )


def _invest(economy, nodes, output, coefficients, investment):
    """Solve the Euler equation for investment at every node by Newton's method on its logarithm."""
    delta, phi, sigma = economy.delta, economy.phi, economy.risk_aversion
    # Consumption must stay positive, so a step goes at most half the way to where it would end.
    limit = 0.5 * np.log(2 * output / phi)
    log_investment = np.log(investment)
    for _ in range(50):
        following = (1 - delta) * nodes.capital + investment
        value, slope = nodes.evaluate(coefficients, np.log(following))
        consumption = output - phi / 2 * investment**2
        gap = np.log(phi * investment) - sigma * np.log(consumption) - value
        gap_slope = 1 + sigma * phi * investment**2 / consumption - slope * investment / following
        step = np.clip(gap / gap_slope, -0.5, 0.5)
        log_investment = np.minimum(log_investment - step, (log_investment + limit) / 2)
        investment = np.exp(log_investment)
        if np.abs(step).max() < 1e-14:
            break
    return investment


@dataclass(frozen=True)
class _Nodes:
    """Chebyshev nodes in log capital, and polynomials through values at them."""

    bounds: tuple[float, float]
    degree: int

    @classmethod
    def around(cls, economy, productivity, degree):
        """Nodes that cover the initial distribution and all the places where capital can rest."""
        centre = economy.efficient_capital
        mean = economy.idiosyncratic.mean * economy.aggregate.mean
        # Where productivity stays at an extreme for ever, capital comes to rest here.
        rest = centre * (productivity / mean) ** (1 / (2 - economy.alpha))
        low, high = 0.8 * min(0.5 * centre, rest.min()), 1.5 * max(1.25 * centre, rest.max())
        return cls((np.log(low), np.log(high)), degree)

    @cached_property
    def capital(self):
        low, high = self.bounds
        points = chebyshev.chebpts1(self.degree + 1)
        return np.exp((low + high) / 2 + (high - low) / 2 * points)

    @cached_property
    def _inverse(self):
        points = chebyshev.chebpts1(self.degree + 1)
        return np.linalg.inv(chebyshev.chebvander(points, self.degree)).T

    def fit(self, values):
        """Coefficients (rows, degree + 1) of the polynomials through values at the nodes."""
        return values @ self._inverse

    def evaluate(self, coefficients, log_capital):
        """Each row's polynomial and its slope at log capital, shape (rows, points)."""
        low, high = self.bounds
        x = np.clip((2 * log_capital - low - high) / (high - low), -1, 1)
        angle, k = np.arccos(x)[..., None], np.arange(self.degree + 1)
        value = np.einsum("sk,sxk->sx", coefficients, np.cos(k * angle))
        # T_k(cos a) = cos(k a), so its slope is k sin(k a) / sin(a).
        sine = np.sqrt(np.maximum(1 - x**2, 1e-16))
        slope = np.einsum("sk,sxk->sx", coefficients, k * np.sin(k * angle)) / sine
        return value, slope * 2 / (high - low)
