"""Deterministic steady states. Chapter *Steady state*."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from scipy.optimize import brentq

from ..economies import BrockMirman, FixedAction, Market, MarkovChain, Planner
from ..economies.base import Economy
from .euler import euler_residuals
from .regimes import require_kind, resolve_regime

#: Economies whose steady state is known.
KINDS = (Planner, Market, BrockMirman)


@dataclass(frozen=True)
class SteadyState:
    """A symmetric deterministic steady state, productivities at their means.

    Attributes
    ----------
    capital : float
        Per household and good, units of the capital good.
    investment : float
        Per household and good and period.
    output, consumption : float
        Per household and period, units of the final good.
    saving_share : float
        Share of output that is spent on capital.
    price : float
        Of a unit of capital: what a household pays for it, on average.
    """

    capital: float
    investment: float
    output: float
    consumption: float
    saving_share: float
    price: float


def steady_state(
    economy: Economy, regime: str | None = None, method: str = "closed form"
) -> SteadyState:
    r"""The deterministic steady state of an economy.

    With :math:`K_c` the planner's (:attr:`~.CapitalEconomy.efficient_capital`), capital is

    ============================  ================================================
    planner, competitive market   :math:`K_c`
    Nash in spending              :math:`K_c\,(1 - 1/(2N))^{1/(2-\alpha)}`
    Nash in quantities            :math:`K_c\,(1 + 1/N)^{-1/(2-\alpha)}`
    joint monopsony               :math:`K_c\,2^{-1/(2-\alpha)}`
    any of them, profit rebated   :math:`K_c`
    ============================  ================================================

    The two Nash equilibria are open loop: each household takes as given what the others will
    spend, or order, for ever.

    Parameters
    ----------
    economy : Planner, Market or BrockMirman
    regime : {"planner", "competitive", "nash", "monopsony"}, optional
        Whose choices rule. By default the planner's, and in a market the competitive households'.
    method : {"closed form", "root finder"}
        Evaluate the formula of chapter *Steady state*, or find the capital at which the Euler
        residual of the economy's own code is zero. The two agree to rounding.

    Raises
    ------
    ValueError
        If the regime or the method is unknown.
    TypeError
        If there is no formula for the economy, or for rules that a derived class has changed.
    """
    require_kind(economy, "steady_state", KINDS)
    regime = resolve_regime(economy, regime)
    if method == "closed form":
        capital = economy.efficient_capital * _distortion(economy, regime)
    elif method == "root finder":
        capital = _root(economy, regime)
    else:
        raise ValueError(f"method={method!r}: expected 'closed form' or 'root finder'.")
    return _quantities(economy, capital)


def _distortion(economy, regime) -> float:
    """Capital relative to the planner's."""
    n = economy.n_households if isinstance(economy, Market) else 1
    if regime in ("planner", "competitive") or economy.rebate_profits:
        cost = 1.0
    elif regime == "monopsony":
        cost = 2.0
    elif economy.action == "spending":
        cost = 1 / (1 - 1 / (2 * n))
    else:
        cost = 1 + 1 / n
    # Marginal cost relative to the price raises what capital has to earn.
    return cost ** (1 / (economy.alpha - 2))


def _quantities(economy, capital) -> SteadyState:
    if isinstance(economy, BrockMirman):
        output = economy.aggregate.mean * (capital / economy.efficient_capital) ** economy.alpha
        return SteadyState(capital, capital, output, output - capital, capital / output, 1.0)
    productivity = economy.idiosyncratic.mean * economy.aggregate.mean
    output = productivity * capital**economy.alpha
    investment = economy.delta * capital
    total = economy.n_households * investment
    price = economy.unit_cost(total)
    spending = economy.n_goods * price * investment
    rebate = 0.0
    if getattr(economy, "rebate_profits", False):
        rebate = economy.n_goods * economy.phi / 2 * total**2 / economy.n_households
    consumption = output - spending + rebate
    return SteadyState(capital, investment, output, consumption, spending / output, price)


def without_risk(economy: Economy) -> Economy:
    """The same economy with every chain among its parameters fixed at its mean.

    Raises
    ------
    TypeError
        If it is no economy.
    """
    if not isinstance(economy, Economy):
        raise TypeError(f"economy={economy!r}: expected an Economy, such as Planner().")
    parameters = {f.name: getattr(economy, f.name) for f in fields(economy) if f.init}
    chains = {
        name: MarkovChain((x.mean,), ((1.0,),))
        for name, x in parameters.items()
        if isinstance(x, MarkovChain)
    }
    return replace(economy, **chains)


def _root(economy, regime) -> float:
    riskless = without_risk(economy)
    generator = torch.Generator().manual_seed(0)
    template = riskless.reset((1,), generator, torch.float64)

    def residual(capital: float) -> float:
        quantities = _quantities(riskless, capital)
        if isinstance(riskless, BrockMirman):
            action = quantities.consumption
        elif getattr(riskless, "action", "spending") == "quantity":
            action = quantities.investment
        else:
            action = quantities.saving_share / riskless.n_goods
        stocks = {
            name: torch.full_like(template.capital, capital)
            for name in riskless.fields.moved_by("choice")
        }
        policy = FixedAction(riskless, action)
        return euler_residuals(riskless, policy, template._replace(**stocks), regime).mean().item()

    # Widen a bracket around one, without help from the formula that is being verified.
    low = high = 1.0
    while residual(low) < 0:
        low /= 2
    while residual(high) > 0:
        high *= 1.5
    return brentq(residual, low, high, xtol=1e-13, rtol=1e-14)
