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

from functools import singledispatch

import torch
from torch import Tensor

from ..economies.base import Economy
from ..economies.capital import CapitalEconomy
from .euler import in_regime, jacobians
from .registry import by_kind, expected_kinds, refuse_kind

# Newton steps for what households buy together, at most; few are needed away from kinks.
NEWTON_STEPS = 40


@singledispatch
def regimes_of(economy: Economy) -> tuple[str, ...]:
    """Names of the regimes in which an economy can be solved, the first one by default.

    Parameters
    ----------
    economy : Economy

    Raises
    ------
    TypeError
        If none is known for the economy; ``regimes_of.register`` makes them known.
    """
    known = expected_kinds(regimes_of.registry)
    raise TypeError(f"no regime is known for {type(economy).__name__}: {known}.")


def resolve_regime(economy: Economy, regime: str | None) -> str:
    """The regime that was asked for, or the economy's first.

    Raises
    ------
    ValueError
        If the economy does not have it.
    TypeError
        If none is known for the economy.
    """
    known = regimes_of(economy)
    if regime is None:
        return known[0]
    if regime not in known:
        raise ValueError(f"regime={regime!r}: {type(economy).__name__} knows {known}.")
    return regime


@by_kind
def conditions_of(economy: CapitalEconomy, regime: str) -> Conditions:
    """First-order conditions of an economy with capital in a regime.

    Parameters
    ----------
    economy : CapitalEconomy
    regime : str

    Raises
    ------
    TypeError
        If none are known for the economy, or a derived class has changed its rules.
    ValueError
        If the economy does not have the regime.
    """
    refuse_kind(economy, "conditions_of", conditions_of.registry)


class Conditions:
    """First-order conditions of an economy in a regime, with their derivatives.

    Investment has shape (*batch, N, M), income and output (*batch, N). Households decide jointly,
    or each for itself and taking prices as given; a subclass may add regimes. Those of an economy
    are given by :func:`lectures_lib.solvers.conditions_of`.

    Parameters
    ----------
    economy : CapitalEconomy
    regime : str

    Raises
    ------
    ValueError
        If it is none of the economy's, or none that is known here.
    """

    #: Regimes of households that decide each for itself.
    separate: tuple[str, ...] = ("competitive",)

    def __init__(self, economy: CapitalEconomy, regime: str):
        self.economy, self.regime = economy, resolve_regime(economy, regime)
        self.cost = economy.cost_slope
        # A household's part of the firms' profit, per square of total investment.
        one = torch.ones(1, dtype=torch.float64)
        profit = economy.unit_cost(one) - economy.production_cost(one)
        self.rebate = float(economy.paid_back(profit))
        self.joint = in_regime(economy, self.regime)[1]
        if not self.joint and self.regime not in self.separate:
            raise ValueError(
                f"regime={self.regime!r}: {type(self).__name__} knows {self.separate}, and what is "
                "decided jointly; conditions_of(economy, regime) gives what knows more."
            )

    def consumption(self, investment: Tensor, income: Tensor) -> Tensor:
        """What is left of income, and profit that is paid back."""
        return self.economy.accounts(income, investment).consumption

    def marginal_cost(self, investment: Tensor, income: Tensor) -> Tensor:
        """Utility that a unit costs whoever decides, shape (*batch, N, M)."""
        total = investment.sum(-2, keepdim=True)
        utility = self.marginal_utility(investment, income).unsqueeze(-1)
        if self.joint:
            # Own purchase; then the price that all pay, less what is paid back.
            others = (utility * investment).sum(-2, keepdim=True)
            back = 2 * self.rebate * total * utility.sum(-2, keepdim=True)
            return self.cost * (total * utility + others) - back
        return utility * self.effective_price(investment, total)

    def marginal_utility(self, investment: Tensor, income: Tensor) -> Tensor:
        """Utility of a unit of consumption, shape (*batch, N)."""
        return self.consumption(investment, income).pow(-self.economy.risk_aversion)

    def joint_investment(self, value: Tensor, income: Tensor, away: Tensor) -> Tensor:
        """What households that decide jointly buy, if a unit of capital is worth `value` to them.

        Two numbers tie the households' conditions together: total investment, and what a unit more
        of it costs everybody. Given both, each household's condition gives its consumption.

        Parameters
        ----------
        value : Tensor, shape (*batch, N)
            In units of a household's own utility, on average over its stocks.
        income : Tensor, shape (*batch, N)
        away : Tensor, shape (*batch, N, M)
            Investment in each good, less the household's mean.

        Returns
        -------
        Tensor, shape (*batch, N, M)
            Its mean over goods is never negative. Derivatives in all arguments are exact.
        """
        m = away.shape[-1]
        sigma, back = self.economy.risk_aversion, 2 * self.rebate / self.cost
        value = value / self.cost
        income = self.consumption(away, income)

        def purchases(total, burden):
            most = income + self.rebate * m * total.square()
            # Who would like to sell consumes all it has.
            utility = torch.maximum((value - burden) / total, most.pow(-sigma))
            return utility, (most - utility.pow(-1 / sigma)) / (self.cost * m * total)

        def gaps(unknown):
            total, burden = unknown.split(1, -1)
            utility, bought = purchases(total, burden)
            implied = bought.sum(-1), (utility * (bought - back * total)).sum(-1)
            return torch.stack(implied, -1) - unknown

        with torch.no_grad():
            unknown = self._if_alike(value, income, m)
            for _ in range(NEWTON_STEPS):
                limit = torch.stack((unknown[..., 0], value.mean(-1)), -1) / 2
                step = _newton_step(gaps, unknown)
                unknown = unknown - torch.maximum(torch.minimum(step, limit), -limit)
                if not (step.abs() > 1e-9 * limit).any():
                    break
        # A last step carries the derivatives (implicit function theorem).
        total, burden = (unknown - _newton_step(gaps, unknown)).split(1, -1)
        return purchases(total, burden)[1].unsqueeze(-1) + away

    def _if_alike(self, value, income, n_goods):
        """The two unknowns (*batch, 2) if all households were the average one."""
        n = income.shape[-1]
        value, income = (x.mean(-1, keepdim=True) for x in (value, income))
        power = 1 / self.economy.risk_aversion
        # The part of the rise in cost that is not paid back.
        kept = 1 - 2 * n * self.rebate / self.cost
        price, each = value / (1 + kept), (self.cost / n - self.rebate) * n_goods
        total = (income / (4 * each)).sqrt()
        for _ in range(6):
            consumption, spending = (total / price) ** power, each * total.square()
            step = (consumption + spending - income) / (power * consumption + 2 * spending)
            total = total * (1 - step.clamp(-0.5, 0.5))
        return torch.cat((total, kept * price), -1)

    def effective_price(self, investment: Tensor, total: Tensor) -> Tensor:
        """What a unit more costs its buyer, (*batch, N, M): here, the price.

        Parameters
        ----------
        investment : Tensor, shape (*batch, N, M)
        total : Tensor, shape (*batch, 1, M)
        """
        return self.cost * total.expand_as(investment)

    def price_slopes(self, investment: Tensor, total: Tensor) -> Tensor:
        """Derivatives of the log effective price in what each household buys of the good.

        Shape (*batch, N, M, N), or (*batch, N, M, 1) if all households' purchases count alike.
        """
        return (1 / total).expand_as(investment).unsqueeze(-1)

    def log_slopes(self, investment: Tensor, income: Tensor, cost: Tensor | None = None) -> Tensor:
        """Derivatives of log marginal cost, shape (*batch, N, M, N, M): of (k, l) in (m, n).

        `cost` is what :meth:`marginal_cost` says, where it has been computed.
        """
        total = investment.sum(-2, keepdim=True)
        consumption = self.consumption(investment, income)
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
            if cost is None:
                cost = self.marginal_cost(investment, income)
            level = cost[..., None, None]
            return (through_utility.reshape(direct.shape) + direct) / level
        through_utility = -sigma * slope / consumption[..., None, None]
        direct = self.price_slopes(investment, total)
        return through_utility.unsqueeze(-3) + direct.unsqueeze(-1) * goods[:, None]

    def worth(self, marginal_utility, output, capital, costate):
        """Utility of a unit of each stock today, shape (*batch, N, M)."""
        product = self.economy.marginal_product(marginal_utility * output, capital)
        return product + self.economy.survival * costate


def _newton_step(function, at):
    with torch.enable_grad():
        free = at.detach().requires_grad_(True)
        (jacobian,) = jacobians(function(free), free)
    return torch.linalg.solve(jacobian.detach(), function(at))
