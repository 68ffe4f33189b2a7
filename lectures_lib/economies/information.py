"""A market in which some households see less than others (section 4.2, exercise 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..markov import MarkovChain, require_positive_chain
from ..parameters import require
from .base import Sight, Step, TooManyOutcomes
from .fields import Field, Fields
from .market import Market

#: The chain of a cost that never changes.
_CONSTANT = MarkovChain((1.0,), ((1.0,),))


class InformationState(NamedTuple):
    """State of a market with private information.

    Attributes
    ----------
    capital : Tensor, shape (*batch, households, goods)
    idiosyncratic : Tensor of int64, shape (*batch, households)
    aggregate : Tensor of int64, shape (*batch,)
    cost : Tensor of int64, shape (*batch,)
        Index into the multiples of the slope of marginal cost.
    last_capital, last_idiosyncratic, last_aggregate : Tensor
        The same a period ago.
    last_price : Tensor, shape (*batch, households, goods)
        What each household paid for goods a period ago, which is the same for all.
    """

    capital: Tensor
    idiosyncratic: Tensor
    aggregate: Tensor
    cost: Tensor
    last_capital: Tensor
    last_idiosyncratic: Tensor
    last_aggregate: Tensor
    last_price: Tensor


class InformationShocks(NamedTuple):
    """A period's luck: uniform draws that move productivities and the cost.

    Attributes
    ----------
    idiosyncratic : Tensor, shape (*batch, households)
    aggregate, cost : Tensor, shape (*batch,)
    """

    idiosyncratic: Tensor
    aggregate: Tensor
    cost: Tensor


@dataclass(frozen=True)
class InformationMarket(Market):
    r"""A market in which the informed see everything and the uninformed a few numbers.

    An uninformed household sees its own capital and productivity, mean capital and aggregate
    productivity, as in :class:`~lectures_lib.economies.Market`, and perhaps something of last
    period. An informed one sees every household's capital and productivity, and the state of the
    cost, if that moves. Everybody spends at the same time and pays the same price,

    .. math:: p_j = \sqrt{\phi_t X_j}, \qquad \phi_t = \phi\,\kappa_t,

    with :math:`X_j` the sum of all bids. Before the first period the economy is taken to have been
    where it is, with prices that replace what wears off. Chapter *What is information worth?*

    Parameters not listed are those of :class:`~lectures_lib.economies.Market`, in which households
    choose spending, have mass, and are not paid profits.

    Parameters
    ----------
    n_households, n_uninformed : int
        The last `n_uninformed` see less. Roles are `informed` and `uninformed`, or `household` if
        all are informed.
    memory : bool
        Whether the uninformed remember what they saw a period ago: their own capital and
        productivity, mean capital and aggregate productivity. They see it as changes: how much own
        and mean capital have grown, and what productivities were.
    sees_price : bool
        Whether the uninformed see last period's prices. (This period's are not known when bids are
        made.)
    cost : MarkovChain, optional
        Multiples :math:`\kappa_t` of the slope of marginal cost. All households pay by it, and only
        the informed see it.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Examples
    --------
    >>> economy = InformationMarket(n_households=4, n_uninformed=2)
    >>> {name: role.n_features for name, role in economy.roles.items()}
    {'informed': 3, 'uninformed': 4}
    >>> tells_more = replace(economy, memory=True, sees_price=True)
    >>> tells_more.roles["uninformed"].n_features
    9
    """

    n_households: int = 10
    n_uninformed: int = 5
    memory: bool = False
    sees_price: bool = False
    cost: MarkovChain | None = None

    State = InformationState
    Shocks = InformationShocks

    def __post_init__(self):
        super().__post_init__()
        for name, only in (("action", "spending"), ("rebate_profits", False), ("atomistic", False)):
            found = getattr(self, name)
            require(found == only, name, found, f"{only!r}: Market has the others, without secrets")
        if self.cost is not None:
            require_positive_chain("cost", self.cost)

    @property
    def plain(self) -> Market:
        """The same market if everybody saw everything, and costs did not move."""
        names = "n_households n_goods alpha beta delta phi idiosyncratic aggregate risk_aversion"
        return Market(**{name: getattr(self, name) for name in names.split()})

    # ------------------------------------------------------------------ what there is
    @cached_property
    def fields(self) -> Fields:
        """Capital, productivities and the cost, and a record of what they were."""
        now = super().fields
        record = {
            f"last_{name}": replace(field, moved_by="memory", copies=None)
            for name, field in now.items()
        }
        paid = record["last_capital"]
        return Fields(**now, cost=Field.of(self.cost or _CONSTANT), **record, last_price=paid)

    def reset(self, batch, generator, dtype=torch.float32):
        """As in every market; before, nothing has changed, and prices were those of rest."""
        luck = self.draw(batch, generator, dtype)
        plain = super().reset(batch, generator, dtype)
        cost = (self.cost or _CONSTANT).initial(luck.cost)
        price = self.slope_in(cost, dtype) * self.replacement(plain.capital).sum(-2, keepdim=True)
        return InformationState(*plain, cost, *plain, price.expand_as(plain.capital))

    def slope_in(self, cost: Tensor, dtype) -> Tensor:
        r"""The slope :math:`\phi_t` (*batch, 1, 1) where the cost has this index (*batch,)."""
        return self.phi * (self.cost or _CONSTANT).level(cost, dtype)[..., None, None]

    def perturb(self, state, generator, scale):
        """States around a state, with a past that is shifted along: nobody remembers the shift."""
        near = super().perturb(state, generator, scale)
        factor = near.capital / state.capital
        total = near.capital.sum(-2, keepdim=True) / state.capital.sum(-2, keepdim=True)
        return near._replace(
            last_capital=state.last_capital * factor, last_price=state.last_price * total
        )

    def sampled_outcomes(self, state, draws, generator):
        """None: expectations here are of simulations.

        Raises
        ------
        TooManyOutcomes
        """
        raise TooManyOutcomes(
            "InformationMarket: next period's luck is not sampled, because no solver knows this "
            "market. Agents learn in it, and value_of_information judges them."
        )

    # ------------------------------------------------------------------ who sees what
    @cached_property
    def roles(self):
        """`informed` and `uninformed`, or `household` if all are informed."""
        roles = {}
        for name, role in super().roles.items():
            seen = role.n_features
            if name == "uninformed":
                seen += seen * self.memory + self.n_goods * self.sees_price
            else:
                seen += self.cost is not None
            roles[name] = replace(role, n_features=seen)
        return roles

    def own_features(self, state):
        """Each household's log stocks and productivities, and the log cost if it moves."""
        own = super().own_features(state)
        if self.cost is None:
            return own
        level = self.cost.level(state.cost, own.dtype)[..., None, None].log()
        return torch.cat([own, level.expand_as(own[..., :1])], -1)

    def observe(self, state, moved=None):
        """Own log capital and productivities, of the informed also the log cost.

        Of the uninformed, log mean capital besides, and what they remember.
        """
        own, mine = self.own_features(state), super().own_features(state)
        seen = {}
        for name, members in self._members.items():
            if name == "uninformed":
                told = torch.cat([self._with_mean(mine, state), self.remembered(state)], -1)
                seen[name] = told[..., members, :]
            else:
                seen[name] = own[..., members, :]
        return seen

    def remembered(self, state) -> Tensor:
        """What the uninformed know of last period, shape (*batch, N, features).

        Growth of own stocks, own and aggregate productivity, growth of mean stocks; prices.
        """
        m, parts = self.n_goods, []
        now = self._with_mean(super().own_features(state), state)
        if self.memory:
            past = state._replace(
                capital=state.last_capital,
                idiosyncratic=state.last_idiosyncratic,
                aggregate=state.last_aggregate,
            )
            before = self._with_mean(super().own_features(past), past)
            change = now - before
            parts += [change[..., :m], before[..., m : m + 2], change[..., m + 2 :]]
        if self.sees_price:
            # In units in which it does not depend on how many households and goods there are.
            unit = self.phi * self.capital_unit * self.n_households
            parts.append((state.last_price / unit).log())
        return torch.cat([now[..., :0], *parts], -1)

    def sights(self, state, moved=None):
        """Themselves, and of the informed the whole population."""
        everybody = None if self.n_households == 1 else self.own_features(state)
        return {
            name: Sight(own, everybody if self.roles[name].full_information else None)
            for name, own in self.observe(state).items()
        }

    # ------------------------------------------------------------------ what happens
    def actions_for(self, state, investment):
        """The actions with which households buy `investment` (*batch, N, M), all of them."""
        slope = self.slope_in(state.cost, investment.dtype)
        price = slope * investment.sum(-2, keepdim=True)
        action = price * investment / self.income(state).unsqueeze(-1)
        return {name: action[..., members, :] for name, members in self._members.items()}

    def transition(self, state, actions, shocks) -> Step:
        """One period; actions are spending shares (*batch, agents, M)."""
        output = self.output(state)
        income = self.income(state, output)
        bids = torch.cat([actions[name] for name in self._members], -2) * income.unsqueeze(-1)
        slope = self.slope_in(state.cost, bids.dtype)
        total = slope * bids.sum(-2, keepdim=True)
        price = total.sqrt().clamp_min(torch.finfo(bids.dtype).tiny)
        investment, spending = bids / price, bids.sum(-1)
        consumption = income - spending
        utility = self.utility(consumption)
        now = self.fields.moved_by("choice", "chance")
        past = {f"last_{name}": getattr(state, name) for name in now if name != "cost"}
        following = self.State(
            capital=self.next_capital(state.capital, investment),
            **self.move_chance(state, shocks),
            **past,
            last_price=price.expand_as(investment),
        )
        rewards = {name: utility[..., members] for name, members in self._members.items()}
        info = {
            "capital": state.capital,
            "output": output,
            "consumption": consumption,
            "saving_share": spending / income,
            "investment": investment,
            "productivity": self.productivity(state),
            "price": price.squeeze(-2),
            "profit": bids.sum(-2) / 2,
            "cost": slope[..., 0, 0],
        }
        return Step(following, rewards, info)
