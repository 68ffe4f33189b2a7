"""What a modeller who knows the mathematics of an economy does."""

# Economies join by being registered: the order is that in which messages list them.
from . import planner, growth, monopolist, market, trading_post, posted_prices  # noqa: F401, I001
from . import krusell_smith, international  # noqa: F401
from .capital_law import CapitalLaw, LawAccuracy, law_accuracy
from .commitment import Announcement, announced_prices
from .domain import OutsideDomain
from .euler import euler_residuals, marginal_values
from .krusell_smith import KrusellSmithSolution
from .least_squares import (
    Learnable,
    LeastSquaresPath,
    PerceivedLaw,
    expected_fates,
    learnable,
    least_squares,
)
from .markov_perfect import markov_perfect
from .perfect_foresight import ForesightPath, RestPoint, perfect_foresight, rest_points
from .piece import ConvergenceError
from .regimes import conditions_of, regimes_of
from .residual_fit import fit_residuals
from .saving import household_residuals
from .solution import ImpreciseSolution, Solution, solve
from .steady_state import SteadyState, at_rest, steady_state, without_risk
from .time_iteration import time_iteration

__all__ = [
    "Announcement",
    "CapitalLaw",
    "ConvergenceError",
    "ForesightPath",
    "ImpreciseSolution",
    "KrusellSmithSolution",
    "LawAccuracy",
    "Learnable",
    "LeastSquaresPath",
    "OutsideDomain",
    "PerceivedLaw",
    "RestPoint",
    "Solution",
    "SteadyState",
    "announced_prices",
    "at_rest",
    "conditions_of",
    "euler_residuals",
    "expected_fates",
    "fit_residuals",
    "household_residuals",
    "law_accuracy",
    "learnable",
    "least_squares",
    "marginal_values",
    "markov_perfect",
    "perfect_foresight",
    "regimes_of",
    "rest_points",
    "solve",
    "steady_state",
    "time_iteration",
    "without_risk",
]
