"""Does time iteration converge, and to the same rule, wherever it is offered?"""

from benchmarks.harness import run

from .time_iteration import PARTS

if __name__ == "__main__":
    run("robustness", __doc__, PARTS)
