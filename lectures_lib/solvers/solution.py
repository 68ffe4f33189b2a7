"""Exact solutions, one line away: ``solve(economy).policy``. Chapter *Global solution*."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

from torch import Tensor

from ..economies import BrockMirman, Market, Monopolist, Planner
from ..economies.base import Economy
from .euler import euler_residuals
from .euler_network import euler_network
from .monopolist import price_rule
from .regimes import known_kinds, resolve_regime
from .steady_state import SteadyState, steady_state
from .time_iteration import ConvergenceError, time_iteration, usual_degrees


@dataclass(frozen=True)
class Solution:
    """What somebody who knows the mathematics of an economy would do in it.

    Attributes
    ----------
    economy : Economy
    regime : str
        Who takes what as given.
    policy : callable
        ``policy(state)`` gives physical actions by role, as a learned policy does.
    iterations : int
        Iterations of the solver; zero for a closed form.
    """

    economy: Economy
    regime: str
    policy: Callable
    iterations: int = 0

    def euler_residuals(self, state) -> Tensor:
        """Unit-free residuals at `state` (:func:`lectures_lib.solvers.euler_residuals`)."""
        return euler_residuals(self.economy, self.policy, state, self.regime)

    @property
    def steady_state(self) -> SteadyState:
        """The deterministic steady state."""
        return steady_state(self.economy, self.regime)


def solve(economy: Economy, regime: str | None = None, method: str | None = None) -> Solution:
    """Solve an economy exactly.

    Parameters
    ----------
    economy : Planner, Market, BrockMirman or Monopolist
    regime : {"planner", "competitive", "nash", "monopsony"}, optional
        Whose choices rule: the planner's; or, in a market, those of households that take prices
        as given (the default), that know their own effect on prices and take the others' spending
        or orders as given (open-loop Nash equilibrium; see :func:`markov_perfect` for the other
        kind), or that collude.
    method : {"time iteration", "network"}, optional
        By default time iteration where it is precise (a few households with one or two goods), and
        a network elsewhere. Where investment cannot be negative and that often matters, as in a
        market of impatient households, look at the solution's Euler residuals before relying on it.

    Returns
    -------
    Solution

    Raises
    ------
    TypeError
        If there is no solver for the economy.
    ValueError
        If the regime or method is unknown, or time iteration is asked for at too large a size.
    ConvergenceError
        If time iteration is asked for and does not find a precise solution.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> round(solve(Planner()).steady_state.capital, 3)
    25.634
    """
    return _solver(economy, regime, method)


@singledispatch
def _solver(economy: Economy, regime: str | None, method: str | None) -> Solution:
    """The solution of an economy; derived classes are solved as their bases are."""
    raise TypeError(
        f"there is no solver for {type(economy).__name__}: {known_kinds()}. PPO learns in any "
        "economy, and euler_residuals judges any policy."
    )


@_solver.register(Planner)
@_solver.register(Market)
def _with_capital(economy, regime, method):
    regime = resolve_regime(economy, regime)
    if method not in (None, "time iteration", "network"):
        raise ValueError(f"method={method!r}: expected 'time iteration' or 'network'.")
    if method == "time iteration" or (method is None and usual_degrees(economy, regime)):
        try:
            return Solution(economy, regime, *time_iteration(economy, regime))
        except ConvergenceError:
            if method is not None:
                raise
    return Solution(economy, regime, *euler_network(economy, regime))


@_solver.register(Monopolist)
def _monopolist(economy, regime, method):
    _require_no_method(economy, method)
    return Solution(economy, resolve_regime(economy, regime), *price_rule(economy))


@_solver.register(BrockMirman)
def _brock_mirman(economy, regime, method):
    _require_no_method(economy, method)

    def policy(state, moved=None):
        share = 1 - economy.alpha * economy.beta
        return {"planner": (share * economy.output(state)).unsqueeze(-1)}

    return Solution(economy, resolve_regime(economy, regime), policy)


def _require_no_method(economy, method):
    if method is not None:
        raise ValueError(
            f"method={method!r}: {type(economy).__name__} has one method, so say none."
        )
