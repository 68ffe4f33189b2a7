"""Benchmark `information`: some of its rows are made again."""

from dataclasses import replace

import pytest

from benchmarks.harness import stored
from benchmarks.information import cells


@pytest.mark.row
def test_what_information_is_worth_is_what_it_was():
    (row,) = cells.cell(replace(cells.HALF, n_uninformed=10), seeds=range(1))
    stored_row = stored("information")["share"]["0 informed"][0]
    # Learning magnifies rounding; a value has an error of its own.
    assert abs(row["value"] - stored_row["value"]) < 4 * stored_row["value_error"]
    assert row["steps"] == stored_row["steps"]
