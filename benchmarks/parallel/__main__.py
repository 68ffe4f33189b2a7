"""What do more processes buy, and what do they cost in precision?"""

from benchmarks.harness import run

from . import data_parallel, iteration, staleness, sweeping

PARTS = iteration.PARTS | sweeping.PARTS | data_parallel.PARTS | staleness.PARTS

if __name__ == "__main__":
    run("parallel", __doc__, PARTS)
