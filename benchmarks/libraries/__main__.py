"""What do this library's economies cost, and gain, in other libraries?"""

from benchmarks.harness import run

from . import comparison, interfaces

PARTS = interfaces.PARTS | comparison.PARTS

if __name__ == "__main__":
    run("libraries", __doc__, PARTS)
