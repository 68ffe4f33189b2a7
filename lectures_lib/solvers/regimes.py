r"""Who takes what as given: the first-order conditions of every regime.

Chapters *The planner's formulation* and *The market's formulation*. In all of them a household's
investment in good :math:`j` satisfies

.. math:: m_{ij} = \lambda_{ij} = \beta E\left[ u'(C_i') \frac{\alpha}{M} \frac{Y_i'}{K_{ij}'}
          + (1-\delta) \lambda_{ij}' \right],

and regimes differ in the marginal cost :math:`m_{ij}` of a unit, in utility, alone. Total
investment in good :math:`j` is :math:`Q_j`, and household :math:`i` pays :math:`a Q_j I_{ij}` for
it, where :math:`a` is :math:`\phi/2` for the planner and :math:`\phi` in the market.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..economies import BrockMirman, Market, Planner
from ..economies.capital import CapitalEconomy

#: Regimes of each economy, the one that `solve` takes first.
REGIMES = {
    Planner: ("planner",),
    BrockMirman: ("planner",),
    Market: ("competitive", "nash", "monopsony"),
}

#: Regimes in which households maximise the mean of their utilities together.
JOINT = ("planner", "monopsony")


def resolve_regime(economy: CapitalEconomy, regime: str | None) -> str:
    """The regime that was asked for, or the economy's first.

    Raises
    ------
    ValueError
        If the economy does not have it.
    """
    known = REGIMES[type(economy)]
    if regime is None:
        return known[0]
    if regime not in known:
        raise ValueError(f"regime={regime!r}: {type(economy).__name__} knows {known}.")
    return regime


class Conditions:
    """First-order conditions of an economy in a regime, with their derivatives.

    Investment has shape (*batch, N, M), output (*batch, N).

    Parameters
    ----------
    economy : Planner or Market
    regime : str
    """

    def __init__(self, economy: CapitalEconomy, regime: str):
        self.economy, self.regime = economy, regime
        self.cost = economy.unit_cost(torch.ones((), dtype=torch.float64)).item()
        n = economy.n_households
        # A household's part of the firms' profit, per square of total investment.
        self.rebate = economy.phi / (2 * n) if getattr(economy, "rebate_profits", False) else 0.0
        self.joint = regime in JOINT

    def consumption(self, investment: Tensor, output: Tensor) -> Tensor:
        """What is left of output, and profit that is paid back."""
        total = investment.sum(-2, keepdim=True)
        spending = (self.cost * total * investment).sum(-1)
        return output - spending + self.rebate * total.square().sum(-1)

    def marginal_cost(self, investment: Tensor, output: Tensor) -> Tensor:
        """Utility that a unit of each stock costs whoever decides, shape (*batch, N, M)."""
        total = investment.sum(-2, keepdim=True)
        utility = self.marginal_utility(investment, output).unsqueeze(-1)
        if self.joint:
            # Own purchase; then the unit cost that everybody pays, less what is paid back.
            others = (utility * investment).sum(-2, keepdim=True)
            back = 2 * self.rebate * total * utility.sum(-2, keepdim=True)
            return self.cost * (total * utility + others) - back
        return utility * self._effective_price(investment, total)

    def marginal_utility(self, investment: Tensor, output: Tensor) -> Tensor:
        """Utility of a unit of consumption, shape (*batch, N)."""
        return self.consumption(investment, output).pow(-self.economy.risk_aversion)

    def _effective_price(self, investment, total):
        if self.regime == "competitive":
            return self.cost * total.expand_as(investment)
        if self.economy.action == "spending":
            kept = 1 - self.rebate / self.economy.phi
            return kept * self.cost * total / (1 - investment / (2 * total))
        return self.cost * (total + investment) - 2 * self.rebate * total

    def log_slopes(self, investment: Tensor, output: Tensor) -> Tensor:
        """Derivatives of log marginal cost, shape (*batch, N, M, N, M): of (k, l) in (m, n)."""
        total = investment.sum(-2, keepdim=True)
        consumption = self.consumption(investment, output)
        sigma = self.economy.risk_aversion
        n_households, n_goods = investment.shape[-2:]
        households = torch.eye(n_households, dtype=investment.dtype, device=investment.device)
        goods = torch.eye(n_goods, dtype=investment.dtype, device=investment.device)
        # slope[i, k, l]: of household i's consumption in household k's investment in good l
        slope = (2 * self.rebate * total - self.cost * investment).unsqueeze(-2)
        slope = slope - self.cost * households.unsqueeze(-1) * total.unsqueeze(-3)
        if self.joint:
            utility = consumption.pow(-sigma)
            curvature = sigma * utility / consumption
            flat = slope.flatten(-2)
            through_utility = (flat * curvature.unsqueeze(-1)).mT @ flat
            pairs = self.cost * (utility.unsqueeze(-1) + utility.unsqueeze(-2))
            pairs = pairs - 2 * self.rebate * utility.sum(-1)[..., None, None]
            direct = pairs[..., :, None, :, None] * goods[:, None, :]
            level = self.marginal_cost(investment, output)[..., None, None]
            return (through_utility.reshape(direct.shape) + direct) / level
        through_utility = -sigma * slope / consumption[..., None, None]
        if self.regime == "competitive":
            direct = (1 / total).expand_as(investment).unsqueeze(-1)
        elif self.economy.action == "spending":
            net = (total - investment / 2).unsqueeze(-1)
            direct = (2 / total).unsqueeze(-1) - (1 - households[:, None] / 2) / net
        else:
            price = self._effective_price(investment, total).unsqueeze(-1)
            direct = (self.cost * (1 + households[:, None]) - 2 * self.rebate) / price
        return through_utility.unsqueeze(-3) + direct.unsqueeze(-1) * goods[:, None]

    def worth(self, marginal_utility, output, capital, costate):
        """Utility of a unit of each stock today, shape (*batch, N, M)."""
        e = self.economy
        product = e.alpha / e.n_goods * (marginal_utility * output).unsqueeze(-1) / capital
        return product + (1 - e.delta) * costate
