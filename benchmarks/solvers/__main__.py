"""How precise are the exact solutions, and how long do they take?"""

from benchmarks.harness import run

from . import accuracy, bounds, calibrated, games

PARTS = accuracy.PARTS | games.PARTS | calibrated.PARTS | bounds.PARTS

if __name__ == "__main__":
    run("solvers", __doc__, PARTS)
