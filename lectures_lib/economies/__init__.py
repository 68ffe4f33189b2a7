"""The rules of each economy. Nothing here knows of learning."""

from ..markov import MarkovChain
from .base import Economy, FixedAction, Role, Step, TooManyOutcomes, map_state
from .growth import BrockMirman
from .market import Market
from .monopolist import Monopolist
from .planner import Planner
from .tables import Tables

__all__ = [
    "BrockMirman",
    "Economy",
    "FixedAction",
    "Market",
    "MarkovChain",
    "Monopolist",
    "Planner",
    "Role",
    "Step",
    "Tables",
    "TooManyOutcomes",
    "map_state",
]
