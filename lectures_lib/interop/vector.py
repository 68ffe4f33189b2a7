"""Copies of an economy as a Gymnasium vector environment: one batch, and no loop over copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ..device import resolve_device
from ..economies.base import Economy
from ..parameters import require
from .seat import seat_of
from .simulation import HORIZON, Simulation, judged_by
from .spaces import action_space, observation_space


class VectorGym(VectorEnv[Any, Any, Any]):
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
    tensors : bool
        Whether observations, rewards, flags and quantities are torch tensors, as actions then have
        to be, on `device`. No step copies a number to the host, and therefore none looks whether
        an action is one: a NaN is not refused. With ``"SameStep"``, `final_obs` is a tensor
        (copies, features), of which `_final_obs` says which rows have ended.
    device : str or torch.device
        Where economies live; ``"auto"`` takes a GPU when there is one. Another one than the CPU
        needs `tensors`.

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

    Everything stays where it is computed, on a GPU if there is one:

    >>> env = VectorGym(Planner(), 64, tensors=True, device="auto")
    >>> observations, info = env.reset(seed=0)
    >>> shares = torch.zeros(64, 1, device=observations.device)
    >>> observations, rewards, *over, info = env.step(shares)
    >>> type(rewards).__name__, rewards.shape
    ('Tensor', torch.Size([64]))
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
        tensors: bool = False,
        device: str | torch.device = "cpu",
    ):
        place = resolve_device(device)
        require(
            tensors or place.type == "cpu", "device", device, "'cpu', or tensors=True beside it"
        )
        seat = seat_of(economy, policy, role, agent, actions)
        known = [mode.value for mode in AutoresetMode]
        given = isinstance(autoreset, AutoresetMode) or autoreset in known
        require(given, "autoreset", autoreset, f"one of {known}")
        self.economy, self.autoreset_mode = economy, AutoresetMode(autoreset)
        self._simulation = Simulation(
            seat,
            num_envs,
            common,
            judged_by(regret, reference),
            horizon,
            stagger,
            dtype,
            place,
            checked=not tensors,
        )
        self.tensors = tensors
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
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes, in all copies unless it is said in which.

        Parameters
        ----------
        seed : int or sequence of int, optional
            Of initial states and of all luck from now on: one stream for all copies; or one for
            each copy, or group of them, whose luck is then that of a :class:`Gym` with its seed.
            The latter is slow, as each draws by itself.
        options : dict, optional
            ``"reset_mask"``: which copies begin anew, an array of bool (copies,), or a tensor,
            which is copied to the host; ``"state"``: in which states of the economy (copies, ...),
            or in which one.

        Returns
        -------
        observations : ndarray (or tensor) of float32, shape (copies, features)
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
        mask = mask.cpu().numpy() if isinstance(mask, torch.Tensor) else mask
        if mask is not None:
            fits = isinstance(mask, np.ndarray) and mask.dtype == bool
            fits = fits and mask.shape == (self.num_envs,) and self.state is not None
            expected = f"an array of {self.num_envs} bool, after a first reset of all copies"
            require(fits, "reset_mask", mask, expected)
        self._simulation.begin(mask, options.get("state"))
        still = None if mask is None or self._ended is None else self._ended & ~mask
        self._ended = still if still is not None and still.any() else None
        return self._out(self._simulation.look()), {}

    @torch.no_grad()
    def step(self, actions: Any):
        """A period of all copies; with `tensors` all arrays are tensors on the device.

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
        TypeError
            If with `tensors` actions are no tensor.
        """
        simulation = self._simulation
        new = self._ended  # None, nearly always, and then nothing more is asked
        if new is not None and self.autoreset_mode == AutoresetMode.DISABLED:
            raise ValueError(
                f"the episodes of the copies {np.flatnonzero(new)[:5].tolist()}... are over: "
                "reset(options={'reset_mask': terminations | truncations}) begins them anew."
            )
        if new is not None and new.all():
            simulation.begin(new)
            self._ended = None
            zero = self._out(torch.zeros(self.num_envs, device=simulation.device))
            return self._out(simulation.look()), zero, self._flags(), self._flags(), {}
        rows = self._entered(actions)
        if new is not None:
            first = int(np.flatnonzero(~new)[0])  # what is ignored need not be feasible
            rows = torch.where(
                self._mask(new).reshape(-1, *[1] * (rows.dim() - 1)), rows[first], rows
            )
        reward, quantities = simulation.step(rows)
        known: np.ndarray | bool = True
        if new is not None:
            simulation.begin(new)
            reward, known = torch.where(self._mask(new), 0.0, reward), ~new
        info = {name: self._out(x) for name, x in quantities.items()}
        observations, rewards = self._out(simulation.look()), self._out(reward)
        self._ended = over = simulation.over if simulation.some_over else None
        if over is None:
            return observations, rewards, self._flags(), self._flags(), self._told(info, known)
        cut = self._flags(over)
        if simulation.regret is not None:
            value = simulation.regret.value
            info["regret"] = self._out(torch.where(self._mask(over), value, torch.nan))
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            simulation.begin(over)
            self._ended, info = None, self._final(info, observations, over)
            observations = self._out(simulation.look())
        else:
            info = self._told(info, known)
        return observations, rewards, self._flags(), cut, info

    # ------------------------------------------------------------------ arrays, or tensors
    def _out(self, x: torch.Tensor) -> Any:
        return x if self.tensors else x.numpy()

    def _entered(self, actions) -> torch.Tensor:
        if self.tensors and not isinstance(actions, torch.Tensor):
            raise TypeError(
                f"actions are a {type(actions).__name__}: with tensors=True expected a torch "
                f"tensor on {self._simulation.device}."
            )
        return actions if self.tensors else torch.from_numpy(np.asarray(actions))

    def _mask(self, where: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(where).to(self._simulation.device)

    def _flags(self, where: np.ndarray | bool = False) -> Any:
        """Flags that are the caller's own, alike for all copies or as it is said where."""
        if isinstance(where, np.ndarray):
            return self._mask(where.copy()) if self.tensors else where.copy()
        if self.tensors:
            return torch.full((self.num_envs,), where, device=self._simulation.device)
        return np.full(self.num_envs, where)

    def _told(self, info, known: np.ndarray | bool):
        """Quantities, each with the mask of the copies of which it is known."""
        flags = self._flags(known)
        return info | {f"_{name}": flags for name in info}

    def _final(self, info, observations, ended):
        """Of episodes that have ended, what is known, apart from what is known of others."""
        last = observations
        if not self.tensors:
            last = np.full(len(ended), None, dtype=object)
            for i in np.flatnonzero(ended):  # as Gymnasium has it: an array of arrays
                last[i] = observations[i]
        going = {name: x for name, x in info.items() if name != "regret"}
        return (
            {"final_obs": last, "_final_obs": self._flags(ended)}
            | {"final_info": self._told(info, ended), "_final_info": self._flags(ended)}
            | self._told(going, ~ended)
        )
