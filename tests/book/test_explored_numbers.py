"""What readers see when they move a figure is what was solved, measured or stored."""

import csv
import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from explorables import specifications

from benchmarks.harness import stored
from benchmarks.marl import collusion
from benchmarks.solvers import calibrated
from lectures_lib.evaluation import ergodic_moments
from lectures_lib.solvers import solve, steady_state

BOOK = Path(__file__).parents[2] / "book"
ENDS = ("low", "middle", "elsewhere", "high")
RULES = stored("solvers")["rules"]


def the_figure(chapter):
    """The only specification of a chapter: its named values, and its tables in their order."""
    (spec,) = specifications(BOOK / f"{chapter}.ipynb").values()
    values = {param["name"]: param["value"] for param in spec["params"] if "value" in param}
    return spec, values, [*tables(spec)]


def tables(node):
    """Rows of all tables in a specification, with numbers where it says that they are."""
    if isinstance(node, dict) and "csv" in json.dumps(node.get("format", {})):
        numbers = node["format"]["parse"]
        yield [
            {key: float(x) if key in numbers else x for key, x in row.items()}
            for row in csv.DictReader(io.StringIO(node["values"]))
        ]
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from tables(child)


# ------------------------------------------------------------------------- rules by calibration
def test_rules_at_a_point_of_the_grid_are_the_solvers():
    _, values, (rules, _) = the_figure("framework/rules")
    labels = [key for key in rules[0] if key not in ("aversion", "luck", "capital")]
    for aversion, luck in ((1.0, 0.2), (2.5, 0.3)):
        economy = calibrated.calibrated(aversion, luck)
        solution = solve(economy)
        shown = [x for x in rules if (x["aversion"], x["luck"]) == (aversion, luck)]
        found = np.array([[x[label] for label in labels] for x in shown]).T
        at = np.array([x["capital"] for x in shown]) / 100
        exact = 100 * calibrated.shares(solution, economy, at)
        assert np.abs(found - exact).max() < 0.011, "the second digit after the point"
        i, j = calibrated.RISK_AVERSIONS.index(aversion), calibrated.LUCK.index(luck)
        weights, capital = calibrated.long_run(solution, economy), np.exp(calibrated.FINE)
        assert values["mean"][i][j] == pytest.approx(100 * weights @ capital, abs=0.02)


def test_between_points_of_the_grid_rules_are_nearly_the_solvers():
    economy = calibrated.calibrated(1.25, 0.275)
    exact = calibrated.shares(solve(economy), economy)
    around = [RULES[f"risk aversion {s}, luck {x}"] for s in (1, 1.5) for x in (0.25, 0.3)]
    between = np.mean([x["share"] for x in around], 0)
    # A line between two points misses by an eighth of what its slope changes, in each direction.
    along = np.array(RULES["risk aversion 1, luck 0.3"]["share"])
    bend = np.array(RULES["risk aversion 2, luck 0.3"]["share"]) + along
    bend = np.abs(bend - 2 * np.array(RULES["risk aversion 1.5, luck 0.3"]["share"])).max()
    assert np.abs(between - exact).max() < max(2 * bend / 8, 0.002)


def test_the_long_run_is_that_of_simulated_paths():
    economy = calibrated.calibrated(1.0, 0.2)
    solution, row = solve(economy), RULES["risk aversion 1, luck 0.2"]
    moments = ergodic_moments(solution, economy, paths=1024, periods=300)
    rest = steady_state(economy).capital
    for name, found in (("mean of capital", row["mean"]), ("s.d. of capital", row["deviation"])):
        simulated = moments[name]
        assert abs(found * rest - simulated.value) < 4 * simulated.standard_error


def test_a_density_adds_up_to_all_there_is():
    for row in RULES.values():
        inside = np.trapezoid(row["density"], row["capital"])
        assert inside <= 1.02
        if row["mean"] + 4 * row["deviation"] < 1.9:
            assert inside == pytest.approx(1, abs=0.02)


# ------------------------------------------------------------------------- common and own shocks
KINDS = ("own shocks", "common shocks", "common, pairs")


def test_lines_are_the_formulas():
    _, _, (lines, _) = the_figure("deep_rl/common_shocks")
    found = {(x["number"], x["omega"], x["noise"]): np.square([x[k] for k in KINDS]) for x in lines}
    luck, curvature, third = [], [], []
    for (n, omega, noise), (own, common, pairs) in found.items():
        if omega == 0:
            luck.append((own - common) * (n - 1) * noise**2)
            curvature.append(common * (n - 1) / ((2.5 - 2 / n) * noise**2))
            third.append(pairs * n / noise**4)
            continue
        # What luck's effect on the slope adds. Four digits are stored, of each sum.
        added = np.array([(3 - 2 / n) / (n - 1), 1 + 2 / (n - 1), 1 + 4 / n]) * omega**2
        assert [own, common, pairs] == pytest.approx(found[n, 0, noise] + added, rel=2e-3)
    # The constants of the economy, whatever the number of replicates and the noise.
    for constants in (luck, curvature, third):
        assert constants == pytest.approx([np.mean(constants)] * len(constants), rel=2e-3)


def test_marks_are_near_the_lines_where_noise_is_small():
    _, _, (lines, marks) = the_figure("deep_rl/common_shocks")
    first = {(x["number"], x["omega"]): x for x in lines if x["noise"] == 0.02}
    for mark in marks:
        if mark["noise"] == 0.02 and mark["number"] >= 4:
            line = first[mark["number"], 0][mark["kind"]]
            estimates = 128 * 128 / mark["number"]
            # Own luck has a heavier tail than a Gaussian's, hence more than 1/sqrt(2 estimates).
            assert mark["sd"] == pytest.approx(line, rel=max(0.1, 4 / np.sqrt(estimates)))


def test_the_sentence_says_what_the_formulas_say():
    _, values, (lines, _) = the_figure("deep_rl/common_shocks")
    assert set(values["said"]) == {f"{x['number']:.0f}, {x['omega']:g}" for x in lines}


# ------------------------------------------------------------------------- collusion
def test_the_grid_shows_what_is_stored_and_so_do_its_sessions():
    _, values, (grid, sessions) = the_figure("marl/algorithmic_collusion")
    found = defaultdict(list)
    for x in sessions:
        found[x["rate"], x["decay"]].append((x["gain"], x["departure"]))
    rows = stored("marl")["grid"].values()
    assert len(grid) == len(rows) == len(values["said"])
    for shown, row in zip(grid, rows, strict=True):
        cell = shown["rate"], shown["decay"]
        assert cell == pytest.approx((row["rate"], 1e6 * row["decay"]))
        assert shown["gain"] == pytest.approx(row["gain"], abs=1e-4)
        each = np.array(found[cell])
        assert len(each) == row["sessions"]
        # Sessions are stored with four digits.
        assert each.mean(0) == pytest.approx([row["gain"], row["departure"]], rel=1e-3)


@pytest.mark.row
def test_a_cell_of_the_grid_is_what_its_sessions_come_to_again():
    row = stored("marl")["grid"]["alpha 0.025, beta 2.0e-05"]
    how = {"rate": row["rate"], "decay": row["decay"]}
    again = collusion.row(collusion.MARKET, 20, each=True, **how)
    assert again["gains"] == pytest.approx(row["gains"], rel=1e-3)


# ------------------------------------------------------------------------- basins
def test_shares_of_societies_are_the_stored_ones():
    _, values, (shown, lines) = the_figure("learning/which_equilibrium")
    results = stored("equilibria")
    parts = ("guesses", "restarts", "algorithms", "forecasters")
    rows = [row for part in ("history", "expectations", *parts) for row in results[part].values()]
    cells = defaultdict(list)
    for x in shown:
        assert sum(x[end] for end in ENDS) == pytest.approx(1)
        cells[x["economy"], x["varied"], x["place"]].append([x[end] for end in ENDS])
    found = sorted(np.round(cell, 6).tolist() for cell in cells.values())
    kept = [np.round([row[end] for end in ENDS], 6).T.tolist() for row in rows]
    assert found == sorted(kept)
    assert len(values["said"]) == len(cells)
    assert {x["x"] for x in lines if x["dash"] == "dotted"} == {lines[0]["x"]}
