"""What do buyers learn in a market, and what did the paper's author see in 2021?

Parts of `buyers.py` train the library's learners; `published.py` repeats the author's procedure.
"""

from benchmarks.harness import run

from . import buyers, published

PARTS = buyers.PARTS | published.PARTS

if __name__ == "__main__":
    run("market", __doc__, PARTS)
