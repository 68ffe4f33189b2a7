"""Economies that somebody else might write: unlike the library's own in every name."""

from collections import namedtuple
from dataclasses import dataclass, field

import torch

from lectures_lib.economies import (
    BrockMirman,
    Field,
    Fields,
    Market,
    MarkovChain,
    Monopolist,
    Planner,
)
from lectures_lib.economies.base import Economy, Role, Step

CHAIN = MarkovChain.symmetric((0.9, 1.1), stay=0.9)
Nothing = namedtuple("Nothing", ())


@dataclass(frozen=True)
class Saver(Economy):
    """W' = (s W)^alpha and log utility of (1 - s) W: the best share is alpha * beta, always.

    No shocks; `wealth` (*batch,) has no dimension of agents; the only role is called `saver`.
    """

    alpha: float = 0.4
    beta: float = 0.9
    team: bool = True

    State = namedtuple("Wealth", "wealth")
    Shocks = Nothing
    risk_aversion = 1.0

    @property
    def fields(self):
        return Fields(wealth=Field())

    @property
    def roles(self):
        return {"saver": Role(1, 1, 1, self.team, torch.sigmoid)}

    @property
    def discount(self):
        return self.beta

    @property
    def best(self):
        return self.alpha * self.beta

    def reset(self, batch, generator, dtype=torch.float32):
        uniform = torch.rand(tuple(batch), generator=generator, dtype=dtype)
        return self.State(0.2 + uniform.to(generator.device))

    def observe(self, state, moved=None):
        return {"saver": state.wealth.log()[..., None, None]}

    def transition(self, state, actions, shocks):
        share = actions["saver"][..., 0, 0]
        consumption = (1 - share) * state.wealth
        rewards = {"saver": consumption.log().unsqueeze(-1)}
        following = self.State((share * state.wealth) ** self.alpha)
        return Step(following, rewards, {"consumption": consumption})

    def consumption_equivalent(self, value):
        return ((1 - self.beta) * value).exp()


@dataclass(frozen=True)
class RiskySaver(Saver):
    """W' = z' (s W)^alpha: what shocks leave of savings. The best share is the same."""

    aggregate: MarkovChain = CHAIN

    State = namedtuple("RiskyWealth", "wealth aggregate")
    Shocks = namedtuple("Luck", "aggregate")
    chain = "aggregate"

    @property
    def fields(self):
        return Fields(wealth=Field((1,)), **{self.chain: Field.of(self._z)})

    def reset(self, batch, generator, dtype=torch.float32):
        uniform = torch.rand((*batch, 1), generator=generator, dtype=dtype)
        luck = self.draw(batch, generator, dtype)[0]
        return self.State(0.2 + uniform, self._z.initial(luck))

    @property
    def _z(self):
        return getattr(self, self.chain)

    def observe(self, state, moved=None):
        return {"saver": state.wealth.log().unsqueeze(-1)}

    def transition(self, state, actions, shocks):
        share = actions["saver"].squeeze(-1)
        consumption = (1 - share) * state.wealth
        index = self._z.next(state[1], shocks[0])
        z = self._z.level(index, state.wealth.dtype).unsqueeze(-1)
        following = self.State(z * (share * state.wealth) ** self.alpha, index)
        return Step(following, {"saver": consumption.log()}, {"consumption": consumption})


@dataclass(frozen=True)
class WeatherSaver(RiskySaver):
    """The same with a chain that is not called aggregate."""

    weather: MarkovChain = CHAIN

    State = namedtuple("WeatheredWealth", "wealth weather")
    Shocks = namedtuple("Weather", "weather")
    chain = "weather"


@dataclass(frozen=True)
class Gambler(Economy):
    """Bets on a chain that nobody moves: no endogenous field, no stock, no consumption."""

    beta: float = 0.9
    side: MarkovChain = field(default_factory=lambda: MarkovChain.symmetric((0.0, 1.0), 0.8))

    State = namedtuple("Side", "side")
    Shocks = namedtuple("Flip", "side")

    @property
    def fields(self):
        return Fields(side=Field.of(self.side))

    @property
    def roles(self):
        return {"gambler": Role(1, 1, 1, False, torch.sigmoid)}

    @property
    def discount(self):
        return self.beta

    def reset(self, batch, generator, dtype=torch.float32):
        return self.State(self.side.initial(self.draw(batch, generator, dtype)[0]))

    def observe(self, state, moved=None):
        return {"gambler": self.side.level(state.side, torch.float32)[..., None, None]}

    def transition(self, state, actions, shocks):
        bet = actions["gambler"].squeeze(-1)
        index = self.side.next(state.side, shocks.side)
        came = self.side.level(index, bet.dtype).unsqueeze(-1)
        return Step(self.State(index), {"gambler": -((bet - came) ** 2)}, {})

    def consumption_equivalent(self, value):
        return (1 - self.beta) * value


@dataclass(frozen=True)
class TaxedPlanner(Planner):
    """A parameter more, and no other rule."""

    tax: float = 0.0


@dataclass(frozen=True)
class OtherMarket(Market):
    """Nothing of its own but a method that says what the base's says."""

    def utility(self, consumption):
        return super().utility(consumption)


class OtherGrowth(BrockMirman):
    """Nothing but a name."""


class OtherMonopolist(Monopolist):
    """Nothing but a name."""


@dataclass(frozen=True)
class Leaky(Planner):
    """Half of what is kept leaks: not what Planner's formulas are about."""

    def transition(self, state, actions, shocks):
        step = super().transition(state, actions, shocks)
        return step._replace(state=step.state._replace(capital=step.state.capital / 2))


class Impatient(BrockMirman):
    """A discount factor that is not beta."""

    @property
    def discount(self):
        return 0.5


class Thrifty(Monopolist):
    """Half of the profit: the same rule is best, but not by the base's formulas."""

    def transition(self, state, actions, shocks):
        step = super().transition(state, actions, shocks)
        return step._replace(rewards={"firm": step.rewards["firm"] / 2})


@dataclass(frozen=True)
class Content(Market):
    """Another utility."""

    def utility(self, consumption):
        return consumption.sqrt()


FOREIGN = {
    "no shocks": Saver(),
    "no shocks, no team": Saver(team=False),
    "aggregate": RiskySaver(),
    "aggregate, no team": RiskySaver(team=False),
    "weather": WeatherSaver(),
    "nothing moved": Gambler(),
}
DERIVED = {
    "planner": (TaxedPlanner(tax=0.1), Planner()),
    "market": (OtherMarket(1), Market(1)),
    "growth": (OtherGrowth(), BrockMirman()),
    "monopolist": (OtherMonopolist(), Monopolist()),
}
