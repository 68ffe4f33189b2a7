"""Other libraries' learners on our economies, wrapped so that our judge can read their policies."""

from __future__ import annotations

import time

import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

from benchmarks.factorial.rivals import EconomyVecEnv

#: Periods after which an episode is cut.
EPISODE = 1000


class _Clock(BaseCallback):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def _on_training_start(self):
        self.started = time.process_time()

    @property
    def elapsed(self):
        return time.process_time() - self.started

    def _on_step(self):
        return self.elapsed < self.seconds


def train(kind: str, economy, seed: int, seconds: float, settings: dict):
    """Train stable-baselines3's PPO or SAC for a time.

    Parameters
    ----------
    kind : {"PPO", "SAC"}
    economy : Economy
    seed : int
    seconds : float
        Processor time, which a busy machine does not shorten.
    settings : dict
        Keyword arguments of the algorithm, and `n_envs` (1 by default), `normalise` (whether
        observations and rewards pass through VecNormalize), `decay` (whether the learning rate
        falls linearly to zero over the time).

    Returns
    -------
    policy, steps
        The deterministic policy in the form that `evaluate` takes, and the steps taken.
    """
    settings = dict(settings)
    alone = {"common_shocks": False, "relative": False, "episode": EPISODE}
    env = EconomyVecEnv(economy, settings.pop("n_envs", 1), 1, seed, **alone)
    ((role, _),) = economy.roles.items()
    if settings.pop("normalise", False):
        env = VecNormalize(env, gamma=economy.discount)
    clock = _Clock(seconds)
    if settings.pop("decay", False):
        rate = settings["learning_rate"]
        settings["learning_rate"] = lambda _: (
            rate * max(0.01, 1 - (clock.elapsed / seconds if hasattr(clock, "started") else 0))
        )
    policy_kwargs = settings.pop("policy_kwargs", {})
    if policy_kwargs.pop("silu", False):
        policy_kwargs["activation_fn"] = torch.nn.SiLU
    # The discount factor is part of the problem and not a setting.
    model = {"PPO": PPO, "SAC": SAC}[kind](
        "MlpPolicy",
        env,
        gamma=economy.discount,
        seed=seed,
        device="cpu",
        policy_kwargs=policy_kwargs,
        **settings,
    )
    model.learn(10**9, callback=clock)

    def policy(state, moved=None):
        seen = economy.observe(state)[role].squeeze(-2)
        features = seen.reshape(-1, seen.shape[-1]).numpy().astype(np.float32)
        if isinstance(env, VecNormalize):
            features = env.normalize_obs(features)
        action, _ = model.predict(features, deterministic=True)
        share = ((1 + torch.as_tensor(action)) / 2).clamp(1e-5, 1 - 1e-5)
        return {role: share.reshape(*seen.shape[:-1], 1, 1).to(seen.dtype)}

    return policy, model.num_timesteps
