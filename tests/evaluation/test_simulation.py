"""Simulation under common shocks, the best constant rule, impulse responses."""

import math

import numpy as np
import pytest
import torch

from lectures_lib.economies import (
    BrockMirman,
    FixedAction,
    Market,
    MarkovChain,
    Planner,
    map_state,
)
from lectures_lib.evaluation import (
    best_fixed_action,
    impulse_response,
    initial_states,
    simulate,
)
from lectures_lib.solvers import solve
from lectures_lib.solvers.steady_state import without_risk

NO_MEMORY = BrockMirman(aggregate=MarkovChain.symmetric((0.8, 1.2), stay=0.5))


# ---------------------------------------------------------------------- simulate
def test_values_are_discounted_sums_of_the_economys_rewards():
    economy = Planner(2)
    policy = FixedAction(economy, 0.1)
    start = initial_states(policy, economy, 3, seed=4)
    paths = simulate(policy, economy, start, 5, seed=1)
    rewards = paths.info["consumption"].log()
    expected = sum(0.98**t * rewards[t] for t in range(5))
    torch.testing.assert_close(paths.value["planner"], expected, rtol=1e-14, atol=0)
    assert len(paths.states) == 5 and paths.info["capital"].shape == (5, 3, 2, 1)
    assert torch.equal(paths.states[0].capital, start.capital)


def test_periods_are_kept_as_asked():
    economy = Planner()
    policy = FixedAction(economy, 0.1)
    start = initial_states(policy, economy, 3, seed=4)
    whole = simulate(policy, economy, start, 20, seed=1)
    part = simulate(policy, economy, start, 20, seed=1, first=5, every=7)
    assert torch.equal(part.info["output"], whole.info["output"][[5, 12, 19]])
    assert torch.equal(part.states[1].capital, whole.states[12].capital)
    assert torch.equal(part.value["planner"], whole.value["planner"])
    assert simulate(policy, economy, start, 20, seed=1, first=20).info == {}


def test_the_seed_decides_luck_and_all_runs_share_it(as_runs):
    economy = Planner()
    policies = as_runs(FixedAction(economy, 0.08), FixedAction(economy, 0.12))
    start = initial_states(policies, economy, 6, seed=0)
    assert torch.equal(start.capital[0], start.capital[1])
    paths = simulate(policies, economy, start, 30, seed=1)
    luck = paths.info["productivity"]
    assert luck.shape == (30, 2, 6, 1) and torch.equal(luck[:, 0], luck[:, 1])
    for run in range(2):
        alone = simulate(policies[run], economy, map_state(lambda x: x[0], start), 30, seed=1)
        assert torch.equal(paths.value["planner"][run], alone.value["planner"])
    other = simulate(policies, economy, start, 30, seed=2)
    assert not torch.equal(other.info["productivity"], luck)


def test_impossible_states_and_actions_are_refused():
    economy = Planner()
    start = initial_states(None, economy, 3, seed=0)
    with pytest.raises(ValueError, match="actions for 'planner' are not all finite"):
        simulate(FixedAction(economy, math.nan), economy, start, 3, seed=0)
    with pytest.raises(ValueError, match=r"state\.capital must be positive"):
        bad = start._replace(capital=-start.capital)
        simulate(FixedAction(economy, 0.1), economy, bad, 3, seed=0)


def test_actions_that_become_nan_on_the_way_are_refused():
    economy = Planner()
    start = initial_states(None, economy, 3, seed=0)
    floor = start.capital.min() * 0.9

    def fails_when_poor(state, moved=None):
        nan = torch.full_like(state.capital, math.nan)
        return {"planner": torch.where(state.capital < floor, nan, 1e-4)}

    with pytest.raises(ValueError, match="'planner' that are not all finite"):
        simulate(fails_when_poor, economy, start, 100, seed=0)


# ---------------------------------------------------------------------- the best constant rule
def test_the_best_constant_share_is_better_than_its_neighbours(best_constant, as_runs):
    economy, best = Planner(), best_constant
    # 2,048 paths give 0.1021, give or take 0.0001 over seeds; 64 paths are six times noisier.
    assert best.value == pytest.approx(0.1021, abs=1.5e-3)
    factors = (1.0, 0.98, 1.02, 0.7, 1.4)
    policies = as_runs(*(FixedAction(economy, best.value * f) for f in factors))
    # The sample of shocks on which the maximum was taken.
    start = initial_states(policies, economy, 64, seed=0)
    value = simulate(policies, economy, start, 684, seed=0, first=684).value["planner"]
    welfare = value.mean(dim=(1, 2))
    assert (welfare[1:] < welfare[0]).all()


# ---------------------------------------------------------------------- impulse responses
def test_without_risk_there_is_nothing_to_respond_to():
    economy = without_risk(BrockMirman())
    for response in impulse_response(solve(economy).policy, economy, paths=8).values():
        assert torch.equal(response, torch.zeros(60, dtype=torch.float64))


def test_responses_are_those_of_the_closed_form():
    # Productivity without memory is independent of capital, K_t+1 is proportional to
    # Z_t K_t^alpha, and so E[K_t | Z_0 = max] / E[K_t] = Zmax^e / E[Z^e], e = alpha^(t-1).
    economy, paths = NO_MEMORY, 2048
    response = impulse_response(solve(economy).policy, economy, periods=12, paths=paths)
    z = np.array(economy.aggregate.values)
    capital, output = np.zeros(12), np.zeros(12)
    for t in range(12):
        e = economy.alpha ** (t - 1)
        if t > 0:
            capital[t] = z[-1] ** e / (z**e).mean() - 1
        output[t] = z[-1] ** (e * economy.alpha) / (z ** (e * economy.alpha)).mean() - 1
    # The sample's mean of Z_0 moves each response by at most its own relative standard error,
    # and capital's correlation with Z_0 in the sample by as much again.
    error = 0.2 / math.sqrt(paths)
    assert np.abs(response["capital"].numpy() - capital).max() < 4.5 * 2 * error
    for name in ("output", "consumption", "investment"):
        assert np.abs(response[name].numpy() - output).max() < 4.5 * 2 * error
    assert response["saving_share"].abs().max() < 1e-14
    assert response["capital"][0] == 0 and abs(response["output"][-1]) < 1e-3


def test_responses_die_out_and_rise_with_the_shock(exact):
    economy = Planner()
    response = impulse_response(exact.policy, economy, periods=300, paths=128)
    assert all(r.shape == (300,) for r in response.values())
    # Productivity rises by at most a half, and by a fifth from its mean.
    assert 0 < response["output"][0] < 0.5
    assert response["capital"][0] == 0 and (response["capital"][1:100] > 0).all()
    for r in response.values():
        assert r[-1].abs() < 0.03 * r.abs().max()
    own = impulse_response(exact.policy, economy, "idiosyncratic", periods=3, paths=128)
    assert 0 < own["output"][0] < response["output"][0]


def test_responses_of_several_runs_are_those_of_each(as_runs):
    economy = NO_MEMORY
    policies = as_runs(FixedAction(economy, 0.6), solve(economy).policy)
    together = impulse_response(policies, economy, periods=5, paths=16)
    for run in range(2):
        alone = impulse_response(policies[run], economy, periods=5, paths=16)
        for name, response in alone.items():
            assert together[name].shape == (2, 5)
            torch.testing.assert_close(together[name][run], response)


def shares(economy, of_good, of_own):
    """Spending shares that depend on productivity."""

    def policy(state, moved=None):
        own = state.idiosyncratic.unsqueeze(-1)
        share = 0.05 + of_good * state.aggregate[..., None, None] + of_own * own
        return {"household": share + 0 * state.capital}

    return policy


def test_one_households_luck_moves_its_own_quantities_and_the_price():
    economy = Market(3)
    policy, few = shares(economy, 0.02, 0.03), {"periods": 3, "paths": 400}
    alone = impulse_response(policy, economy, "idiosyncratic", household=1, **few)
    everybody = impulse_response(policy, economy, "idiosyncratic", **few)
    assert set(alone) == {
        *("capital", "output", "consumption", "investment", "saving_share", "price")
    }
    # Productivity jumps from .9 or 1.1, equally likely, to 1.1; all households are alike.
    assert alone["output"][0] == pytest.approx(0.1, abs=0.02)
    assert everybody["output"][0] == pytest.approx(0.1, abs=0.02)
    assert everybody["price"][0] > 2 * alone["price"][0] > 0
    # Who alone is lucky buys at a price that has risen less.
    assert alone["investment"][0] > everybody["investment"][0] + 0.02
    aggregate = impulse_response(policy, economy, household=1, **few)
    assert aggregate["output"][0] == pytest.approx(0.2, abs=0.04)


def test_without_others_one_household_is_everybody():
    economy = Market(1)
    policy = shares(economy, 0.02, 0.03)
    for shock in ("aggregate", "idiosyncratic"):
        one, every = (
            impulse_response(policy, economy, shock, periods=4, paths=8, household=h)
            for h in (0, None)
        )
        for name, response in every.items():
            torch.testing.assert_close(one[name], response)


def test_those_who_follow_need_not_be_told_what_to_do():
    economy = Market(2, atomistic=True)
    policy = shares(economy, 0.02, 0.03)
    start = initial_states(policy, economy, 3, seed=0)
    paths = simulate(policy, economy, start, 20, seed=0)
    assert torch.equal(paths.states[-1].capital, paths.states[-1].crowd)
    finite = initial_states(policy, Market(2), 3, seed=0)
    same = simulate(policy, Market(2), finite, 20, seed=0)
    torch.testing.assert_close(same.info["capital"], paths.info["capital"], rtol=1e-12, atol=0)


def test_a_role_without_actions_is_named():
    economy = Market(2, n_uninformed=1)
    start = initial_states(None, economy, 3, seed=0)
    with pytest.raises(ValueError, match="no entry for role 'informed'"):
        simulate(
            lambda state: {"uninformed": torch.full((3, 1, 1), 0.1)}, economy, start, 3, seed=0
        )


@pytest.mark.parametrize("n_goods", [1, 2])
def test_the_best_constant_share_of_a_market_is_feasible_and_best(n_goods, as_runs):
    economy = Market(2, n_goods, beta=0.8)
    best = best_fixed_action(economy, paths=8)
    assert 0 < n_goods * best.value < 1
    policies = as_runs(*(FixedAction(economy, best.value * f) for f in (1.0, 0.97, 1.03)))
    start = initial_states(policies, economy, 8, seed=0)
    value = simulate(policies, economy, start, 62, seed=0, first=62).value["household"]
    assert value.mean(dim=(1, 2)).argmax() == 0


def test_a_household_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"household=2: expected one of 0\.\.1"):
        impulse_response(None, Market(2), "idiosyncratic", household=2)


@pytest.mark.parametrize("shock", ["capital", "weather"])
def test_an_unknown_shock_is_refused(shock):
    with pytest.raises(ValueError, match=rf"shock='{shock}': expected one of \['aggregate'\]"):
        impulse_response(None, BrockMirman(), shock)
