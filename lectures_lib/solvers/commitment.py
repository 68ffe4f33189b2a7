"""What a seller earns who can bind itself to all prices to come. Chapter *Sellers who learn*.

A seller who announces the prices of all dates at date 0, and is believed by households that take
prices as given, solves a Ramsey problem: it chooses among the paths of purchases that households
would make at some prices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..economies import PostedPrice
from .piece import ConvergenceError
from .steady_state import steady_state, without_risk

# Steps of the search at most, and its gradient when it is over.
MOST_STEPS, ENOUGH = 1000, 1e-6


@dataclass(frozen=True)
class Announcement:
    """Prices that a seller has announced, and what follows from them.

    Attributes
    ----------
    capital : Tensor, shape (periods + 1,)
        Of each household, at the beginning of each period.
    investment : Tensor, shape (periods,)
        Of each household.
    price : Tensor, shape (periods,)
        In units of the final good.
    markup : Tensor, shape (periods,)
        Price over the marginal cost of all that is made.
    profit : Tensor, shape (periods,)
    value : float
        Discounted profit of these periods and of all that come after.
    """

    capital: Tensor
    investment: Tensor
    price: Tensor
    markup: Tensor
    profit: Tensor
    value: float | Tensor


def require_commitment(economy: PostedPrice) -> None:
    """Refuse economies in which the best announcement is not known.

    Raises
    ------
    TypeError
        If nobody posts prices there.
    ValueError
        If there are several sellers, or utility is not logarithmic.
    """
    if not isinstance(economy, PostedPrice):
        raise TypeError(f"economy={economy!r}: expected a PostedPrice.")
    for name in ("n_goods", "risk_aversion"):
        if getattr(economy, name) != 1:
            raise ValueError(
                f"{name}={getattr(economy, name)}: what a seller announces who can commit is known "
                "for one good and logarithmic utility."
            )


def announced_prices(
    economy: PostedPrice, capital: float | None = None, periods: int = 300
) -> Announcement:
    r"""The prices that a seller announces at date 0 who can commit to them.

    Households are price takers, without risk and with logarithmic utility. With
    :math:`\mu_t = p_t/c_t`, the utility that a unit costs, their Euler equation is

    .. math:: \mu_t = \beta\Bigl[\frac{\alpha\,(1+\mu_{t+1}I_{t+1})}{K_{t+1}}
              + (1-\delta)\,\mu_{t+1}\Bigr],

    so that a path of purchases has one path of prices at which households make them. The path that
    is worth most is found by a quasi-Newton method; after the last period capital stays where it
    is.

    Parameters
    ----------
    economy : PostedPrice
        With one good. Productivities are at their means.
    capital : float, optional
        Of each household at date 0; by default where the announcement leads in the end.
    periods : int
        For how many periods prices are chosen one by one.

    Returns
    -------
    Announcement

    Raises
    ------
    ValueError
        If there are several goods, or utility is not logarithmic.
    ConvergenceError
        If no path is found that is better than all near it.
    """
    from scipy.optimize import minimize  # where needed: it is slow to import

    require_commitment(economy)
    first = steady_state(economy, "commitment").capital if capital is None else capital
    problem = _Announcements(without_risk(economy), first)

    # What is far away counts for little, and is searched for in longer steps.
    scale = economy.beta ** (-torch.arange(periods, dtype=torch.float64) / 2)

    def loss(x):
        step = torch.from_numpy(x).requires_grad_()
        value = problem.follow(start + scale * step).value
        (slope,) = torch.autograd.grad(value, step)
        return -float(value), -slope.numpy()

    start = math.log(economy.delta * first)
    options = {"maxiter": MOST_STEPS, "gtol": ENOUGH}
    found = minimize(
        loss, torch.zeros_like(scale).numpy(), jac=True, method="BFGS", options=options
    )
    if not abs(found.jac).max() < 100 * ENOUGH:
        raise ConvergenceError(f"the best announcement in {economy} was not found.")
    path = problem.follow(start + scale * torch.from_numpy(found.x))
    columns = {n: getattr(path, n)[:periods] for n in ("investment", "price", "markup", "profit")}
    return Announcement(capital=path.capital[: periods + 1], value=float(path.value), **columns)


class _Announcements:
    """What follows from paths of purchases in logarithms, (periods,), from one initial capital."""

    def __init__(self, economy: PostedPrice, capital: float):
        self.economy, self.first = economy, torch.tensor(capital, dtype=torch.float64)

    def follow(self, log: Tensor) -> Announcement:
        """Capital, prices and profit of the path, and of the last period, which repeats itself."""
        e = self.economy
        bought, capital = log.exp().unbind(), [self.first]
        for x in bought:
            capital.append(e.survival * capital[-1] + x)
        bought = (*bought, e.delta * capital[-1])
        # At rest the Euler equation has one solution.
        left = 1 - e.beta * e.survival - e.alpha * e.beta * e.delta
        costs = [e.alpha * e.beta / left / capital[-1]]
        for stock, x in zip(capital[:0:-1], bought[:0:-1], strict=True):
            product = e.alpha * (1 + costs[-1] * x) / stock
            costs.append(e.beta * (product + e.survival * costs[-1]))
        stocks, each = torch.stack(capital), torch.stack(bought)
        worth = torch.stack(costs[::-1]) * each
        output = e.idiosyncratic.mean * e.aggregate.mean * stocks**e.alpha
        # What is spent, as a share of output, is p I / (c + p I).
        price = output * worth / (1 + worth) / each
        total = e.n_households * each
        profit = price * total - e.production_cost(total)
        weights = e.beta ** torch.arange(len(each), dtype=torch.float64)
        weights[-1] = weights[-1] / (1 - e.beta)
        value = weights @ profit
        return Announcement(stocks, each, price, price / (e.phi * total), profit, value)
