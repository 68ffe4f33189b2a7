"""What do this library's economies cost, and gain, in other libraries?"""

from benchmarks.harness import run

from . import data_parallel, interfaces

PARTS = interfaces.PARTS | data_parallel.PARTS

if __name__ == "__main__":
    run("libraries", __doc__, PARTS)
