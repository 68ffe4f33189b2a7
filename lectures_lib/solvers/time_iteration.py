"""Time iteration for the planner with one household and one good.

Chapter *Global solution*. The unknown is the logarithm of the expected marginal value of capital,
a function of next period's capital for each current productivity, written as a Chebyshev
polynomial in log capital: it is smooth and nearly linear, which investment is not.
"""

from __future__ import annotations

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
        k = torch.arange(coefficients.shape[1], dtype=x.dtype, device=x.device)
        basis = (k * x.arccos().unsqueeze(-1)).cos()
        share = (coefficients[joint] * basis).sum(-1).exp()
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
    sigma = economy.risk_aversion
    own, common = economy.idiosyncratic, economy.aggregate
    productivity = np.kron(np.array(common.values), np.array(own.values))[:, None]
    transition = np.kron(np.array(common.transition), np.array(own.transition))

    # Where productivity stays at an extreme for ever, capital comes to rest here.
    rest = economy.efficient_capital * (productivity / (own.mean * common.mean)) ** (
        1 / (2 - alpha)
    )
    low = np.log(0.8 * min(0.5 * economy.efficient_capital, rest.min()))
    high = np.log(1.2 * max(1.25 * economy.efficient_capital, rest.max()))
    nodes = chebyshev.chebpts1(degree + 1)
    log_capital = (low + high) / 2 + (high - low) / 2 * nodes
    to_coefficients = np.linalg.inv(chebyshev.chebvander(nodes, degree))
    derivative = 2 / (high - low)
    capital = np.exp(log_capital)[None]
    output = productivity * capital**alpha

    def polynomial(coefficients, x):
        # One polynomial for each row; x has the same rows.
        theta = np.arccos(np.clip(x, -1, 1))
        k = np.arange(degree + 1)
        value = np.einsum("sk,sxk->sx", coefficients, np.cos(k * theta[..., None]))
        sine = np.sqrt(np.maximum(1 - x**2, 1e-16))
        slope = np.einsum("sk,sxk->sx", coefficients, k * np.sin(k * theta[..., None])) / sine
        return value, slope

    investment = np.full_like(output, delta) * capital
    investment = np.minimum(investment, 0.5 * np.sqrt(2 * output / phi))
    expected = np.zeros_like(output)
    for iteration in range(1, max_iterations + 1):
        coefficients = expected @ to_coefficients.T
        log_investment = np.log(investment)
        for _ in range(50):
            following = (1 - delta) * capital + investment
            x = (2 * np.log(following) - low - high) / (high - low)
            value, slope = polynomial(coefficients, x)
            consumption = output - phi / 2 * investment**2
            gap = np.log(phi * investment) - sigma * np.log(consumption) - value
            gap_slope = (
                1
                + sigma * phi * investment**2 / consumption
                - slope * derivative * investment / following
            )
            # Consumption must stay positive, so a step in log investment is kept short of that.
            limit = 0.5 * np.log(2 * output / phi) - 1e-9
            new = np.minimum(
                log_investment - np.clip(gap / gap_slope, -0.5, 0.5), (log_investment + limit) / 2
            )
            done = np.abs(new - log_investment).max() < 1e-14
            log_investment, investment = new, np.exp(new)
            if done or np.abs(gap).max() < 1e-14:
                break
        consumption = output - phi / 2 * investment**2
        marginal = consumption**-sigma * (alpha * output / capital + (1 - delta) * phi * investment)
        updated = np.log(beta * transition @ marginal)
        change = np.abs(updated - expected).max()
        expected = updated
        if change < tolerance:
            break
    else:
        raise RuntimeError(
            f"time iteration on {economy} still changes by {change:.1e} after {max_iterations} "
            f"iterations (tolerance {tolerance:.1e})."
        )
    log_share = np.log(phi / 2 * investment**2 / output)
    return ChebyshevPolicy(economy, (low, high), log_share @ to_coefficients.T), iteration
