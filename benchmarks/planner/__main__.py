"""How precisely do learners solve the planner's problem, and how fast?

Parts of `one.py` have one household, parts of `limit.py` ask what bounds its precision. Parts of
`many.py` have many households and goods, and `precisely.py` asks what bounds the error of these.
`whole_path.py` plans without risk, and without any rule. Which privileges make a learner precise,
and what another library's learners reach, is asked by `benchmarks/factorial`.
"""

from benchmarks.harness import run

from . import limit, many, one, precisely, whole_path

PARTS = one.PARTS | limit.PARTS | many.PARTS | precisely.PARTS | whole_path.PARTS

if __name__ == "__main__":
    run("planner", __doc__, PARTS)
