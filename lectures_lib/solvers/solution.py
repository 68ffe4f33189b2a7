"""Exact solutions, one line away: ``solve(economy).policy``. Chapter *Global solution*."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

from torch import Tensor

from ..economies import BrockMirman, Planner
from ..economies.base import Economy
from .euler import euler_residuals
from .steady_state import SteadyState, steady_state
from .time_iteration import time_iteration


@dataclass(frozen=True)
class Solution:
    """What somebody who knows the mathematics of an economy would do in it.

    Attributes
    ----------
    economy : Economy
    policy : callable
        ``policy(state)`` gives physical actions by role, as a learned policy does.
    iterations : int
        Iterations of the solver; zero for a closed form.
    """

    economy: Economy
    policy: Callable
    iterations: int = 0

    def euler_residuals(self, state) -> Tensor:
        """Unit-free residuals at `state` (:func:`lectures_lib.solvers.euler_residuals`)."""
        return euler_residuals(self.economy, self.policy, state)

    @property
    def steady_state(self) -> SteadyState:
        """The deterministic steady state."""
        return steady_state(self.economy)


@singledispatch
def solve(economy: Economy) -> Solution:
    """Solve an economy exactly.

    Parameters
    ----------
    economy : Planner or BrockMirman
        A planner needs one household and one good.

    Returns
    -------
    Solution

    Raises
    ------
    TypeError
        If there is no solver for the economy.
    ValueError
        If there is one, but not at this size.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> round(solve(Planner()).steady_state.capital, 3)
    25.634
    """
    raise TypeError(f"there is no solver for {type(economy).__name__}.")


@solve.register
def _(economy: Planner) -> Solution:
    if (economy.n_households, economy.n_goods) != (1, 1):
        raise ValueError(
            f"n_households={economy.n_households}, n_goods={economy.n_goods}: the planner is "
            "solved for one household and one good."
        )
    policy, iterations = time_iteration(economy)
    return Solution(economy, policy, iterations)


@solve.register
def _(economy: BrockMirman) -> Solution:
    def policy(state, moved=None):
        share = 1 - economy.alpha * economy.beta
        return {"planner": (share * economy.output(state)).unsqueeze(-1)}

    return Solution(economy, policy)
