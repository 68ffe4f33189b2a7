"""What exactly makes a learner precise? Every combination of privileges, each at its best.

There is a part for each cell, named after the economy (or the learner, if it is not PPO) and the
learner's privileges; `cells.py` says what they are, `search.py` how settings are found. Parts may
run side by side, and one that was interrupted goes on.
"""

from benchmarks.harness import run

from .parts import PARTS

if __name__ == "__main__":
    run("factorial", __doc__, PARTS)
