"""Benchmark `equilibria`: some of its rows are made again."""

import numpy as np
import pytest

from benchmarks.equilibria import forecasters, selection
from benchmarks.harness import stored


def test_rows_of_e_stability():
    for label, row in forecasters.stability():
        assert row == pytest.approx(stored("equilibria")["stability"][label], rel=1e-5), label


@pytest.mark.row
def test_fates_by_the_differential_equation_are_those_of_the_rows():
    name = "expectations, near the middle"
    row, economy = stored("equilibria")["beliefs"][name], forecasters.ECONOMIES["expectations"]
    middle = selection.stocks(economy)[1]
    near = [middle * (1 + x * forecasters.NEARBY) for x in (-1, 1)]
    start = np.array(forecasters.starts(row["starts"], 0, near))
    assert start.T == pytest.approx(np.array(row["start"]), rel=1e-3)
    high = forecasters.fated(economy, *start[:, ::20])
    off = (high == high[0]).all(0)
    assert off.sum() > 2
    assert (high[0] == np.array(row["predicted"])[::20])[off].all()


@pytest.mark.row
def test_societies_that_begin_with_little_end_low_as_their_row_says():
    row = stored("equilibria")["algorithms"]["expectations, PPO common, noise 0.2"]
    cells = selection.Cells.grid(selection.CAPITAL[:1], range(2), noise=selection.NOISE[:1])
    economy, config = selection.EXPECTATIONS, selection.PPO_COMMON
    kind, iterations = selection.PPOCells, selection.ITERATIONS
    rules, _ = selection.learned(kind, economy, cells, config, iterations)
    found = selection.ends(economy, selection.fates(rules, cells.capital))
    assert found["low"].tolist() == [1, 1] and row["low"][0] == 1
