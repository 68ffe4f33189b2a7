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

from dataclasses import fields

import torch
from torch import Tensor

from ..economies import BrockMirman, Market, Monopolist, Planner
from ..economies.base import Economy
from ..economies.capital import CapitalEconomy
from .euler import jacobians

#: Regimes of each economy, the one that `solve` takes first.
REGIMES = {
    Planner: ("planner",),
    BrockMirman: ("planner",),
    Monopolist: ("monopolist",),
    Market: ("competitive", "nash", "monopsony"),
}

#: Regimes in which households maximise the mean of their utilities together.
JOINT = ("planner", "monopsony")


def resolve_regime(economy: Economy, regime: str | None) -> str:
    """The regime that was asked for, or the economy's first.

    An economy derived from one of :data:`REGIMES` has that one's.

    Raises
    ------
    ValueError
        If the economy does not have it.
    TypeError
        If none is known for the economy.
    """
    known = next((REGIMES[kind] for kind in type(economy).__mro__ if kind in REGIMES), None)
    if known is None:
        raise TypeError(f"no regime is known for {type(economy).__name__}: {known_kinds()}.")
    if regime is None:
        return known[0]
    if regime not in known:
        raise ValueError(f"regime={regime!r}: {type(economy).__name__} knows {known}.")
    return regime


def known_kinds() -> str:
    """The economies with exact solutions, for messages."""
    names = ", ".join(kind.__name__ for kind in REGIMES)
    return f"expected one of {names}, or a class derived from one of them"


def require_kind(economy: Economy, task: str, kinds: tuple[type, ...] = (Planner, Market)) -> None:
    """Refuse an economy that a solver's formulas are not about.

    Parameters
    ----------
    economy : Economy
    task : str
        What was asked for.
    kinds : tuple of type
        Economies whose formulas the solver knows.

    Raises
    ------
    TypeError
        If the economy is none of them, or is derived from one and has changed its rules.
    """
    base = next((kind for kind in type(economy).__mro__ if kind in kinds), None)
    if base is None:
        names = " or a ".join(kind.__name__ for kind in kinds)
        raise TypeError(
            f"{task} is for a {names}, or a class derived from it; got {type(economy).__name__}. "
            "solve(economy) picks the method where there is one, and PPO learns in any economy."
        )
    if type(economy) is not base and not _has_rules_of(economy, base):
        raise TypeError(
            f"{type(economy).__name__} has other rules than {base.__name__}, whose formulas {task} "
            "knows: states or rewards differ after a period. PPO learns in any economy, and "
            "euler_residuals judges any policy by the economy's own code."
        )


def _has_rules_of(economy, base) -> bool:
    """Whether a period brings the same as in the economy that it is derived from."""
    parameters = {f.name: getattr(economy, f.name) for f in fields(base) if f.init}
    plain = base(**parameters)
    sizes = [{n: (r.n_agents, r.n_actions) for n, r in e.roles.items()} for e in (economy, plain)]
    if (economy.fields.shapes, economy.shock_shapes, economy.discount, sizes[0]) != (
        *(plain.fields.shapes, plain.shock_shapes, plain.discount),
        sizes[1],
    ):
        return False
    generator = torch.Generator().manual_seed(0)
    state = plain.reset((SAMPLE,), generator, torch.float64)
    shocks = plain.draw((SAMPLE,), generator, torch.float64)
    actions = {
        name: role.to_physical(
            torch.randn(
                *(SAMPLE, role.n_agents, role.n_actions), generator=generator, dtype=torch.float64
            )
        )
        for name, role in plain.roles.items()
    }
    one, other = (e.step(state, actions, shocks) for e in (economy, plain))
    pairs = [*zip(one.state, other.state, strict=True)]
    pairs += [(one.rewards[name], other.rewards[name]) for name in plain.roles]
    return all(torch.allclose(x, y, rtol=1e-9, atol=0, equal_nan=True) for x, y in pairs)


# States at which the rules of a derived class are compared with its base's.
SAMPLE = 64
# Newton steps for what households buy together, at most; few are needed away from kinks.
NEWTON_STEPS = 40


class Conditions:
    """First-order conditions of an economy in a regime, with their derivatives.

    Investment has shape (*batch, N, M), output (*batch, N).

    Parameters
    ----------
    economy : Planner or Market
    regime : str
    """

    def __init__(self, economy: CapitalEconomy, regime: str):
        require_kind(economy, "Conditions")
        self.economy, self.regime = economy, resolve_regime(economy, regime)
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

    def joint_investment(self, value: Tensor, output: Tensor, away: Tensor) -> Tensor:
        """What households that decide jointly buy, if a unit of capital is worth `value` to them.

        Two numbers tie the households' conditions together: total investment, and what a unit more
        of it costs everybody. Given both, each household's condition gives its consumption.

        Parameters
        ----------
        value : Tensor, shape (*batch, N)
            In units of a household's own utility, on average over its stocks.
        output : Tensor, shape (*batch, N)
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
        imbalance = away.sum(-2, keepdim=True)
        output = output - self.cost * (imbalance * away).sum(-1)
        output = output + self.rebate * imbalance.square().sum(-1)

        def purchases(total, burden):
            income = output + self.rebate * m * total.square()
            # Who would like to sell consumes its income.
            utility = torch.maximum((value - burden) / total, income.pow(-sigma))
            return utility, (income - utility.pow(-1 / sigma)) / (self.cost * m * total)

        def gaps(unknown):
            total, burden = unknown.split(1, -1)
            utility, bought = purchases(total, burden)
            implied = bought.sum(-1), (utility * (bought - back * total)).sum(-1)
            return torch.stack(implied, -1) - unknown

        with torch.no_grad():
            unknown = self._if_alike(value, output, m)
            for _ in range(NEWTON_STEPS):
                limit = torch.stack((unknown[..., 0], value.mean(-1)), -1) / 2
                step = _newton_step(gaps, unknown)
                unknown = unknown - torch.maximum(torch.minimum(step, limit), -limit)
                if not (step.abs() > 1e-9 * limit).any():
                    break
        # A last step carries the derivatives (implicit function theorem).
        total, burden = (unknown - _newton_step(gaps, unknown)).split(1, -1)
        return purchases(total, burden)[1].unsqueeze(-1) + away

    def _if_alike(self, value, output, n_goods):
        """The two unknowns (*batch, 2) if all households were the average one."""
        value, income = (x.mean(-1, keepdim=True) for x in (value, output))
        n, power = output.shape[-1], 1 / self.economy.risk_aversion
        # The part of the rise in cost that is not paid back.
        kept = 1 - 2 * n * self.rebate / self.cost
        price, each = value / (1 + kept), (self.cost / n - self.rebate) * n_goods
        total = (income / (4 * each)).sqrt()
        for _ in range(6):
            consumption, spending = (total / price) ** power, each * total.square()
            step = (consumption + spending - income) / (power * consumption + 2 * spending)
            total = total * (1 - step.clamp(-0.5, 0.5))
        return torch.cat((total, kept * price), -1)

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


def _newton_step(function, at):
    with torch.enable_grad():
        free = at.detach().requires_grad_(True)
        (jacobian,) = jacobians(function(free), free)
    return torch.linalg.solve(jacobian.detach(), function(at))
