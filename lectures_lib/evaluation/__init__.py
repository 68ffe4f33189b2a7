"""How good is a policy? Measured against the exact one, under the same shocks."""

from .accuracy import DynamicAccuracy, dynamic_accuracy
from .best_response import BestResponse
from .error_bound import ErrorBound, error_bound
from .exploitability import Exploitability, exploitability
from .finite import Cycle, departure_gains, limit_cycle
from .impulse import impulse_response
from .information import InformationValue, value_of_information
from .law_of_motion import LawOfMotion, law_of_motion
from .long_run import burn_in
from .moments import Estimate, Moments, ergodic_moments
from .parts import SpendingErrors, spending_errors
from .report import ReferenceBeaten, Report, RoleReport, evaluate
from .simulation import best_fixed_action, initial_states, simulate

__all__ = [
    "BestResponse",
    "Cycle",
    "DynamicAccuracy",
    "ErrorBound",
    "Estimate",
    "Exploitability",
    "InformationValue",
    "LawOfMotion",
    "Moments",
    "ReferenceBeaten",
    "Report",
    "RoleReport",
    "SpendingErrors",
    "best_fixed_action",
    "burn_in",
    "departure_gains",
    "dynamic_accuracy",
    "ergodic_moments",
    "error_bound",
    "evaluate",
    "exploitability",
    "impulse_response",
    "initial_states",
    "law_of_motion",
    "limit_cycle",
    "simulate",
    "spending_errors",
    "value_of_information",
]
