"""The market economy of section 3.2."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..parameters import require
from .base import Role, Sight, Step
from .capital import SMALLEST_SHARE, Accounts, spending_shares
from .crowds import CrowdedEconomy


@dataclass(frozen=True)
class Market(CrowdedEconomy):
    r"""Households buy capital from competitive firms, which price at marginal cost.

    Household :math:`i` maximises its own expected discounted utility of

    .. math:: C_i = Y_i - \sum_j p_j I_{ij}, \qquad K_{ij}' = (1-\delta) K_{ij} + I_{ij},
              \qquad p_j = \phi \sum_i I_{ij}.

    Its action is its *spending* on each good, as a share of its output, so that
    :math:`p_j = \sqrt{\phi X_j}` with :math:`X_j` the sum of all bids; or the *quantity* that it
    orders. Firms earn :math:`\phi I_j^2/2` on good :math:`j`, which leaves the economy or is
    rebated to households in equal parts. Chapter *The market's formulation*.

    Parameters not listed are those of :class:`~lectures_lib.economies.capital.CapitalEconomy`.

    Parameters
    ----------
    action : {"spending", "quantity"}
        What households choose. Orders that cost more than a household's output are cut, in
        proportion, to what it can pay at the price that all orders made.
    rebate_profits : bool
        Whether firms' profit goes back to households.
    n_uninformed : int
        The last so many households see only their own capital and productivity, aggregate capital
        and aggregate productivity. Roles are then `informed` and `uninformed`, and otherwise one
        role `household` that sees everything.
    atomistic : bool
        Whether the households that act are massless: prices and profits come from a crowd of the
        same size whose members follow the same policy (role `household_crowd`, which follows
        `household`). Initially a household owns what its member of the crowd owns. A finite number
        of agents thus takes prices as given.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Examples
    --------
    >>> import torch
    >>> economy, generator = Market(n_households=2), torch.Generator().manual_seed(0)
    >>> state = economy.reset((), generator)
    >>> shares = {"household": torch.full((2, 1), 0.1)}
    >>> step = economy.step(state, shares, economy.draw((), generator))
    >>> step.info["price"].shape
    torch.Size([1])
    """

    action: str = "spending"
    rebate_profits: bool = False
    n_uninformed: int = 0
    atomistic: bool = False

    def __post_init__(self):
        super().__post_init__()
        require(
            self.action in ("spending", "quantity"),
            "action",
            self.action,
            "'spending' or 'quantity'",
        )
        require(
            0 <= self.n_uninformed <= self.n_households,
            "n_uninformed",
            self.n_uninformed,
            f"a whole number in 0..{self.n_households}",
        )

    # ------------------------------------------------------------------ who acts
    @cached_property
    def _members(self) -> dict[str, slice]:
        """Which households play each role."""
        n = self.n_households - self.n_uninformed
        if self.n_uninformed == 0:
            return {"household": slice(None)}
        informed = {"informed": slice(0, n)} if n else {}
        return informed | {"uninformed": slice(n, None)}

    @cached_property
    def roles(self):
        """`household`, or `informed` and `uninformed`; and their crowds if they are massless."""
        spends, n = self.action == "spending", self.n_households
        roles = {}
        for name, members in self._members.items():
            informed = name != "uninformed"
            roles[name] = Role(
                n_agents=len(range(n)[members]),
                n_features=self.n_goods + 2 if informed else 2 * self.n_goods + 2,
                n_actions=self.n_goods,
                team=False,
                to_physical=spending_shares if spends else self._orders,
                full_information=informed,
                alike_actions=self.n_goods > 1 and name == "household" and not self.atomistic,
                low=0.0,
                high=1.0 if spends else math.inf,
                shares=spends,
            )
        if self.atomistic:
            roles |= {f"{name}_crowd": replace(r, follows=name) for name, r in roles.items()}
        return roles

    def _orders(self, raw: Tensor) -> Tensor:
        """Any positive quantity, in units of what costs all output if everybody orders it.

        At productivity and capital one, that is; zero is nearly half of the cost. The smallest
        order keeps capital, and so its logarithm, away from zero however long it is repeated.
        """
        unit = (self.phi * self.n_households * self.n_goods) ** -0.5
        return unit * (SMALLEST_SHARE + softplus(raw))

    # ------------------------------------------------------------------ what they see
    def observe(self, state, moved=None):
        """Own log capital and log productivities; of the uninformed, log mean capital as well.

        Who has full information sees the same of everybody (:meth:`sights`).
        """
        seen = {}
        for suffix, who in self.populations(state).items():
            own = self.own_features(who)
            for name, members in self._members.items():
                seen[name + suffix] = own[..., members, :]
                if name == "uninformed":
                    seen[name + suffix] = self._with_mean(own, state)[..., members, :]
        return seen

    def _with_mean(self, own, state):
        """Features beside the log of mean capital, of the crowd if there is one."""
        mean = self.crowd(state).capital.mean(-2, keepdim=True) / self.capital_unit
        return torch.cat([own, mean.log().expand(*own.shape[:-1], -1)], -1)

    def sights(self, state, moved=None):
        """Themselves, and the whole population or the crowd; the uninformed, themselves alone."""
        alone = self.n_households == 1 and not self.atomistic
        everybody = None if alone else self.own_features(self.crowd(state))
        return {
            name: Sight(own, everybody if self.roles[name].full_information else None)
            for name, own in self.observe(state).items()
        }

    def observe_centrally(self, state, moved=None):
        """Own features and the whole population, whatever the role itself sees."""
        everybody = self.own_features(self.crowd(state))
        seen = {}
        for suffix, who in self.populations(state).items():
            own = self.own_features(who)
            for name, members in self._members.items():
                seen[name + suffix] = Sight(own[..., members, :], everybody)
        return seen

    # ------------------------------------------------------------------ what happens
    @property
    def cost_slope(self):
        r"""The slope :math:`\phi` of firms' marginal cost, at which they price."""
        return self.phi

    def actions_for(self, state, investment: Tensor) -> dict[str, Tensor]:
        """The actions with which households buy `investment` (*batch, N, M), all of them.

        If they are massless, each buys what its member of the crowd buys.
        """
        price = self.unit_cost(investment.sum(-2, keepdim=True))
        actions = {}
        for suffix, who in self.populations(state).items():
            action = investment
            if self.action == "spending":
                action = price * investment / self.income(who).unsqueeze(-1)
            for name, members in self._members.items():
                actions[name + suffix] = action[..., members, :]
        return actions

    def transition(self, state, actions, shocks) -> Step:
        """One period; actions are spending shares or quantities (*batch, agents, M)."""
        output = self.output(state)
        income = self.income(state, output)
        action = torch.cat([actions[name] for name in self._members], -2)
        following: dict[str, Tensor] = {}
        crowd: Accounts | None = None
        if self.atomistic:
            # Who has no mass takes price and rebate as the crowd makes them.
            theirs = torch.cat([actions[f"{name}_crowd"] for name in self._members], -2)
            their_income = self.income(self.crowd(state))
            price = self.price(theirs, their_income)
            bought = self.buy(theirs, their_income, price)
            crowd = self.accounts(their_income, bought, price)
            following["crowd"] = self.next_capital(state.crowd, bought)
            investment = self.buy(action, income, price)
            books = self.accounts(income, investment, price, crowd.rebate)
        else:
            price = self.price(action, income)
            investment = self.buy(action, income, price)
            books = self.accounts(income, investment, price)
        following["capital"] = self.next_capital(state.capital, investment)
        following |= self.move_chance(state, shocks)
        utility = self.utility(books.consumption)
        rewards = {name: utility[..., members] for name, members in self._members.items()}
        if crowd is not None:
            others = self.utility(crowd.consumption)
            rewards |= {f"{n}_crowd": others[..., members] for n, members in self._members.items()}
        info = {
            "capital": state.capital,
            "output": output,
            "consumption": books.consumption,
            "saving_share": books.spending / income,
            "investment": investment,
            "productivity": self.productivity(state),
            "price": price.squeeze(-2),
            "profit": (crowd or books).profit,
        }
        return Step(self.State(**following), rewards, info)

    def price(self, action: Tensor, income: Tensor) -> Tensor:
        """Price of each good (*batch, 1, M), if all households act so."""
        if self.action == "spending":
            return self.unit_cost_of(action * income.unsqueeze(-1))
        return self.unit_cost(action.sum(-2, keepdim=True))

    def buy(self, action: Tensor, income: Tensor, price: Tensor) -> Tensor:
        """Investment (*batch, N, M) of households that act so.

        They meet a price (*batch, 1, M).
        """
        if self.action == "spending":
            return action * income.unsqueeze(-1) / price
        cost = (price * action).sum(-1, keepdim=True)
        limit = (1 - SMALLEST_SHARE) * income.unsqueeze(-1)
        return action * (limit / torch.maximum(cost, limit))
