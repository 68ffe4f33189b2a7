"""Other libraries' learners on our economies, wrapped so that our judge can read their policies."""

from __future__ import annotations

import time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from lectures_lib.economies import map_state


class EconomyVecEnv(VecEnv):
    """A batch of one-agent economies as a stable-baselines3 vector environment.

    Actions in [-1, 1] become the saving share (1 + a) / 2; observations are those that our own
    learners see. Episodes are cut, and reported as cut, after `episode` periods.
    """

    def __init__(self, economy, n_envs: int, seed: int, episode: int = 1000):
        ((self.role, role),) = economy.roles.items()
        self.economy, self.episode = economy, episode
        self.generator = torch.Generator().manual_seed(seed)
        super().__init__(
            n_envs,
            gymnasium.spaces.Box(-np.inf, np.inf, (role.n_features,), np.float32),
            gymnasium.spaces.Box(-1, 1, (role.n_actions,), np.float32),
        )

    def _look(self, state):
        return self.economy.observe(state)[self.role].squeeze(-2).numpy()

    def reset(self):
        self.state = self.economy.reset((self.num_envs,), self.generator)
        # Staggered ages, so that not all episodes end at once.
        self.age = np.arange(self.num_envs) * self.episode // self.num_envs
        return self._look(self.state)

    def step_async(self, actions):
        self.actions = torch.as_tensor(np.clip(actions, -1, 1)).unsqueeze(1)

    def step_wait(self):
        share = ((1 + self.actions) / 2).clamp(1e-5, 1 - 1e-5)
        shocks = self.economy.draw((self.num_envs,), self.generator)
        step = self.economy.step(self.state, {self.role: share}, shocks)
        self.age += 1
        done = self.age >= self.episode
        infos = [{} for _ in range(self.num_envs)]
        self.state = step.state
        if done.any():
            last = self._look(self.state)
            for i in np.flatnonzero(done):
                infos[i] = {"terminal_observation": last[i], "TimeLimit.truncated": True}
            fresh, mask = self.economy.reset((self.num_envs,), self.generator), torch.tensor(done)
            self.state = map_state(
                lambda x, y: torch.where(mask.reshape(-1, *[1] * (x.dim() - 1)), y, x),
                self.state,
                fresh,
            )
            self.age[done] = 0
        return self._look(self.state), step.rewards[self.role].squeeze(-1).numpy(), done, infos

    def close(self):
        pass

    def get_attr(self, name, indices=None):
        return [getattr(self, name, None)] * self.num_envs

    def set_attr(self, name, value, indices=None):
        setattr(self, name, value)

    def env_method(self, name, *args, indices=None, **kwargs):
        raise AttributeError(f"environments have no method {name!r}")

    def env_is_wrapped(self, wrapper, indices=None):
        return [False] * self.num_envs


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
    env = EconomyVecEnv(economy, settings.pop("n_envs", 1), seed)
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
    ((role, _),) = economy.roles.items()

    def policy(state, moved=None):
        seen = economy.observe(state)[role].squeeze(-2)
        features = seen.reshape(-1, seen.shape[-1]).numpy().astype(np.float32)
        if isinstance(env, VecNormalize):
            features = env.normalize_obs(features)
        action, _ = model.predict(features, deterministic=True)
        share = ((1 + torch.as_tensor(action)) / 2).clamp(1e-5, 1 - 1e-5)
        return {role: share.reshape(*seen.shape[:-1], 1, 1).to(seen.dtype)}

    return policy, model.num_timesteps
