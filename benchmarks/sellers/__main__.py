"""What do sellers learn, and their buyers?

Parts of `posted_prices.py` are about sellers who post prices.
"""

from benchmarks.harness import run

from . import posted_prices

PARTS = posted_prices.PARTS

if __name__ == "__main__":
    run("sellers", __doc__, PARTS)
