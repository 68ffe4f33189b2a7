"""Benchmark `krusell_smith`: some of its rows are made again."""

from functools import cache

import numpy as np
import pytest

from benchmarks.harness import stored
from benchmarks.krusell_smith import learned, published, standard
from lectures_lib.economies import KrusellSmith
from lectures_lib.solvers import solve

STORED = stored("krusell_smith")
#: Found once, so that where it leads is remembered as well.
exact = cache(solve)


def test_the_law_is_what_it_was_and_near_what_krusell_and_smith_found():
    found, row = exact(KrusellSmith()), STORED["solved"]["Den Haan, Judd and Juillard"]
    for name, value in standard.coefficients(found.law).items():
        assert value == pytest.approx(row[name], abs=1e-5)
    assert 100 * found.accuracy.largest == pytest.approx(row["largest error, %"], rel=1e-2)
    assert row["seconds"] < 30
    theirs = published.PUBLISHED["Krusell and Smith"]
    ours = STORED["beside"]["Krusell and Smith: here"]
    for name in ("a bad", "a good", "b bad", "b good"):
        assert ours[name] == pytest.approx(theirs[name], abs=2e-3)


def test_a_small_residual_of_realised_returns_is_luck():
    """Of the exact rule it is larger than what others report of a rule that saves too much."""
    exact_rule = STORED["realised"]["exact rule, 200 households"]
    theirs = STORED["beside"]["jax-marl-bc: published"]
    assert exact_rule["mean absolute residual"] > theirs["mean residual of realised returns"]
    assert abs(exact_rule["mean residual"]) < 1e-3
    # They own more than a boom without end would lead to.
    law = STORED["solved"]["jax-marl-bc"]
    assert theirs["mean capital"] > np.exp(law["a good"] / (1 - law["b good"]))


def test_a_learned_rule_is_judged_where_the_exact_one_has_no_errors():
    economy = standard.DEFAULT

    class Known:
        """The exact rule, which serves any number of households."""

        def on(self, economy):
            return exact(standard.DEFAULT).policy

        def __call__(self, state, moved=None):
            return exact(standard.DEFAULT).policy(state)

    found = learned.errors(Known(), economy) | learned.led(Known(), economy)
    assert found["policy error, %"] < 1e-6
    assert found["largest gap, %"] < 1e-6
    row = STORED["solved"]["Den Haan, Judd and Juillard"]
    assert found["mean Euler residual, %"] == pytest.approx(100 * row["mean Euler residual"], 1e-2)
    assert found["largest error, %"] == pytest.approx(row["largest error, %"], rel=1e-2)
