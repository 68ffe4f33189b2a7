"""Den Haan's test: paths that the Euler equation implies, beside those of a policy."""

import math

import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, Market, MarkovChain, Planner
from lectures_lib.evaluation import DynamicAccuracy, dynamic_accuracy
from lectures_lib.evaluation.accuracy import EulerImplied
from lectures_lib.solvers import euler_residuals, markov_perfect, solve


def consume(share, economy):
    def policy(state, moved=None):
        return {"planner": (share * economy.output(state)).unsqueeze(-1)}

    return policy


def test_brock_and_mirmans_closed_form_is_its_own_implied_path():
    economy = BrockMirman()
    accuracy = dynamic_accuracy(solve(economy), economy, paths=4, periods=50)
    assert 0 <= accuracy.capital_mean <= accuracy.capital_max < 1e-13
    assert 0 <= accuracy.consumption_mean <= accuracy.consumption_max < 1e-13


def test_a_wrong_share_is_as_far_away_as_the_closed_form_says():
    # C = kappa Y for ever after makes the conditional expectation imply another fixed share for
    # today, C = kappa (1 - kappa) / (alpha beta) Y, whose capital grows apart from the policy's
    # as d' = alpha d + log of the ratio of investment shares.
    economy, kappa, periods = BrockMirman(), 0.6, 40
    implied = kappa * (1 - kappa) / (economy.alpha * economy.beta)
    step, apart, distances = math.log((1 - implied) / (1 - kappa)), 0.0, []
    for _ in range(periods):
        consumed = economy.alpha * apart + math.log(implied / kappa)
        distances.append((math.expm1(apart), math.expm1(consumed)))
        apart = economy.alpha * apart + step
    capital, consumption = ([abs(d[i]) for d in distances] for i in range(2))
    found = dynamic_accuracy(consume(kappa, economy), economy, paths=3, periods=periods)
    assert found.capital_max == pytest.approx(max(capital), rel=1e-10)
    assert found.capital_mean == pytest.approx(sum(capital) / periods, rel=1e-10)
    assert found.consumption_max == pytest.approx(max(consumption), rel=1e-10)
    assert found.consumption_mean == pytest.approx(sum(consumption) / periods, rel=1e-10)


ECONOMIES = {
    "planner": Planner(),
    "two households": Planner(2),
    "market": Market(2),
    "quantities": Market(2, action="quantity"),
    "rebate": Market(2, rebate_profits=True),
    "two goods": Market(2, 2),
    "atomistic": Market(2, atomistic=True),
    "half informed": Market(2, n_uninformed=1),
}


@pytest.mark.parametrize("economy", list(ECONOMIES.values()), ids=list(ECONOMIES))
def test_the_implied_policy_consumes_what_the_euler_equation_says(economy):
    # An action that no household likes, different for each of them, so that nothing cancels.
    def policy(state, moved=None):
        tilt = 1 + 0.1 * torch.arange(economy.n_households).double()[:, None]
        tilt = tilt + 0.05 * torch.arange(economy.n_goods)
        one = 0.8 if getattr(economy, "action", None) == "quantity" else 0.1
        return {
            name: (one * tilt * state.capital / state.capital.mean())[..., : role.n_agents, :]
            for name, role in economy.roles.items()
        }

    state = economy.reset((6,), torch.Generator().manual_seed(0), torch.float64)
    shocks = economy.draw((6,), torch.Generator().manual_seed(0), torch.float64)
    implied = EulerImplied(policy, economy, None)
    before = economy.step(state, policy(state), shocks).info
    after = economy.step(state, implied(state), shocks).info
    residual = euler_residuals(economy, policy, state).unflatten(-1, (economy.n_households, -1))
    expected = before["consumption"] * (1 - residual.mean(-1))
    assert (expected / before["consumption"] - 1).abs().max() > 0.005
    assert (expected < before["output"]).all(), "nobody would sell capital"
    torch.testing.assert_close(after["consumption"], expected, rtol=1e-11, atol=0)
    if economy.n_goods == 2:
        cost = [i["investment"] * i["investment"].sum(-2, keepdim=True) for i in (before, after)]
        proportion = [c[..., 0] / c[..., 1] for c in cost]
        torch.testing.assert_close(proportion[0], proportion[1], rtol=1e-11, atol=0)


def test_who_would_sell_capital_buys_none():
    economy = Planner()
    state = economy.reset((8,), torch.Generator().manual_seed(0), torch.float64)
    state = state._replace(capital=50 * state.capital)
    implied = EulerImplied(FixedAction(economy, 0.02), economy, None)
    assert torch.equal(implied(state)["planner"], torch.zeros(8, 1, 1, dtype=torch.float64))


def test_errors_of_one_sign_add_up(competitive):
    economy = competitive.economy
    exact = dynamic_accuracy(competitive, economy, paths=4, periods=40)
    assert exact.capital_max < 1e-6 and exact.consumption_max < 1e-6

    def hoards(state, moved=None):
        return {"household": 1.01 * competitive.policy(state)["household"]}

    wrong = dynamic_accuracy(hoards, economy, "competitive", paths=4, periods=40)
    once = dynamic_accuracy(hoards, economy, "competitive", paths=4, periods=2)
    assert wrong.capital_max > 5 * once.capital_max > 0


def test_a_solution_brings_its_regime_and_a_policy_is_judged_by_the_economys_own_game(
    competitive, solved
):
    economy, few = Market(2), {"paths": 2, "periods": 5}
    competitive, nash = solved(economy), solved(economy, "nash")
    assert dynamic_accuracy(nash, economy, **few).capital_max < 1e-6
    assert dynamic_accuracy(nash.policy, economy, **few).capital_max < 1e-6
    assert dynamic_accuracy(competitive, economy, **few).capital_max < 1e-6
    assert dynamic_accuracy(competitive.policy, economy, **few).capital_max > 1e-3
    assert dynamic_accuracy(nash.policy, economy, "competitive", **few).capital_max > 1e-3


def test_what_cannot_be_judged_is_refused(as_runs):
    economy = Market(1)
    runs = as_runs(FixedAction(economy, 0.1), FixedAction(economy, 0.2))
    with pytest.raises(ValueError, match=r"policy has 2 runs.*policy\[0\]"):
        dynamic_accuracy(runs, economy)
    with pytest.raises(ValueError, match="regime='markov perfect'"):
        dynamic_accuracy(markov_perfect(economy), economy, paths=2, periods=2)


def test_a_seed_gives_the_same_numbers_and_they_print_in_per_cent():
    economy = Planner(aggregate=MarkovChain.symmetric((0.9, 1.1), stay=0.5))
    policy = FixedAction(economy, 0.1)
    first, again, other = (dynamic_accuracy(policy, economy, None, 2, 5, s) for s in (0, 0, 1))
    assert first == again != other
    assert str(DynamicAccuracy(0.01, 0.02, 0.001, 0.005)).splitlines() == [
        "distance, %       mean   largest",
        "capital              1         2",
        "consumption        0.1       0.5",
    ]
