"""An economy as a Gymnasium environment of one agent."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from foreign import FOREIGN
from gymnasium.utils.env_checker import check_env
from registry import ECONOMIES, neutral_policy, of, views

import lectures_lib.interop  # noqa: F401  # it tells Gymnasium of the economies
from lectures_lib.economies import Bertrand, BrockMirman, FixedAction, Market, Planner
from lectures_lib.evaluation import simulate
from lectures_lib.interop import Gym
from lectures_lib.interop.seat import seat_of
from lectures_lib.solvers import solve

VIEWS = views(ECONOMIES) | views(FOREIGN)
every_view = of(VIEWS)


@pytest.mark.parametrize("kind", ["auto", "unit"])
@every_view
def test_gymnasiums_checker_has_nothing_to_say(economy, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("lectures_lib/Economy-v0", **economy, actions=kind, horizon=5)
        check_env(env.unwrapped)


@every_view
def test_it_is_the_economy_step_by_step(economy):
    env = Gym(**economy, horizon=3)
    seat = seat_of(**economy)
    bare, generator = seat.economy, torch.Generator().manual_seed(5)
    state = bare.reset((1,), generator)
    seen, info = env.reset(seed=5)
    env.action_space.seed(0)
    assert info == {}
    for t in range(1, 4):
        assert np.array_equal(seen, seat.look(bare.sights(state)[seat.name])[0, 0].numpy())
        action = env.action_space.sample()
        physical = seat.physical(torch.as_tensor(np.reshape(action, (1, 1, -1)))).float()
        step = bare.step(state, {seat.name: physical}, bare.draw((1,), generator))
        state = step.state
        seen, reward, terminated, truncated, info = env.step(action)
        assert reward == step.rewards[seat.name].mean().item()
        assert (terminated, truncated) == (False, t == 3)
        assert info.keys() == step.info.keys()
        for name, x in step.info.items():
            assert np.array_equal(info[name], x[0].numpy())


def test_an_episode_may_begin_in_a_state_and_go_on_for_ever():
    economy = BrockMirman()
    env = Gym(economy, horizon=None)
    state = economy.reset((), torch.Generator().manual_seed(3))
    one, two = (env.reset(seed=s, options={"state": state})[0] for s in (0, 1))
    assert np.array_equal(one, two)
    assert np.array_equal(one, economy.observe(state)["planner"][0].numpy())
    assert not any(env.step(env.action_space.sample())[3] for _ in range(1000))
    with pytest.raises(ValueError, match=r"state.capital must be positive"):
        env.reset(options={"state": state._replace(capital=-state.capital)})
    with pytest.raises(ValueError, match="a batch of 1 states, or a single one"):
        env.reset(options={"state": economy.reset((2,), torch.Generator())})


def test_what_an_environment_gives_is_not_the_state():
    env = Gym(Planner())
    seen, _ = env.reset(seed=0)
    seen, *_, info = env.step(np.zeros(1, np.float32))
    before = [x.clone() for x in env.state]
    for array in (seen, *(x for x in info.values() if isinstance(x, np.ndarray))):
        array[...] = 7
    assert all(torch.equal(x, y) for x, y in zip(before, env.state, strict=True))


def test_an_action_may_be_written_over_when_it_is_done():
    economy = Bertrand(on_grid=False)
    rule = FixedAction(economy, 1.5)
    env = Gym(economy, rule, actions="physical", dtype=torch.float64)
    env.reset(seed=0)
    action = np.array([1.6])
    env.step(action)
    action[:] = 9
    assert env.state.last.flatten().tolist() == [1.6, 1.5]


# ---------------------------------------------------------------------- the judge
@every_view
def test_who_does_what_the_rule_does_regrets_nothing(economy):
    seat = seat_of(**economy, actions="physical")
    rule = neutral_policy(seat.economy)
    env = Gym(**economy, actions="physical", horizon=4, regret=True, reference=rule)
    env.reset(seed=0)
    for t in range(4):
        action = rule(env.state)[seat.name][0].flatten().numpy()
        *_, truncated, info = env.step(action)
        assert np.array_equal(info["action"], info["reference"])
        assert ("regret" in info) == truncated == (t == 3)
    assert info["regret"] == 0


def test_regret_is_what_a_simulation_says_under_the_same_shocks():
    economy, exact = BrockMirman(), solve(BrockMirman())
    double, horizon, own = torch.float64, 300, 0.5
    env = Gym(
        economy, actions="physical", horizon=horizon, regret=True, reference=exact, dtype=double
    )
    state = economy.reset((1,), torch.Generator().manual_seed(1), double)
    env.reset(seed=9, options={"state": state})
    for _ in range(horizon):
        before = env.state
        *_, info = env.step([own])
        assert info["reference"] == exact.policy(before)["planner"].item()
    worth = [
        economy.consumption_equivalent(
            simulate(rule, economy, state, horizon, 9).value["planner"]
            / (1 - economy.discount**horizon)
        ).item()
        for rule in (FixedAction(economy, own), exact.policy)
    ]
    assert info["regret"] == pytest.approx(1 - worth[0] / worth[1], rel=1e-9)
    assert info["regret"] > 0.01


def test_others_keep_to_their_policy_and_the_rule_may_be_the_games():
    market = Market(2)
    rule = FixedAction(market, 0.2)
    env = Gym(market, rule, agent=1, horizon=3, regret=True, reference=FixedAction(market, 0.1))
    env.reset(seed=0)
    *_, info = env.step([0.0])
    shares = info["saving_share"]
    assert shares[0] == pytest.approx(0.2) and shares[1] == pytest.approx(0.5)
    assert info["reference"] == pytest.approx(0.1) and info["action"] == pytest.approx(0.5)


def test_an_episode_has_to_begin():
    with pytest.raises(ValueError, match=r"expected reset\(\) before the first step"):
        Gym(Planner()).step(np.zeros(1, np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon=0: expected at least 1, or None"),
        ({"horizon": 2.5}, "horizon=2.5: expected a whole number or None"),
        ({"regret": True}, r"reference=None: expected the exact rule, such as solve\(economy\)"),
        ({"reference": FixedAction(Planner(), 0.1)}, "if and only if regret=True"),
        ({"agent": 1}, "agent=1"),
    ],
)
def test_a_bad_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Gym(Planner(), **options)
