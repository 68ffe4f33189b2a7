"""The rules of each economy. Nothing here knows of learning."""

from ..markov import MarkovChain
from .base import Economy, FixedAction, Role, Step, TooManyOutcomes, map_state
from .growth import BrockMirman
from .market import Market
from .planner import Planner

__all__ = [
    "BrockMirman",
    "Economy",
    "FixedAction",
    "Market",
    "MarkovChain",
    "Planner",
    "Role",
    "Step",
    "TooManyOutcomes",
    "map_state",
]
