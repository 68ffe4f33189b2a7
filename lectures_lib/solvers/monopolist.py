"""The monopolist's exact price. Chapter *Markov decision problems*."""

from __future__ import annotations

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from ..economies import Monopolist
from .domain import Domain
from .regimes import regimes_of, resolve_regime
from .solution import Solution, require_no_choice, solve

#: Degree of the Chebyshev polynomials in customers, one for each intensity of demand.
DEGREE = 24
# Bisections that find a price, and rounds of policy iteration at most.
BISECTIONS, ROUNDS = 50, 50


class PriceRule:
    """The price as a polynomial in customers, for each intensity of demand.

    Parameters
    ----------
    economy : Monopolist
    coefficients : ndarray, shape (degree + 1, intensities)
    bounds : tuple of float
        Customers between which the polynomials hold; beyond, the price is that of the bound.

    Attributes
    ----------
    domain : Domain
        For which customers the rule holds.
    """

    def __init__(self, economy: Monopolist, coefficients: np.ndarray, bounds: tuple[float, float]):
        self.economy, self.coefficients = economy, coefficients
        remedy = "there the price is that of the nearer end, which is not exact"
        self.domain = Domain(*bounds, remedy, quantity="customers")

    def __repr__(self):
        return f"{type(self).__name__}(polynomials of degree {len(self.coefficients) - 1})"

    def price(self, state) -> Tensor:
        """The price (*batch, 1)."""
        self.domain.check(state.customers, self)
        x = state.customers.squeeze(-1)
        position = _position(x.cpu().numpy(), (self.domain.low, self.domain.high))
        basis = chebyshev.chebvander(position, len(self.coefficients) - 1)
        every = torch.from_numpy(basis @ self.coefficients).to(x)
        return every.gather(-1, state.demand.unsqueeze(-1)).clamp(0, 1)

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """The firm's price (*batch, 1, 1)."""
        return {"firm": self.price(state).unsqueeze(-1)}


def _position(x, bounds):
    low, high = bounds
    return np.clip(2 * (x - low) / (high - low) - 1, -1, 1)


def price_rule(economy: Monopolist) -> tuple[PriceRule, int]:
    r"""Policy iteration on polynomials.

    The price solves :math:`a x (1 + c - 2p) = \frac{\beta\rho}{1-\bar p} E V_x(x', a')`: what a
    higher price brings today is what the customers that it costs are worth tomorrow. For a given
    rule the value is linear in its coefficients, and found exactly.

    Parameters
    ----------
    economy : Monopolist

    Returns
    -------
    policy : PriceRule
    iterations : int
        Rounds of policy iteration.

    Raises
    ------
    RuntimeError
        If they do not converge.
    """
    e = economy
    # All that prices between nearly one and nearly zero lead to.
    bounds = e.attracted(0.95), e.attracted(0.05)
    nodes = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    x = (bounds[0] + (nodes + 1) / 2 * (bounds[1] - bounds[0]))[:, None]
    a, chain = np.array(e.demand.values), np.array(e.demand.transition)
    n, stretch = len(a), 2 / (bounds[1] - bounds[0])
    at_nodes = chebyshev.chebvander(nodes, DEGREE)
    # In the same units for all: what today's price does to tomorrow's customers.
    loss = e.turnover / (1 - e.price_of_the_day)
    value = np.zeros((DEGREE + 1, n))
    price = np.full((DEGREE + 1, n), e.price_of_the_day)
    for count in range(1, ROUNDS + 1):
        following = (1 - e.turnover) * x + e.turnover * e.attracted(price)
        basis = chebyshev.chebvander(_position(following, bounds), DEGREE)
        # V = profit + beta E V': one linear system in all coefficients.
        matrix = np.einsum("kd,ab->kadb", at_nodes, np.eye(n))
        matrix = matrix - e.beta * np.einsum("kad,ab->kadb", basis, chain)
        profit = a * x * (1 - price) * (price - e.cost)
        size = (DEGREE + 1) * n
        solved = np.linalg.solve(matrix.reshape(size, size), profit.reshape(size))
        value, before = solved.reshape(DEGREE + 1, n), price
        slope = stretch * chebyshev.chebder(value)

        low, high = np.zeros_like(price), np.ones_like(price)
        for _ in range(BISECTIONS):
            price = (low + high) / 2
            following = (1 - e.turnover) * x + e.turnover * e.attracted(price)
            basis = chebyshev.chebvander(_position(following, bounds), DEGREE - 1)
            worth = np.einsum("kad,db,ab->ka", basis, slope, chain)
            raise_it = a * x * (1 + e.cost - 2 * price) > e.beta * loss * worth
            low, high = np.where(raise_it, price, low), np.where(raise_it, high, price)
        if np.abs(price - before).max() < 1e-12:
            return PriceRule(e, np.linalg.solve(at_nodes, price), bounds), count
    raise RuntimeError(f"policy iteration on {e} has not converged in {ROUNDS} rounds.")


@regimes_of.register(Monopolist)
def _(economy):
    return ("monopolist",)


@solve.register(Monopolist)
def _(economy, regime, method, domain):
    require_no_choice(economy, method, domain)
    found = price_rule(economy)
    return Solution(economy, resolve_regime(economy, regime), *found, "policy iteration")
