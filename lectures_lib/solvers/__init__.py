"""What a modeller who knows the mathematics of an economy does."""

from .euler import euler_residuals, marginal_values
from .markov_perfect import markov_perfect
from .regimes import REGIMES
from .solution import Solution, solve
from .steady_state import SteadyState, steady_state, without_risk
from .piece import ConvergenceError
from .time_iteration import time_iteration

__all__ = [
    "REGIMES",
    "ConvergenceError",
    "Solution",
    "SteadyState",
    "euler_residuals",
    "marginal_values",
    "markov_perfect",
    "solve",
    "steady_state",
    "time_iteration",
    "without_risk",
]
