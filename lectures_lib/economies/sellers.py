"""Markets in which those who sell capital decide, too (section 4.2 of the paper, exercise 2)."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..parameters import require
from .base import Role, Sight, Step
from .capital import SMALLEST_SHARE, spending_shares
from .crowds import CrowdedEconomy


def _ratio(x: Tensor, y: Tensor) -> Tensor:
    """x / y, and zero where y is zero: where nothing is offered or bid there is no trade."""
    return torch.where(y > 0, x / torch.where(y > 0, y, 1.0), 0.0)


@dataclass(frozen=True)
class SellersEconomy(CrowdedEconomy):
    """What markets share in which firms, a role beside the households, sell capital goods.

    Parameters
    ----------
    seller_discount : float, optional
        The firms' discount factor, in [0, 1); zero if they are myopic, the households' by default.

    The other parameters are those of :class:`~lectures_lib.economies.capital.CapitalEconomy`.
    """

    seller_discount: float | None = None

    def __post_init__(self):
        super().__post_init__()
        d = self.seller_discount
        require(d is None or 0 <= d < 1, "seller_discount", d, "a number in [0, 1), or None")

    # ------------------------------------------------------------------ who acts
    @property
    @abstractmethod
    def n_sellers(self) -> int:
        """Number of firms."""

    def _household(self, seen: int, **more) -> Role:
        return Role(
            n_agents=self.n_households,
            n_features=self.n_goods + 2 + seen,
            n_actions=self.n_goods,
            team=False,
            to_physical=spending_shares,
            low=0.0,
            high=1.0,
            shares=True,
            **more,
        )

    def _firm(self, features: int, actions: int, to_physical, **more) -> Role:
        return Role(
            n_agents=self.n_sellers,
            n_features=features,
            n_actions=actions,
            team=False,
            to_physical=to_physical,
            low=0.0,
            high=math.inf,
            discount=self.seller_discount,
            measure="profit",
            equivalent=self.constant_profit,
            **more,
        )

    def constant_profit(self, value: Tensor) -> Tensor:
        """The profit of each period that is worth `value` to a firm."""
        return (1 - self.discount_of("firm")) * value

    @property
    def price_unit(self) -> float:
        """Marginal cost if households spend all their output, equally on all goods.

        At productivity one and a unit of capital (`capital_unit`), so that prices in this unit do
        not depend on how many households and goods there are.
        """
        output = self.capital_unit**self.alpha
        return (self.phi * self.n_households * output / self.n_goods) ** 0.5

    # ------------------------------------------------------------------ what they see
    def _crowd_seen(self, state) -> Tensor | None:
        """Features (*batch, N, M + 2) of all households that make prices, unless there is one."""
        alone = self.n_households == 1 and not self.atomistic
        return None if alone else self.own_features(self.crowd(state))

    # ------------------------------------------------------------------ what happens
    @property
    def cost_slope(self):
        r"""The slope :math:`\phi` of marginal cost, whatever the number of firms."""
        return self.phi

    def _info(self, state, output, books, investment, price) -> dict[str, Tensor]:
        """What figures and tests use, of the households that act.

        Price and markup (price over the marginal cost of all that is made) have shape (*batch, M).
        """
        total = investment.sum(-2)
        return {
            "capital": state.capital,
            "output": output,
            "consumption": books.consumption,
            "saving_share": books.spending / self.income(state, output),
            "investment": investment,
            "productivity": self.productivity(state),
            "price": price.squeeze(-2),
            "markup": _ratio(price.squeeze(-2), self.phi * total),
        }


@dataclass(frozen=True)
class TradingPost(SellersEconomy):
    r"""Households bid money and firms offer goods, all at the same time.

    At the trading post of good :math:`j` (Shapley and Shubik 1977) household :math:`i` bids
    spending :math:`x_{ij}` and firm :math:`f` offers :math:`q_{fj}`. The price clears the post,
    everybody's bid buys the same and every offer sells:

    .. math:: p_j = \frac{\sum_i x_{ij}}{\sum_f q_{fj}}, \qquad
              K_{ij}' = (1-\delta) K_{ij} + \frac{x_{ij}}{p_j}, \qquad
              \pi_f = \sum_j \Bigl(p_j q_{fj} - F \frac{\phi}{2} q_{fj}^2\Bigr).

    Costs are such that the industry's marginal cost is :math:`\phi \sum_f q_{fj}` whatever the
    number F of firms. They are risk neutral and maximise discounted profit, which leaves the
    economy. Where nothing is offered bids are returned, and where nobody bids offers are lost: no
    trade is always an equilibrium. Chapter *Sellers who learn*.

    Parameters not listed are those of :class:`~lectures_lib.economies.capital.CapitalEconomy`.

    Parameters
    ----------
    n_households, n_goods : int
        Numbers N of households and M of goods.
    seller_discount : float, optional
        The firms' discount factor, in [0, 1); zero if they are myopic, the households' by default.
    n_firms : int
        Number F of firms, each of which offers every good.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Examples
    --------
    >>> import torch
    >>> economy = TradingPost(n_households=2, n_firms=3)
    >>> generator = torch.Generator()
    >>> state = economy.reset((), generator)
    >>> bids, offers = torch.full((2, 1), 0.1), torch.full((3, 1), 0.2)
    >>> actions = {"household": bids, "firm": offers}
    >>> step = economy.step(state, actions, economy.draw((), generator))
    >>> step.info["price"].shape, step.rewards["firm"].shape
    (torch.Size([1]), torch.Size([3]))
    """

    n_households: int = 2
    n_firms: int = 2

    def __post_init__(self):
        super().__post_init__()
        require(self.n_firms >= 1, "n_firms", self.n_firms, "a whole number of at least 1")

    @property
    def n_sellers(self):
        """The number F of firms."""
        return self.n_firms

    @cached_property
    def roles(self):
        """`household` bids shares of its income, `firm` offers quantities."""
        several = self.n_goods > 1
        return {
            "household": self._household(0, alike_actions=several),
            "firm": self._firm(self.n_goods + 2, self.n_goods, self._offers, alike_actions=several),
        }

    def _offers(self, raw: Tensor) -> Tensor:
        """Any positive quantity, in units of a firm's part of what costs all output."""
        return self.price_unit / (self.phi * self.n_firms) * (SMALLEST_SHARE + softplus(raw))

    def observe(self, state, moved=None):
        """Households see themselves; firms own no stock, and see the mean household."""
        own = self.own_features(state)
        mean = own.mean(-2, keepdim=True)
        return {
            "household": own,
            "firm": mean.expand(*mean.shape[:-2], self.n_firms, mean.shape[-1]),
        }

    def sights(self, state, moved=None):
        """Themselves, and all households."""
        everybody = self._crowd_seen(state)
        return {name: Sight(own, everybody) for name, own in self.observe(state).items()}

    def actions_for(self, state, investment: Tensor) -> dict[str, Tensor]:
        """The actions by which households buy `investment` (*batch, N, M) at marginal cost."""
        total = investment.sum(-2, keepdim=True)
        bids = self.unit_cost(total) * investment
        offers = total / self.n_firms
        return {
            "household": bids / self.income(state).unsqueeze(-1),
            "firm": offers.expand(*total.shape[:-2], self.n_firms, total.shape[-1]),
        }

    def trade(self, bids: Tensor, offers: Tensor) -> tuple[Tensor, Tensor]:
        """What bids (*batch, N, M) buy, of the same shape, and the price (*batch, 1, M)."""
        demand, supply = bids.sum(-2, keepdim=True), offers.sum(-2, keepdim=True)
        return _ratio(bids, demand) * supply, _ratio(demand, supply)

    def profits(self, offers: Tensor, price: Tensor) -> Tensor:
        """What each firm earns (*batch, F) if its offers (*batch, F, M) meet a price."""
        return (price * offers - self.n_firms * self.production_cost(offers)).sum(-1)

    def transition(self, state, actions, shocks) -> Step:
        """One period; actions are spending shares (*batch, N, M) and offers (*batch, F, M)."""
        output = self.output(state)
        income, offers = self.income(state, output), actions["firm"]
        investment, price = self.trade(actions["household"] * income.unsqueeze(-1), offers)
        books = self.accounts(income, investment, price)
        capital = self.next_capital(state.capital, investment)
        following = self.State(capital, **self.move_chance(state, shocks))
        profit = self.profits(offers, price)
        rewards = {"household": self.utility(books.consumption), "firm": profit}
        info = self._info(state, output, books, investment, price)
        return Step(following, rewards, info | {"profit": profit})


@dataclass(frozen=True)
class PostedPrice(SellersEconomy):
    r"""Every good has one seller, who posts a price; households see all prices and then buy.

    Firm :math:`j` posts :math:`p_j`. Households see the prices before they choose what to spend on
    each good, and whatever is ordered is made:

    .. math:: K_{ij}' = (1-\delta) K_{ij} + \frac{x_{ij}}{p_j}, \qquad
              \pi_j = p_j I_j - \frac{\phi}{2} I_j^2, \qquad I_j = \sum_i \frac{x_{ij}}{p_j}.

    A firm is risk neutral, maximises discounted profit, which leaves the economy, and cannot commit
    to tomorrow's price. Chapter *Sellers who learn*.

    Parameters not listed are those of :class:`~lectures_lib.economies.capital.CapitalEconomy`.

    Parameters
    ----------
    n_households, n_goods : int
        Numbers N of households and M of goods, each of which has its own firm.
    seller_discount : float, optional
        The firms' discount factor, in [0, 1); zero if they are myopic, the households' by default.
    atomistic : bool
        Whether the households that act are massless: firms sell to a crowd that follows the same
        policy (role `household_crowd`), so that households take future prices as given.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Examples
    --------
    >>> import torch
    >>> economy = PostedPrice(n_households=3, n_goods=2)
    >>> generator = torch.Generator()
    >>> economy.stages
    (('firm',), ('household',))
    >>> state = economy.reset((), generator)
    >>> prices, shares = torch.full((2, 1), 0.5), torch.full((3, 2), 0.1)
    >>> actions = {"firm": prices, "household": shares}
    >>> step = economy.step(state, actions, economy.draw((), generator))
    >>> step.info["investment"].shape
    torch.Size([3, 2])
    """

    atomistic: bool = False

    @property
    def n_sellers(self):
        """One for each good."""
        return self.n_goods

    @property
    def stages(self):
        """Firms move first."""
        last = ("household", "household_crowd") if self.atomistic else ("household",)
        return (("firm",), last)

    @cached_property
    def roles(self):
        """`firm` posts a price, `household` spends shares of its income; its crowd, if any."""
        alike = self.n_goods > 1 and not self.atomistic
        household = self._household(self.n_goods, alike_actions=alike, per_action=2)
        roles = {"firm": self._firm(3, 1, self._prices), "household": household}
        if self.atomistic:
            roles["household_crowd"] = replace(household, follows="household")
        return roles

    def _prices(self, raw: Tensor) -> Tensor:
        """Any positive price, in its unit."""
        return self.price_unit * (SMALLEST_SHARE + softplus(raw))

    # ------------------------------------------------------------------ what they see
    def observe(self, state, moved=None):
        """Firms see the mean stock of their good; households, their own stocks and all prices.

        Of a firm: log of the households' mean stock of its good, mean log productivity, log of
        aggregate productivity. Of a household: log stocks, log prices and log productivities.
        Before firms have moved, prices are those of a neutral action.
        """
        crowd = self.own_features(self.crowd(state))
        mean = crowd.mean(-2, keepdim=True)
        stock, rest = mean[..., : self.n_goods].mT, mean[..., self.n_goods :]
        firm = torch.cat([stock, rest.expand(*rest.shape[:-2], self.n_goods, 2)], -1)
        seen = {"firm": firm}
        for suffix, who in self.populations(state).items():
            seen["household" + suffix] = self._with_prices(self.own_features(who), moved)
        return seen

    def _with_prices(self, own, moved):
        """Features (*batch, N, M + 2) of households with log prices after the stocks."""
        m = self.n_goods
        price = (moved or {}).get("firm")
        if price is None:
            price = self._prices(own.new_zeros(m, 1))
        price = (price / self.price_unit).log().mT
        batch = torch.broadcast_shapes(own.shape[:-2], price.shape[:-2])
        own = own.expand(*batch, *own.shape[-2:])
        price = price.expand(*batch, self.n_households, m)
        return torch.cat([own[..., :m], price, own[..., m:]], -1)

    def sights(self, state, moved=None):
        """Themselves, and all households.

        To a firm goods are alike but its own: it sees households by their mean stock.
        """
        households = self._crowd_seen(state)
        buyers, alone = households, households is None and self.n_goods == 1
        if not alone:
            crowd = self.own_features(self.crowd(state))
            stock = crowd[..., : self.n_goods].mean(-1, keepdim=True)
            buyers = torch.cat([stock, crowd[..., self.n_goods :]], -1)
        if households is not None:
            households = self._with_prices(households, moved)
        return {
            name: Sight(own, buyers if name == "firm" else households)
            for name, own in self.observe(state, moved).items()
        }

    # ------------------------------------------------------------------ what happens
    def actions_for(self, state, investment: Tensor) -> dict[str, Tensor]:
        """The actions by which households buy `investment` (*batch, N, M) at marginal cost."""
        price = self.unit_cost(investment.sum(-2, keepdim=True))
        bids = price * investment
        actions = {"firm": price.mT}
        for suffix, who in self.populations(state).items():
            actions["household" + suffix] = bids / self.income(who).unsqueeze(-1)
        return actions

    def transition(self, state, actions, shocks) -> Step:
        """One period; actions are prices (*batch, M, 1) and spending shares (*batch, N, M)."""
        price = actions["firm"].mT
        following, rewards, books = {}, {}, {}
        for suffix, who in self.populations(state).items():
            income = self.income(who)
            bought = _ratio(actions["household" + suffix] * income.unsqueeze(-1), price)
            books[suffix] = self.accounts(income, bought, price), bought
            rewards["household" + suffix] = self.utility(books[suffix][0].consumption)
            field = "crowd" if suffix else "capital"
            following[field] = self.next_capital(who.capital, bought)
        # The last are those who make up the market.
        profit = books[suffix][0].profit
        rewards["firm"] = profit
        info = self._info(state, self.output(state), *books[""], price) | {"profit": profit}
        if self.atomistic:
            total = books[suffix][1].sum(-2)
            info["markup"] = _ratio(price.squeeze(-2), self.phi * total)
        following |= self.move_chance(state, shocks)
        return Step(self.State(**following), rewards, info)
