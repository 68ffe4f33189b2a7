"""Firms that sell different goods and post prices: a market in which learners may collude."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..markov import MarkovChain
from ..parameters import require
from .base import Actions, Economy, Role, Step
from .fields import Field, Fields
from .game_tables import GameTables
from .role import between
from .tables import number_of


class BertrandState(NamedTuple):
    """State of the price game.

    Attributes
    ----------
    last : Tensor, shape (*batch, memory, firms)
        Prices of the last periods, the newest first: places in the list of prices (int64), or the
        prices themselves where they are continuous. Without memory it is one row of zeros or ones.
    demand : Tensor of int64, shape (*batch,)
        Index into the values of the outside good, last period's.
    """

    last: Tensor
    demand: Tensor


class BertrandShocks(NamedTuple):
    """A uniform draw that moves demand, shape (*batch,)."""

    demand: Tensor


@dataclass(frozen=True)
class Bertrand(Economy[BertrandState, BertrandShocks]):
    r"""Price competition with logit demand (Calvano, Calzolari, Denicolò and Pastorello 2020).

    Firm :math:`i` sells a good of quality :math:`a_i` at the price :math:`p_i`, and an outside good
    of quality :math:`a_0` is there for nothing. Of a mass one of customers

    .. math:: q_i = \frac{e^{(a_i-p_i)/\mu}}{\sum_j e^{(a_j-p_j)/\mu} + e^{a_0/\mu}}

    buy from it, and it earns :math:`(p_i-c_i)\,q_i`. All firms post prices at the same time, for a
    period; then :math:`a_0` and sales become known. Defaults are the paper's baseline. Chapter
    *Algorithmic collusion*.

    Parameters
    ----------
    n_firms : int
        At least 2.
    memory : int
        Periods whose prices firms remember, all of them; zero for none.
    beta : float
        Discount factor, in [0, 1): the paper's :math:`\delta`.
    quality : float or tuple of float
        Of all firms, or of each.
    cost : float or tuple of float
        Of a unit, for all firms or for each.
    outside : MarkovChain
        Quality of the outside good; it becomes known when prices are posted.
    mu : float
        How different goods are, positive; with little difference all customers buy the best offer.
    n_prices : int
        Length of the list of prices, at least 2. Prices are at equal distances.
    margin : float
        By how much prices reach below the lowest price of one-shot competition and above the
        highest of a monopoly, as a share of the distance between the two.
    on_grid : bool
        Whether prices are those of the list, to the nearest of which others are moved, or any
        between its ends. Only the former is a finite game.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Examples
    --------
    >>> market = Bertrand()
    >>> market.nash_prices.round(3), market.monopoly_prices.round(3)
    (array([1.473, 1.473]), array([1.925, 1.925]))
    """

    n_firms: int = 2
    memory: int = 1
    beta: float = 0.95
    quality: float | tuple[float, ...] = 2.0
    cost: float | tuple[float, ...] = 1.0
    outside: MarkovChain = field(default_factory=lambda: MarkovChain((0.0,), ((1.0,),)))
    mu: float = 0.25
    n_prices: int = 15
    margin: float = 0.1
    on_grid: bool = True

    State = BertrandState
    Shocks = BertrandShocks

    def __post_init__(self):
        require(self.n_firms >= 2, "n_firms", self.n_firms, "a whole number of at least 2")
        require(self.memory >= 0, "memory", self.memory, "a whole number of at least 0")
        require(0 <= self.beta < 1, "beta", self.beta, "a number in [0, 1)")
        for name in ("quality", "cost"):
            value = getattr(self, name)
            each = value if isinstance(value, tuple) else (value,) * self.n_firms
            good = len(each) == self.n_firms and all(map(math.isfinite, each))
            require(good, name, value, f"a finite number, or one for each of {self.n_firms} firms")
        chain = isinstance(self.outside, MarkovChain)
        require(chain, "outside", self.outside, "a MarkovChain, such as the default's of one value")
        require(0 < self.mu < math.inf, "mu", self.mu, "a positive number")
        require(self.n_prices >= 2, "n_prices", self.n_prices, "a whole number of at least 2")
        require(0 <= self.margin < math.inf, "margin", self.margin, "a number of at least 0")
        low = self.prices[0]
        require(self.on_grid or low > 0, "margin", self.margin, "one by which no price is negative")

    # ------------------------------------------------------------------ the market of one period
    @cached_property
    def qualities(self) -> np.ndarray:
        """Of each firm, shape (firms,)."""
        return np.broadcast_to(self.quality, self.n_firms).astype(float)

    @cached_property
    def costs(self) -> np.ndarray:
        """Of a unit, of each firm, shape (firms,)."""
        return np.broadcast_to(self.cost, self.n_firms).astype(float)

    def quantities(self, price: Tensor, outside: Tensor | float) -> Tensor:
        """What each firm sells at prices (*batch, firms); shape (*batch, firms)."""
        return self._shares(price, outside)[..., :-1]

    def _shares(self, price, outside):
        """Shares of all customers, (*batch, firms + 1); those of the outside good come last."""
        quality = torch.from_numpy(self.qualities).to(price)
        other = torch.as_tensor(outside, dtype=price.dtype, device=price.device)
        batch = torch.broadcast_shapes(price.shape[:-1], other.shape)
        worth = (quality - price).expand(*batch, self.n_firms)
        return (torch.cat([worth, other.expand(batch).unsqueeze(-1)], -1) / self.mu).softmax(-1)

    def expected_profits(self, price) -> np.ndarray:
        """Each firm's mean profit at fixed prices (*any, firms), in the long run of demand."""
        price = torch.as_tensor(np.asarray(price, dtype=float))
        sold = self._in_long_run(lambda outside: self.quantities(price, outside))
        return (price.numpy() - self.costs) * sold

    def _in_long_run(self, function):
        """The mean of a function of the outside good's quality."""
        each = np.stack([function(a).numpy() for a in self.outside.values])
        return np.tensordot(self.outside.stationary, each, 1)

    def _markup(self, markup, sellers: slice) -> float:
        """The markup at which sellers earn most, given the markups (firms,) of all others.

        Their marginal profit is zero where m E[Q (1 - Q)] = mu E[Q], with what they sell, Q.
        """
        from scipy.optimize import brentq  # only here, as in `markov.py`

        def marginal(m, values=None):
            """Less than zero where a higher markup would earn more, in units of mu."""
            price = self.costs + markup
            price[sellers] = self.costs[sellers] + m

            def both(outside):
                share = self._shares(torch.from_numpy(price), outside)
                own, others = share[sellers].sum(), share.clone()
                # One less their sales would round to zero where they are nearly all.
                others[sellers] = 0
                return torch.stack([own * others.sum(), own])

            change, own = self._in_long_run(both) if values is None else both(values).numpy()
            return m * change / own / self.mu - 1

        # With a given outside good it changes its sign once, and on average no later.
        high = 2 * self.mu
        while min(marginal(high, a) for a in self.outside.values) < 0:
            high *= 2
        if len(self.outside) == 1:
            return brentq(marginal, self.mu, high, xtol=1e-15, maxiter=1000)
        # Where demand may be of several kinds, profits may have a peak for each.
        places = np.geomspace(self.mu, high, 400)
        rising = np.array([marginal(m) < 0 for m in places])
        peaks = [
            brentq(marginal, *places[k : k + 2], xtol=1e-15)
            for k in np.flatnonzero(rising[:-1] & ~rising[1:])
        ]

        def earned(m):
            price = self.costs + markup
            price[sellers] = self.costs[sellers] + m
            return self.expected_profits(price)[sellers].sum()

        return max(peaks, key=earned)

    @cached_property
    def nash_prices(self) -> np.ndarray:
        """The one-shot game's equilibrium, shape (firms,), by best responses in turn.

        Raises
        ------
        RuntimeError
            If they do not come to rest.
        """
        markup = np.full(self.n_firms, 2 * self.mu)
        for _ in range(1000):
            before = markup.copy()
            for i in range(self.n_firms):
                markup[i] = self._markup(markup, slice(i, i + 1))
            if np.abs(markup - before).max() <= 1e-14 * markup.max():
                return self.costs + markup
        raise RuntimeError(
            f"{self!r}: best responses go round in a circle, and no equilibrium of the one-shot "
            "game is known. Let the outside good vary less."
        )

    @cached_property
    def monopoly_prices(self) -> np.ndarray:
        """What maximises the sum of profits, shape (firms,); all markups are the same."""
        return self.costs + self._markup(np.zeros(self.n_firms), slice(0, self.n_firms))

    def profit_gain(self, profit) -> np.ndarray:
        r"""Mean profits between one-shot competition, zero, and monopoly, one.

        .. math:: \Delta = \frac{\bar\pi-\bar\pi^N}{\bar\pi^M-\bar\pi^N}

        Parameters
        ----------
        profit : array_like, shape (*any, firms)
            Per period.

        Returns
        -------
        ndarray, shape (*any,)
        """
        nash, monopoly = (
            self.expected_profits(p).mean() for p in (self.nash_prices, self.monopoly_prices)
        )
        return (np.asarray(profit, dtype=float).mean(-1) - nash) / (monopoly - nash)

    @cached_property
    def prices(self) -> tuple[float, ...]:
        """The list of prices, in increasing order."""
        low, high = self.nash_prices.min(), self.monopoly_prices.max()
        beyond = self.margin * (high - low)
        return tuple(np.linspace(low - beyond, high + beyond, self.n_prices).tolist())

    # ------------------------------------------------------------------ the economy
    @property
    def discount(self) -> float:
        """The discount factor beta."""
        return self.beta

    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """The constant profit worth `value`."""
        return (1 - self.beta) * value

    @property
    def _alike(self) -> bool:
        """Whether nothing but its prices tells a firm from another."""
        return len({*self.qualities}) == len({*self.costs}) == 1

    @cached_property
    def roles(self):
        """One role, the firm; the action is its price."""
        low, high = self.prices[0], self.prices[-1]
        known = self.memory * self.n_firms + 2 * (not self._alike) + (len(self.outside) > 1)
        return {
            "firm": Role(
                n_agents=self.n_firms,
                n_features=max(1, known),
                n_actions=1,
                team=False,
                to_physical=partial(between, low=low, high=high),
                # A firm sees itself first, and a population would see it a second time.
                full_information=False,
                choices=self.prices,
                low=low,
                high=high,
                measure="profit",
            )
        }

    @cached_property
    def fields(self) -> Fields:
        """The record of prices, and demand."""
        shape = (max(1, self.memory), self.n_firms)
        if self.on_grid:
            values = self.n_prices if self.memory else 1
            last = Field(shape, "index", "memory", size=values)
        else:
            last = Field(shape, "positive", "memory")
        return Fields(last=last, demand=Field.of(self.outside))

    def reset(self, batch, generator, dtype=torch.float32) -> BertrandState:
        """Remembered prices anywhere in the list, or between its ends; demand stationary."""
        shape, device = (*batch, *self.fields["last"].shape), generator.device
        demand = self.outside.initial(self.draw(batch, generator, dtype).demand)
        if self.on_grid:
            values = self.n_prices if self.memory else 1
            last = torch.randint(values, shape, generator=generator, device=device)
        else:
            low, high = self.prices[0], self.prices[-1]
            uniform = torch.rand(shape, generator=generator, device=device, dtype=dtype)
            last = low + (high - low) * uniform if self.memory else torch.ones_like(uniform)
        return BertrandState(last, demand)

    def remembered(self, state: BertrandState, dtype=None) -> Tensor:
        """The prices of the last periods, the newest first, shape (*batch, memory, firms)."""
        if not self.on_grid:
            return state.last
        prices = torch.tensor(
            self.prices, dtype=dtype or torch.get_default_dtype(), device=state.last.device
        )
        return prices[state.last]

    @cached_property
    def _order(self) -> Tensor:
        """Each firm first in its own eyes, then the others in their order (firms, firms)."""
        n = range(self.n_firms)
        return torch.tensor([[i, *(j for j in n if j != i)] for i in n])

    def observe(self, state, moved=None):
        """What a firm remembers, its own prices first; its quality and cost where they differ."""
        zero = self.zeros(state)
        seen = []
        if self.memory:
            last = self.remembered(state, zero.dtype)
            last = last.expand(*zero.shape, *last.shape[-2:])
            seen.append(last[..., self._order.to(last.device)].transpose(-3, -2).flatten(-2))
        if not self._alike:
            known = torch.from_numpy(np.stack([self.qualities, self.costs], -1)).to(zero)
            seen.append(known.expand(*zero.shape, self.n_firms, 2))
        if len(self.outside) > 1:
            level = self.outside.level(state.demand, zero.dtype)
            seen.append(level[..., None, None].expand(*zero.shape, self.n_firms, 1))
        if not seen:
            seen.append(zero.new_ones((*zero.shape, self.n_firms, 1)))
        return {"firm": torch.cat(seen, -1)}

    def transition(
        self, state: BertrandState, actions: Actions, shocks: BertrandShocks
    ) -> Step[BertrandState]:
        """One period; `actions["firm"]` holds prices (*batch, firms, 1)."""
        price = actions["firm"].squeeze(-1)
        moved = self.move_chance(state, shocks)
        new = price
        if self.on_grid:
            grid = torch.tensor(self.prices, dtype=price.dtype, device=price.device)
            step = (grid[-1] - grid[0]) / (len(grid) - 1)
            new = ((price - grid[0]) / step).round().clamp(0, len(grid) - 1).long()
            price = grid[new]
        sold = self.quantities(price, self.outside.level(moved["demand"], price.dtype))
        profit = (price - torch.from_numpy(self.costs).to(price)) * sold
        last = state.last
        if self.memory:
            batch = torch.broadcast_shapes(new.shape[:-1], last.shape[:-2])
            kept = last.expand(*batch, *last.shape[-2:])[..., :-1, :]
            newest = new.expand(*batch, new.shape[-1]).unsqueeze(-2)
            last = torch.cat([newest, kept], -2)
        info = {"price": price, "quantity": sold, "profit": profit}
        return Step(BertrandState(last, **moved), {"firm": profit}, info)

    # ------------------------------------------------------------------ the finite game
    def tables(self) -> GameTables:
        """The game written out; what does not differ between states is stored once.

        State ``r * len(outside) + d`` has the record of prices number ``r`` and demand ``d``.

        Raises
        ------
        TypeError
            If prices are continuous.
        """
        if not self.on_grid:
            raise TypeError(
                "tables() of Bertrand(on_grid=False): its prices are any between two numbers, so "
                "that it is no finite game. PPO and SAC learn there."
            )
        n, m, d = self.n_firms, self.n_prices, len(self.outside)
        joint, records = m**n, (m**n) ** self.memory
        places = np.stack(np.unravel_index(np.arange(joint), (m,) * n), -1)
        price = torch.from_numpy(np.array(self.prices)[places])
        profit = np.stack(
            [
                (price.numpy() - self.costs) * self.quantities(price, a).numpy()
                for a in self.outside.values
            ],
            1,
        )
        following = np.zeros((1, joint), dtype=np.int64)
        if self.memory:
            following = following + np.arange(joint) * joint ** (self.memory - 1)
        if self.memory > 1:
            following = following + np.arange(records)[:, None] // joint
        moves = np.array(self.outside.transition)
        shape: Any = (records, d, joint, d)

        def every(x, shape=shape):
            spread = np.broadcast_to(x, shape)
            return spread[:, 0] if d == 1 else spread.reshape(records * d, *shape[2:])

        successors = following[:, None, :, None] * d + np.arange(d)
        return GameTables(
            every(profit, (*shape, n)),
            every(successors.astype(np.int32)),
            every(moves[None, :, None, :]),
            (self.beta,) * n,
            (self.prices,) * n,
        )

    def index(self, state: BertrandState) -> Tensor:
        """The number of each state in the tables, shape (*batch,)."""
        return number_of(self, state)
