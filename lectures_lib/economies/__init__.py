"""The rules of each economy. Nothing here knows of learning."""

from ..markov import MarkovChain
from .alone import Alone
from .base import Economy, Role, Sight, Step, TooManyOutcomes, map_state
from .fields import Field, Fields
from .growth import BrockMirman
from .market import Market
from .monopolist import Monopolist
from .planner import Planner
from .play import FixedAction, Policy, play
from .tables import Tables

__all__ = [
    "Alone",
    "BrockMirman",
    "Economy",
    "Field",
    "Fields",
    "FixedAction",
    "Market",
    "MarkovChain",
    "Monopolist",
    "Planner",
    "Policy",
    "Role",
    "Sight",
    "Step",
    "Tables",
    "TooManyOutcomes",
    "map_state",
    "play",
]
