"""What solvers know of a planner. Chapters *The planner's formulation* and *Steady state*."""

from __future__ import annotations

from ..economies import Planner
from .capital import rest, solve_with_capital
from .regimes import Conditions, conditions_of, regimes_of
from .solution import solve
from .steady_state import steady_state

solve.register(Planner, solve_with_capital)
conditions_of.register(Planner, Conditions)


@regimes_of.register(Planner)
def _(economy):
    return ("planner",)


@steady_state.register(Planner)
def _(economy, regime, method):
    return rest(economy, regime, method, economy.efficient_capital)
