"""Games that have what the library's economies lack; every agent and measure has to take them."""

from collections import namedtuple
from dataclasses import dataclass, field
from functools import cached_property

import pytest
import torch
from torch.nn.functional import softplus

from lectures_lib.economies import (
    Bertrand,
    Economy,
    Field,
    Fields,
    FixedAction,
    MarkovChain,
    Matrix,
    Role,
    Step,
    TwoStep,
)

TASTE = MarkovChain.symmetric((0.7, 1.3), stay=0.8)
INCOME = MarkovChain.symmetric((0.8, 1.2), stay=0.7)


def offers(raw):
    """Any positive price and promotion; zero is about two thirds."""
    return softplus(raw)


@dataclass(frozen=True)
class Shop(Economy):
    """A shop posts a price and promotes its good, then two customers spend an income of one.

    Two stages, of which the second sees what was done in the first; two roles with different
    numbers of actions, discounts and measures of welfare; memory of the last offer; nothing that
    choices move. At price p and promotion m a customer who spends the share s on the good has
    utility (z + m) log(b + s / p) + log(b + 1 - s), with taste z, so that the best s is known in
    closed form; the shop's profit from each is (p - c) s / p - m^2 / 2.
    """

    beta: float = 0.9
    cost: float = 0.2
    bottom: float = 0.5
    taste: MarkovChain = field(default_factory=lambda: TASTE)

    State = namedtuple("ShopState", "last_offer taste")
    Shocks = namedtuple("ShopLuck", "taste")

    @cached_property
    def fields(self):
        return Fields(last_offer=Field((2,), "positive", "memory"), taste=Field.of(self.taste))

    @cached_property
    def roles(self):
        shop = Role(
            1, 3, 2, False, offers, low=0.0, discount=0.5, measure="profit", equivalent=self.profit
        )
        return {"shop": shop, "customer": Role(2, 4, 1, False, torch.sigmoid, low=0.0, high=1.0)}

    @property
    def stages(self):
        return (("shop",), ("customer",))

    @property
    def discount(self):
        return self.beta

    def profit(self, value):
        return (1 - 0.5) * value

    def consumption_equivalent(self, value):
        return ((1 - self.beta) * value).exp()

    def reset(self, batch, generator, dtype=torch.float32):
        luck = self.draw(batch, generator, dtype)
        uniform = torch.rand((*batch, 2), generator=generator, dtype=dtype, device=generator.device)
        return self.State(0.4 + 0.4 * uniform, self.taste.initial(luck.taste))

    def _z(self, state):
        return self.taste.level(state.taste, state.last_offer.dtype)

    def observe(self, state, moved=None):
        z = self._z(state).log().unsqueeze(-1)
        if not moved:
            return {"shop": torch.cat([state.last_offer.log(), z], -1).unsqueeze(-2)}
        now = moved["shop"].squeeze(-2).log()
        z = z.expand(*now.shape[:-1], 1)
        seen = [torch.cat([now, z, torch.zeros_like(z) + i], -1) for i in range(2)]
        return {"customer": torch.stack(seen, -2)}

    def transition(self, state, actions, shocks):
        offer, share = actions["shop"].squeeze(-2), actions["customer"].squeeze(-1)
        price, promotion = offer[..., :1], offer[..., 1:]
        liking = self._z(state).unsqueeze(-1) + promotion
        sold = share / price
        utility = liking * (self.bottom + sold).log() + (self.bottom + 1 - share).log()
        profit = ((price - self.cost) * sold - promotion**2 / 2).sum(-1, keepdim=True)
        following = self.State(offer, **self.move_chance(state, shocks))
        return Step(following, {"shop": profit, "customer": utility}, {"price": price})

    def best_share(self, state, offer):
        """What customers spend on the good at an offer (*batch, 2), shape (*batch, 2, 1)."""
        liking, b = self._z(state) + offer[..., 1], self.bottom
        share = (liking * (1 + b) - b * offer[..., 0]) / (1 + liking)
        return share.clamp(1e-4, 1 - 1e-4)[..., None, None].expand(*share.shape, 2, 1)


@dataclass(frozen=True)
class Borrower(Economy):
    """Assets may be negative: a' = R (m - c), where m = a + y and c is a share of m + limit."""

    beta: float = 0.9
    interest: float = 1.02
    limit: float = 1.0
    income: MarkovChain = field(default_factory=lambda: INCOME)

    State = namedtuple("BorrowerState", "assets income")
    Shocks = namedtuple("BorrowerLuck", "income")
    risk_aversion = 1.0

    @cached_property
    def fields(self):
        return Fields(assets=Field((1,), "real", unit=0.5), income=Field.of(self.income))

    @cached_property
    def roles(self):
        return {"household": Role(1, 2, 1, True, torch.sigmoid, low=0.0, high=1.0)}

    @property
    def discount(self):
        return self.beta

    def consumption_equivalent(self, value):
        return ((1 - self.beta) * value).exp()

    def reset(self, batch, generator, dtype=torch.float32):
        luck = self.draw(batch, generator, dtype)
        uniform = torch.rand((*batch, 1), generator=generator, dtype=dtype, device=generator.device)
        return self.State(uniform - 0.5, self.income.initial(luck.income))

    def _y(self, state):
        return self.income.level(state.income, state.assets.dtype).unsqueeze(-1)

    def observe(self, state, moved=None):
        return {"household": torch.stack([state.assets, self._y(state)], -1)}

    def transition(self, state, actions, shocks):
        share = 0.02 + 0.96 * actions["household"].squeeze(-1)
        cash = state.assets + self._y(state)
        consumption = share * (cash + self.limit)
        assets = self.interest * (cash - consumption)
        info = {"consumption": consumption, "assets": state.assets}
        following = self.State(assets, **self.move_chance(state, shocks))
        return Step(following, {"household": consumption.log()}, info)


@dataclass(frozen=True)
class Rivals(Economy):
    """Two firms choose a price from a list and remember the last: finite, without any shocks.

    Who is cheaper sells to nine customers in ten, equal prices divide them.
    """

    patience: float = 0.9
    grid: tuple[float, ...] = (0.4, 0.6, 0.8)

    State = namedtuple("RivalsState", "last")
    Shocks = namedtuple("RivalsLuck", ())

    @cached_property
    def fields(self):
        return Fields(last=Field((2,), "index", "memory", size=len(self.grid)))

    @cached_property
    def roles(self):
        kind = {"choices": self.grid, "low": 0.0, "high": 1.0, "measure": "profit"}
        return {"firm": Role(2, 2, 1, False, torch.sigmoid, full_information=False, **kind)}

    @property
    def discount(self):
        return self.patience

    def consumption_equivalent(self, value):
        return (1 - self.patience) * value

    def reset(self, batch, generator, dtype=torch.float32):
        n = len(self.grid)
        return self.State(
            torch.randint(n, (*batch, 2), generator=generator, device=generator.device)
        )

    def observe(self, state, moved=None):
        # Own price and the rival's.
        last = state.last.to(torch.get_default_dtype())
        return {"firm": torch.stack([last, last.flip(-1)], -1)}

    def transition(self, state, actions, shocks):
        price = actions["firm"].squeeze(-1)
        sales = 0.5 + 0.4 * (price.flip(-1) - price).sign()
        nearest = (price.unsqueeze(-1) - price.new_tensor(self.grid)).abs().argmin(-1)
        return Step(self.State(nearest), {"firm": (price - 0.2) * sales}, {"price": price})


@dataclass(frozen=True)
class Sticky(Economy):
    """A firm whose price is costly to change: the price of before is a record, or a choice."""

    moved_by: str = "memory"
    demand: MarkovChain = field(default_factory=lambda: TASTE)

    State = namedtuple("StickyState", "last demand")
    Shocks = namedtuple("StickyLuck", "demand")

    @cached_property
    def fields(self):
        last = Field((1,), "positive", self.moved_by)
        return Fields(last=last, demand=Field.of(self.demand))

    @cached_property
    def roles(self):
        return {"firm": Role(1, 2, 1, False, torch.sigmoid, low=0.0, high=1.0)}

    @property
    def discount(self):
        return 0.9

    def consumption_equivalent(self, value):
        return 0.1 * value

    def reset(self, batch, generator, dtype=torch.float32):
        luck = self.draw(batch, generator, dtype)
        uniform = torch.rand((*batch, 1), generator=generator, dtype=dtype, device=generator.device)
        return self.State(0.3 + 0.4 * uniform, self.demand.initial(luck.demand))

    def level(self, state):
        return self.demand.level(state.demand, state.last.dtype).unsqueeze(-1)

    def observe(self, state, moved=None):
        return {"firm": torch.stack([state.last, self.level(state)], -1)}

    def transition(self, state, actions, shocks):
        price = actions["firm"].squeeze(-1)
        profit = price * (self.level(state) - price) + 1 - 2 * (price - state.last) ** 2
        state = self.State(price, **self.move_chance(state, shocks))
        return Step(state, {"firm": profit}, {"price": price})


GAMES = {
    "shop": Shop(),
    "borrower": Borrower(),
    "rivals": Rivals(),
    "bertrand": Bertrand(n_prices=4),
    "bertrand, continuous": Bertrand(3, 2, cost=(1.0, 1.1, 0.9), on_grid=False),
    "hunt": Matrix.stag_hunt(),
    "two steps": TwoStep(),
}
every_game = pytest.mark.parametrize("game", list(GAMES.values()), ids=list(GAMES))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def constant(game):
    """Some interior action of every role."""
    values = {"shop": 0.3, "customer": 0.45, "household": 0.4, "firm": 0.6, "player": 0.3}
    if isinstance(game, Bertrand):
        values["firm"] = 1.6
    return FixedAction(game, {name: values[name] for name in game.roles})


class Reacting:
    """A shop that always makes the same offer, and customers who respond to any in the best way."""

    def __init__(self, game, value):
        self.game, self.value = game, value

    def __call__(self, state, moved=None):
        usual = torch.full((*state.taste.shape, 1, 2), self.value, dtype=torch.float64)
        offer = (moved or {}).get("shop", usual)
        return {"shop": offer, "customer": self.game.best_share(state, offer.squeeze(-2))}
