"""Which of several equilibria do learners find?

Parts of `selection.py` are maps of where societies end that learn by trial and error; those of
`forecasters.py` are about households who know the model and estimate a law of motion.
"""

from benchmarks.harness import run

from . import forecasters, selection

PARTS = selection.PARTS | forecasters.PARTS

if __name__ == "__main__":
    run("equilibria", __doc__, PARTS)
