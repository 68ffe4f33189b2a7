"""What a modeller who knows the mathematics of an economy does."""

# Economies join by being registered: the order is that in which messages list them.
from . import planner, growth, monopolist, market, trading_post, posted_prices  # noqa: F401, I001
from .domain import OutsideDomain
from .euler import euler_residuals, marginal_values
from .markov_perfect import markov_perfect
from .piece import ConvergenceError
from .regimes import conditions_of, regimes_of
from .solution import ImpreciseSolution, Solution, solve
from .steady_state import SteadyState, at_rest, steady_state, without_risk
from .time_iteration import time_iteration

__all__ = [
    "ConvergenceError",
    "ImpreciseSolution",
    "OutsideDomain",
    "Solution",
    "SteadyState",
    "at_rest",
    "conditions_of",
    "euler_residuals",
    "marginal_values",
    "markov_perfect",
    "regimes_of",
    "solve",
    "steady_state",
    "time_iteration",
    "without_risk",
]
