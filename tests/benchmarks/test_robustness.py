"""What is stored of the solvers' robustness covers all that they offer, and can be made again."""

import numpy as np
import pytest

from benchmarks.harness import CALIBRATIONS, stored
from benchmarks.robustness.time_iteration import PARTS, row_of, solution
from lectures_lib.economies import Market

ROWS = {
    joint: {f"{regime}, {label}" for regime in regimes for label in CALIBRATIONS}
    for joint, regimes in {False: ("competitive", "nash"), True: ("planner", "monopsony")}.items()
}


def test_every_size_regime_and_calibration_is_stored():
    results = stored("robustness")
    made = results.pop("made")
    assert results.keys() == PARTS.keys() == made.keys()
    del results["groups"]
    for size, rows in results.items():
        assert rows.keys() == ROWS[size.endswith("joint")]
        assert not made[size]["code"].endswith("dirty")
        assert all(row["solved"] == 6 for row in rows.values())


def test_rules_that_differ_are_two_groups():
    results = stored("robustness")
    rows = list(results["groups"].values())
    assert len(rows) == 6
    first, last = (np.array([row[f"from the {x}"] for row in rows]) for x in ("first", "last"))
    assert np.minimum(first, last).max() < 1e-8
    # What the size's own row says of the same six.
    moved = results["2x1-joint"]["planner, risk aversion 5"]["moved"]
    assert abs(first.max() / moved - 1) < 0.01


@pytest.mark.row
def test_a_stored_row_can_be_made_again():
    """Two goods, on the calibration that no setting was chosen on."""
    economy = Market(2, 2, **CALIBRATIONS["unseen"])
    row = row_of([solution(economy, "nash", number) for number in (0, 3)])
    before = stored("robustness")["2x2"]["nash, unseen"]
    assert row["failed"] == 0 and row["moved"] < 1e-8
    for name in ("initial mean", "initial largest"):
        assert abs(row[name] / before[name] - 1) < 0.01
    # Rounding decides on the last digits of what is nearly zero.
    assert row["long run mean"] < 3 * before["long run mean"]
