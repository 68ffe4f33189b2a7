"""Copies of an economy as a Gymnasium vector environment: one batch, and no loop over copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ..economies.base import Economy
from ..parameters import require
from .seat import seat_of
from .simulation import HORIZON, Simulation, judged_by
from .spaces import action_space, observation_space


class VectorGym(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Copies of :class:`Gym` in one batch of tensors.

    Parameters
    ----------
    economy : Economy
    num_envs : int
        How many copies.
    policy, role, agent, horizon, actions, regret, reference, dtype
        As for :class:`Gym`. In `info`, `regret` is NaN of episodes that go on.
    common : int
        So many copies, one after the other, are a group that begins in the same state and has the
        same luck (common random numbers): what differs in a group is what its actions have done.
    autoreset : AutoresetMode or str
        When a copy whose episode is over begins anew: in the step after it, whose action is ignored
        and whose reward is zero (``"NextStep"``); in the same step, whose `info` then has
        the last observation and all else of the ended episode in `final_obs` and `final_info`
        (``"SameStep"``); or when ``reset(options={"reset_mask": mask})`` says so (``"Disabled"``).
        `metadata["autoreset_mode"]` has it.
    stagger : int
        In so many blocks of copies, one after the other, the first episodes are cut at times of
        their own, evenly spread, so that not all begin anew at once.

    Raises
    ------
    ValueError
        If it is not said what others do, or a value is out of range; the message names it.
    TypeError
        If what should be a policy is none.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> env = VectorGym(Planner(), 64, common=16)
    >>> observations, info = env.reset(seed=0)
    >>> observations.shape, env.metadata["autoreset_mode"]
    ((64, 3), <AutoresetMode.NEXT_STEP: 'NextStep'>)
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        economy: Economy,
        num_envs: int,
        policy: Any = None,
        role: str | None = None,
        agent: int = 0,
        *,
        horizon: int | None = HORIZON,
        actions: str = "auto",
        regret: bool = False,
        reference: Any = None,
        common: int = 1,
        autoreset: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        stagger: int = 1,
        dtype: torch.dtype = torch.float32,
    ):
        seat = seat_of(economy, policy, role, agent, actions)
        known = [mode.value for mode in AutoresetMode]
        given = isinstance(autoreset, AutoresetMode) or autoreset in known
        require(given, "autoreset", autoreset, f"one of {known}")
        self.economy, self.autoreset_mode = economy, AutoresetMode(autoreset)
        self._simulation = Simulation(
            seat, num_envs, common, judged_by(regret, reference), horizon, stagger, dtype
        )
        self.num_envs = self._simulation.copies
        self.metadata = type(self).metadata | {"autoreset_mode": self.autoreset_mode}
        self.single_observation_space = observation_space(seat)
        self.single_action_space = action_space(seat)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._ended: np.ndarray | None = None

    @property
    def state(self) -> Any:
        """The economies', of batch shape (copies,)."""
        return self._simulation.state

    @torch.no_grad()
    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes, in all copies unless it is said in which.

        Parameters
        ----------
        seed : int or sequence of int, optional
            Of initial states and of all luck from now on: one stream for all copies; or one for
            each copy, or group of them, whose luck is then that of a :class:`Gym` with its seed.
            The latter is slow, as each draws by itself.
        options : dict, optional
            ``"reset_mask"``: which copies begin anew, an array of bool (copies,); ``"state"``: in
            which states of the economy (copies, ...), or in which one.

        Returns
        -------
        observations : ndarray of float32, shape (copies, features)
        info : dict

        Raises
        ------
        ValueError
            If seeds, mask or states do not fit.
        """
        options = options or {}
        super().reset(seed=seed if isinstance(seed, int) else None)
        self._simulation.take(seed, self.np_random)
        mask = options.get("reset_mask")
        if mask is not None:
            fits = isinstance(mask, np.ndarray) and mask.dtype == bool
            fits = fits and mask.shape == (self.num_envs,) and self.state is not None
            expected = f"an array of {self.num_envs} bool, after a first reset of all copies"
            require(fits, "reset_mask", mask, expected)
        self._simulation.begin(mask, options.get("state"))
        still = None if mask is None or self._ended is None else self._ended & ~mask
        self._ended = still if still is not None and still.any() else None
        return self._simulation.look().numpy(), {}

    @torch.no_grad()
    def step(self, actions: np.ndarray):
        """A period of all copies.

        Parameters
        ----------
        actions : ndarray, shape (copies, actions), or (copies,) for a single choice

        Returns
        -------
        observations : ndarray of float32, shape (copies, features)
        rewards : ndarray, shape (copies,)
        terminations, truncations : ndarray of bool, shape (copies,)
            Nothing terminates.
        info : dict
            Quantities of the period (copies, ...) by name, each with a mask ``_name`` of the copies
            that it is known of.

        Raises
        ------
        ValueError
            If an action is no number, or not feasible; or a copy has ended and was not reset.
        """
        simulation, nobody = self._simulation, np.zeros(self.num_envs, dtype=bool)
        new = self._ended  # None, nearly always, and then nothing more is asked
        if new is not None and self.autoreset_mode == AutoresetMode.DISABLED:
            raise ValueError(
                f"the episodes of the copies {np.flatnonzero(new)[:5].tolist()}... are over: "
                "reset(options={'reset_mask': terminations | truncations}) begins them anew."
            )
        if new is not None and new.all():
            simulation.begin(new)
            self._ended = None
            zero = np.zeros(self.num_envs, dtype=np.float32)
            return simulation.look().numpy(), zero, nobody, nobody.copy(), {}
        actions = np.asarray(actions)
        if new is not None:
            actions = actions.copy()
            actions[new] = actions[~new][0]  # what is ignored need not be feasible
        reward, quantities = simulation.step(actions)
        rewards, known = reward.numpy(), np.ones(self.num_envs, dtype=bool)
        if new is not None:
            simulation.begin(new)
            rewards, known = np.where(new, 0, rewards), ~new
        info = {name: x.numpy() for name, x in quantities.items()}
        observations = simulation.look().numpy()
        self._ended = over = simulation.over if simulation.some_over else None
        if over is None:
            return observations, rewards, nobody, nobody.copy(), _told(info, known)
        if simulation.regret is not None:
            info["regret"] = np.where(over, simulation.regret.value.numpy(), np.nan)
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            simulation.begin(over)
            self._ended, info = None, _final(info, observations, over)
            observations = simulation.look().numpy()
        else:
            info = _told(info, known)
        return observations, rewards, nobody, over.copy(), info


def _told(info, known):
    """Quantities, each with the mask of the copies of which it is known."""
    return info | {f"_{name}": known for name in info}


def _final(info, observations, ended):
    """Of episodes that have ended: what is known of them, apart from what is known of others."""
    last = np.full(len(ended), None, dtype=object)
    for i in np.flatnonzero(ended):  # as Gymnasium has it: an array of arrays
        last[i] = observations[i]
    going = {name: x for name, x in info.items() if name != "regret"}
    return (
        {"final_obs": last, "_final_obs": ended.copy()}
        | {"final_info": _told(info, ended.copy()), "_final_info": ended.copy()}
        | _told(going, ~ended)
    )
