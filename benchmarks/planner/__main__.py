"""How precisely do learners solve the planner's problem, and how fast?

Parts of `comparison.py` have one household, and the library's learners beside those of others,
for whose settings `tuning.py` searches; parts of `many.py` have many households and goods.
"""

from benchmarks.harness import run

from . import comparison, many, tuning

PARTS = tuning.PARTS | comparison.PARTS | many.PARTS

if __name__ == "__main__":
    run("planner", __doc__, PARTS)
