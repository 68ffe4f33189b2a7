"""Krusell and Smith (1998): the standard method, beside what has been published, and learned."""

from benchmarks.harness import run

from . import learned, published, standard

PARTS = standard.PARTS | published.PARTS | learned.PARTS

if __name__ == "__main__":
    run("krusell_smith", __doc__, PARTS)
