"""What is it worth to a household in a market to see everything?"""

from benchmarks.harness import run

from . import cells, massless

PARTS = cells.PARTS | massless.PARTS

if __name__ == "__main__":
    run("information", __doc__, PARTS)
