"""What a modeller who knows the mathematics of an economy does."""

from .domain import OutsideDomain
from .euler import euler_residuals, marginal_values
from .markov_perfect import markov_perfect
from .piece import ConvergenceError
from .regimes import REGIMES
from .solution import ImpreciseSolution, Solution, solve
from .steady_state import SteadyState, steady_state, without_risk
from .time_iteration import time_iteration

__all__ = [
    "REGIMES",
    "ConvergenceError",
    "ImpreciseSolution",
    "OutsideDomain",
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
