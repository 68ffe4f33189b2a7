"""Design lessons: how to specify what is learned, and who learns it."""

from benchmarks.harness import run

from . import constraints, markets, quantities, rates

PARTS = constraints.PARTS | markets.PARTS | quantities.PARTS | rates.PARTS

if __name__ == "__main__":
    run("design", __doc__, PARTS)
