"""Deterministic steady states. Chapter *Steady state*."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch

from ..autoregression import AutoRegression
from ..economies import FixedAction, MarkovChain
from ..economies.base import Economy
from ..economies.capital import CapitalEconomy
from ..economies.play import Policy
from .euler import euler_residuals
from .registry import by_kind, refuse_kind

EconomyT = TypeVar("EconomyT", bound=Economy)


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
        Share of income that is spent on capital.
    price : float
        Of a unit of capital: what a household pays for it, on average.
    """

    capital: float
    investment: float
    output: float
    consumption: float
    saving_share: float
    price: float


@by_kind
def steady_state(
    economy: Economy, regime: str | None = None, method: str = "closed form"
) -> SteadyState:
    r"""The deterministic steady state of an economy.

    With :math:`K_c` the planner's (:attr:`~.CapitalEconomy.efficient_capital`), capital is

    ============================  ================================================
    planner, all competitive      :math:`K_c`
    Nash in spending              :math:`K_c\,(1 - 1/(2N))^{1/(2-\alpha)}`
    Nash in quantities            :math:`K_c\,(1 + 1/N)^{-1/(2-\alpha)}`
    joint monopsony               :math:`K_c\,2^{-1/(2-\alpha)}`
    any of them, profit rebated   :math:`K_c`
    trading post, Nash            :math:`K_c\,[(1-1/F)(1-1/N)]^{1/(2-\alpha)}`
    best constant posted price    :math:`K_c\,(1+M(1-\alpha)/\alpha)^{-1/(2-\alpha)}`
    prices announced for ever     :math:`K_c\,s^{1/(2-\alpha)}`, where
                                  :math:`s=\alpha\beta\delta/(1-\beta(1-\delta))`
    ============================  ================================================

    The Nash equilibria are open loop: each household or firm takes as given what the others will
    spend, order or offer for ever. A firm that is bound to one price earns most at rest where that
    is :math:`1+M(1-\alpha)/\alpha` times marginal cost, if all do so. One who announces the prices
    of all dates at date 0 to price takers with logarithmic utility ends at :math:`1/s` times it.

    Parameters
    ----------
    economy : Economy
        A Planner, Market, TradingPost, PostedPrice or BrockMirman, or another that has registered
        its steady state (``steady_state.register``).
    regime : str, optional
        "planner", "competitive", "nash", "monopsony", "constant price" or "commitment": whose
        choices rule. By default the planner's, in a market the competitive households', at a
        trading post "nash", and "constant price" where prices are posted.
    method : {"closed form", "root finder"}
        Evaluate the formula of chapter *Steady state*, or find the capital at which the Euler
        residual of the economy's own code is zero. The two agree to rounding. Sellers have no
        Euler equation, so that there is the formula alone.

    Raises
    ------
    ValueError
        If the regime or the method is unknown.
    TypeError
        If there is no formula for the economy, or for rules that a derived class has changed.
    """
    refuse_kind(economy, "steady_state", steady_state.registry)


def without_risk(economy: EconomyT) -> EconomyT:
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
        if isinstance(x, MarkovChain | AutoRegression)
    }
    return replace(economy, **chains)


def find(
    economy: Economy,
    regime: str,
    method: str,
    formula: float,
    action: Callable[[float], float],
) -> float:
    """Capital in the steady state, by its formula or by the economy's own Euler equation.

    Parameters
    ----------
    economy : Economy
    regime, method : str
        As in :func:`steady_state`.
    formula : float
        Capital in closed form.
    action : callable
        From capital to the action, the same for all, that keeps it where it is without risk.

    Raises
    ------
    ValueError
        If the method is unknown.
    """
    if method == "closed form":
        return formula
    if method != "root finder":
        raise ValueError(f"method={method!r}: expected 'closed form' or 'root finder'.")
    from scipy.optimize import brentq  # where needed: it is slow to import

    riskless = without_risk(economy)
    generator = torch.Generator().manual_seed(0)
    template = riskless.reset((1,), generator, torch.float64)

    def residual(capital: float) -> float:
        moved = riskless.fields.moved_by("choice")
        everywhere = torch.full_like(template.capital, capital)
        state = template._replace(**dict.fromkeys(moved, everywhere))
        policy = FixedAction(riskless, action(capital))
        return euler_residuals(riskless, policy, state, regime).mean().item()

    # Widen a bracket around one, without help from the formula.
    low = high = 1.0
    while residual(low) < 0:
        low /= 2
    while residual(high) > 0:
        high *= 1.5
    return brentq(residual, low, high, xtol=1e-13, rtol=1e-14)


def at_rest(economy: CapitalEconomy, policy: Policy) -> SteadyState:
    """Where a policy comes to rest if all have the same: of a learner, or of a game's solution.

    Parameters
    ----------
    economy : CapitalEconomy
        Without risk (:func:`without_risk`).
    policy : callable
        Of one run, as every policy; it is looked for from the planner's steady state up or down.

    Returns
    -------
    SteadyState

    Raises
    ------
    ValueError
        If the economy has risk, or no state of rest is found within a factor of a hundred.
    TypeError
        If it has not the paper's technology.
    """
    from scipy.optimize import brentq  # where needed: it is slow to import

    if not isinstance(economy, CapitalEconomy):
        refuse_kind(economy, "at_rest", (CapitalEconomy,))
    risky = [name for name, chain in economy.fields.chains.items() if len(chain) > 1]
    if risky:
        raise ValueError(
            f"{risky} are left to chance: a policy rests in an economy without_risk(economy)."
        )
    template = economy.reset((1,), torch.Generator().manual_seed(0), torch.float64)

    def period(log):
        stocks = torch.full_like(template.capital, math.exp(log))
        state = template._replace(**dict.fromkeys(economy.fields.moved_by("choice"), stocks))
        actions = {name: a.double() for name, a in policy(state).items()}
        step = economy.step(state, actions, economy.no_luck(state))
        return step, (step.state.capital / stocks).log().mean().item()

    here = end = math.log(economy.efficient_capital)
    growth = period(here)[1]
    for _ in range(46):  # steps of a tenth
        if period(end)[1] * growth <= 0:
            break
        here, end = end, end + math.copysign(0.1, growth)
    low, high = sorted((here, end))
    if period(end)[1] * growth > 0:
        raise ValueError(
            f"{policy!r} keeps no capital within a factor of a hundred of the planner's."
        )
    found = brentq(lambda x: period(x)[1], low, high, xtol=1e-13) if low < high else low
    info = {name: x.mean().item() for name, x in period(found)[0].info.items()}
    spent = info["output"] - info["consumption"]
    paid = spent / economy.n_goods / info["investment"]
    return SteadyState(
        capital=info["capital"],
        investment=info["investment"],
        output=info["output"],
        consumption=info["consumption"],
        saving_share=info["saving_share"],
        price=info.get("price", paid),
    )
