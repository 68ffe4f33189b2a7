"""Every agent beside small economies, with settings small enough to train in a fraction of a
second. A new agent joins by being added to AGENTS.

Tests that ask for `make` run for every agent, tests that also ask for `economy` for every agent
beside every economy that it does not refuse.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import pytest
import torch

from lectures_lib.agents import (
    DQN,
    IMPALA,
    PPO,
    QMIX,
    SAC,
    VDN,
    ActorCritic,
    Analytic,
    AnalyticConfig,
    DQNConfig,
    IMPALAConfig,
    PPOConfig,
    Probing,
    ProbingConfig,
    QLearning,
    QLearningConfig,
    QMIXConfig,
    SACConfig,
    VDNConfig,
)
from lectures_lib.economies import BrockMirman, Discretised, Market, Monopolist, Planner

SMALL = {"groups": 2, "replicates": 4, "horizon": 3, "hidden": (8,), "warm_up": 1}
REPLAYED = {"groups": 4, "horizon": 3, "hidden": (8,), "warm_up": 1, "batch": 8, "updates": 2}
AGENTS = {
    "PPO": (PPO, PPOConfig(**SMALL)),
    "PPO, ordinary": (PPO, PPOConfig.ordinary(**SMALL)),
    "IMPALA": (IMPALA, IMPALAConfig(**SMALL, delay=2)),
    "Probing": (Probing, ProbingConfig(**SMALL)),
    "Probing, on their own": (Probing, ProbingConfig(**SMALL, shared=False, central_critic=True)),
    # Probes and damping of a size by which rounding is not blown up within a few iterations.
    "Probing, Gauss-Newton": (
        Probing,
        ProbingConfig.precise(**SMALL, draws=2, noise=(0.1, 0.1), damping=1e-2, split_probes=True),
    ),
    "Analytic": (Analytic, AnalyticConfig(**SMALL)),
    "SAC": (SAC, SACConfig(**SMALL, batch=8, memory=64)),
    "SAC, ordinary": (SAC, SACConfig.ordinary(**SMALL, batch=8, memory=64)),
    "DQN": (DQN, DQNConfig(**REPLAYED, capacity=60)),
    "DQN, common shocks": (
        DQN,
        DQNConfig(**REPLAYED, capacity=60, replicates=2, common_shocks=True),
    ),
    "DQN, free mixer": (DQN, DQNConfig(**REPLAYED, capacity=60, mixer="free")),
    "VDN": (VDN, VDNConfig(**REPLAYED, capacity=60)),
    "QMIX": (QMIX, QMIXConfig(**REPLAYED, capacity=60, shared=False)),
    "QLearning": (QLearning, QLearningConfig(updates=1000, epsilon=(0.3, 0.3))),
}
#: Agents that pick from a list of choices, which few economies have.
PICKERS = {DQN, VDN, QMIX, QLearning}
SHARES = (0.05, 0.1, 0.2)
SMALL_ECONOMIES = {
    "Planner(2, 2)": Planner(2, 2),
    "BrockMirman()": BrockMirman(),
    "Monopolist()": Monopolist(),
    "Discretised(Planner(2))": Discretised(Planner(2), SHARES),
    "Market(2)": Market(2),
    "Market(2, uninformed, atomistic)": Market(2, n_uninformed=1, atomistic=True),
}
REFUSED = {
    ("Analytic", "Market(2)"),
    ("Probing, Gauss-Newton", "Market(2)"),
    ("Probing, Gauss-Newton", "Market(2, uninformed, atomistic)"),
    ("QLearning", "Discretised(Planner(2))"),
}
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


@dataclass(frozen=True)
class Pair(Planner):
    """A planner who picks from a list for two households."""

    n_households: int = 2

    @cached_property
    def roles(self):
        (planner,) = super().roles.values()
        return {"planner": replace(planner, choices=SHARES)}


class Maker:
    """Makes one kind of agent: ``make(economy, seed=1)``."""

    def __init__(self, kind, config):
        self.kind, self.config = kind, config
        self.picks = kind in PICKERS
        #: Whether it learns as a team only.
        self.mixes = getattr(config, "mixer", None) is not None
        #: An economy that the agent plays, and the same with another parameter.
        self.economy = Monopolist() if self.picks else Planner(2, 2)
        self.other = Monopolist(cost=0.31) if self.picks else Planner(2, 2, alpha=0.31)
        if self.mixes:
            self.economy, self.other = Pair(), Pair(alpha=0.31)

    def __call__(self, economy=None, device="cpu", **options):
        options = {"config": self.config} | options
        return self.kind(economy or self.economy, device=device, **options)

    def load(self, path, economy=None, device="cpu"):
        return self.kind.load(path, economy or self.economy, device=device)

    def plays(self, economy):
        roles = economy.roles.values()
        if self.mixes and not all(role.team for role in roles):
            return False
        return not self.picks or all(role.choices for role in roles)


def pytest_generate_tests(metafunc):
    if "economy" in metafunc.fixturenames:
        pairs = [
            (a, e)
            for a in AGENTS
            for e in SMALL_ECONOMIES
            if (a, e) not in REFUSED and Maker(*AGENTS[a]).plays(SMALL_ECONOMIES[e])
        ]
        metafunc.parametrize(
            ("make", "economy"),
            [pytest.param(Maker(*AGENTS[a]), SMALL_ECONOMIES[e], id=f"{a}-{e}") for a, e in pairs],
        )
    elif "make" in metafunc.fixturenames:
        metafunc.parametrize("make", [pytest.param(Maker(*x), id=a) for a, x in AGENTS.items()])


@pytest.fixture(params=[a for a, (kind, _) in AGENTS.items() if issubclass(kind, ActorCritic)])
def make_actor_critic(request):
    return Maker(*AGENTS[request.param])


@pytest.fixture(params=[a for a, (kind, _) in AGENTS.items() if kind is not QLearning])
def make_network(request):
    return Maker(*AGENTS[request.param])


@pytest.fixture
def make_ppo():
    return Maker(*AGENTS["PPO"])


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture
def agents():
    return {name: Maker(*agent) for name, agent in AGENTS.items()}


@pytest.fixture
def agent_kinds():
    return {kind for kind, _ in AGENTS.values()}


def everything(agent):
    """All that learning changes, as a flat dict of tensors and numbers."""
    flat = {}

    def walk(prefix, x):
        if isinstance(x, dict):
            for key, value in x.items():
                walk(f"{prefix}.{key}", value)
        elif isinstance(x, list | tuple):
            walk(prefix, dict(enumerate(x)))
        else:
            flat[prefix] = x

    state = agent._state()
    del state["seconds"], state["history"]  # times differ, and an interruption adds a record
    walk("", state)
    return flat


def assert_identical(a, b):
    a, b = everything(a), everything(b)
    assert a.keys() == b.keys()
    for name in a:
        if isinstance(a[name], torch.Tensor):
            assert torch.equal(a[name], b[name]), name
        else:
            assert a[name] == b[name], name


@pytest.fixture
def identical():
    return assert_identical
