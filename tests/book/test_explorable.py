"""What a chapter says of a figure that can be moved, and what its notebook and its page get."""

import csv
import hashlib
import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from docutils import nodes
from explorables import CLASS, SCRIPTS, add_scripts, specifications, write

from lectures_book import explorable as module
from lectures_book.explorable import MIME, MOST, choice, explorable, records, slider

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "book/_static"
CHAPTERS = {
    path.relative_to(ROOT / "book").as_posix(): found
    for path in sorted((ROOT / "book").rglob("*.ipynb"))
    if "checkpoints" not in str(path) and (found := specifications(path))
}
SAYS = {"name": "says", "expr": "'n is ' + n"}


@pytest.fixture
def shown(monkeypatch):
    """What is handed to the notebook, without one."""
    bundles = []
    monkeypatch.setattr(module, "display", lambda data, **how: bundles.append(data))
    return bundles


def test_a_notebook_gets_the_figure_and_what_moves(shown):
    figure = plt.figure()
    explorable(figure, {"params": [slider("n", "Number", 1, 9, 1, 4), SAYS], "mark": "bar"})
    (data,) = shown
    assert data[MIME]["mark"] == "bar" and "text/plain" in data
    assert not plt.fignum_exists(figure.number), "it would be shown a second time"


@pytest.mark.parametrize(
    ("params", "remedy"),
    [
        ([slider("n", "Number", 1, 9, 1, 4)], "add a parameter 'says'"),
        ([SAYS], "slider` or `choice"),
        (
            [slider("n", "Number", 1, 9, 1, 4), SAYS, {"name": "x", "value": "x" * MOST}],
            "round its",
        ),
    ],
)
def test_what_cannot_be_heard_or_moved_or_is_too_large_is_refused(params, remedy, shown):
    with pytest.raises(ValueError, match=remedy):
        explorable(plt.figure(), {"params": params})
    assert not shown


def test_a_choice_starts_at_its_first_entry_or_where_it_is_told():
    named = choice("what", "Colour", {"gain": "profit gain", "nash": "equilibria"})
    assert named["value"] == "gain" and named["bind"]["labels"] == ["profit gain", "equilibria"]
    assert choice("decay", "Decay", [0.5, 4.0], 4.0)["value"] == 4.0


def test_records_say_which_columns_are_numbers():
    data = records([{"k": 0.5, "end": "low, or so"}, {"k": 2, "end": "high"}])
    assert data["format"]["parse"] == {"k": "number"}
    assert list(csv.reader(io.StringIO(data["values"]))) == [
        ["k", "end"],
        ["0.5", "low, or so"],
        ["2", "high"],
    ]


def test_no_text_of_a_specification_ends_its_script():
    html = write({"$schema": "https://elsewhere.org", "title": "</script><b>"})
    assert html.count("</script>") == 1 and "elsewhere" not in html
    assert json.loads(html.partition('json">')[2].partition("</script>")[0]) == {
        "title": "</script><b>"
    }


class App:
    def __init__(self):
        self.added = []

    def add_js_file(self, name, **how):
        self.added.append(name)


@pytest.mark.parametrize("has_one", [True, False])
def test_only_a_page_that_has_one_loads_the_scripts(has_one):
    page = nodes.section("", nodes.raw("", "<hr>", format="html", classes=[CLASS] * has_one))
    app = App()
    add_scripts(app, "page", "page.html", {}, page)
    assert app.added == (list(SCRIPTS) if has_one else [])


def test_the_scripts_lie_beside_the_book_and_are_small():
    assert sum((STATIC / script).stat().st_size for script in SCRIPTS) < 1.5e6
    note = (STATIC / "vega/README.md").read_text(encoding="utf-8")
    for script in SCRIPTS[:2]:
        assert hashlib.sha256((STATIC / script).read_bytes()).hexdigest() in note
        assert (STATIC / script.replace("vega/", "vega/LICENSE-").replace(".min.js", "")).exists()


def test_four_chapters_or_more_have_a_figure_that_can_be_moved():
    assert len(CHAPTERS) >= 4


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_it_has_a_sentence_controls_with_labels_and_numbers_that_a_page_can_carry(chapter):
    for spec in CHAPTERS[chapter].values():
        assert len(json.dumps(spec)) <= MOST
        bound = [param["bind"] for param in spec["params"] if "bind" in param]
        assert bound and all(bind["name"].strip() for bind in bound)
        assert {bind["input"] for bind in bound} <= {"range", "select"}, "keyboards know these"
        assert any(param["name"] == "says" for param in spec["params"])
