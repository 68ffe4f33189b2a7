"""Environments of an economy as other libraries' users make them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers.utils import RunningMeanStd

from lectures_lib.economies import Economy
from lectures_lib.interop import Gym, VectorGym

#: Scaled observations and rewards are cut there.
LARGEST, EPSILON = 10.0, 1e-8


class Scaled(VectorWrapper):
    """Observations and rewards by running means and deviations, as PPO's authors had them.

    Gymnasium's own wrappers refuse environments that begin anew in the step in which they end.

    Parameters
    ----------
    env : VectorEnv
    discount : float
        Rewards are divided by the deviation of their discounted sum.
    """

    def __init__(self, env: VectorEnv, discount: float):
        super().__init__(env)
        self.discount, self.autoreset_mode = discount, env.autoreset_mode
        self.seen = RunningMeanStd(shape=env.single_observation_space.shape)
        self.sums = RunningMeanStd(shape=())
        self._sum = np.zeros(env.num_envs)

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Observations by the scale as it stands."""
        x = (x - self.seen.mean) / np.sqrt(self.seen.var + EPSILON)
        return np.clip(x, -LARGEST, LARGEST).astype(np.float32)

    def reset(self, **options):
        seen, info = self.env.reset(**options)
        self.seen.update(seen)
        return self.scaled(seen), info

    def step(self, actions):
        seen, rewards, terminated, truncated, info = self.env.step(actions)
        self.seen.update(seen)
        self._sum = self.discount * self._sum + rewards
        self.sums.update(self._sum)
        self._sum[terminated | truncated] = 0
        rewards = np.clip(rewards / np.sqrt(self.sums.var + EPSILON), -LARGEST, LARGEST)
        if "final_obs" in info:
            last = info["final_obs"]
            for i in np.flatnonzero(info["_final_obs"]):
                last[i] = self.scaled(last[i])
        return self.scaled(seen), rewards, terminated, truncated, info


def single_or_vector(economy: Economy, setting: dict, *, single: bool) -> VectorEnv:
    """Copies in Gymnasium's own loop, or in one batch, with running scales if asked for.

    Parameters
    ----------
    economy : Economy
    setting : dict
        As `settings.py` has it.
    single : bool
        Whether each copy is an environment of its own.
    """
    copies, horizon, mode = setting["copies"], setting["horizon"], AutoresetMode.SAME_STEP
    env: VectorEnv
    if single:
        make = [lambda: Gym(economy, horizon=horizon)] * copies
        env = SyncVectorEnv(make, autoreset_mode=mode)
    else:
        env = VectorGym(economy, copies, horizon=horizon, autoreset=mode, stagger=copies)
    return Scaled(env, economy.discount) if setting["normalise"] else env


def as_seen(env: VectorEnv) -> Callable[[np.ndarray], np.ndarray]:
    """How observations come out of an environment, by its scale as it stands."""
    while isinstance(env, VectorWrapper):
        if isinstance(env, Scaled):
            return env.scaled
        env = env.env
    return lambda x: x
