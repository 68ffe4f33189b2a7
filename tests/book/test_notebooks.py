"""What every stored notebook keeps (CONTRIBUTING.md, "A chapter")."""

import re
from datetime import date
from pathlib import Path

import nbformat
import pytest
import yaml
from running_times import KEY

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(p for p in (ROOT / "book").rglob("*.ipynb") if "checkpoints" not in str(p))
MOST_LINES = 60  # of printed output in one cell
WIDGET = "application/vnd.jupyter.widget-view+json"


def toc_files():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(ch["file"] for part in toc["parts"] for ch in part["chapters"])]


def test_the_toc_lists_every_notebook_once_and_only_pages_that_exist():
    listed = toc_files()
    assert len(listed) == len(set(listed))
    found = {str(p.relative_to(ROOT).with_suffix("")) for p in NOTEBOOKS}
    pages = {f for f in listed if (ROOT / f).with_suffix(".md").exists()}
    assert set(listed) - pages == found


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: str(p.relative_to(ROOT / "book")))
def notebook(request):
    notebook = nbformat.read(request.param, as_version=4)
    nbformat.validate(notebook)
    return notebook


@pytest.fixture
def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def test_outputs_are_those_of_one_run_from_top_to_bottom(code_cells):
    counts = [cell.execution_count for cell in code_cells]
    assert counts == list(range(1, len(counts) + 1)), "run `make execute` and commit the outputs"


def test_no_cell_has_failed(code_cells):
    for cell in code_cells:
        if "raises-exception" not in cell.metadata.get("tags", []):
            assert not [out for out in cell.outputs if out.output_type == "error"], cell.source


def test_no_progress_bars_warnings_or_long_prints_are_stored(code_cells):
    for cell in code_cells:
        for out in cell.outputs:
            assert WIDGET not in out.get("data", {}), cell.source
            if out.output_type == "stream":
                assert "\r" not in out.text, cell.source
                assert "Warning" not in out.text, cell.source
                assert out.text.count("\n") <= MOST_LINES, cell.source


def test_the_running_time_is_recorded_and_shown(notebook):
    times = notebook.metadata[KEY]
    assert times and set(times) <= {"cpu", "gpu"}
    for record in times.values():
        assert record["seconds"] >= 0 and record["device"]
        date.fromisoformat(record["date"])
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "{running-time}`" in text


def test_a_claim_is_checked(code_cells):
    checked = [c for c in code_cells if "nbval-check-output" in c.metadata.get("tags", [])]
    assert checked, "tag the cell that prints the chapter's claim with nbval-check-output"
    assert all(cell.outputs for cell in checked)
    # nbval compares with what is stored, and would defend a failure that was stored.
    printed = "".join(o.get("text", "") for cell in checked for o in cell.outputs)
    assert not re.findall(r".*: (?:no|NO|False|DIFFER|FAILS)$", printed, re.MULTILINE)


def test_every_figure_has_alt_text(notebook, code_cells):
    for cell in code_cells:
        if any(mime.startswith("image/") for o in cell.outputs for mime in o.get("data", {})):
            image = cell.metadata.get("mystnb", {}).get("image", {})
            assert image.get("alt", "").strip(), f"no alt text for the figure of\n{cell.source}"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"!\[\s*\]\(", cell.source), "no alt text for an image"


def test_exercises_have_solutions(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    labels = re.findall(r"\{exercise-start\}[^\n]*\n:label: (\S+)", text)
    assert labels
    assert sorted(labels) == sorted(re.findall(r"\{solution-start\} (\S+)", text))
