"""Impulse responses, where the answer is known."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, Market, MarkovChain, Planner
from lectures_lib.evaluation import impulse_response
from lectures_lib.solvers import solve
from lectures_lib.solvers.steady_state import without_risk

NO_MEMORY = BrockMirman(aggregate=MarkovChain.symmetric((0.8, 1.2), stay=0.5))


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


@dataclass(frozen=True)
class Reporting(Market):
    """A market that reports a total, and a number of things."""

    def transition(self, state, actions, shocks):
        step = super().transition(state, actions, shocks)
        output = step.info["output"]
        lucky = state.idiosyncratic.sum(-1)
        return step._replace(info=step.info | {"output": output.sum(-1), "customers": lucky})


def test_what_is_not_each_households_own_is_the_response_of_all():
    economy = Reporting(3)
    policy, few = shares(economy, 0.02, 0.03), {"periods": 3, "paths": 400}
    response = impulse_response(policy, economy, "idiosyncratic", household=1, **few)
    own = impulse_response(policy, Market(3), "idiosyncratic", household=1, **few)
    # One of three becomes lucky, of whom half are: half a household more than one and a half.
    assert response["customers"][0] == pytest.approx(1 / 3, abs=0.05)
    assert response["output"][0] == pytest.approx(own["output"][0].item() / 3, rel=0.1)
    assert torch.equal(response["consumption"], own["consumption"])


def test_a_household_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"household=2: expected one of 0\.\.1"):
        impulse_response(None, Market(2), "idiosyncratic", household=2)


@pytest.mark.parametrize("shock", ["capital", "weather"])
def test_an_unknown_shock_is_refused(shock):
    with pytest.raises(ValueError, match=rf"shock='{shock}': expected one of \['aggregate'\]"):
        impulse_response(None, BrockMirman(), shock)
