"""How near do the primer's learners come to the exact answers, and how fast?"""

from benchmarks.harness import run

from . import actor_critics, dqn, probing, q_learning, tables

PARTS = q_learning.PARTS | tables.PARTS | dqn.PARTS | actor_critics.PARTS | probing.PARTS

if __name__ == "__main__":
    run("primer", __doc__, PARTS)
