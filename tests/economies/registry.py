"""Every economy, and what the tests of this folder do to each.

A new economy joins by being added to ECONOMIES.
"""

import numpy as np
import pytest
import torch

from lectures_lib.economies import (
    AutoRegression,
    Bertrand,
    BrockMirman,
    Constrained,
    Discretised,
    Externality,
    InformationMarket,
    InternationalCycle,
    KrusellSmith,
    Market,
    MarkovChain,
    Matrix,
    Monopolist,
    Planner,
    PostedPrice,
    Rationing,
    Respecified,
    SimultaneousPrice,
    TradingPost,
    TwoStep,
    play,
)
from lectures_lib.economies.contract import situation  # noqa: F401  # for the tests of this folder
from lectures_lib.economies.play import neutral

ECONOMIES = {
    "Planner()": Planner(),
    "Planner(3, 2)": Planner(3, 2),
    "Planner(2, 1, risk_aversion=2.5)": Planner(2, 1, risk_aversion=2.5),
    "Discretised(Planner(2))": Discretised(Planner(2), (0.05, 0.1, 0.2)),
    "Constrained(Planner(2), clip)": Constrained(Planner(2), "clip"),
    "Constrained(Planner(2, 2), project, penalty)": Constrained(Planner(2, 2), "project", 1.0),
    "Constrained(Planner(1, 3), project)": Constrained(Planner(1, 3), "project"),
    "Constrained(Planner(2, 2), rescale)": Constrained(Planner(2, 2), "rescale", start=0.5),
    "Constrained(Market(2), stretch)": Constrained(Market(2), "stretch"),
    "Respecified(Planner(2), quantity, relative)": Respecified(
        Planner(2), "quantity", "relative", reward_scale=2.0, reward_shift=-1.0
    ),
    "Respecified(Market(2), level, raw)": Respecified(Market(2), "level", "raw"),
    "BrockMirman()": BrockMirman(),
    "BrockMirman(share, autoregression)": BrockMirman(
        aggregate=AutoRegression(0.9, 0.04), action="share"
    ),
    "InternationalCycle()": InternationalCycle(),
    "InternationalCycle(three, chain)": InternationalCycle(
        (0.5, 1.0, 1.5), aggregate=MarkovChain.symmetric((0.98, 1.02), stay=0.9)
    ),
    "Monopolist()": Monopolist(),
    "Bertrand()": Bertrand(),
    "Bertrand(3, other costs, memory 2, demand)": Bertrand(
        3, 2, cost=(1.0, 1.1, 0.9), outside=MarkovChain.symmetric((-0.2, 0.3), 0.7), n_prices=3
    ),
    "Bertrand(continuous)": Bertrand(on_grid=False),
    "Matrix.stag_hunt()": Matrix.stag_hunt(),
    "TwoStep()": TwoStep(),
    "Market()": Market(),
    "Market(3, 2)": Market(3, 2),
    "Market(2, quantity, rebate)": Market(2, action="quantity", rebate_profits=True),
    "Market(3, 1 uninformed)": Market(3, n_uninformed=1),
    "Market(2, atomistic)": Market(2, atomistic=True),
    "Externality(2, endowment)": Externality(2, endowment=1.0),
    "Market(2, quantity, 1 uninformed, atomistic)": Market(
        2, action="quantity", n_uninformed=1, atomistic=True
    ),
    "InformationMarket(3, 2 uninformed)": InformationMarket(3, n_uninformed=2),
    "InformationMarket(3, 2, all that there is)": InformationMarket(
        3,
        2,
        n_uninformed=1,
        memory=True,
        sees_price=True,
        cost=MarkovChain.symmetric((0.7, 1.3), stay=0.9),
    ),
    "KrusellSmith()": KrusellSmith(),
    "KrusellSmith(3)": KrusellSmith(3),
    "KrusellSmith(2, atomistic)": KrusellSmith(2, atomistic=True, sees_spread=True),
    "KrusellSmith(2, no aggregate shocks)": KrusellSmith(2).without_aggregate_shocks(),
    "TradingPost()": TradingPost(),
    "TradingPost(3, 2, three myopic firms)": TradingPost(3, 2, n_firms=3, seller_discount=0.0),
    "PostedPrice()": PostedPrice(),
    "PostedPrice(3, 2)": PostedPrice(3, 2, seller_discount=0.9),
    "PostedPrice(2, atomistic)": PostedPrice(2, atomistic=True),
    "SimultaneousPrice(2)": SimultaneousPrice(2),
    "Rationing()": Rationing(),
    "Rationing(3, 2, fee)": Rationing(3, 2, relative_price=0.8, fee=0.1, seller_discount=0.0),
}
BATCHES = [(), (5,), (2, 3, 4)]
DTYPES = [torch.float32, torch.float64]


def of(selected):
    return pytest.mark.parametrize("economy", list(selected.values()), ids=list(selected))


every_economy = of(ECONOMIES)
# Whose choices move numbers that are no indices, as capital and customers are.
STOCKS = {
    n: e
    for n, e in ECONOMIES.items()
    if any(e.fields[name].domain != "index" for name in e.fields.moved_by("choice"))
}
with_stocks = of(STOCKS)
# Whose luck is that of independent chains.
with_chains = of(
    {
        n: e
        for n, e in STOCKS.items()
        if all(e.fields[name].chain is not None for name in e.fields.moved_by("chance"))
    }
)
several_agents = of(
    {n: e for n, e in STOCKS.items() if any(r.n_agents > 1 for r in e.roles.values())}
)
with_crowds = of({n: e for n, e in ECONOMIES.items() if any(r.follows for r in e.roles.values())})


def from_elsewhere(value):
    """A value as NumPy or torch would hand it over."""
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int64(value)
    if isinstance(value, float):
        return torch.tensor(value, dtype=torch.float64)
    if isinstance(value, MarkovChain):
        return MarkovChain(np.array(value.values), np.array(value.transition))
    return np.array(value) if isinstance(value, tuple) else value


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def raw_actions(economy, batch, dtype, g, scale=0.2, centre=-0.5):
    return {
        name: centre
        + scale * torch.randn((*batch, role.n_agents, role.n_actions), generator=g, dtype=dtype)
        for name, role in economy.roles.items()
    }


def physical(economy, raw):
    return {name: economy.roles[name].to_physical(x) for name, x in raw.items()}


def floats(step):
    fields = [x for x in step.state if x.is_floating_point()]
    return [*fields, *step.rewards.values(), *step.info.values()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def exogenous(economy):
    return economy.fields.moved_by("chance")


def moved(economy):
    return economy.fields.moved_by("choice")


def luck(economy, state):
    """The product of all exogenous levels, for each agent."""
    product = torch.ones((), dtype=torch.float64)
    for name in exogenous(economy):
        field = economy.fields[name]
        level = field.chain.level(getattr(state, name), torch.float64)
        product = product * (level if field.shape else level.unsqueeze(-1))
    return product


def apart(economy, state, seed=5):
    """The state with households that no longer own what the crowd owns."""
    return economy.perturb(state, generator(seed), 0.5)


def close(a, b, rtol=1e-13):
    torch.testing.assert_close(a, b, rtol=rtol, atol=0)


def neutral_policy(economy):
    """Everybody does what a raw zero stands for."""
    return lambda state, moved=None: play(economy, state, neutral(economy), moved).actions


def views(economies):
    """Each place from which a single one may decide: the arguments of an environment, by name."""
    found = {}
    for name, economy in economies.items():
        roles = {n: r for n, r in economy.roles.items() if r.follows is None}
        for role, r in roles.items():
            alone = len(economy.roles) == 1 and (r.team or r.n_agents == 1)
            others = {} if alone else {"policy": neutral_policy(economy), "role": role}
            found[f"{name} {role}"] = {"economy": economy, **others}
        role, agents = [*roles][-1], [*roles.values()][-1].n_agents
        some = found[f"{name} {role}"]
        if "policy" in some and agents > 1:
            found[f"{name} last {role}"] = some | {"agent": agents - 1}
    return found
