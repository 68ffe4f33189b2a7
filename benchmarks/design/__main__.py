"""What should one choose when an economy is written down for learners?"""

from benchmarks.harness import run

from . import quantities

PARTS = quantities.PARTS

if __name__ == "__main__":
    run("design", __doc__, PARTS)
