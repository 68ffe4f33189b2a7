"""Simulation under common shocks, the best constant rule, impulse responses."""

import math

import pytest
import torch

from lectures_lib.agents import PPO
from lectures_lib.agents.watched import NotFinite
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
    evaluate,
    initial_states,
    simulate,
)

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


class Faulty(Planner):
    """Makes of its rewards, or of what it shows, what is no number."""

    where: str = "reward"

    def transition(self, state, actions, shocks):
        step = super().transition(state, actions, shocks)
        rich = state.capital.squeeze(-1) > self.efficient_capital
        reward = torch.where(rich, torch.nan, step.rewards["planner"])
        return step._replace(rewards={"planner": reward}) if self.where == "reward" else step

    def observe(self, state, moved=None):
        seen = super().observe(state, moved)["planner"]
        rich = state.capital > self.efficient_capital
        return {"planner": torch.where(rich, torch.nan, seen) if self.where == "look" else seen}


def looks(economy):
    """A rule that depends on what the economy shows."""
    return lambda state, moved=None: {
        "planner": 0.3 + 0 * economy.observe(state)["planner"][..., :1]
    }


@pytest.mark.parametrize(("where", "what"), [("reward", "a reward"), ("look", "an observation")])
@pytest.mark.parametrize("already", [False, True])
def test_an_economy_that_makes_nonsense_is_blamed_and_not_the_policy(where, what, already):
    economy = type("Faulty", (Faulty,), {"where": where})()
    start = initial_states(None, economy, 3, seed=0)
    if already:
        start = start._replace(capital=start.capital * 10)
    for judged in (
        lambda: simulate(looks(economy), economy, start, 200, seed=0),
        lambda: evaluate(looks(economy), economy, paths=8),
    ):
        with pytest.raises(NotFinite, match=f"Faulty gives {what} for 'planner'"):
            judged()


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


def test_those_who_follow_need_not_be_told_what_to_do():
    economy = Market(2, atomistic=True)

    def policy(state, moved=None):
        return {"household": 0.05 + 0.03 * state.idiosyncratic.unsqueeze(-1) + 0 * state.capital}

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


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [([0.1], "list"), ({"planner": [[0.1]]}, "'planner': 'list'"), ({"planer": None}, "'planer'")],
)
def test_a_policy_that_returns_no_actions_is_told_what_they_are(wrong, shown):
    economy = Planner()
    start = initial_states(None, economy, 4, 0)
    with pytest.raises(TypeError, match=f"the policy returned .*{shown}.*for each role of Planner"):
        simulate(lambda state: wrong, economy, start, 3, 0)


def test_what_is_no_policy_no_economy_and_no_number_of_paths_is_refused():
    economy = Planner()
    for wrong in (0.2, PPO(economy, device="cpu")):
        with pytest.raises(TypeError, match=rf"policy is a {type(wrong).__name__}.*agent\.policy"):
            evaluate(wrong, economy, paths=4)
    policy = FixedAction(economy, 0.1)
    with pytest.raises(TypeError, match="expected an Economy"):
        evaluate(policy, Planner, paths=4)
    for wrong in (0, -3, 2.5):
        with pytest.raises(ValueError, match=r"^paths=.*expected a whole number"):
            evaluate(policy, economy, paths=wrong)
