"""A market at a price that nobody forms: whoever is on its long side is rationed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..parameters import require
from .base import Step
from .capital import SMALLEST_SHARE
from .sellers import TradingPost


@dataclass(frozen=True)
class Rationing(TradingPost):
    r"""Households order quantities and firms offer quantities, at a price that is given.

    Household :math:`i` orders :math:`d_{ij}` and firm :math:`f` offers :math:`q_{fj}`, at the same
    time. The shorter side, :math:`T_j = \min(\sum_i d_{ij}, \sum_f q_{fj})`, is traded, and who is
    on the longer one gets a part in proportion to what it has said:

    .. math:: I_{ij} = T_j \frac{d_{ij}}{\sum_k d_{kj}}, \qquad
              \pi_f = \sum_j \Bigl(p\, T_j \frac{q_{fj}}{\sum_g q_{gj}}
                      - F \frac{\phi}{2} q_{fj}^2\Bigr).

    Offers are made before they are sold, so that they cost something; an order costs nothing but
    for a fee, :math:`\kappa p` per unit, which leaves the economy. Who cannot pay for what it would
    get gets what it can pay for. Chapter *How to specify markets*.

    Parameters not listed are those of :class:`TradingPost`.

    Parameters
    ----------
    relative_price : float
        The price, in units of the one in the competitive steady state; positive.
    fee : float
        What a unit costs that is ordered, delivered or not, as a share :math:`\kappa` of the price.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Examples
    --------
    >>> import torch
    >>> economy = Rationing(relative_price=0.8)
    >>> state = economy.reset((), torch.Generator())
    >>> orders, offers = torch.tensor([[3.0], [1.0]]), torch.full((2, 1), 0.2)
    >>> actions = {"household": orders, "firm": offers}
    >>> economy.step(state, actions, economy.no_luck(state)).info["investment"]
    tensor([[0.3000],
            [0.1000]])
    """

    relative_price: float = 1.0
    fee: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        p, fee = self.relative_price, self.fee
        require(0 < p < math.inf, "relative_price", p, "a positive number, such as 0.8")
        require(0 <= fee < math.inf, "fee", fee, "a number that is not negative, such as 0.1")

    @property
    def price(self) -> float:
        """What a delivered unit costs."""
        competitive = self.phi * self.n_households * self.replacement(self.efficient_capital)
        return self.relative_price * competitive

    @cached_property
    def roles(self):
        """`household` orders and `firm` offers quantities."""
        roles = super().roles
        buyer = replace(roles["household"], to_physical=self._orders, high=math.inf, shares=False)
        return roles | {"household": buyer}

    def _orders(self, raw: Tensor) -> Tensor:
        """Any positive quantity, in units of a household's part of what costs all output."""
        return self.price_unit / (self.phi * self.n_households) * (SMALLEST_SHARE + softplus(raw))

    def actions_for(self, state, investment: Tensor) -> dict[str, Tensor]:
        """The actions by which households get `investment` (*batch, N, M), nobody rationed."""
        return super().actions_for(state, investment) | {"household": investment}

    def transition(self, state, actions, shocks) -> Step:
        """One period; actions are orders (*batch, N, M) and offers (*batch, F, M)."""
        output, price = self.output(state), self.price
        income = self.income(state, output)
        orders, offers = actions["household"], actions["firm"]
        demand, supply = orders.sum(-2, keepdim=True), offers.sum(-2, keepdim=True)
        traded = torch.minimum(demand, supply)
        got = orders * (traded / demand.clamp_min(torch.finfo(demand.dtype).tiny))
        owed = price * (got + self.fee * orders).sum(-1)
        limit = (1 - SMALLEST_SHARE) * income
        paid = (limit / torch.maximum(owed, limit)).unsqueeze(-1)
        bought = paid * got
        left = income - price * self.fee * (paid * orders).sum(-1)
        asked = torch.full_like(demand, price)
        books = self.accounts(left, bought, asked)
        sold = bought.sum(-2, keepdim=True) / supply.clamp_min(torch.finfo(supply.dtype).tiny)
        profit = self.profits(offers, price * sold)
        following = self.State(
            self.next_capital(state.capital, bought), **self.move_chance(state, shocks)
        )
        rewards = {"household": self.utility(books.consumption), "firm": profit}
        info = self._info(state, output, books, bought, asked) | {"profit": profit}
        info |= {"orders": demand.squeeze(-2), "offers": supply.squeeze(-2)}
        return Step(following, rewards, info)
