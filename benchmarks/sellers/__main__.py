"""What do buyers and sellers find who learn side by side?

Parts of `trading_post.py` are about households who bid and firms who offer at the same time.
"""

from benchmarks.harness import run

from . import trading_post

PARTS = trading_post.PARTS

if __name__ == "__main__":
    run("sellers", __doc__, PARTS)
