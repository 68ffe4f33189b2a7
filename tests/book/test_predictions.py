"""What the book predicted is marked where it is checked, and nothing that failed is left out."""

import json
import re

import pytest

from lectures_book import FAILS, HOLDS, MISSED, predictions, results
from lectures_book.findings import findings
from lectures_book.predictions import TAG, Prediction, chapters, claimed, printed, stated

CHAPTERS = {chapter.name: chapter for chapter in chapters()}
MADE = predictions.predictions()


@pytest.fixture(params=CHAPTERS, scope="module")
def chapter(request):
    return CHAPTERS[request.param]


def shown(cell):
    return "".join("".join(output.get("text", "")) for output in cell.get("outputs", ()))


def test_every_missed_prediction_is_in_the_index(chapter):
    lines = "".join(shown(cell) for cell in chapter.cells).splitlines()
    missed = [line.partition(MISSED)[2] for line in lines if line.startswith(f"{HOLDS} {MISSED}")]
    indexed = [one.text for one in MADE if one.chapter == chapter.name and not one.held]
    assert indexed == missed


def test_every_cell_with_the_tag_is_in_the_index_and_has_something_to_check(chapter):
    tagged = {c["id"] for c in chapter.cells if TAG in c["metadata"].get("tags", ())}
    assert tagged == {one.cell for one in MADE if one.chapter == chapter.name}, (
        f"a cell that states or misses predictions has the tag {TAG!r}, and no other"
    )


#: How a text announces a number that is measured afterwards. What is asked of readers is none.
ANNOUNCED = re.compile(
    r"\*\*Predictions?\b|^Predictions?\b|\b[Ww]e predict\b|\bprediction (?:is|was)\b"
    r"|\bPredictions?:|predictions? (?:follow|then)\b",
    re.M,
)


def test_what_a_text_announces_is_marked_in_a_later_cell_that_checks_it(chapter):
    waiting = []
    for cell in chapter.cells:
        text, _, asked = "".join(cell["source"]).partition("{exercise-start}")
        if cell["cell_type"] == "markdown":
            waiting += ANNOUNCED.findall(text)
        elif TAG in cell["metadata"].get("tags", ()):
            waiting = []
        if asked:
            break
    assert not waiting, f"{chapter.name}: give the cell that checks it the tag {TAG!r}"


def test_the_stored_conclusion_counts_what_there_is_now():
    cells = CHAPTERS["conclusion/conclusion"].cells
    counted = printed_of(cells, r"(\d+) predictions, of which (\d+) were missed")
    assert counted == (str(len(MADE)), findings()["predictions-missed"]), (
        "make execute NOTEBOOKS=book/conclusion/conclusion.ipynb"
    )
    assert printed_of(cells, r"(\d+) questions") == (str(len(results.ROWS)),)


def printed_of(cells, pattern):
    return re.search(pattern, "".join(map(shown, cells))).groups()


def code(identity, *lines, tags=(), **metadata):
    output = {"output_type": "stream", "text": [f"{line}\n" for line in lines]}
    metadata |= {"tags": list(tags)}
    return {"cell_type": "code", "id": identity, "metadata": metadata, "outputs": [output]}


TABLE = code(
    "table", "            error  worst", "PPO             0.5    -1.0%", "PPO, longer   0.3   2e+01"
)
CLAIMS = (f"{HOLDS} all is well", f"{HOLDS} {MISSED}all ends at 1", f"{FAILS} nothing moves")


def test_what_a_tagged_cell_claims_is_predicted_and_what_another_misses():
    one, two = code("one", *CLAIMS, tags=[TAG]), code("two", *CLAIMS)
    assert [(p.cell, p.text, p.held) for p in stated("a/chapter", [one, two])] == [
        ("one", "all is well", True),
        ("one", "all ends at 1", False),
        ("one", "nothing moves", False),
        ("two", "all ends at 1", False),
    ]
    assert claimed(TABLE) == []


def test_a_prediction_that_is_called_missed_and_comes_true_has_held():
    (one,) = stated("a/chapter", [code("one", f"{FAILS} {MISSED}all ends at 1")])
    assert one == Prediction("a/chapter", "one", "all ends at 1", True, "")


def test_metadata_say_which_lines_are_meant_and_what_was_measured():
    named = {"all ends": "at {table: PPO #2}, {table: PPO, longer #2} at the longest"}
    cells = [TABLE, code("one", *CLAIMS, tags=[TAG], predictions=named)]
    (one,) = stated("a/chapter", cells)
    assert one == Prediction(
        "a/chapter", "one", "all ends at 1", False, "at -1.0%, 20 at the longest"
    )


@pytest.mark.parametrize(
    ("tags", "named", "told"),
    [
        ([], {"all is": ""}, "'predictions' needs the tag 'prediction'"),
        ([TAG], {"some": ""}, "claims nothing that begins: {'some'}"),
        ([TAG], {"all is": "{table: PPO #3}"}, "'table' shows no word 'PPO #3'"),
        ([TAG], {"all is": "{table: SAC #1}"}, "'table' shows no word 'SAC #1'"),
        ([TAG], {"all is": "{other: PPO #1}"}, "'other' shows no word 'PPO #1'"),
    ],
)
def test_metadata_that_lead_nowhere_are_refused(tags, named, told):
    cells = [TABLE, code("one", *CLAIMS, tags=tags, predictions=named)]
    with pytest.raises(ValueError, match=f"a/chapter.*{re.escape(told)}"):
        list(stated("a/chapter", cells))


def test_a_word_of_a_chapter_is_read_from_its_outputs(tmp_path, monkeypatch):
    for folder in ("book/lectures_book", "book/a", "benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book/a/chapter.ipynb").write_text(json.dumps({"cells": [TABLE]}))
    monkeypatch.chdir(tmp_path)
    assert printed("a/chapter", "table: PPO #1") == "0.5"


def test_rows_hold_known_findings_and_chapters_and_no_number_that_was_measured():
    assert results.names() <= set(findings())
    for row in results.ROWS:
        assert row.chapter in CHAPTERS
        assert not re.search(r"\d", re.sub(r"\{.*?\}", "", row.measured + row.distance)), row
    places = [list(CHAPTERS).index(row.chapter) for row in results.results()]
    assert places == sorted(places)
