"""RLlib and TorchRL take the environments through wrappers of their own; skipped without them."""

import numpy as np
import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, Market, Planner
from lectures_lib.evaluation import evaluate
from lectures_lib.interop import Gym, Parallel, VectorGym, policy_of


# ---------------------------------------------------------------------- TorchRL
@pytest.fixture
def torchrl():
    return pytest.importorskip("torchrl.envs", exc_type=ImportError)


def test_torchrl_finds_one_copy_many_and_a_game_in_order(torchrl):
    for env in (
        torchrl.GymWrapper(Gym(Planner(2), horizon=20)),
        torchrl.GymWrapper(VectorGym(Planner(2), 8, horizon=20, autoreset="SameStep")),
        torchrl.PettingZooWrapper(Parallel(Market(3), horizon=20)),
    ):
        torchrl.check_env_specs(env)


def test_torchrl_goes_through_the_ends_of_episodes(torchrl):
    env = torchrl.GymWrapper(VectorGym(Planner(), 4, horizon=5, autoreset="SameStep"))
    env.set_seed(0)
    path = env.rollout(12, break_when_any_done=False)
    cut = path["next", "truncated"].squeeze(-1)
    assert (cut.nonzero()[:, 1].unique() == torch.tensor([4, 9])).all()
    # What comes next is where an episode has ended, and where the next one begins is apart.
    going = torch.equal(path["next", "observation"][:, 3], path["observation"][:, 4])
    assert going and (path["next", "observation"][:, 4] != path["observation"][:, 5]).any()


# ---------------------------------------------------------------------- RLlib
@pytest.fixture(scope="module")
def rllib():
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.rllib", exc_type=ImportError)
    from ray.rllib.algorithms.ppo import PPOConfig

    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=100 * 2**20)
    yield (
        PPOConfig()
        .env_runners(num_env_runners=0, rollout_fragment_length=50)
        .training(train_batch_size=200, minibatch_size=100, num_epochs=1)
        .learners(num_learners=0)
    )
    ray.shutdown()


@pytest.mark.learning
def test_rllib_learns_in_an_economy_by_name_and_is_judged(rllib):
    # Its module of a Box puts out means and log deviations, of which the policy takes the means.
    where = "lectures_lib.interop:lectures_lib/BrockMirman-v0"
    config = rllib.copy().environment(where, env_config={"horizon": 50})
    algorithm = config.build_algo()
    algorithm.train()
    module, economy = algorithm.get_module(), BrockMirman()
    policy = policy_of(module, economy)
    state = economy.reset((5,), torch.Generator().manual_seed(0))
    seen = economy.observe(state)["planner"].squeeze(-2)
    inputs = module.forward_inference({"obs": seen})["action_dist_inputs"]
    kind = module.get_inference_action_dist_cls()
    action = kind.from_logits(inputs).to_deterministic().sample().detach().clamp(-1, 1)
    expected = economy.roles["planner"].to_physical(((1 + action) / 2).logit())
    torch.testing.assert_close(policy(state)["planner"].squeeze(-2), expected)
    report = evaluate(policy, economy, reference=FixedAction(economy, 0.6), paths=4)
    assert np.isfinite(report.consumption_equivalent_loss)


@pytest.mark.learning
def test_rllib_learns_in_a_game(rllib):
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
    from ray.tune.registry import register_env

    register_env("market", lambda _: ParallelPettingZooEnv(Parallel(Market(2), horizon=50)))
    config = rllib.copy().environment("market")
    config = config.multi_agent(policies={"all"}, policy_mapping_fn=lambda *_, **__: "all")
    algorithm = config.build_algo()
    algorithm.train()
    policy = policy_of(algorithm.get_module("all"), Market(2))
    shares = policy(Market(2).reset((3,), torch.Generator()))["household"]
    assert shares.shape == (3, 2, 1) and ((shares > 0) & (shares < 1)).all()
