"""Stable-baselines3's learners on our economies, with policies that our judge can read."""

from __future__ import annotations

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from lectures_lib.economies import map_state

from .cells import Cell, economy_of
from .learning import policy_errors

#: Saving shares that an action at either end of [-1, 1] means.
LEAST = 1e-5


class EconomyVecEnv(VecEnv):
    """Groups of one-agent economies as a stable-baselines3 vector environment.

    Actions in [-1, 1] become the saving share (1 + a) / 2; observations are those that our own
    learners see. Episodes are cut, and reported as cut, after `episode` periods.

    Parameters
    ----------
    economy : Economy
    groups, replicates : int
    seed : int
    common_shocks : bool
        Whether the replicates of a group begin in the same state and receive the same shocks.
    relative : bool
        Whether rewards are differences from the group's mean.
    episode : int
    """

    def __init__(
        self,
        economy,
        groups: int,
        replicates: int,
        seed: int,
        *,
        common_shocks: bool,
        relative: bool,
        episode: int,
    ):
        ((self.role, role),) = economy.roles.items()
        self.economy, self.episode, self.relative = economy, episode, relative
        self.shape = (groups, replicates)
        self.own_luck = 1 if common_shocks else replicates
        self.generator = torch.Generator().manual_seed(seed)
        super().__init__(
            groups * replicates,
            gymnasium.spaces.Box(-np.inf, np.inf, (role.n_features,), np.float32),
            gymnasium.spaces.Box(-1, 1, (role.n_actions,), np.float32),
        )

    def _fresh(self):
        state = self.economy.reset((self.shape[0], self.own_luck), self.generator)
        return map_state(lambda x: x.expand(*self.shape, *x.shape[2:]), state)

    def _look(self, state):
        return self.economy.observe(state)[self.role].squeeze(-2).flatten(0, 1).numpy()

    def reset(self):
        self.state = self._fresh()
        # Staggered ages, so that not all groups end at once.
        groups, replicates = self.shape
        self.age = np.repeat(np.arange(groups) * self.episode // groups, replicates)
        return self._look(self.state)

    def step_async(self, actions):
        clipped = torch.as_tensor(np.clip(actions, -1, 1))
        self.actions = clipped.reshape(*self.shape, 1, -1)

    def step_wait(self):
        share = ((1 + self.actions) / 2).clamp(LEAST, 1 - LEAST)
        shocks = self.economy.draw((self.shape[0], self.own_luck), self.generator)
        step = self.economy.step(self.state, {self.role: share}, shocks)
        rewards = step.rewards[self.role].squeeze(-1)
        if self.relative:
            rewards = rewards - rewards.mean(1, keepdim=True)
        self.age += 1
        done = self.age >= self.episode
        infos = [{} for _ in range(self.num_envs)]
        self.state = step.state
        if done.any():
            last = self._look(self.state)
            for i in np.flatnonzero(done):
                infos[i] = {"terminal_observation": last[i], "TimeLimit.truncated": True}
            ended = torch.tensor(done).reshape(self.shape)
            self.state = map_state(
                lambda x, y: torch.where(ended.reshape(*self.shape, *[1] * (x.dim() - 2)), y, x),
                self.state,
                self._fresh(),
            )
            self.age[done] = 0
        return self._look(self.state), rewards.flatten().numpy(), done, infos

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


class _Judge(BaseCallback):
    """Notes the policy error from time to time."""

    def __init__(self, judge, every):
        super().__init__()
        self.judge, self.every, self.curve = judge, every, {"steps": [], "error": []}

    def note(self):
        if self.curve["steps"][-1:] != [self.num_timesteps]:
            self.curve["steps"].append(self.num_timesteps)
            self.curve["error"].append(float(f"{self.judge():.4g}"))

    def _on_step(self):
        if self.num_timesteps >= (len(self.curve["steps"]) + 1) * self.every:
            self.note()
        return True


def learn_elsewhere(cell: Cell, setting: dict, seed: int, steps: int, points: int = 1):
    """Train stable-baselines3's PPO or SAC for so many steps.

    Returns
    -------
    policy, curve
        The deterministic policy in the form that `evaluate` takes, and its errors on the way.
    """
    s, (economy, _) = dict(setting), economy_of(cell.economy)
    env = EconomyVecEnv(
        economy,
        s.pop("groups"),
        s.pop("replicates"),
        seed,
        common_shocks=cell.has("common", s),
        relative=s.pop("relative"),
        episode=s.pop("episode"),
    )
    if s.pop("normalise"):
        env = VecNormalize(env, gamma=economy.discount)
    if s.pop("decay"):
        rate = s["learning_rate"]
        s["learning_rate"] = lambda remaining: rate * max(0.01, remaining)
    network = {"net_arch": [s.pop("width")] * 2}
    if s.pop("silu"):
        network["activation_fn"] = torch.nn.SiLU
    if "log_std_init" in s:
        network["log_std_init"] = s.pop("log_std_init")
    # The discount factor is part of the problem and not a setting.
    model = {"sb3_ppo": PPO, "sb3_sac": SAC}[cell.learner](
        "MlpPolicy",
        env,
        gamma=economy.discount,
        seed=seed,
        device="cpu",
        policy_kwargs=network,
        **s,
    )
    ((role, _),) = economy.roles.items()

    def policy(state, moved=None):
        seen = economy.observe(state)[role].squeeze(-2)
        features = seen.reshape(-1, seen.shape[-1]).numpy().astype(np.float32)
        if isinstance(env, VecNormalize):
            features = env.normalize_obs(features)
        action, _ = model.predict(features, deterministic=True)
        share = ((1 + torch.as_tensor(action)) / 2).clamp(LEAST, 1 - LEAST)
        return {role: share.reshape(*seen.shape[:-1], 1, 1).to(seen.dtype)}

    def judge():
        (error,) = policy_errors(policy, cell.economy)
        return error

    judged = _Judge(judge, steps / points)
    model.learn(steps, callback=judged)
    judged.note()
    return policy, judged.curve
