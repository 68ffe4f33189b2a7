"""Krusell and Smith (1998): the standard method, beside what has been published."""

from benchmarks.harness import run

from . import published, standard

PARTS = standard.PARTS | published.PARTS

if __name__ == "__main__":
    run("krusell_smith", __doc__, PARTS)
