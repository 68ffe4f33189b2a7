"""What solvers know of a market. Chapters *The market's formulation* and *Steady state*."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..economies import InformationMarket, Market
from .capital import rest, solve_with_capital
from .euler import game_in
from .regimes import Conditions, conditions_of, regimes_of, resolve_regime
from .solution import solve
from .steady_state import steady_state

solve.register(Market, solve_with_capital)


@regimes_of.register(Market)
def _(economy):
    return ("competitive", "nash", "monopsony")


@regimes_of.register(InformationMarket)
def _(economy):
    return regimes_of(economy.plain)


@solve.register(InformationMarket)
def _(economy, regime, method, domain):
    raise TypeError(
        "solve knows no market in which households see different things, remember, or pay a cost "
        "that moves: what each does depends on what it believes the others to know. PPO and "
        "Probing learn in it, and value_of_information says how good their rules are for what is "
        "seen. The market in which everybody sees everything is solve(economy.plain)."
    )


@game_in.register(Market)
def _(economy, regime):
    if regime is None:
        return economy, False
    regime = resolve_regime(economy, regime)
    return replace(economy, atomistic=regime == "competitive"), regime == "monopsony"


@conditions_of.register(Market)
class MarketConditions(Conditions):
    """First-order conditions of households that buy in a market.

    Crowds and limits to information change none of them: `economy` is the market without.

    Parameters
    ----------
    economy : Market
    regime : {"competitive", "nash", "monopsony"}
    """

    separate = ("competitive", "nash")

    def __init__(self, economy: Market, regime: str):
        super().__init__(replace(economy, atomistic=False, n_uninformed=0), regime)

    def effective_price(self, investment, total):
        """What a unit more costs a buyer who may know how it moves prices."""
        if self.regime == "competitive":
            return super().effective_price(investment, total)
        if self.economy.action == "spending":
            kept = 1 - self.rebate / self.cost
            return kept * self.cost * total / (1 - investment / (2 * total))
        return self.cost * (total + investment) - 2 * self.rebate * total

    def price_slopes(self, investment, total):
        """Derivatives of the log effective price in what each household buys of the good."""
        if self.regime == "competitive":
            return super().price_slopes(investment, total)
        households = torch.eye(investment.shape[-2], dtype=total.dtype, device=total.device)
        if self.economy.action == "spending":
            net = (total - investment / 2).unsqueeze(-1)
            return (2 / total).unsqueeze(-1) - (1 - households[:, None] / 2) / net
        price = self.effective_price(investment, total).unsqueeze(-1)
        return (self.cost * (1 + households[:, None]) - 2 * self.rebate) / price


@steady_state.register(Market)
def _(economy, regime, method):
    regime = resolve_regime(economy, regime)
    # Marginal cost relative to the price raises what capital has to earn.
    relative = _relative_cost(economy, regime) ** (1 / (economy.alpha - 2))
    return rest(economy, regime, method, economy.efficient_capital * relative)


@steady_state.register(InformationMarket)
def _(economy, regime, method):
    # Where nothing ever happens there is nothing to know.
    mean = 1.0 if economy.cost is None else economy.cost.mean
    return steady_state(replace(economy.plain, phi=mean * economy.phi), regime, method)


def _relative_cost(economy, regime) -> float:
    """What a unit more costs whoever decides, relative to its price, if households are alike."""
    if regime == "competitive" or economy.rebate_profits:
        return 1.0
    if regime == "monopsony":
        return 2.0
    n = economy.n_households
    return 1 / (1 - 1 / (2 * n)) if economy.action == "spending" else 1 + 1 / n
