"""Many agents: all at once, or in turn."""

import warnings

import numpy as np
import pytest
import torch
from foreign import FOREIGN
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from registry import ECONOMIES, neutral_policy, of

from lectures_lib.economies import Bertrand, FixedAction, Market, Planner, PostedPrice, TradingPost
from lectures_lib.interop import Parallel, Turns

# The checker says so of a single number, which is all that Saver and Gambler show, and of zeros,
# which are where the sides of Gambler's coin begin.
SHORT = "Observation (is a single number|numpy array is all zeros)"
EVERYBODY = ECONOMIES | FOREIGN
AT_ONCE = {name: economy for name, economy in EVERYBODY.items() if len(economy.stages) == 1}


def game(kind, economy, **options):
    crowds = any(role.follows for role in economy.roles.values())
    policy = neutral_policy(economy) if crowds else None
    return kind(economy, policy, **({"horizon": 12, "pad": True} | options))


@pytest.fixture
def silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", SHORT)
        yield


@of(AT_ONCE)
def test_pettingzoos_checkers_of_games_at_once_have_nothing_to_say(economy, silence):
    parallel_api_test(game(Parallel, economy), num_cycles=20)
    parallel_seed_test(lambda: game(Parallel, economy), num_cycles=10)


@of(EVERYBODY)
def test_pettingzoos_checkers_of_games_in_turn_have_nothing_to_say(economy, silence):
    api_test(game(Turns, economy), num_cycles=20)
    seed_test(lambda: game(Turns, economy), num_cycles=10)


@of(AT_ONCE)
def test_in_turn_or_at_once_the_same_happens(economy):
    one, two = game(Parallel, economy), game(Turns, economy)
    seen, _ = one.reset(seed=2)
    two.reset(seed=2)
    for agent in one.agents:
        one.action_space(agent).seed(0)
    for t in range(1, 13):
        actions = {agent: one.action_space(agent).sample() for agent in one.agents}
        for agent in two.agents:
            assert two.agent_selection == agent
            assert np.array_equal(two.observe(agent), seen[agent])
            two.step(actions[agent])
        seen, rewards, over, cut, _ = one.step(actions)
        assert rewards == two.rewards and cut == two.truncations and not any(over.values())
        assert set(cut.values()) == {t == 12}
    assert one.agents == [] and one.step({}) == ({}, {}, {}, {}, {})
    assert np.array_equal(one.state(), two.state())


def test_it_is_the_economy():
    economy = TradingPost(n_firms=2)
    env = Parallel(economy, actions="unit")
    seen, _ = env.reset(seed=3)
    assert env.agents == ["household_0", "household_1", "firm_0", "firm_1"]
    generator = torch.Generator().manual_seed(3)
    state = economy.reset((1,), generator)
    sights = economy.sights(state)
    for i in range(2):
        own, population = sights["firm"].own[0, i], sights["firm"].population
        expected = torch.cat([own, population[0].flatten()]) if population is not None else own
        assert np.array_equal(seen[f"firm_{i}"], expected.numpy())
    zeros = {agent: np.zeros(1, np.float32) for agent in env.agents}
    _, rewards, *_ = env.step(zeros)
    step = economy.step(state, neutral_policy(economy)(state), economy.draw((1,), generator))
    for name, paid in step.rewards.items():
        assert [rewards[f"{name}_{i}"] for i in range(2)] == pytest.approx(paid[0].tolist())


def test_a_team_is_rewarded_for_the_mean_of_all():
    env = Parallel(Planner(3))
    env.reset(seed=0)
    actions = {f"planner_{i}": np.array([a], np.float32) for i, a in enumerate((-0.9, 0.0, 0.5))}
    _, rewards, *_ = env.step(actions)
    assert len(set(rewards.values())) == 1


def test_households_see_the_prices_that_firms_have_posted():
    economy = PostedPrice(2)
    env = Turns(economy, actions="physical")
    env.reset(seed=0)
    assert env.possible_agents == ["firm_0", "household_0", "household_1"]
    assert (env.observe("household_0") == 0).all()
    env.step(np.array([1.7]))
    assert env.agent_selection == "household_0"
    moved = {"firm": torch.full((1, 1, 1), 1.7)}
    sight = economy.sights(env._state, moved)["household"]
    assert np.array_equal(env.observe("household_0")[:4], sight.own[0, 0].numpy())
    env.step(np.array([0.1]))
    assert env.rewards == dict.fromkeys(env.agents, 0)
    env.step(np.array([0.1]))
    assert env.agent_selection == "firm_0" and all(x != 0 for x in env.rewards.values())


def test_firms_of_a_price_war_choose_from_the_list():
    env = Turns(Bertrand(), horizon=2)
    env.reset(seed=0)
    assert env.action_space("firm_0").n == 15
    for choice in (0, 14, 3, 7):
        env.step(choice)
    assert env.truncations == {"firm_0": True, "firm_1": True}
    assert env.observe("firm_0") == pytest.approx([Bertrand().prices[3], Bertrand().prices[7]])


# ---------------------------------------------------------------------- others
def test_those_who_are_not_in_the_game_follow_the_policy():
    economy = PostedPrice(2)
    policy = FixedAction(economy, {"firm": 1.5, "household": 0.2})
    for kind in (Parallel, Turns):
        env = kind(economy, policy, ["household"], actions="physical")
        env.reset(seed=0)
        assert env.possible_agents == ["household_0", "household_1"]
        sight = economy.sights(env._state, {"firm": torch.full((1, 1, 1), 1.5)})["household"]
        seen = (
            env._look(["household"])
            if kind is Parallel
            else {"household_1": env.observe("household_1")}
        )
        assert np.array_equal(seen["household_1"][:4], sight.own[0, 1].numpy())
        firms = kind(economy, policy, ["firm"], actions="physical", horizon=2)
        firms.reset(seed=0)
        for _ in range(2):
            firms.step({"firm_0": [1.5]} if kind is Parallel else [1.5])
    assert firms.truncations == {"firm_0": True}


def test_a_crowd_follows_a_policy_that_may_be_replaced():
    economy = Market(2, atomistic=True)
    env = Parallel(economy, FixedAction(economy, 0.1))
    assert env.possible_agents == ["household_0", "household_1"]
    zeros = {agent: np.zeros(1, np.float32) for agent in env.possible_agents}
    seen = []
    for share in (0.1, 0.3):
        env.policy = FixedAction(economy, share)
        env.reset(seed=0)
        env.step(zeros)
        seen.append(env._state.crowd)
    assert (seen[0] < seen[1]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Parallel(PostedPrice()), r"roles=\[\['firm'\], \['household'\]\].*Turns\(economy"),
        (lambda: Parallel(Market(2, atomistic=True)), r"policy=None.*\['household_crowd'\] do"),
        (lambda: Turns(Market(2), roles=["firm"]), r"roles=.*: expected some of \['household'\]"),
        (lambda: Turns(PostedPrice(), roles=["firm"]), r"what the roles \['household'\] do"),
        (lambda: Turns(Market(2), horizon=0), "horizon=0: expected at least 1, or None"),
        (lambda: Parallel(Market(2)).step({}), None),
    ],
)
def test_what_is_missing_is_named(make, message):
    if message is None:
        assert make() == ({}, {}, {}, {}, {})
        return
    with pytest.raises(ValueError, match=message):
        make()


def test_an_action_that_is_missing_or_no_number_is_named():
    env = Parallel(Market(2))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions=\['household_0'\].*also of \['household_1'\]"):
        env.step({"household_0": [0.0]})
    with pytest.raises(ValueError, match="an action of role 'household' is nan"):
        env.step({"household_0": [np.nan], "household_1": [0.0]})
    with pytest.raises(ValueError, match=r"state=\(2,\): expected a state of batch shape \(1,\)"):
        env.reset(options={"state": Market(2).reset((2,), torch.Generator())})
