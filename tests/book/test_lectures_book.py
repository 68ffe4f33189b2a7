"""The module that chapters import."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import lectures_book
from lectures_book import band, claim, missed, source, stored, written
from lectures_lib.plotting import COLOURS, DASHES


@pytest.mark.parametrize("kind", [bool, np.bool_, np.array, torch.tensor])
def test_a_claim_begins_with_its_answer(kind, capsys):
    claim("it rains", kind(True))
    claim("it rains", kind(False))
    missed("it rains", kind(False))
    missed("it rains", kind(True))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["✓ it rains", "NO: it rains"]
    assert lines[2:] == [
        "✓ predicted, and not so: it rains",
        "NO: predicted, and not so: it rains",
    ]


@pytest.mark.parametrize(
    "holds",
    [
        1,
        0.0,
        None,
        "yes",
        [True],
        np.array([True]),
        np.array(1.0),
        torch.ones(2) > 0,
        np.float64(1),
    ],
)
def test_a_claim_refuses_what_is_no_answer(holds, capsys):
    with pytest.raises(TypeError, match="The claim 'it rains' holds or not: one bool is needed"):
        claim("it rains", holds)
    with pytest.raises(TypeError, match="The claim 'it rains' holds or not"):
        missed("it rains", holds)
    assert not capsys.readouterr().out


class Shown:
    def sum(self, x):
        """Of two."""
        return self + x

    def bare(self):
        return self

    def raw(self):
        r"""Of one, with $\sum$."""
        return self

    def wide(self):
        return "a line that is wider than the seventy-six characters of a page's column"


def test_code_is_shown_as_a_page_shows_it():
    assert source(Shown.sum, Shown.bare).data == (
        '```python\ndef sum(self, x):\n    """Of two."""\n    return self + x\n\n'
        "def bare(self):\n    return self\n```"
    )
    assert source(Shown.sum, documented=False).data == (
        "```python\ndef sum(self, x):\n    return self + x\n```"
    )
    assert source(Shown.raw, documented=False).data == (
        "```python\ndef raw(self):\n    return self\n```"
    )
    assert source(Shown.sum, Shown.bare, first="def bare", last="return").data == (
        "```python\ndef bare(self):\n    return self\n```"
    )
    with pytest.raises(ValueError, match=r'wider than 76 characters, .* return "a line that'):
        source(Shown.wide)


@pytest.fixture
def repository(tmp_path):
    """One with a chapter's folder and the results of one benchmark."""
    for folder in ("book/lectures_book", "book/primer", "benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "benchmarks/results/primer.json").write_text(json.dumps({"φ": 0.5}), "utf-8")
    return tmp_path


@pytest.mark.parametrize("where", [".", "book/primer", "benchmarks"])
def test_results_are_those_of_the_repository_that_the_chapter_runs_in(
    where, repository, monkeypatch
):
    monkeypatch.chdir(repository / where)
    assert stored("primer") == {"φ": 0.5}


def test_elsewhere_results_are_those_of_the_repository_that_is_installed(tmp_path, monkeypatch):
    (tmp_path / "benchmarks/results").mkdir(parents=True)  # of another project
    monkeypatch.chdir(tmp_path)
    assert "made" in stored("primer")


def test_results_that_are_not_there_are_named_with_those_that_are(repository, monkeypatch):
    monkeypatch.chdir(repository)
    with pytest.raises(
        FileNotFoundError, match=r"No results 'prime' .*results\. There are: primer"
    ):
        stored("prime")


def test_without_a_repository_the_error_says_what_to_do(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages/lectures_book/__init__.py"
    monkeypatch.setattr(lectures_book, "__file__", str(installed))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="run the chapter within a clone"):
        stored("primer")


@pytest.fixture
def ax():
    yield plt.figure().subplots()
    plt.close()


ROWS = np.array([[1.0, 5.0, 2.0], [4.0, 3.0, 8.0]])  # two points, three seeds


def extent(ax):
    (filled,) = ax.collections
    return filled.get_paths()[0].vertices


def test_a_band_reaches_from_the_smallest_seed_to_the_largest_around_the_median(ax):
    band(ax, [10, 20], ROWS, label="learned")
    (line,) = ax.lines
    assert line.get_label() == "learned"
    np.testing.assert_array_equal(line.get_xydata(), [[10, 2], [20, 4]])
    vertices = {tuple(v) for v in extent(ax)}
    assert vertices == {(10, 1), (10, 5), (20, 3), (20, 8)}


def test_line_and_band_look_the_same_and_repeat_when_looks_are_used_up(ax):
    band(ax, [10, 20], torch.tensor(ROWS), look=len(COLOURS) + 1)
    (line,), (filled,) = ax.lines, ax.collections
    assert line.get_color() == COLOURS[1] and line.get_linestyle() == DASHES[1]
    np.testing.assert_allclose(
        filled.get_facecolor()[0, :3], plt.matplotlib.colors.to_rgb(COLOURS[1])
    )


def test_another_middle_and_another_look_can_be_given(ax):
    band(ax, [10, 20], ROWS, middle=np.mean, color="#777777", marker="o")
    (line,), (filled,) = ax.lines, ax.collections
    np.testing.assert_allclose(line.get_ydata(), ROWS.mean(1))
    assert line.get_color() == "#777777" and line.get_marker() == "o"
    np.testing.assert_allclose(filled.get_facecolor()[0, :3], 0x77 / 255)


def test_seeds_before_points_are_refused(ax):
    with pytest.raises(ValueError, match=r"\(points, seeds\) with 2 points.*\(3, 2\).*rows\.T"):
        band(ax, [10, 20], ROWS.T)


def test_what_a_chapter_has_written_can_be_used_in_another():
    own = written("learning/bring_your_own_economy", until="solve.register")
    economy = own.Saver(beta=0.9)
    grid, eaten, _ = own.endogenous_grid(economy)
    assert (eaten <= grid + 1e-12).all() and own.INCOME.values == (0.6, 1.4)
    assert not hasattr(own, "exact") and not hasattr(own, "Reaching")


@pytest.mark.parametrize(
    "chapter, until, kind",
    [("learning/none", "x", FileNotFoundError), ("learning/market_buyers", "no such", ValueError)],
)
def test_what_no_chapter_has_written_is_refused(chapter, until, kind):
    with pytest.raises(kind, match=r"no chapter|No cell"):
        written(chapter, until)
