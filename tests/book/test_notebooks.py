"""What every stored notebook keeps (CONTRIBUTING.md, "A chapter")."""

import re
from datetime import date
from pathlib import Path

import nbformat
import pytest
import yaml
from running_times import KEY

from lectures_book import WIDTH

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
                assert out.name == "stdout", cell.source
                assert out.text.count("\n") <= MOST_LINES, cell.source


def test_the_running_time_is_recorded_and_shown(notebook):
    times = notebook.metadata[KEY]
    assert times and set(times) <= {"cpu", "gpu"}
    for record in times.values():
        assert record["seconds"] >= 0 and record["device"]
        date.fromisoformat(record["date"])
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "{running-time}`" in text


@pytest.fixture
def checked(code_cells):
    """The cells whose output is compared with a fresh run, each with what it prints."""
    cells = [c for c in code_cells if "nbval-check-output" in c.metadata.get("tags", [])]
    return [(c, "".join(out.get("text", "") for out in c.outputs)) for c in cells]


def test_a_claim_is_checked_and_holds(checked):
    printed = [text for _, text in checked]
    assert all(printed) and re.findall(r"^✓ \S", "\n".join(printed), re.MULTILINE), (
        "tag the cell that prints the chapter's claim with nbval-check-output"
    )
    # nbval compares with what is stored, and would defend a failure that was stored.
    assert not re.findall(r"^NO: .*", "\n".join(printed), re.MULTILINE)


def test_claims_are_stated_by_claim_alone(checked):
    for cell, text in checked:
        others = [line for line in text.splitlines() if not line.startswith(("✓ ", "NO: "))]
        answers = re.findall(
            r".*\b(?:yes|no|true|false|differ|fails)$",
            "\n".join(others),
            re.IGNORECASE | re.MULTILINE,
        )
        assert not answers, "print whether it holds by lectures_book.claim"
        if len(others) < len(text.splitlines()):
            assert "claim(" in cell.source or "missed(" in cell.source
        assert not re.findall(r"""["'](?:yes|no)\b\s*["']""", cell.source, re.IGNORECASE)


def test_what_lectures_book_has_is_not_made_by_hand(notebook):
    for cell in notebook.cells:
        assert not re.search(r"\bverdict *(?:=|\()", cell.source), "lectures_book.claim states it"
        assert "benchmarks/results" not in cell.source, "lectures_book.stored reads it"


FOLDED = {"hide-input", "remove-input", "remove-cell"}
DRAWS = re.compile(r"\b(?:plt\.\w+|claim|missed|Table|learning_curves|decision_rules)\(")


def test_what_draws_tabulates_or_claims_is_folded(code_cells):
    for cell in code_cells:
        if DRAWS.search(cell.source):
            hidden = {"hide-input", "remove-input", "remove-cell"} & set(
                cell.metadata.get("tags", ())
            )
            assert hidden, (
                f"tag it hide-input, and keep apart what the reader should see:\n{cell.source}"
            )


def test_code_fits_the_page(code_cells):
    for cell in code_cells:
        assert not [line for line in cell.source.splitlines() if len(line) > WIDTH]
        # It is shown by lectures_book.source, in colours and checked for its width.
        assert "getsource" not in cell.source


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


#: Entries of the bibliography that no chapter cites yet, and for what they wait.
AWAITED: dict[str, str] = {}


def test_every_reference_is_cited_and_every_citation_has_a_reference():
    entries = re.findall(r"^@\w+\{(\w+),", (ROOT / "book/references.bib").read_text(), re.MULTILINE)
    text = "\n".join(p.read_text() for p in [*NOTEBOOKS, *(ROOT / "book").rglob("*.md")])
    found = re.findall(r"\{cite:\w+\}`([^`]+)`", text)
    cited = {key.strip() for keys in found for key in re.split("[,;]", keys)}
    assert len(set(entries)) == len(entries)
    assert cited <= set(entries), "cited, but not in references.bib"
    # An entry that is cited at last comes off the list of those that wait.
    assert set(entries) - cited == set(AWAITED)
