"""The table of results and the index of predictions on pages, in a small book."""

import json

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from lectures_book import HOLDS, MISSED, results

FILES = {
    "conf.py": 'extensions = ["myst_nb", "conclusion"]\nroot_doc = "index"\n'
    'nb_execution_mode = "off"\nnumfig = True',
    "_toc.yml": "- caption: First\n  - file: book/a/one\n- caption: Second\n  - file: book/a/two\n",
    "index.md": "# Book\n\n```{toctree}\nbook/a/one\nbook/a/two\nbook/end\n```",
    "book/end.md": "# End\n\n```{results-table}\n:name: tab-end\n```\n\n{numref}`tab-end`\n\n"
    "```{index-of-predictions}\n```",
}


def notebook(title, *lines):
    """A chapter whose only cell claims these lines."""
    claims = {
        "cell_type": "code",
        "id": "some_claims",
        "metadata": {"tags": ["hide-input", "prediction"]},
        "execution_count": 1,
        "source": "pass",
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "\n".join(lines)}],
    }
    head = {"cell_type": "markdown", "id": "head", "metadata": {}, "source": f"# {title}"}
    python = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return {"cells": [head, claims], "metadata": python, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    for folder in ("book/lectures_book", "book/a", "benchmarks/results"):
        (root / folder).mkdir(parents=True)
    for name, text in FILES.items():
        (root / name).write_text(text)
    one = notebook("One", f"{HOLDS} it falls by -3", f"{HOLDS} {MISSED}it rises")
    (root / "book/a/one.ipynb").write_text(json.dumps(one))
    (root / "book/a/two.ipynb").write_text(json.dumps(notebook("Two", f"{HOLDS} it stays")))
    row = results.Row("a/two", "Why?", "so", "{number} of it", "none")
    folders = (str(root), str(root), f"{root}/html", f"{root}/doctrees")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(results, "ROWS", (row,))
        patch.setattr(results, "findings", lambda: {"number": "-0.5%"})
        with patch_docutils(str(root)), docutils_namespace():
            Sphinx(*folders, "html", status=None, warning=None, warningiserror=True).build()
    return {
        name: BeautifulSoup((root / f"html/book/{name}.html").read_text(), "html.parser")
        for name in ("end", "a/one")
    }


def cells(table):
    return [[cell.get_text(strip=True) for cell in row.select("td")] for row in table.select("tr")]


def test_a_row_of_results_shows_its_number_and_leads_to_its_chapter(pages):
    table = pages["end"].select_one("table")
    assert cells(table)[1:] == [["Why?", "so", "−0.5% of it", "none", "Two"]]
    assert table.select_one("td a")["href"] == "a/two.html"


def test_each_prediction_is_listed_with_its_fate_and_leads_to_its_cell(pages):
    first, second = pages["end"].select("table")[1:]
    assert cells(first)[1:] == [
        ["it falls by −3", "as predicted", "held"],
        ["it rises", "not so", "missed"],
    ]
    assert cells(second)[1:] == [["it stays", "as predicted", "held"]]
    page, _, place = first.select_one("td a")["href"].partition("#")
    assert page == "a/one.html"
    assert "it rises" in pages["a/one"].find(id=place).get_text()


def test_the_index_says_of_parts_and_chapters_how_many_held(pages):
    text = pages["end"].get_text()
    assert "One: 1 of 2 held" in text and "Two: 1 of 1 held" in text
    assert [rubric.get_text() for rubric in pages["end"].select("p.rubric")] == ["First", "Second"]
