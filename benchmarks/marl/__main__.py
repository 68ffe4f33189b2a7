"""What do learners find who learn together? Prices, teams and small games.

Parts of `collusion.py` are about the market of Calvano, Calzolari, Denicolò and Pastorello (2020).
"""

from benchmarks.harness import run

from . import collusion

PARTS = collusion.PARTS

if __name__ == "__main__":
    run("marl", __doc__, PARTS)
