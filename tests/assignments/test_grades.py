"""What solutions, mistakes and right answers of other kinds earn."""

import csv
import re
import resource
import sys
import zipfile

import nbformat
import pytest

from assignments import grade as grading
from assignments import honest
from assignments.build import names
from assignments.grade import (
    Change,
    changed,
    changes,
    grade,
    grade_here,
    possible,
    read,
    rounds,
)

MINUTES, GIGABYTES = 5, 2


def test_the_solution_earns_everything_in_time_and_memory(name, built):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = grade(built / "autograder" / f"{name}.ipynb", built / "autograder.zip")
    assert found.lost == {} and found.said == {}
    assert found.total == found.full > 30
    assert found.possible == possible(built / "autograder")
    assert found.number == 20261127
    # The kernel is a child of this process. Its processor's time, as other tests run beside it.
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 60 * MINUTES
    assert after.ru_maxrss < GIGABYTES * 2**20, "kilobytes, on Linux"


def test_planted_mistakes_lose_what_they_should(name, built, solution):
    planted = changes(name, "wrong")
    assert len(planted) >= 12 and len({change.name for change in planted}) == len(planted)
    for together in rounds(planted):
        code, expected = solution, {}
        for change in together:
            assert change.loses, change.name
            code = changed(code, change)
            expected |= change.loses
        found = grade_here(code, built / "autograder")
        assert found.lost == expected, [change.name for change in together]


def test_every_question_has_a_planted_mistake(name, built):
    questions = possible(built / "autograder").keys() - {"number"}
    assert questions == {q for change in changes(name, "wrong") for q in change.loses}


def test_otter_and_the_fast_way_agree_on_mistakes(name, built, solution, tmp_path):
    first = rounds(changes(name, "wrong"))[0]
    notebook = read(built / "autograder" / f"{name}.ipynb")
    for change in first:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source = cell.source.replace(change.old, change.new)
    nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    expected = {question: points for change in first for question, points in change.loses.items()}
    found = grade(tmp_path / f"{name}.ipynb", built / "autograder.zip")
    assert found.lost == expected
    # A student's feedback names what was lost, and shows nothing of the tests.
    text = found.feedback()
    for question, points in expected.items():
        possible = found.possible[question]
        assert f"{question}: {possible - points:g} of {possible:g}\n    " in text
    assert text.count("\n    ") >= len(expected)
    assert not re.search(r"assert|Traceback|pick\(|shuffled\(", text)


def test_honest_answers_lose_nothing_elsewhere(name, built):
    """One of them, under other conditions in each assignment; `honest.py` tries any number."""
    quiet, luck = [], names().index(name)
    run = range(luck, luck + 1)
    assert honest.failures(name, built, run, show=lambda *a, **k: quiet.append(a)) == []
    assert len(quiet) == 1


def test_what_cannot_be_graded_does_not_stop_the_others(monkeypatch, tmp_path, capsys):
    (tmp_path / "broken.zip").write_text("no zip file")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    (tmp_path / "autograder.zip").write_text("")
    given, answer = (nbformat.v4.new_markdown_cell(text) for text in ("Why?", "Because."))
    answer.metadata["tags"] = ["otter_answer_cell"]
    nbformat.write(nbformat.v4.new_notebook(cells=[given, answer]), tmp_path / "good.ipynb")
    earned = grading.Grade(
        {"a": 1.0}, {"a": 2.0}, {"a": "secret"}, number=7, hints={"a": ["mind it"]}
    )

    def stub(submission, autograder):
        return earned if submission.suffix == ".ipynb" else read(submission)

    monkeypatch.setattr(grading, "grade", stub)
    submissions = [str(tmp_path / name) for name in ("broken.zip", "good.ipynb", "empty.zip")]
    options = ["--autograder", "--csv", "--feedback"]
    values = [str(tmp_path / name) for name in ("autograder.zip", "grades.csv", "said")]
    pairs = [text for pair in zip(options, values, strict=True) for text in pair]
    monkeypatch.setattr(sys, "argv", ["grade", "games", *submissions, *pairs])
    grading.run()
    assert capsys.readouterr().out.count("could not be graded") == 2
    rows = list(csv.DictReader((tmp_path / "grades.csv").open()))
    assert [row["a"] for row in rows] == ["", "1.0", ""] and rows[1]["number"] == "7"
    assert [row["in words"] for row in rows] == ["", "Because.", ""]
    (feedback,) = (tmp_path / "said").iterdir()
    assert "a: 1 of 2\n    mind it" in feedback.read_text()
    assert "secret" not in feedback.read_text()


def test_every_other_right_way_fits_the_solution(name, solution):
    for change in changes(name, "honest", seed=5):
        code = changed(solution, change)
        assert code != solution and change.loses == {}
        for text in code:
            compile(text, change.name, "exec")


def test_a_change_that_does_not_fit_is_named():
    for code in (["a = 1"], ["b = 2", "b = 2"]):
        with pytest.raises(ValueError, match=r"of no use.*expected once"):
            changed(code, Change("of no use", "b = 2", "b = 3"))


def test_mistakes_in_the_same_question_are_graded_in_different_rounds():
    a, b, c = (Change(x, x, "", {q: 1.0}) for x, q in (("a", "p"), ("b", "p"), ("c", "q")))
    assert rounds([a, b, c]) == [[a, c], [b]]


def test_conditions_differ_and_leave_everything_else_alone():
    everywhere = honest.conditions()
    assert len(everywhere) == len({name for name, _ in everywhere}) >= 6
    for _, environment in everywhere:
        assert environment["NUMBA_NUM_THREADS"] in ("1", "2", "3")
        assert "PATH" not in environment
