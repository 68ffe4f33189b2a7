"""What do more processes buy, and what do they cost in precision?"""

from benchmarks.harness import run

from . import staleness, time

PARTS = time.PARTS | staleness.PARTS

if __name__ == "__main__":
    run("parallel", __doc__, PARTS)
