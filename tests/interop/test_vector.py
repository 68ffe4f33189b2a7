"""Copies of an economy in one batch."""

import gymnasium
import numpy as np
import pytest
import torch
from foreign import FOREIGN
from gymnasium.vector import AutoresetMode
from registry import ECONOMIES, neutral_policy, of, views
from torch.utils._python_dispatch import TorchDispatchMode

from lectures_lib.economies import BrockMirman, FixedAction, Market, Planner
from lectures_lib.evaluation import evaluate, initial_states
from lectures_lib.evaluation.distances import welfare_loss
from lectures_lib.evaluation.simulation import welfare_horizon
from lectures_lib.interop import Gym, VectorGym
from lectures_lib.interop.seat import seat_of
from lectures_lib.solvers import solve

every_view = of(views(ECONOMIES) | views(FOREIGN))
SEEDS = [7, 8, 3]


@every_view
def test_each_copy_is_the_environment_of_one_with_its_seed(economy):
    """Through the ends of episodes, under the same shocks."""
    vector = VectorGym(**economy, num_envs=3, horizon=2, autoreset=AutoresetMode.SAME_STEP)
    singles = [Gym(**economy, horizon=2) for _ in SEEDS]
    seen, _ = vector.reset(seed=SEEDS)
    vector.action_space.seed(0)
    each = [env.reset(seed=seed)[0] for env, seed in zip(singles, SEEDS, strict=True)]
    for t in range(5):
        for row, one in zip(seen, each, strict=True):
            # A batch of three rounds as one of one does but for the last digits.
            np.testing.assert_allclose(row, one, rtol=1e-5, atol=1e-6)
        actions = vector.action_space.sample()
        seen, rewards, terminated, truncated, info = vector.step(actions)
        each = []
        for i, env in enumerate(singles):
            one, reward, over, cut, told = env.step(actions[i])
            assert reward == pytest.approx(rewards[i], rel=1e-5, abs=1e-6)
            assert (over, cut) == (terminated[i], truncated[i]) == (False, t % 2 == 1)
            if cut:
                np.testing.assert_allclose(info["final_obs"][i], one, rtol=1e-5, atol=1e-6)
                info_of_it = info["final_info"]
                one, _ = env.reset()
            else:
                info_of_it = info
            for name, value in told.items():
                np.testing.assert_allclose(info_of_it[name][i], value, rtol=1e-4, atol=1e-6)
            each.append(one)


def test_an_exact_rule_is_worth_what_the_judge_says():
    """Played through the environment, in the same states and under the same shocks."""
    economy, paths = BrockMirman(), 16
    exact, wrong = solve(economy).policy, FixedAction(economy, 0.5)
    report = evaluate(wrong, economy, reference=exact, seed=4, paths=paths)
    horizon = welfare_horizon(economy.discount)
    value = {}
    for rule in (exact, wrong):
        env = VectorGym(
            economy, paths, actions="physical", horizon=horizon, dtype=torch.float64, regret=True,
            reference=exact,
        )  # fmt: skip
        env.reset(seed=5, options={"state": initial_states(exact, economy, paths, seed=4)})
        total = np.zeros(paths)
        for t in range(horizon):
            actions = rule(env.state)["planner"].flatten(1).numpy()
            _, rewards, _, truncated, info = env.step(actions)
            assert rewards.dtype == np.float64
            total += economy.discount**t * rewards
        assert truncated.all()
        value[rule] = torch.from_numpy(total)
        if rule is exact:
            assert (info["regret"] == 0).all()
    loss, error = welfare_loss(economy, "planner", value[wrong], value[exact], 1)
    # Rewards after the horizon weigh a millionth.
    assert report.consumption_equivalent_loss == pytest.approx(loss.item(), rel=1e-4)
    assert info["regret"].mean() == pytest.approx(loss.item(), abs=3 * error.item() + 1e-3)


# ---------------------------------------------------------------------- when episodes are over
def cut_after_two(mode, **options):
    env = VectorGym(Planner(), 4, horizon=2, autoreset=mode, **options)
    assert env.metadata["autoreset_mode"] is AutoresetMode(mode)
    assert VectorGym.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    first, _ = env.reset(seed=0)
    steps = [env.step(np.zeros((4, 1), np.float32)) for _ in range(2)]
    assert not steps[0][3].any() and steps[1][3].all()
    assert not (steps[0][2].any() or steps[1][2].any())
    return env, first, steps[1]


def test_in_the_next_step_a_copy_begins_anew_and_its_action_is_ignored():
    env, first, (last, *_) = cut_after_two("NextStep")
    seen, rewards, terminated, truncated, info = env.step(np.full((4, 1), np.nan, np.float32))
    assert (rewards == 0).all() and not (terminated | truncated).any() and info == {}
    assert not np.array_equal(seen, last) and not np.array_equal(seen, first)
    _, rewards, _, truncated, _ = env.step(np.zeros((4, 1), np.float32))
    assert (rewards != 0).all() and not truncated.any()


def test_in_the_same_step_the_last_observation_is_told_apart():
    env, _, (seen, _, _, truncated, info) = cut_after_two("SameStep")
    same = cut_after_two("Disabled")[2][0]
    assert np.array_equal(np.stack(info["final_obs"]), same)
    assert info["_final_obs"].all() and info["_final_info"].all()
    assert info["final_info"]["consumption"].shape == (4, 1)
    assert not info["_consumption"].any() and not np.array_equal(seen, same)
    assert truncated.all()
    assert not env.step(np.zeros((4, 1), np.float32))[3].any()


def test_disabled_it_waits_to_be_told():
    env, _, (last, *_) = cut_after_two("Disabled")
    with pytest.raises(ValueError, match=r"episodes of the copies \[0, 1, 2, 3\]... are over"):
        env.step(np.zeros((4, 1), np.float32))
    mask = np.array([True, False, True, False])
    seen, _ = env.reset(options={"reset_mask": mask})
    assert np.array_equal(seen[~mask], last[~mask])
    assert (seen[mask] != last[mask]).any(-1).all()
    with pytest.raises(ValueError, match=r"copies \[1, 3\]"):
        env.step(np.zeros((4, 1), np.float32))
    env.reset(options={"reset_mask": ~mask})
    assert not env.step(np.zeros((4, 1), np.float32))[3].any()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_some_copies_begin_anew_and_others_go_on(mode):
    economy, rule = BrockMirman(), FixedAction(BrockMirman(), 0.4)
    env = VectorGym(
        economy, 6, common=2, horizon=3, stagger=3, autoreset=mode, regret=True, reference=rule
    )
    env.reset(seed=0)
    lived, waiting = np.array([0, 0, 1, 1, 2, 2]), np.zeros(6, dtype=bool)
    for _ in range(9):
        ignored = np.where(waiting, np.nan, 0).astype(np.float32).reshape(6, 1)
        _, rewards, _, truncated, info = env.step(ignored)
        lived = np.where(waiting, 0, lived + 1)
        assert np.array_equal(truncated, lived == 3)
        assert np.array_equal(rewards == 0, waiting)
        if mode == "NextStep":
            assert np.array_equal(info["_consumption"], ~waiting)
            waiting = truncated
            told = info
        else:
            lived[truncated] = 0
            told = info.get("final_info", {})
            assert ("regret" in info) is False
        if truncated.any():
            assert np.array_equal(np.isfinite(told["regret"]), truncated)


# ---------------------------------------------------------------------- tensors
def alike(told, shown):
    """Whether what is told in tensors is what is shown in arrays."""
    assert told.keys() == shown.keys()
    for name, x in shown.items():
        y = told[name]
        if isinstance(x, dict):
            alike(y, x)
        elif x.dtype == object:
            ended = told[f"_{name}"].numpy()
            assert np.array_equal(y.numpy()[ended], np.stack(x[ended]))
        else:
            assert isinstance(y, torch.Tensor) and np.array_equal(y.numpy(), x, equal_nan=True)
            assert y.numpy().dtype == x.dtype


@every_view
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_tensors_have_the_numbers_of_arrays(economy, mode):
    options = {**economy, "num_envs": 4, "horizon": 4, "stagger": 2, "autoreset": mode}
    arrays, tensors = VectorGym(**options), VectorGym(**options, tensors=True)
    arrays.action_space.seed(0)
    seen, shown = tensors.reset(seed=3)[0], arrays.reset(seed=3)[0]
    assert np.array_equal(seen.numpy(), shown)
    for _ in range(10):
        actions = arrays.action_space.sample()
        *found, told = tensors.step(torch.from_numpy(actions))
        *expected, info = arrays.step(actions)
        for x, y in zip(found, expected, strict=True):
            assert np.array_equal(x.numpy(), y) and x.numpy().dtype == y.dtype
        alike(told, info)


class OnTheHost(TorchDispatchMode):
    """Refuses what copies a number from a device to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.equal.default,
        )
        return func(*args, **(kwargs or {}))


@every_view
def test_no_step_copies_a_tensor_to_the_host(economy, monkeypatch):
    env = VectorGym(**economy, num_envs=4, horizon=3, stagger=2, tensors=True)
    env.reset(seed=0)
    actions = torch.from_numpy(env.action_space.sample())
    env.step(actions)  # constants are made ready in the first

    def refused(*arguments, **options):
        raise AssertionError("a tensor was copied to the host")

    for name in ("numpy", "__array__", "cpu", "tolist", "item"):
        monkeypatch.setattr(torch.Tensor, name, refused)
    with OnTheHost():
        for _ in range(6):
            env.step(actions)


def test_tensors_begin_anew_where_a_tensor_says_so():
    env = VectorGym(Planner(), 4, horizon=2, autoreset="Disabled", tensors=True)
    env.reset(seed=0)
    for _ in range(2):
        last, _, terminated, truncated, _ = env.step(torch.zeros(4, 1))
    assert truncated.all()
    mask = torch.tensor([True, False, True, True])
    seen, _ = env.reset(options={"reset_mask": mask & (terminated | truncated)})
    assert torch.equal(seen[1], last[1]) and (seen[mask] != last[mask]).any(-1).all()


def test_a_flag_is_the_callers_own():
    for tensors in (False, True):
        env = VectorGym(Planner(), 2, horizon=1, tensors=tensors)
        env.reset(seed=0)
        actions = torch.zeros(2, 1) if tensors else np.zeros((2, 1), np.float32)
        *_, truncated, _ = env.step(actions)
        truncated[:] = False
        assert (env.step(actions)[1] == 0).all()  # it begins anew all the same


def test_with_tensors_other_actions_are_refused():
    env = VectorGym(Planner(), 2, tensors=True)
    env.reset(seed=0)
    with pytest.raises(
        TypeError, match="actions are a ndarray: with tensors=True expected a torch"
    ):
        env.step(np.zeros((2, 1), np.float32))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_live_on_a_gpu():
    env = VectorGym(Planner(4), 8, common=2, horizon=3, stagger=4, tensors=True, device="cuda")
    seen, _ = env.reset(seed=0)
    with OnTheHost():
        for _ in range(8):
            seen, rewards, *_, info = env.step(torch.zeros(8, 4, device="cuda"))
    assert seen.is_cuda and rewards.is_cuda and info["consumption"].is_cuda


# ---------------------------------------------------------------------- luck
def test_a_group_has_the_same_luck_and_groups_have_not():
    economy = Planner(2)
    env = VectorGym(economy, 12, common=4, horizon=20)
    env.reset(seed=0)
    env.action_space.seed(0)
    start = env.state.capital.reshape(3, 4, -1)
    assert (start == start[:, :1]).all() and (start[0] != start[1]).any()
    different = False
    for _ in range(45):  # through two ends of episodes
        env.step(env.action_space.sample())
        for name in economy.fields.moved_by("chance"):
            x = getattr(env.state, name).reshape(3, 4, -1)
            assert (x == x[:, :1]).all()
            different |= bool((x[0] != x[1]).any())
    assert different


def test_the_same_seed_is_the_same_luck_and_without_one_it_goes_on():
    def life(seed):
        env = VectorGym(Planner(), 5, horizon=3)
        first, _ = env.reset(seed=seed)
        seen = [env.step(np.zeros((5, 1), np.float32))[0] for _ in range(8)]
        again, _ = env.reset()
        return np.concatenate([first, *seen, again])

    assert np.array_equal(life(3), life(3)) and not np.array_equal(life(3), life(4))
    assert not np.array_equal(life(None), life(None))
    assert not np.array_equal(life(3)[:5], life(3)[-5:])


def test_what_comes_to_a_copy_does_not_depend_on_what_others_do():
    def life(others):
        env = VectorGym(Planner(), 3, horizon=4)
        env.reset(seed=1)
        actions = np.array([[0.0], [others], [others]], np.float32)
        return np.array([env.step(actions)[0][0] for _ in range(9)])

    assert np.array_equal(life(0.5), life(-0.5))


# ---------------------------------------------------------------------- the rest of the interface
def test_gymnasium_makes_it_by_name():
    env = gymnasium.make_vec("lectures_lib/Planner-v0", num_envs=3, n_households=4, common=3)
    assert isinstance(env, VectorGym) and env.observation_space.shape == (3, 12)
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    wrapped.reset(seed=0)
    assert wrapped.step(env.action_space.sample())[1].shape == (3,)
    # Gymnasium's own vector of environments has the luck that our seeds of copies have.
    theirs = gymnasium.make_vec("lectures_lib/Planner-v0", num_envs=3, vectorization_mode="sync")
    first, _ = VectorGym(Planner(), 3).reset(seed=[4, 5, 6])
    assert np.array_equal(theirs.reset(seed=4)[0], first)


@every_view
def test_choices_and_boxes_have_the_spaces_that_libraries_know(economy):
    for kind in ("auto", "unit", "physical"):
        seat = seat_of(**economy, actions=kind)
        env = VectorGym(**economy, num_envs=2, actions=kind)
        single, many = env.single_action_space, env.action_space
        assert many.shape[0] == 2
        if seat.choices is None:
            assert isinstance(single, gymnasium.spaces.Box) and single.shape == (seat.n_actions,)
            assert kind == "physical" or ((single.low == -1).all() and (single.high == 1).all())
        else:
            assert isinstance(single, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete)
        seen, _ = env.reset(seed=0)
        assert seen in env.observation_space and seen.dtype == np.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs=0: expected at least 1"),
        ({"num_envs": 4, "common": 3}, "common=3: expected a divisor of num_envs=4"),
        ({"num_envs": 4, "autoreset": "later"}, r"autoreset='later': expected one of \['NextStep"),
        ({"num_envs": 4, "horizon": None, "stagger": 2}, "stagger=2: expected 1, as episodes are"),
        ({"num_envs": 4, "common": 2, "stagger": 4}, "stagger=4: expected a divisor of 2"),
        ({"num_envs": 4, "device": "meta"}, "device='meta': expected 'cpu', or tensors=True"),
    ],
)
def test_a_bad_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        VectorGym(Planner(), **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": [1, 2]}, r"seed=\[1, 2\]: expected one for each of 3 copies or groups"),
        ({"options": {"reset_mask": [True, False, True]}}, "reset_mask=.*: expected an array of 3"),
        ({"options": {"reset_mask": np.ones(3, bool)}}, "after a first reset of all copies"),
        ({"options": {"state": Planner().reset((2,), torch.Generator())}}, "a batch of 3 states"),
    ],
)
def test_a_bad_beginning_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        VectorGym(Planner(), 3).reset(**given)


def test_copies_of_a_place_in_a_game_follow_their_policy():
    market = Market(3)
    env = VectorGym(market, 8, neutral_policy(market), agent=1)
    env.reset(seed=0)
    *_, info = env.step(np.full((8, 1), -0.8, np.float32))
    shares = info["saving_share"]
    assert shares[:, [0, 2]] == pytest.approx(0.5) and shares[:, 1] == pytest.approx(0.1)
