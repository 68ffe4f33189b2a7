"""Networks trained on Euler residuals."""

import importlib
from dataclasses import replace

import pytest
import torch

from lectures_lib.economies import Market, Planner, map_state
from lectures_lib.markov import MarkovChain
from lectures_lib.solvers import euler_residuals, solve
from lectures_lib.solvers.euler import in_state
from lectures_lib.solvers.euler_network import (
    EulerNetworkPolicy,
    _jacobian,
    _next_productivities,
    euler_network,
    exchangeable_features,
)

module = importlib.import_module("lectures_lib.solvers.euler_network")


def states(economy, n=6, seed=0):
    return economy.reset((n,), torch.Generator().manual_seed(seed), torch.float64)


def ergodic_states(policy, economy, n=60, periods=250):
    generator = torch.Generator().manual_seed(3)
    state = economy.reset((n,), generator, torch.float64)
    for _ in range(periods):
        state = economy.step(
            state, policy(state), economy.draw((n,), generator, torch.float64)
        ).state
    return state


def untrained(economy, regime):
    policy = EulerNetworkPolicy(economy, regime, width=4, seed=1)
    noise = torch.randn(policy.network.weights.shape, generator=torch.Generator().manual_seed(2))
    policy.network.weights = policy.network.weights + 0.05 * noise
    return policy


CASES = [(Market(2, 2), "nash"), (Planner(3), "planner"), (Market(3), "competitive")]


@pytest.mark.parametrize(("economy", "regime"), CASES)
def test_the_jacobian_is_that_of_finite_differences(economy, regime):
    policy, state = untrained(economy, regime), states(economy, 3)
    following, probability = _next_productivities(economy, state, torch.Generator())
    some = torch.tensor([0, economy.n_households - 1])
    by_chain_rule = _jacobian(policy, state, following, probability, some)
    weights = policy.network.weights

    def residuals(w):
        policy.network.weights = w
        return policy.residuals(state, following, probability)[0].flatten(1)[:, some].flatten()

    for k in range(0, len(weights), 7):
        nudge = torch.zeros_like(weights)
        nudge[k] = 1e-6
        slope = (residuals(weights + nudge) - residuals(weights - nudge)) / 2e-6
        torch.testing.assert_close(by_chain_rule[:, k], slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(("economy", "regime"), CASES)
def test_its_residuals_are_those_of_the_economys_code(economy, regime):
    """Where nobody is at the constraint: the formulas against automatic differentiation."""
    if regime == "planner":  # which would let much luckier households alone invest
        economy = replace(economy, idiosyncratic=MarkovChain.symmetric((0.99, 1.01), 0.9))
    policy, state = untrained(economy, regime), states(economy)
    usual = economy.efficient_capital
    state = state._replace(capital=usual * (state.capital / usual) ** 0.2)
    following, probability = _next_productivities(economy, state, torch.Generator())
    own = policy.residuals(state, following, probability)[0].flatten(-2)
    automatic = euler_residuals(economy, policy, state, regime)
    torch.testing.assert_close(1 - (-own).exp(), automatic, rtol=1e-8, atol=1e-10)
    assert automatic.abs().max() > 1e-3


def test_renaming_households_and_goods_renames_their_plans():
    economy = Market(4, 3)
    policy, state = untrained(economy, "competitive"), states(economy)
    households, goods = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0])
    renamed = state._replace(
        capital=state.capital[:, households][..., goods],
        idiosyncratic=state.idiosyncratic[:, households],
    )
    plan = policy.plan(state)
    torch.testing.assert_close(policy.plan(renamed), plan[:, households][..., goods])
    assert not torch.allclose(policy.plan(renamed), plan)
    assert torch.isfinite(exchangeable_features(economy, state)).all()


@pytest.mark.parametrize(("last", "farthest"), [(2, 1.8), (3, 5.4)])
def test_where_a_rule_leads_that_has_learned_nothing_is_not_where_it_holds(
    last, farthest, monkeypatch
):
    economy, moves = Market(2), iter((4.0, 1.0, 1.0, 1.0))
    start = states(economy, 50)
    monkeypatch.setattr(module, "LAST", last)
    monkeypatch.setattr(module, "ROUNDS", 4)
    monkeypatch.setattr(module, "_fit", lambda *arguments: arguments[-1])  # it never learns
    monkeypatch.setattr(
        module, "_move_on", lambda *_: start._replace(capital=next(moves) * start.capital)
    )
    domain = euler_network(economy, "nash")[0].domain
    assert 0.7 * farthest < domain.high / economy.efficient_capital < farthest
    assert 0.3 < domain.low / economy.efficient_capital < 0.6


def test_it_agrees_with_time_iteration():
    economy = Market(2)
    network, grid = (solve(economy, method=m) for m in ("network", "time iteration"))
    state = ergodic_states(grid.policy, economy, 100)
    bought = [s.policy.investment(state) for s in (network, grid)]
    gap = (bought[0] / bought[1] - 1).abs()
    assert gap.mean() < 3e-3
    residuals = network.euler_residuals(state).abs()
    assert residuals.mean() < 1e-4
    # In the long run both own the same.
    means = [ergodic_states(s.policy, economy, 200).capital.mean() for s in (network, grid)]
    assert means[0] / means[1] == pytest.approx(1, abs=1e-3)


def test_massless_households_do_what_their_crowd_does():
    economy = Market(2, atomistic=True)
    policy = untrained(economy, "competitive")
    state = states(economy)
    state = state._replace(capital=2 * state.capital)
    actions = policy(state)
    assert set(actions) == {"household", "household_crowd"}
    # Which regime's rule it is makes no difference, and neither does the kind of state.
    strategic, alike = untrained(economy, "nash"), in_state(Market(2), state)
    assert torch.equal(strategic(alike)["household"], strategic(state)["household_crowd"])
    assert euler_residuals(economy, strategic, state, "nash").isfinite().all()
    single = policy(map_state(lambda x: x.float() if x.is_floating_point() else x, state))
    torch.testing.assert_close(
        single["household_crowd"], actions["household_crowd"].float(), rtol=1e-5, atol=0
    )
