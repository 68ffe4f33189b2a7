"""What do learners find who learn together? Prices, teams and small games.

Parts of `collusion.py` are about the market of Calvano, Calzolari, Denicolò and Pastorello (2020);
those of `deep.py` let networks learn in it, and those of `teams.py` are about learners who are paid
alike.
"""

from benchmarks.harness import run

from . import collusion, deep, teams

PARTS = collusion.PARTS | deep.PARTS | teams.PARTS

if __name__ == "__main__":
    run("marl", __doc__, PARTS)
