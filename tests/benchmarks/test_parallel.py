"""Benchmark `parallel`: some of its rows are made again."""

import pytest

from benchmarks.harness import stored
from benchmarks.parallel import staleness


@pytest.mark.row
@pytest.mark.parametrize("correction", ["none", "V-trace as published"])
def test_actors_that_lag_cost_what_they_did(correction):
    rows = stored("parallel")["common"]
    (row,) = staleness.learned("planner", correction, 4, seeds=[0])
    stored_row = rows[f"4, {correction}"][0]
    assert row["steps"] == stored_row["steps"]
    # Learning magnifies rounding: within a factor of three, and the two lie seventy apart.
    assert 1 / 3 < row["policy_error"] / stored_row["policy_error"] < 3
