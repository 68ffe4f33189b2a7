"""Every agent beside small economies, with settings small enough to train in a fraction of a
second. A new agent joins by being added to AGENTS.

Tests that ask for `make` run for every agent, tests that also ask for `economy` for every agent
beside every economy that it does not refuse.
"""

import pytest
import torch

from lectures_lib.agents import (
    PPO,
    Analytic,
    AnalyticConfig,
    PPOConfig,
    Probing,
    ProbingConfig,
)
from lectures_lib.economies import BrockMirman, Market, Planner

SMALL = {"groups": 2, "replicates": 4, "horizon": 3, "hidden": (8,), "warm_up": 1}
AGENTS = {
    "PPO": (PPO, PPOConfig(**SMALL)),
    "PPO, ordinary": (PPO, PPOConfig.ordinary(**SMALL)),
    "Probing": (Probing, ProbingConfig(**SMALL)),
    "Analytic": (Analytic, AnalyticConfig(**SMALL)),
}
SMALL_ECONOMIES = {
    "Planner(2, 2)": Planner(2, 2),
    "BrockMirman()": BrockMirman(),
    "Market(2)": Market(2),
    "Market(2, uninformed, atomistic)": Market(2, n_uninformed=1, atomistic=True),
}
REFUSED = {("Analytic", "Market(2)")}
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


class Maker:
    """Makes one kind of agent: ``make(economy, seed=1)``."""

    def __init__(self, kind, config):
        self.kind, self.config = kind, config

    def __call__(self, economy=None, device="cpu", **options):
        options = {"config": self.config} | options
        return self.kind(economy or Planner(), device=device, **options)

    def load(self, path, economy=None, device="cpu"):
        return self.kind.load(path, economy or Planner(), device=device)


def pytest_generate_tests(metafunc):
    if "economy" in metafunc.fixturenames:
        pairs = [(a, e) for a in AGENTS for e in SMALL_ECONOMIES if (a, e) not in REFUSED]
        metafunc.parametrize(
            ("make", "economy"),
            [pytest.param(Maker(*AGENTS[a]), SMALL_ECONOMIES[e], id=f"{a}-{e}") for a, e in pairs],
        )
    elif "make" in metafunc.fixturenames:
        metafunc.parametrize("make", [pytest.param(Maker(*x), id=a) for a, x in AGENTS.items()])


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
