"""A monopolist whose customers come and go with the price."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..markov import MarkovChain, require_positive_chain
from ..memory import require_memory
from ..parameters import require
from .base import Actions, Economy, Role, Step
from .fields import Field, Fields
from .tables import Tables


class MonopolistState(NamedTuple):
    """State of the monopolist's market.

    Attributes
    ----------
    customers : Tensor, shape (*batch, 1)
        One in the long run if the price is always the one that is best for the day.
    demand : Tensor of int64, shape (*batch,)
        Index into the values of the demand shock.
    """

    customers: Tensor
    demand: Tensor


class MonopolistShocks(NamedTuple):
    """A uniform draw that moves demand, shape (*batch,)."""

    demand: Tensor


@dataclass(frozen=True)
class Monopolist(Economy[MonopolistState, MonopolistShocks]):
    r"""A monopolist who trades off profit today against customers tomorrow.

    Each of :math:`x_t` customers values the good at a number that is uniform on :math:`[0, 1]`,
    and comes with intensity :math:`a_t`, a Markov chain. At the price :math:`p_t` sales are
    :math:`q_t = a_t x_t (1 - p_t)`, and

    .. math:: \max E \sum_t \beta^t (p_t - c)\, q_t, \qquad
              x_{t+1} = (1-\rho) x_t + \rho \frac{1 - p_t}{1 - \bar p}, \qquad
              \bar p = \frac{1 + c}{2}.

    The price :math:`\bar p` is the best for the day whatever the state; a patient monopolist asks
    for less, because cheap goods bring customers back. Chapter *Markov decision problems*.

    Parameters
    ----------
    beta : float
        Discount factor, in (0, 1).
    cost : float
        Cost c of a unit, in [0, 1).
    turnover : float
        Share :math:`\rho` of the customers that is renewed in a period, in (0, 1].
    demand : MarkovChain
        Intensity of demand a, positive.
    prices : tuple of float
        The prices of the finite version, in increasing order within [0, 1).
    levels : int
        Number of customer levels of the finite version, at least 2.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Examples
    --------
    >>> tables = Monopolist().tables()
    >>> tables.payoffs.shape
    (24, 11)
    """

    beta: float = 0.9
    cost: float = 0.2
    turnover: float = 0.2
    demand: MarkovChain = field(default_factory=lambda: MarkovChain.symmetric((0.5, 1.5), stay=0.8))
    prices: tuple[float, ...] = tuple(round(0.2 + 0.05 * i, 2) for i in range(11))
    levels: int = 12

    State = MonopolistState
    Shocks = MonopolistShocks

    def __post_init__(self):
        require(0 < self.beta < 1, "beta", self.beta, "a number in (0, 1)")
        require(0 <= self.cost < 1, "cost", self.cost, "a number in [0, 1)")
        require(0 < self.turnover <= 1, "turnover", self.turnover, "a number in (0, 1]")
        require_positive_chain("demand", self.demand)
        rising = all(a < b for a, b in zip(self.prices, self.prices[1:], strict=False))
        require(
            len(self.prices) >= 2 and rising and 0 <= self.prices[0] and self.prices[-1] < 1,
            "prices",
            self.prices,
            "two or more increasing numbers in [0, 1)",
        )
        require(
            self.levels >= 2,
            "levels",
            self.levels,
            "a whole number of at least 2",
        )

    @property
    def discount(self) -> float:
        """The discount factor beta."""
        return self.beta

    @property
    def price_of_the_day(self) -> float:
        """The price that maximises today's profit, in every state."""
        return (1 + self.cost) / 2

    @cached_property
    def roles(self):
        """One role, the firm; the action is its price, between zero and one."""
        return {
            "firm": Role(
                n_agents=1,
                n_features=2,
                n_actions=1,
                team=False,
                to_physical=torch.sigmoid,
                choices=self.prices,
                low=0.0,
                high=1.0,
                measure="profit",
            )
        }

    @cached_property
    def fields(self) -> Fields:
        """Customers, whom the price moves, and the demand chain."""
        return Fields(customers=Field((1,)), demand=Field.of(self.demand))

    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """The constant profit worth `value`."""
        return (1 - self.beta) * value

    def attracted(self, price):
        """Customers in the long run if the price stays the same."""
        return (1 - price) / (1 - self.price_of_the_day)

    def reset(self, batch, generator, dtype=torch.float32) -> MonopolistState:
        """Customers uniform on what the finite version's prices can lead to, demand stationary."""
        luck = self.draw(batch, generator, dtype)
        uniform = torch.rand((*batch, 1), generator=generator, device=generator.device, dtype=dtype)
        low, high = self.attracted(self.prices[-1]), self.attracted(self.prices[0])
        return MonopolistState(low + (high - low) * uniform, self.demand.initial(luck.demand))

    def observe(self, state, moved=None):
        """Customers and the intensity of demand, shape (*batch, 1, 2)."""
        return {"firm": torch.stack([state.customers, self._intensity(state)], -1)}

    def _intensity(self, state):
        return self.demand.level(state.demand, state.customers.dtype).unsqueeze(-1)

    def transition(
        self, state: MonopolistState, actions: Actions, shocks: MonopolistShocks
    ) -> Step[MonopolistState]:
        """One period; `actions["firm"]` holds the price (*batch, 1, 1)."""
        price = actions["firm"].squeeze(-1)
        sales = self._intensity(state) * state.customers * (1 - price)
        profit = (price - self.cost) * sales
        customers = (1 - self.turnover) * state.customers + self.turnover * self.attracted(price)
        info = {"customers": state.customers, "price": price, "sales": sales, "profit": profit}
        following = MonopolistState(customers, **self.move_chance(state, shocks))
        return Step(following, {"firm": profit}, info)

    # ------------------------------------------------------------------ the finite version
    @cached_property
    def customer_levels(self) -> np.ndarray:
        """All customers to which the finite version's prices can lead, an array (levels,)."""
        ends = self.attracted(self.prices[-1]), self.attracted(self.prices[0])
        return np.linspace(*ends, self.levels)

    def tables(self) -> Tables:
        """The finite version: customers on a grid, prices from a list.

        Next period's customers fall on one of the two levels beside what the law of motion says,
        with probabilities that keep the mean. State `i * len(demand) + j` has customers at level
        `i` and demand at index `j`.
        """
        n = self.levels * len(self.demand)
        require_memory(
            # The transitions, their check, and a learner's list of successors.
            4 * 8 * n * len(self.prices) * n,
            "cpu",
            f"tables() of {n:,} states and {len(self.prices):,} prices",
            "lower levels, or offer fewer prices",
        )
        x, p = self.customer_levels, np.array(self.prices)
        a, chain = np.array(self.demand.values), np.array(self.demand.transition)
        payoffs = (a * x[:, None])[..., None] * (1 - p) * (p - self.cost)
        following = (1 - self.turnover) * x[:, None] + self.turnover * self.attracted(p)
        place = ((following - x[0]) / (x[1] - x[0])).clip(0, self.levels - 1)
        below = np.minimum(place.astype(int), self.levels - 2)
        levels = np.arange(self.levels)
        above = place - below
        moves = (levels == below[..., None]) * (1 - above[..., None])
        moves = moves + (levels == below[..., None] + 1) * above[..., None]
        transitions = np.einsum("xpy,ab->xapyb", moves, chain)
        return Tables(payoffs.reshape(n, len(p)), transitions.reshape(n, len(p), n), self.beta, p)

    def index(self, state: MonopolistState) -> Tensor:
        """The finite version's state nearest to a state, shape (*batch,)."""
        low, high = self.customer_levels[[0, -1]]
        place = (state.customers.squeeze(-1) - low) / (high - low) * (self.levels - 1)
        nearest = place.round().clamp(0, self.levels - 1).long()
        return nearest * len(self.demand) + state.demand
