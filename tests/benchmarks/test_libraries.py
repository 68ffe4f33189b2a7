"""The comparison of libraries: clocks, settings, environments, and learners of all of them."""

import math
import time

import numpy as np
import optuna
import pytest
import torch
from gymnasium.vector import SyncVectorEnv

from benchmarks.factorial.cells import ppo_config
from benchmarks.harness import stored
from benchmarks.libraries import clean, comparison, settings
from benchmarks.libraries.comparison import learning, simulating, times, to_accuracy, trained
from benchmarks.libraries.contenders import COMMON, CONTENDERS, Contender, their_environment
from benchmarks.libraries.environments import Scaled, as_seen, single_or_vector
from benchmarks.libraries.watch import Enough, Watch, processor_seconds, with_workers
from lectures_lib.agents import PPOConfig
from lectures_lib.agents.losses import generalized_advantages
from lectures_lib.economies import Planner
from lectures_lib.interop import Gym, VectorGym

SMALL = settings.SAME | {
    "copies": 4,
    "batch": 64,
    "minibatch": 32,
    "width": 8,
    "horizon": 10,
    "normalise": True,
}


# ---------------------------------------------------------------------- the watch
def test_a_watch_counts_neither_the_judge_nor_what_comes_after_enough():
    now = 0.0

    def clock():
        return now

    def judge(policy):
        nonlocal now
        now += 100
        return policy

    watch = Watch(clock, limit=10, judge=judge)
    watch(0, lambda: 50.0)
    with pytest.raises(Enough):
        for steps in range(1, 100):
            now += 1
            watch(steps, lambda: 5.0 / steps)  # noqa: B023
    assert watch.seconds == [*range(11)] and watch.steps == [*range(11)]
    assert watch.speed == 1
    curve = watch.curve
    assert curve["seconds"][-1] == curve["steps"][-1] == 10 and curve["error"][-1] == 0.5
    assert curve["steps"][:2] == [1, 2]


def test_speed_leaves_the_warming_up_apart():
    watch = Watch(lambda: 0.0, 1)
    watch.steps, watch.seconds = [0, 10, 20, 120, 220], [0.0, 4.0, 8.0, 9.0, 10.0]
    assert watch.speed == pytest.approx(210 / 6)
    watch.steps, watch.seconds = [0, 100], [1.0, 11.0]
    assert watch.speed == 10


def test_workers_cost_too():
    before, own = with_workers(), processor_seconds()
    while processor_seconds() < own + 0.05:
        pass
    assert with_workers() - before == pytest.approx(processor_seconds() - own, abs=0.02)
    assert with_workers() < time.process_time() + 1  # nobody works for this process


# ---------------------------------------------------------------------- what is reported
def test_a_threshold_is_reached_if_the_error_is_still_below_at_the_end():
    curve = {"seconds": [1, 2, 3, 4], "steps": [10, 20, 30, 40], "error": [9.0, 2.0, 20.0, 2.5]}
    found = times(curve)
    assert (found["10% seconds"], found["10% steps"]) == (1, 10)
    assert (found["3% seconds"], found["3% steps"]) == (2, 20)
    assert found["1% seconds"] is found["0.3% steps"] is None
    curve["error"][-1] = 11.0
    assert set(times(curve).values()) == {None}
    assert set(times({"seconds": [], "steps": [], "error": []}).values()) == {None}


@pytest.fixture
def journals(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "JOURNALS", tmp_path / "journals")
    monkeypatch.setattr(comparison, "commit", lambda: "abc")


def made_up(asked, errors):
    def learn(economy, setting, seed, steps, watch):
        asked.append((setting["rate"], seed))
        if setting["rate"] is None:
            raise ValueError("no such rate")
        watch(0, lambda: None)
        watch(8, lambda: setting["rate"])

    def chosen(economy, n):
        return [{"rate": x, "decay": False} for x in errors][:n]

    return Contender(learn, None, chosen)


def test_what_was_trained_is_not_trained_again(journals, monkeypatch):
    asked = []
    monkeypatch.setattr(comparison, "policy_errors", lambda policy, economy: [policy])
    contender = made_up(asked, [3.0])
    args = ("someone", contender, "planner", {"rate": 3.0, "decay": False})
    monkeypatch.setattr(comparison, "watched", _noted)
    first = trained(*args, 0, 5)
    assert first["error"] == 3 and first["code"] == "abc" and first["steps"] == 8
    assert trained(*args, 0, 5) == first and asked == [(3.0, 0)]
    trained(*args, 1, 5)
    trained(*args, 0, 6)
    assert asked == [(3.0, 0), (3.0, 1), (3.0, 0)]


def _noted(contender, economy, setting, seed, steps, watch):
    contender.learn(economy, setting, seed, steps, watch)
    watch.note(lambda: setting["rate"])
    return watch


def test_the_best_of_the_search_is_reported_and_a_failure_is_no_end(journals, monkeypatch):
    asked = []
    monkeypatch.setattr(comparison, "policy_errors", lambda policy, economy: [policy])
    monkeypatch.setattr(comparison, "watched", _noted)
    monkeypatch.setattr(comparison, "CONTENDERS", {"someone": made_up(asked, [9.0, None, 2.0])})
    rows = dict(to_accuracy("planner", settings=3, tuning=5, seeds=2, seconds=7))
    search = rows["someone: search"]
    assert (search["published"], search["best"], search["which"]) == (9.0, 2.0, 2)
    assert search["trials"][1]["error"] == comparison.FAILED
    assert [row["seed"] for row in rows["someone"]] == [0, 1]
    assert all(row["3% steps"] == 8 and row["1% steps"] is None for row in rows["someone"])
    assert all(row["reached"] == 2 for row in rows["someone"])
    assert asked == [(9.0, 100), (None, 100), (2.0, 100), (2.0, 0), (2.0, 1)]


# ---------------------------------------------------------------------- settings
def test_the_space_holds_what_is_published_and_what_was_found():
    for library in settings.PUBLISHED:
        found = settings.others(library, 8, copies=16)
        assert len(found) == 8 and found[0] == settings.PUBLISHED[library] | {"copies": 16}
        assert found[2:] == settings.others("RLlib", 8)[2:]
        for setting in found:
            study = optuna.create_study()
            study.enqueue_trial(setting)
            assert settings.space(study.ask()) == setting


def test_our_search_begins_with_what_the_library_comes_with():
    for name, config in (("ours", PPOConfig()), ("ours, ordinary", PPOConfig.ordinary())):
        first, *others = CONTENDERS[name].settings("planner", 8)
        cell = settings.cell_of("planner", privileged=name == "ours")
        assert len(others) == 7 and all(other != first for other in others)
        assert ppo_config(first, cell, 10**6) == config


# ---------------------------------------------------------------------- environments
@pytest.mark.parametrize("single", [True, False])
def test_scales_are_those_of_what_was_seen(single):
    env = single_or_vector(Planner(), SMALL, single=single)
    plain = single_or_vector(Planner(), SMALL | {"normalise": False}, single=single)
    assert isinstance(env, Scaled) and isinstance(plain, SyncVectorEnv if single else VectorGym)
    seen, rewards = [plain.reset(seed=0)[0]], []
    shown = [env.reset(seed=0)[0]]
    for _ in range(12):
        actions = np.zeros((4, 1), np.float32)
        found, reward, *_, info = env.step(actions)
        x, r, *_, told = plain.step(actions)
        seen.append(x)
        shown.append(found)
        rewards.append((reward, r))
        for i in np.flatnonzero(info.get("_final_obs", [])):
            np.testing.assert_allclose(info["final_obs"][i], env.scaled(told["final_obs"][i]))
    everything = np.concatenate(seen)
    np.testing.assert_allclose(env.seen.mean, everything.mean(0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(as_seen(env)(seen[-1]), shown[-1])
    assert as_seen(plain)(seen[-1]) is seen[-1]
    # A reward keeps its sign, and is as large as rewards beside their discounted sums.
    assert all((np.sign(a) == np.sign(b)).all() for a, b in rewards)


def test_copies_with_common_luck_differ_by_their_actions_alone():
    setting = SMALL | {"copies": 2 * COMMON}
    env = their_environment("planner", setting, common=True, relative=True)
    env.reset()
    actions = np.zeros((2 * COMMON, 1), np.float32)
    _, rewards, _, _ = env.step(actions)
    assert rewards == pytest.approx(0, abs=1e-6)
    one = their_environment("planner", setting, single=True)
    assert one.num_envs == 2 * COMMON and isinstance(one.envs[0], Gym)


# ---------------------------------------------------------------------- learners
def test_advantages_are_the_librarys_until_an_episode_ends():
    g = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(6, 3, generator=g), torch.randn(7, 3, generator=g)
    over = torch.zeros(6, 3)
    found = clean._advantages(rewards, values[:-1], over, values[-1], 0.9, 0.8)
    torch.testing.assert_close(found, generalized_advantages(rewards, values, 0.9, 0.8))
    over[2] = 1
    cut = clean._advantages(rewards, values[:-1], over, values[-1], 0.9, 0.8)
    torch.testing.assert_close(cut[2], rewards[2] - values[2])
    torch.testing.assert_close(cut[3:], found[3:])


def test_a_batch_makes_better_actions_likelier_and_values_truer():
    torch.manual_seed(0)
    agent = clean.ActorCritic(3, 1, SMALL | {"log_std": -1.0})
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-2)
    seen = torch.randn(256, 3)
    with torch.no_grad():
        distribution = agent.distribution(seen)
        actions, before = distribution.sample(), agent.value(seen)
        likelihood = distribution.log_prob(actions).sum(-1)
        advantages = torch.sign(actions - distribution.mean).squeeze(-1)
        old = distribution.mean
    setting = SMALL | {"clip": 1.0, "epochs": 20}
    batch = (seen, actions, likelihood, before, advantages)
    clean._improve(agent, optimizer, setting, *batch)
    assert (agent.mean(seen) > old).all()
    returns = advantages + before

    def distance(value):
        return (value - returns).square().mean()

    assert distance(agent.value(seen)) < distance(before)


@pytest.mark.learning
@pytest.mark.parametrize("name", CONTENDERS)
def test_everybody_simulates_learns_and_is_judged(name):
    needed = {"TorchRL": "torchrl", "RLlib": "ray.rllib"}.get(name.split(",")[0])
    if needed is not None:
        pytest.importorskip(needed, exc_type=ImportError)
    contender = CONTENDERS[name]
    setting, steps = SMALL, 256
    if contender.same is None:
        setting = SMALL | {"normalise": False}
    if name.startswith("ours"):
        setting = contender.settings("planner", 1)[0] | {"groups": 2, "replicates": 2, "horizon": 4}
    watch = Watch(contender.clock, math.inf, judge_of_planner)
    contender.learn("planner", setting, 0, steps, watch)
    assert watch.steps[0] == 0 and watch.steps[-1] >= steps
    assert 0 < watch.curve["error"][-1] < 1e3
    live, n = contender.simulated("planner", setting)
    live()
    assert n % setting.get("copies", 4) == 0


def judge_of_planner(policy):
    return comparison.policy_errors(policy, "planner")[0]


@pytest.mark.learning
@pytest.mark.skipif("throughput" not in stored("libraries"), reason="not stored yet")
def test_speeds_beside_stable_baselines3_are_those_of_the_row():
    rows = stored("libraries")["throughput"]
    theirs = CONTENDERS["stable-baselines3, vector"]
    setting = theirs.settings("planner", 1)[0]
    ours = CONTENDERS["ours"]
    default = ours.settings("planner", 1)[0]
    row = rows["stable-baselines3, vector"]
    ratio = learning(ours, "planner", default) / learning(theirs, "planner", setting)
    # A busy machine makes one of them slower than the other.
    assert row["ours over it"] / 3 < ratio < row["ours over it"] * 3
    ratio = simulating(ours, "planner", default) / simulating(theirs, "planner", setting)
    stored_ratio = rows["ours"]["simulation"] / row["simulation"]
    assert stored_ratio / 3 < ratio < stored_ratio * 3


def test_environments_of_other_libraries_cost_little_beside_the_economy():
    rows = stored("libraries")["interfaces"]
    for label, row in rows.items():
        bound = {"VectorGym": 1.2, "Gym": 3}.get(label.split(": ")[1])
        if bound is not None:
            assert row["beside the bare economy"] <= bound
        if bound == 1.2:
            assert row["million steps per second"] >= 1
