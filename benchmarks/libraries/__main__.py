"""What do this library's economies cost, and gain, in other libraries?"""

from benchmarks.harness import run

from .interfaces import PARTS

if __name__ == "__main__":
    run("libraries", __doc__, PARTS)
