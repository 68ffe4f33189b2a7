"""Krusell and Smith's households by a network: its parts, and what it finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lectures_lib.solvers.saving_network as module
from lectures_lib.economies import KrusellSmith
from lectures_lib.parameters import seeded
from lectures_lib.solvers import household_residuals, solve
from lectures_lib.solvers.saving import Households
from lectures_lib.solvers.saving_network import SavingNetwork, points, saving_network

ECONOMY = KrusellSmith()


@pytest.fixture(scope="module")
def moved():
    """A network that has learned nothing, with weights that are not zero."""
    policy, generator = SavingNetwork(ECONOMY), seeded(1)
    weights = policy.network.weights
    noise = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
    policy.network.weights = weights + 0.05 * noise
    return policy


def states(n=20, batch=(4,)):
    economy = replace(ECONOMY, n_households=n, atomistic=True)
    state = economy.reset(batch, seeded(0), torch.float64)
    # So that means are in the network's range.
    return economy, state._replace(capital=1.1 * state.capital, crowd=1.1 * state.crowd)


def test_points_are_what_the_economy_says():
    economy, state = states()
    mean = economy.mean_capital(state).log().expand(4, 20)
    capital, aggregate = state.capital.squeeze(-1), state.aggregate.unsqueeze(-1).expand(4, 20)
    features, resources, gross = points(economy, capital, state.idiosyncratic, aggregate, mean)
    assert features.shape == (4, 20, 4)
    torch.testing.assert_close(resources, economy.resources(state))
    prices = economy.prices(economy.mean_capital(state), state.aggregate)
    rent = prices.rent.expand(4, 20)
    torch.testing.assert_close(gross, 1 - economy.delta + rent)


def test_residuals_are_those_of_the_economy(moved):
    economy, state = states(50)
    sample = module._Sample(moved, state, 30, True, seeded(2))
    sample.crowd, sample.capital = (state.capital.squeeze(-1) for _ in range(2))
    sample.employed = state.idiosyncratic
    sample.log_mean = sample.crowd.mean(-1, keepdim=True).log()
    found = sample.residuals(moved.network.weights.numpy()).reshape(4, 50)
    expected = household_residuals(economy, moved, state).numpy()
    # One minus what should be eaten over what is; and plans are above what the poor can eat.
    share = moved(state)["household"].squeeze(-1).numpy()
    free = share > 0
    assert free.mean() > 0.5
    np.testing.assert_allclose((1 - np.exp(-found))[free], expected[free], atol=1e-12)


def test_derivatives_are_those_of_small_steps(moved):
    _, state = states(30)
    sample = module._Sample(moved, state, 10, False, seeded(3))
    weights = moved.network.weights.numpy().copy()
    jacobian, generator = sample.jacobian(weights), np.random.default_rng(0)
    for _ in range(3):
        step = 1e-6 * generator.standard_normal(weights.shape)
        more, less = (sample.residuals(weights + sign * step) for sign in (1, -1))
        np.testing.assert_allclose((more - less) / 2, jacobian @ step, rtol=1e-4, atol=1e-10)
    moved.network.weights = torch.as_tensor(weights)


def test_a_grid_holds_what_the_network_says(moved):
    households = Households(ECONOMY)
    rule = moved.on_grid(households.own, households.means)
    _, state = states(40)
    for policy_share, rule_share in zip(moved(state).values(), rule(state).values(), strict=True):
        torch.testing.assert_close(policy_share, rule_share, atol=2e-4, rtol=0)


#: Of the standard method (tests/solvers/test_krusell_smith.py, benchmarks/krusell_smith).
SLOPES, MEAN = (0.96527, 0.96335), 39.34


def test_few_rounds_lead_near_the_standard_method(monkeypatch):
    """The law of motion, which nobody believes in here, is the one that others forecast by."""
    short = {"PERIODS": (0, 0, 4, 10, 30), "ECONOMIES": 32, "POINTS": 30, "LAST_POINTS": 60}
    for name, value in (short | {"ROUNDS_NEARBY": 0, "EVALUATIONS": 20}).items():
        monkeypatch.setattr(module, name, value)
    found = solve(ECONOMY, method="network")
    assert found.method == "network" and "SavingNetwork(12 units)" in str(found)
    assert found.residual["long run"].mean < 1e-3
    assert found.law.slopes == pytest.approx(SLOPES, abs=5e-3)
    assert found.tested["capital"].mean() == pytest.approx(MEAN, rel=0.03)
    assert min(found.accuracy.r2) > 0.9999


def test_a_seed_gives_the_same_network_again(monkeypatch):
    monkeypatch.setattr(module, "PERIODS", (0,))
    monkeypatch.setattr(module, "EVALUATIONS", 3)
    monkeypatch.setattr(module, "LAST_POINTS", 20)
    first, again = (saving_network(ECONOMY, seed=4)[0].network.weights for _ in range(2))
    assert torch.equal(first, again)
