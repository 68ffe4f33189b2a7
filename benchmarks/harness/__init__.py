"""What all benchmarks need: a command line, a place for results, clocks, a table, calibrations."""

from .calibrations import CALIBRATIONS
from .clock import seconds_per_iteration, timed
from .command import run
from .learning import solved, train
from .record import RESULTS, commit, rounded, stored
from .sweeping import swept
from .table import table

__all__ = [
    "CALIBRATIONS",
    "RESULTS",
    "commit",
    "rounded",
    "run",
    "seconds_per_iteration",
    "solved",
    "stored",
    "swept",
    "table",
    "timed",
    "train",
]
