"""How precisely do learners solve the planner's problem, and how fast?

Parts of `comparison.py` have one household, and the library's learners beside those of others,
for whose settings `tuning.py` searches; parts of `many.py` have many households and goods.
`whole_path.py` plans without risk, and without any rule.
"""

from benchmarks.harness import run

from . import comparison, many, tuning, whole_path

PARTS = tuning.PARTS | comparison.PARTS | many.PARTS | whole_path.PARTS

if __name__ == "__main__":
    run("planner", __doc__, PARTS)
