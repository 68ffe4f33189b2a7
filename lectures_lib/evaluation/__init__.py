"""How good is a policy? Measured against the exact one, under the same shocks."""

from .report import Report, evaluate
from .simulation import best_fixed_action, impulse_response, initial_states, simulate

__all__ = [
    "Report",
    "best_fixed_action",
    "evaluate",
    "impulse_response",
    "initial_states",
    "simulate",
]
