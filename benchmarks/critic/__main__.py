"""What is a critic that sees everything good for?"""

from benchmarks.harness import run

from .sight import PARTS

if __name__ == "__main__":
    run("critic", __doc__, PARTS)
