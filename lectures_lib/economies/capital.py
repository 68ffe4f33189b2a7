"""Technology and preferences of section 3, written once for planner and markets.

Chapter *The planner's formulation*. Household :math:`i` of :math:`N` owns :math:`M` capital goods
and produces :math:`Y_i = z_i Z (\\prod_j K_{ij})^{\\alpha/M}`. Making :math:`I_j` units of good
:math:`j` costs :math:`\\phi I_j^2/2` units of output in total.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..markov import MarkovChain, require_positive_chain
from ..parameters import require
from .base import Economy
from .fields import Field, Fields
from .preferences import Preferences

# The smallest share of output that a squashed action can leave to consumption or to a good. It
# keeps logarithms and divisions finite in float32 and is far below anything a good policy chooses.
SMALLEST_SHARE = 1e-5


class CapitalState(NamedTuple):
    """State of an economy with capital.

    Attributes
    ----------
    capital : Tensor, shape (*batch, households, goods)
    idiosyncratic : Tensor of int64, shape (*batch, households)
        Index into the values of each household's own productivity.
    aggregate : Tensor of int64, shape (*batch,)
        Index into the values of productivity common to all.
    """

    capital: Tensor
    idiosyncratic: Tensor
    aggregate: Tensor


class CapitalShocks(NamedTuple):
    """A period's luck: uniform draws that move the two productivity chains.

    Attributes
    ----------
    idiosyncratic : Tensor, shape (*batch, households)
    aggregate : Tensor, shape (*batch,)
    """

    idiosyncratic: Tensor
    aggregate: Tensor


class Accounts(NamedTuple):
    """Who earns and spends what in a period, in units of the final good.

    Attributes
    ----------
    price : Tensor, shape (*batch, 1, goods)
        What households pay for a unit of each good, on average.
    spending : Tensor, shape (*batch, households)
        On all goods.
    profit : Tensor, shape (*batch, goods)
        What is left of spending once the goods have been produced.
    rebate : Tensor, shape (*batch, 1), or zero
        Profit that is paid back to each household.
    consumption : Tensor, shape (*batch, households)
    """

    price: Tensor
    spending: Tensor
    profit: Tensor
    rebate: Tensor | float
    consumption: Tensor


def spending_shares(raw: Tensor) -> Tensor:
    """Unbounded numbers to shares of output, one for each good, that leave some to consumption.

    A softmax over the goods and consumption (whose own entry is fixed at zero), kept
    `SMALLEST_SHARE` away from the corners. Zeros give every use the same share.

    Parameters
    ----------
    raw : Tensor, shape (*batch, households, goods)
    """
    if raw.shape[-1] == 1:
        softmax = torch.sigmoid(raw)
    else:
        outside = torch.zeros_like(raw[..., :1])
        softmax = torch.softmax(torch.cat([raw, outside], -1), -1)[..., :-1]
    return SMALLEST_SHARE + (1 - (raw.shape[-1] + 1) * SMALLEST_SHARE) * softmax


@dataclass(frozen=True)
class CapitalEconomy(Preferences, Economy[CapitalState, CapitalShocks]):
    """Parameters, technology and preferences that all economies with capital share.

    Parameters
    ----------
    n_households, n_goods : int
        Numbers N of households and M of capital goods.
    alpha : float
        Exponent of capital in production, in (0, 1).
    beta : float
        Discount factor, in (0, 1).
    delta : float
        Depreciation per period, in (0, 1].
    phi : float
        Slope of the marginal cost of producing capital, positive.
    idiosyncratic, aggregate : MarkovChain
        Productivity of a household, and of all.
    risk_aversion : float
        Coefficient of relative risk aversion, in (0, 5]; one is logarithmic utility. Beyond five
        the utility of tiny consumption outgrows float32.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.
    """

    n_households: int = 1
    n_goods: int = 1
    alpha: float = 0.3
    beta: float = 0.98
    delta: float = 0.04
    phi: float = 0.5
    idiosyncratic: MarkovChain = field(
        default_factory=lambda: MarkovChain.symmetric((0.9, 1.1), stay=0.9)
    )
    aggregate: MarkovChain = field(
        default_factory=lambda: MarkovChain.symmetric((0.8, 1.2), stay=0.95)
    )
    risk_aversion: float = 1.0

    State: ClassVar[Any] = CapitalState
    Shocks: ClassVar[Any] = CapitalShocks
    #: Whether what firms earn goes back to households, where there are firms.
    rebate_profits = False

    def __post_init__(self):
        for name in ("n_households", "n_goods"):
            n = getattr(self, name)
            require(n >= 1, name, n, "a whole number of at least 1")
        require(0 < self.alpha < 1, "alpha", self.alpha, "a number strictly between 0 and 1")
        require(0 < self.beta < 1, "beta", self.beta, "a number strictly between 0 and 1")
        require(0 < self.delta <= 1, "delta", self.delta, "a number in (0, 1]")
        require(0 < self.phi < float("inf"), "phi", self.phi, "a positive number")
        require(0 < self.risk_aversion <= 5, "risk_aversion", self.risk_aversion, "in (0, 5]")
        for name in ("idiosyncratic", "aggregate"):
            require_positive_chain(name, getattr(self, name))

    # ------------------------------------------------------------------ technology
    @cached_property
    def efficient_capital(self) -> float:
        r"""Capital per household and good in the deterministic steady state of planner and
        competitive market (productivities at their means :math:`\bar z \bar Z`; chapter *Steady
        state*),

        .. math:: K_c = \left[\frac{\phi\,\delta\,N M\,(1-\beta(1-\delta))}
                   {\alpha\beta\,\bar z\bar Z}\right]^{1/(\alpha-2)}.

        It scales the paper's initial distribution of capital.
        """
        cost = self.phi * self.delta * self.n_households * self.n_goods
        cost *= 1 - self.beta * (1 - self.delta)
        gain = self.alpha * self.beta * self.idiosyncratic.mean * self.aggregate.mean
        return (cost / gain) ** (1 / (self.alpha - 2))

    def productivity(self, state: CapitalState) -> Tensor:
        """Total productivity of each household, shape (*batch, households)."""
        dtype = state.capital.dtype
        own = self.idiosyncratic.level(state.idiosyncratic, dtype)
        return own * self.aggregate.level(state.aggregate, dtype).unsqueeze(-1)

    def output(self, state: CapitalState) -> Tensor:
        """What each household produces, shape (*batch, households).

        This is the product of which capital earns a marginal product.
        """
        return self.productivity(state) * (self.alpha * state.capital.log().mean(-1)).exp()

    def income(self, state: CapitalState, output: Tensor | None = None) -> Tensor:
        """What each household can spend, shape (*batch, households): what it produces.

        A subclass whose households have more, such as an endowment, adds it here; it earns no
        marginal product. Choices that are shares are shares of income.

        Parameters
        ----------
        state : CapitalState, shape (*batch, ...)
        output : Tensor, shape (*batch, households), optional
            What :meth:`output` says, where it has been computed.
        """
        return self.output(state) if output is None else output

    def marginal_product(self, output: Tensor, capital: Tensor) -> Tensor:
        r"""What a unit more of each stock produces, :math:`(\alpha/M)\, Y_i/K_{ij}`.

        Parameters
        ----------
        output : Tensor, shape (*batch, households)
        capital : Tensor, shape (*batch, households, goods)
        """
        return self.alpha / self.n_goods * output.unsqueeze(-1) / capital

    @property
    def survival(self) -> float:
        """What is left of a unit of capital after a period."""
        return 1 - self.delta

    def next_capital(self, capital: Tensor, investment: Tensor) -> Tensor:
        """The law of motion, shape (*batch, households, goods)."""
        return self.survival * capital + investment

    def replacement(self, capital):
        """Investment that keeps capital where it is, of the same shape."""
        return self.delta * capital

    def production_cost(self, total: Tensor) -> Tensor:
        """Units of the final good that are used up where `total` of a good is made."""
        return self.phi / 2 * total.square()

    @property
    @abstractmethod
    def cost_slope(self) -> float:
        """What households pay for a unit of a good, per unit that is made in total."""

    def unit_cost(self, total: Tensor) -> Tensor:
        """What households pay for a unit of each good, by the total that is made."""
        return self.cost_slope * total

    def unit_cost_of(self, spending: Tensor) -> Tensor:
        """What a unit of each good costs, (*batch, 1, M), if `spending` (*batch, N, M) buys it."""
        total = spending.sum(-2, keepdim=True)
        # The guard only matters when nobody spends on a good: 0 / 0 becomes 0.
        return (self.cost_slope * total).sqrt().clamp_min(torch.finfo(total.dtype).tiny)

    def paid_back(self, profit: Tensor) -> Tensor | float:
        """What each household gets back (*batch, 1) of profits (*batch, goods)."""
        return profit.sum(-1, keepdim=True) / self.n_households if self.rebate_profits else 0.0

    def accounts(
        self,
        income: Tensor,
        investment: Tensor,
        price: Tensor | None = None,
        rebate: Tensor | float | None = None,
    ) -> Accounts:
        """Who earns and spends what if households buy `investment`.

        Parameters
        ----------
        income : Tensor, shape (*batch, households)
        investment : Tensor, shape (*batch, households, goods)
        price : Tensor, shape (*batch, 1, goods), optional
            What a unit costs; by default :meth:`unit_cost` of all that is
            bought here.
        rebate : Tensor, shape (*batch, 1), or float, optional
            What each household is paid back; by default its part of the profit
            that is made here.

        Returns
        -------
        Accounts
        """
        total = investment.sum(-2, keepdim=True)
        if price is None:
            price = self.unit_cost(total)
        bids = price * investment
        profit = bids.sum(-2) - self.production_cost(total.squeeze(-2))
        if rebate is None:
            rebate = self.paid_back(profit)
        spending = bids.sum(-1)
        left = income - spending + rebate
        return Accounts(price, spending, profit, rebate, left)

    @abstractmethod
    def actions_for(self, state: Any, investment: Tensor) -> dict[str, Tensor]:
        """The actions of all roles with which households make `investment` (*batch, N, M)."""

    # ------------------------------------------------------------------ the contract of an economy
    @cached_property
    def fields(self) -> Fields:
        """Capital, which households choose, and the two productivity chains."""
        n, m = self.n_households, self.n_goods
        return Fields(
            capital=Field((n, m)),
            idiosyncratic=Field.of(self.idiosyncratic, (n,)),
            aggregate=Field.of(self.aggregate),
        )

    def reset(self, batch, generator, dtype=torch.float32) -> CapitalState:
        """Capital uniform on [0.5, 1.25] of its steady state, productivity stationary."""
        luck = self.draw(batch, generator, dtype)
        uniform = torch.rand(
            (*batch, self.n_households, self.n_goods),
            generator=generator,
            device=generator.device,
            dtype=dtype,
        )
        return CapitalState(
            self.efficient_capital * (0.5 + 0.75 * uniform),
            self.idiosyncratic.initial(luck.idiosyncratic),
            self.aggregate.initial(luck.aggregate),
        )

    @property
    def capital_unit(self) -> float:
        r"""The unit in which agents see capital, :math:`(N M)^{-1/(2-\alpha)}`.

        With capital, investment and spending in such units, output per household and the cost of
        investing do not depend on how many households and goods there are (set
        :math:`K = u \tilde K` in the technology): what was learned in a small economy can be used
        in a large one. It is one for one household and one good.
        """
        return (self.n_households * self.n_goods) ** (-1 / (2 - self.alpha))

    def own_features(self, state: CapitalState) -> Tensor:
        """Each household's log capital stocks, in units, and both log productivities."""
        dtype = state.capital.dtype
        own = self.idiosyncratic.level(state.idiosyncratic, dtype).unsqueeze(-1)
        common = self.aggregate.level(state.aggregate, dtype)[..., None, None]
        capital = (state.capital / self.capital_unit).log()
        return torch.cat([capital, own.log(), common.log().expand_as(own)], -1)

    def sampled_outcomes(self, state, draws: int, generator) -> tuple[CapitalShocks, Tensor]:
        """Next shocks where `outcomes` are too many to list: the others' luck is drawn.

        Every aggregate productivity meets the same `draws` vectors of individual ones. Each
        household's own luck is stratified over the draws, and weighted so that the chances of its
        own next productivities are exact.

        Parameters
        ----------
        state : CapitalState, shape (*batch, ...)
        draws : int
        generator : torch.Generator

        Returns
        -------
        shocks : CapitalShocks, shape (outcomes, *batch, ...)
        weight : Tensor, shape (outcomes, *batch, households)
            Sums to one over the first dimension, for every household.
        """
        dtype, device = state.capital.dtype, state.capital.device
        batch, n = state.aggregate.shape, self.n_households
        shape = (draws, *batch, n)
        order = torch.rand(shape, generator=generator, device=device).argsort(0)
        within = torch.rand(shape, generator=generator, device=device, dtype=dtype)
        own = (order + within) / draws
        index = self.idiosyncratic.next(state.idiosyncratic, own)
        _, probability = self.idiosyncratic.outcomes(state.idiosyncratic, dtype)
        same = torch.stack([index == j for j in range(len(self.idiosyncratic))]).to(dtype)
        share = probability / same.sum(1).clamp_min(1)
        weight = (same * share.unsqueeze(1)).sum(0)
        weight = weight / weight.sum(0)
        common, chance = self.aggregate.outcomes(state.aggregate, dtype)
        values = len(common)
        every = CapitalShocks(
            own.repeat(values, *[1] * (own.dim() - 1)),
            common.repeat_interleave(draws, 0),
        )
        weight = (chance[:, None, ..., None] * weight).flatten(0, 1)
        return every, weight
