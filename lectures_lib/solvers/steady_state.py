"""Deterministic steady states. Chapter *Steady state*."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from scipy.optimize import brentq

from ..economies import BrockMirman, FixedAction, MarkovChain, Planner
from ..economies.base import Economy
from .euler import euler_residuals


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
        Share of output that is not consumed.
    """

    capital: float
    investment: float
    output: float
    consumption: float
    saving_share: float


def steady_state(
    economy: Economy, regime: str = "planner", method: str = "closed form"
) -> SteadyState:
    """The deterministic steady state of an economy.

    Parameters
    ----------
    economy : Planner or BrockMirman
    regime : {"planner"}
        Whose choices rule.
    method : {"closed form", "root finder"}
        Evaluate the formula of chapter *Steady state*, or find the capital at which the Euler
        residual of the economy's own code is zero. The two agree to rounding.

    Raises
    ------
    ValueError
        If the regime or the method is unknown.
    TypeError
        If there is no formula for the economy.
    """
    if not isinstance(economy, Planner | BrockMirman):
        raise TypeError(f"no steady state is known for {type(economy).__name__}.")
    if regime != "planner":
        raise ValueError(f"regime={regime!r}: {type(economy).__name__} knows 'planner' only.")
    if method == "closed form":
        capital = economy.efficient_capital
    elif method == "root finder":
        capital = _root(economy)
    else:
        raise ValueError(f"method={method!r}: expected 'closed form' or 'root finder'.")
    return _quantities(economy, capital)


def _quantities(economy, capital) -> SteadyState:
    if isinstance(economy, BrockMirman):
        output = economy.aggregate.mean * (capital / economy.efficient_capital) ** economy.alpha
        investment = spending = capital
    else:
        productivity = economy.idiosyncratic.mean * economy.aggregate.mean
        output = productivity * capital**economy.alpha
        investment = economy.delta * capital
        # X_j = phi I_j^2 / 2 in total, of which each of N households bears its part, for M goods.
        total = economy.phi / 2 * (economy.n_households * investment) ** 2
        spending = economy.n_goods * total / economy.n_households
    consumption = output - spending
    return SteadyState(capital, investment, output, consumption, spending / output)


def without_risk(economy: Economy) -> Economy:
    """The same economy with every productivity fixed at its mean."""
    chains = {
        name: MarkovChain((getattr(economy, name).mean,), ((1.0,),))
        for name in ("idiosyncratic", "aggregate")
        if hasattr(economy, name)
    }
    return replace(economy, **chains)


def _root(economy) -> float:
    riskless = without_risk(economy)
    generator = torch.Generator().manual_seed(0)
    template = riskless.reset((1,), generator, torch.float64)

    def residual(capital: float) -> float:
        quantities = _quantities(riskless, capital)
        if isinstance(riskless, BrockMirman):
            action = quantities.consumption
        else:
            action = quantities.saving_share / riskless.n_goods
        state = template._replace(capital=torch.full_like(template.capital, capital))
        return euler_residuals(riskless, FixedAction(riskless, action), state).mean().item()

    # Widen a bracket around one, without help from the formula that is being verified.
    low = high = 1.0
    while residual(low) < 0:
        low /= 2
    while residual(high) > 0:
        high *= 1.5
    return brentq(residual, low, high, xtol=1e-13, rtol=1e-14)
