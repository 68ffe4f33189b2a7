"""An economy as a Gymnasium environment of one agent."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch

from ..economies.base import Economy
from .seat import seat_of
from .simulation import HORIZON, Simulation, judged_by
from .spaces import action_space, observation_space


class Gym(gymnasium.Env[np.ndarray, Any]):
    """One who decides in an economy.

    A planner decides for all its households, whose observations and actions are written one after
    the other; its reward is their mean utility. In a game one sits in the place of one agent, and
    all others follow a policy (:class:`~lectures_lib.economies.Alone`). Economies never end: an
    episode is cut (`truncated`) after `horizon` periods and never terminates, so that a learner has
    to go on from the value of the last observation.

    Parameters
    ----------
    economy : Economy
    policy : callable, Solution or Agent, optional
        What the others do; needed where there are others.
    role : str, optional
        In whose place one is, if several roles decide.
    agent : int
        Which of the role's agents.
    horizon : int or None
        Periods of an episode; with None it is never cut.
    actions : {"auto", "choices", "unit", "physical"}
        How an action is written: the place in the role's list of choices (`Discrete`, or
        `MultiDiscrete` for several); numbers in [-1, 1], of which 0 is the middle of what is
        feasible; or the economy's own units (:class:`~lectures_lib.interop.seat.Seat`). ``"auto"``
        takes choices if there are any, and otherwise [-1, 1].
    regret : bool
        Whether `info` says in each period what the agent has done (`action`) and what the
        reference would have done in its place (`reference`), both in physical units, and at the end
        of an episode what it has lost against the reference, from the same beginning and in the
        same luck (`regret`: :class:`~lectures_lib.interop.simulation.Regret`).
    reference : callable, Solution or Agent, optional
        The exact rule, such as ``solve(economy)``; needed with `regret`.
    dtype : torch.dtype
        Of the economy. Observations are float32 in any case.

    Raises
    ------
    ValueError
        If it is not said what others do, or a value is out of range; the message names it.
    TypeError
        If what should be a policy is none.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> env = Gym(Planner(4), horizon=100)
    >>> env.observation_space.shape, env.action_space.shape
    ((12,), (4,))
    >>> observation, info = env.reset(seed=0)
    >>> action = env.action_space.sample()
    >>> observation, reward, *over, info = env.step(action)
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # Gymnasium has it so

    def __init__(
        self,
        economy: Economy,
        policy: Any = None,
        role: str | None = None,
        agent: int = 0,
        *,
        horizon: int | None = HORIZON,
        actions: str = "auto",
        regret: bool = False,
        reference: Any = None,
        dtype: torch.dtype = torch.float32,
    ):
        seat = seat_of(economy, policy, role, agent, actions)
        self.economy = economy
        self._simulation = Simulation(
            seat, 1, reference=judged_by(regret, reference), horizon=horizon, dtype=dtype
        )
        self.observation_space, self.action_space = observation_space(seat), action_space(seat)

    @property
    def state(self) -> Any:
        """The economy's, of batch shape (1,)."""
        return self._simulation.state

    @torch.no_grad()
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode.

        Parameters
        ----------
        seed : int, optional
            Of initial states and of all luck from now on. Without one the same stream goes on, and
            at first it is anybody's guess.
        options : dict, optional
            ``{"state": state}`` begins in a state of the economy.

        Returns
        -------
        observation : ndarray of float32, shape (features,)
        info : dict
        """
        super().reset(seed=seed)
        self._simulation.take(seed, self.np_random)
        self._simulation.begin(state=(options or {}).get("state"))
        return self._simulation.look()[0].numpy(), {}

    @torch.no_grad()
    def step(self, action: Any):
        """A period.

        Returns
        -------
        observation : ndarray of float32, shape (features,)
        reward : float
        terminated, truncated : bool
        info : dict
            Quantities of the period, such as consumption, by name.

        Raises
        ------
        ValueError
            If an action is no number, or not feasible.
        """
        reward, info = self._simulation.step(np.asarray(action))
        over = self._simulation.some_over
        told: dict[str, Any] = {
            name: x.item() if x.dim() == 1 else x[0].numpy().copy() for name, x in info.items()
        }
        regret = self._simulation.regret
        if over and regret is not None:
            told["regret"] = regret.value.item()
        return self._simulation.look()[0].numpy(), reward.item(), False, over, told
