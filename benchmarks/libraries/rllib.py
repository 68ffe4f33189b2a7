"""RLlib's PPO, on its new API stack, with one process for all or with a worker that simulates."""

from __future__ import annotations

import logging
import os

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.tune.registry import register_env

from lectures_lib.interop import Gym, policy_of

from .environments import as_seen, single_or_vector

NAME = "an economy of lectures_lib"
OBJECT_STORE = 100 * 2**20
ATTEMPTS = 5
#: The algorithm whose workers are there; only one at a time uses the processor.
_alive: list = []


def started() -> None:
    """Let Ray run on this machine, as small as it can be."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    attempts = 0
    while not ray.is_initialized():
        attempts += 1
        try:
            ray.init(
                num_cpus=2,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        except Exception as error:  # it raises nothing more special
            # Ray gives its servers half a minute, which a busy machine does not have.
            if "timed out during startup" not in str(error) or attempts == ATTEMPTS:
                raise
    for name in ("ray", "ray.rllib", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)


def environment(config: dict):
    """What RLlib asks for: one copy, at whose spaces it looks, or as many as it lives in."""
    economy, setting = config["economy"], config["setting"]
    if "num_envs" not in config:
        return Gym(economy, horizon=setting["horizon"])
    return single_or_vector(economy, setting, single=config["single"])


def algorithm(economy, setting: dict, seed: int, steps: int, single: bool, runners: int = 0):
    """PPO as RLlib's own configuration has it but for the setting, in the place of the last one."""
    started()
    while _alive:
        _alive.pop().stop()
    register_env(NAME, environment)
    rate = setting["rate"]
    told = {"economy": economy, "setting": setting, "single": single}
    config = (
        PPOConfig()
        .environment(NAME, env_config=told)
        .env_runners(
            num_env_runners=runners,
            num_envs_per_env_runner=setting["copies"],
            gym_env_vectorize_mode="vector_entry_point",
        )
        .learners(num_learners=0)
        .training(
            gamma=economy.discount,
            train_batch_size=setting["batch"],
            minibatch_size=min(setting["minibatch"], setting["batch"]),
            num_epochs=setting["epochs"],
            lr=[[0, rate], [max(steps, 1), rate / 100]] if setting["decay"] else rate,
            lambda_=setting["lam"],
            clip_param=setting["clip"],
        )
        .rl_module(
            model_config=DefaultModelConfig(
                fcnet_hiddens=[setting["width"]] * 2,
                fcnet_activation="silu" if setting["silu"] else "tanh",
            )
        )
        .debugging(seed=seed, log_level="ERROR")
    )
    algo = config.build_algo()
    _alive.append(algo)

    def begin_at(learner, *_, **__):
        for module in (algo.get_module(), learner.module["default_policy"]):
            bias = module.pi.net.mlp[-1].bias
            with torch.no_grad():
                bias[len(bias) // 2 :] += setting["log_std"]

    if setting["log_std"] and not runners:
        algo.learner_group.foreach_learner(begin_at)
    return algo


def learn(
    economy, setting: dict, seed: int, steps: int, watch, *, single: bool, runners: int = 0
) -> None:
    """Learn for so many steps; `watch(steps, policy)` is called before it and after each batch."""
    algo = algorithm(economy, setting, seed, steps, single, runners)

    def policy():
        module, scaled = algo.get_module(), as_seen(algo.env_runner.env)
        n_actions = module.action_space.shape[0]

        def act(x):
            seen = torch.as_tensor(scaled(x))
            with torch.no_grad():
                # Means come first, and then log deviations.
                return module.forward_inference({"obs": seen})["action_dist_inputs"][:, :n_actions]

        return policy_of(act, economy)

    done = 0
    watch(done, policy)
    while done < steps:
        done = int(algo.train()["num_env_steps_sampled_lifetime"])
        watch(done, policy)
    watch.note(policy)


def simulated(economy, setting: dict, *, single: bool, runners: int = 0):
    """A function that lives for some periods by chance, and the number of its steps."""
    group = algorithm(economy, setting, 0, 0, single, runners).env_runner_group
    steps = 200 * setting["copies"]

    def live():
        group.foreach_env_runner(
            lambda runner: len(runner.sample(num_timesteps=steps, random_actions=True)),
            local_env_runner=not runners,
        )

    return live, steps
