"""Stable-baselines3's learners live in an economy, and are judged."""

import numpy as np
import pytest
from registry import neutral_policy
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from lectures_lib.economies import BrockMirman, FixedAction, Market, Planner
from lectures_lib.evaluation import evaluate, exploitability
from lectures_lib.interop import StableBaselines, VectorGym, policy_of
from lectures_lib.solvers import solve


def test_it_is_the_vector_environment():
    env = StableBaselines(Planner(), 6, horizon=3, common=2)
    vector = VectorGym(Planner(), 6, horizon=3, common=2, autoreset="SameStep")
    env.seed(5)
    assert np.array_equal(env.reset(), vector.reset(seed=5)[0])
    for t in range(1, 8):
        actions = np.stack([env.action_space.sample() for _ in range(6)])
        seen, rewards, over, infos = env.step(actions)
        expected, paid, _, cut, info = vector.step(actions)
        assert np.array_equal(seen, expected) and np.array_equal(rewards, paid)
        assert np.array_equal(over, cut) and over.all() == (t % 3 == 0)
        for i, told in enumerate(infos):
            if over[i]:
                assert told["TimeLimit.truncated"] is True
                assert np.array_equal(told["terminal_observation"], info["final_obs"][i])
            else:
                assert told == {}
    # A seed is used once; luck goes on.
    assert not np.array_equal(env.reset(), seen)


def test_its_wrappers_work_and_a_regret_is_told():
    rule = neutral_policy(Planner())
    env = VecMonitor(StableBaselines(Planner(), 4, horizon=3, regret=True, reference=rule))
    env.reset()
    for _ in range(3):
        *_, infos = env.step(np.zeros((4, 1), np.float32))
    assert [told["episode"]["l"] for told in infos] == [3] * 4
    assert [told["regret"] for told in infos] == [0] * 4
    assert [mode.value for mode in env.get_attr("autoreset_mode", [0, 1])] == ["SameStep"] * 2
    assert not env.has_attr("no_such_thing") and env.env_is_wrapped(VecMonitor) == [False] * 4
    for use in (lambda: env.set_attr("x", 1), lambda: env.env_method("x")):
        with pytest.raises(AttributeError, match="'x' of their own"):
            use()


@pytest.mark.learning
def test_ppo_learns_and_is_judged():
    economy = BrockMirman()
    exact = solve(economy)
    env = VecNormalize(StableBaselines(economy, 64, horizon=200, common=16), gamma=economy.discount)
    model = PPO(
        "MlpPolicy", env, gamma=economy.discount, n_steps=16, batch_size=256, n_epochs=5, seed=0,
        learning_rate=3e-3, device="cpu", policy_kwargs={"log_std_init": -1.5},
    )  # fmt: skip

    def judged():
        return evaluate(policy_of(model, economy), economy, reference=exact, paths=32)

    before = judged().consumption_equivalent_loss
    model.learn(20 * 16 * 64)
    report = judged()
    assert 0 < report.consumption_equivalent_loss < 0.8 * before
    assert np.isfinite(report.policy_error_max) and np.isfinite(report.euler_residual_mean)


@pytest.mark.learning
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (PPO, {"n_steps": 8, "batch_size": 32, "n_epochs": 1}),
        (SAC, {"learning_starts": 64, "batch_size": 32}),
    ],
)
def test_learners_live_in_a_planner_and_in_a_market(kind, options):
    planner, market = Planner(3, 2), Market(2)
    for economy, policy in ((planner, None), (market, FixedAction(market, 0.1))):
        env = StableBaselines(economy, 8, policy=policy, horizon=20)
        model = kind("MlpPolicy", env, gamma=economy.discount, seed=0, device="cpu", **options)
        model.learn(400)
        policy = policy_of(model, economy)
        report = evaluate(policy, economy, reference=FixedAction(economy, 0.1), paths=4)
        assert np.isfinite(report.consumption_equivalent_loss)
        seen = env.reset()
        action, _ = model.predict(seen, deterministic=True)
        done = policy(env.vector.state)
        role = env.vector._simulation.seat.name
        share = np.clip((1 + action) / 2, 1e-5, 1 - 1e-5)
        if economy is market:
            np.testing.assert_allclose(done[role][:, 0].numpy(), share, rtol=1e-5)
        else:
            assert done[role].shape == (8, 3, 2) and (done[role].sum(-1) <= 1 + 1e-6).all()
    if kind is PPO:
        assert np.isfinite(exploitability(policy, market, paths=8).gain)
