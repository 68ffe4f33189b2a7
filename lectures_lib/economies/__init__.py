"""The rules of each economy. Nothing here knows of learning."""

from ..autoregression import AutoRegression
from ..markov import MarkovChain
from .alone import Alone
from .base import Economy, Role, Sight, Step, TooManyOutcomes, map_state
from .bertrand import Bertrand
from .constrained import Constrained
from .contract import BrokenRules, check
from .discretised import Discretised
from .externality import Externality
from .fields import Field, Fields
from .game_tables import GameTables
from .growth import BrockMirman
from .information import InformationMarket
from .international import InternationalCycle
from .krusell_smith import KrusellSmith
from .market import Market
from .matrix import Matrix, TwoStep
from .monopolist import Monopolist
from .planner import Planner
from .play import FixedAction, Policy, play
from .rationing import Rationing
from .respecified import Respecified
from .sellers import PostedPrice, TradingPost
from .simultaneous import SimultaneousPrice
from .tables import Tables

__all__ = [
    "Alone",
    "AutoRegression",
    "Bertrand",
    "BrockMirman",
    "BrokenRules",
    "Constrained",
    "Discretised",
    "Economy",
    "Externality",
    "Field",
    "Fields",
    "FixedAction",
    "GameTables",
    "InformationMarket",
    "InternationalCycle",
    "KrusellSmith",
    "Market",
    "MarkovChain",
    "Matrix",
    "Monopolist",
    "Planner",
    "Policy",
    "PostedPrice",
    "Rationing",
    "Respecified",
    "Role",
    "Sight",
    "SimultaneousPrice",
    "Step",
    "Tables",
    "TooManyOutcomes",
    "TradingPost",
    "TwoStep",
    "check",
    "map_state",
    "play",
]
