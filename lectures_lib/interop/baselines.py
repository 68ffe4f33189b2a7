"""The vector environment as stable-baselines3 wants it, which takes none of Gymnasium's."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from ..economies.base import Economy
from .vector import VectorGym


class StableBaselines(VecEnv):
    """Copies of an economy in one batch, for stable-baselines3's learners.

    Episodes are cut, and reported as cut (`TimeLimit.truncated`), so that learners go on from the
    value of the last observation (`terminal_observation`). A copy's `info` is empty until then, as
    a dictionary of quantities for each copy would take longer than the economy; a `regret` that is
    asked for is there then.

    Parameters
    ----------
    economy : Economy
    num_envs : int
        How many copies.
    **options
        What else :class:`VectorGym` takes, but for `autoreset`.

    Attributes
    ----------
    vector : VectorGym

    Examples
    --------
    >>> from stable_baselines3 import PPO
    >>> from lectures_lib.economies import Planner
    >>> economy = Planner()
    >>> env = StableBaselines(economy, 64, horizon=100)
    >>> model = PPO("MlpPolicy", env, gamma=economy.discount, device="cpu")
    """

    def __init__(self, economy: Economy, num_envs: int, **options: Any):
        self.vector = VectorGym(economy, num_envs, autoreset=AutoresetMode.SAME_STEP, **options)
        super().__init__(
            self.vector.num_envs,
            self.vector.single_observation_space,
            self.vector.single_action_space,
        )

    def reset(self) -> np.ndarray:
        """Begin episodes in all copies, with the seed that `seed` was given, if it was."""
        observations, _ = self.vector.reset(seed=self._seeds[0])
        self._reset_seeds()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """What :meth:`step_wait` will do."""
        self._actions = actions

    def step_wait(self):
        """A period of all copies: observations, rewards, whether episodes are over, and infos."""
        observations, rewards, _, over, info = self.vector.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(over):
            infos[i] = {"terminal_observation": info["final_obs"][i], "TimeLimit.truncated": True}
            if "regret" in info["final_info"]:
                infos[i]["regret"] = float(info["final_info"]["regret"][i])
        return observations, rewards, over, infos

    def close(self) -> None:
        """There is nothing to close."""

    def get_attr(self, attr_name: str, indices=None) -> list[Any]:
        """An attribute of :class:`VectorGym`, once for each copy that is asked for."""
        return [getattr(self.vector, attr_name)] * len([*self._get_indices(indices)])

    def set_attr(self, attr_name: str, value: Any, indices=None) -> None:
        """Copies have no attributes of their own.

        Raises
        ------
        AttributeError
        """
        raise AttributeError(f"copies of an economy have no attribute {attr_name!r} of their own.")

    def env_method(self, method_name: str, *args, indices=None, **kwargs) -> list[Any]:
        """Copies have no methods of their own.

        Raises
        ------
        AttributeError
        """
        raise AttributeError(f"copies of an economy have no method {method_name!r} of their own.")

    def env_is_wrapped(self, wrapper_class, indices=None) -> list[bool]:
        """Nothing is wrapped."""
        return [False] * len([*self._get_indices(indices)])
