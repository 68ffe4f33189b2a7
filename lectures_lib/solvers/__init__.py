"""What a modeller who knows the mathematics of an economy does."""

from .euler import euler_residuals, marginal_values
from .solution import Solution, solve
from .steady_state import SteadyState, steady_state, without_risk
from .time_iteration import time_iteration

__all__ = [
    "Solution",
    "SteadyState",
    "euler_residuals",
    "marginal_values",
    "solve",
    "steady_state",
    "time_iteration",
    "without_risk",
]
