"""What do buyers and sellers find who learn side by side?

Parts of `trading_post.py` are about households who bid and firms who offer at the same time, those
of `posted_prices.py` about firms who post prices before households spend.
"""

from benchmarks.harness import run

from . import posted_prices, trading_post

PARTS = trading_post.PARTS | posted_prices.PARTS

if __name__ == "__main__":
    run("sellers", __doc__, PARTS)
