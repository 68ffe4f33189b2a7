"""What is handed out: everything that a student needs, and nothing of the solution."""

import ast
import os
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

import assignments.build
from assignments.build import HERE, master, requirements, start
from assignments.grade import (
    answers_in_words,
    entered_number,
    grade_here,
    play,
    possible,
    read,
    sources,
)
from assignments.honest import conditions


def blocks(name):
    """The lines of the master's solutions, without those that are too short to say anything."""
    found = []
    for cell in nbformat.read(master(name), as_version=4).cells:
        inside = False
        for line in cell.source.splitlines():
            text = line.strip()
            if text.startswith("# BEGIN SOLUTION"):
                inside = True
            elif text.startswith("# END SOLUTION"):
                inside = False
            elif inside or text.endswith("# SOLUTION"):
                found.append(text.removesuffix("# SOLUTION").strip())
    return [text for text in found if len(text) > 20]


def handed_out(built):
    return {
        str(path.relative_to(built / "student")): path.read_text()
        for path in (built / "student").rglob("*")
        if path.is_file()
    }


def test_no_solution_is_handed_out(name, built):
    texts = handed_out(built)
    for cell in nbformat.read(built / "student" / f"{name}.ipynb", as_version=4).cells:
        texts[f"cell {len(texts)}"] = cell.source
    # What is wrong on purpose, or given, repeats some lines of what is right.
    given = {line.strip() for line in texts["material.py"].splitlines()}
    secret = [line for line in blocks(name) if line not in given]
    assert len(secret) > 50, "the master's solutions are not where this test looks for them"
    for where, text in texts.items():
        assert not re.search(r"# ?(BEGIN |END )?SOLUTION", text), where
        for line in secret:
            assert line not in text, (where, line)


def test_no_hidden_test_is_handed_out(name, built):
    hidden = []
    for path in (built / "autograder" / "tests").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                decorator = ast.unparse(node.decorator_list[0])
                if "hidden=True" in decorator:
                    hidden.append(node.name)
    assert len(hidden) > 12
    for where, text in handed_out(built).items():
        assert "hidden=True" not in text, where
        assert not any(re.search(rf"\b{test}\b", text) for test in hidden), where


def test_the_zip_file_holds_what_a_student_needs_and_nothing_else(name, built):
    with zipfile.ZipFile(built / "student.zip") as file:
        inside = {path.removeprefix(f"{name}/") for path in file.namelist()}
    tests = {path for path in inside if path.startswith("tests/") and path.endswith(".py")}
    questions = {path.name for path in (built / "autograder" / "tests").glob("*.py")}
    assert {path.removeprefix("tests/") for path in tests} == questions
    folders = {path for path in inside if path.rstrip("/") in ("tests", "")}
    given = {"course.py", "material.py", "requirements.txt"}
    assert inside - tests - folders == {f"{name}.ipynb", *given}


def test_a_blank_notebook_runs_to_its_end_and_earns_nothing(name, built, tmp_path):
    with zipfile.ZipFile(built / "student.zip") as file:
        file.extractall(tmp_path)
    path = tmp_path / name / f"{name}.ipynb"
    cells = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    # One cell writes the zip file, for which the notebook has to be saved in JupyterLab.
    blank = [code for code in cells if "grader.export(" not in code]
    assert len(blank) == len(cells) - 1
    said = dict(zip(blank, play(blank, path.parent), strict=True))  # raises what they raise
    (whose,) = (text for code, text in said.items() if code.startswith("print(whose("))
    assert "Example calibration: no number entered yet" in whose
    checks = {code: text for code, text in said.items() if code.startswith("grader.check")}
    assert len(checks) == len(possible(built / "autograder")) + 1  # and all of them at the end
    for code, text in checks.items():
        assert "results" in text and "passed!" not in text, (code, text)
    found = grade_here(sources(read(path)), built / "autograder")
    assert found.errors == [] and found.total == 0 and found.number is None
    assert answers_in_words(path) == "_Type your answer here, replacing this text._"
    assert entered_number(path) is None


def test_cells_are_heard_and_errors_named(tmp_path):
    said = play(["x = 2", "x + 1", "print('two', x)"], tmp_path)
    assert said[0] == "" and "3" in said[1] and said[2] == "two 2\n"
    with pytest.raises(RuntimeError, match="nobody_has_defined_this"):
        play(["nobody_has_defined_this"], tmp_path)


def test_forks_may_use_threads(tmp_path):
    """A thread that PyTorch starts before a fork is missed for ever after it."""
    search = "torch.searchsorted(torch.linspace(0, 1, 100_000), torch.rand(400_000)).shape"
    code = ["import torch", "torch.get_num_threads()", search]
    text = f"""
from pathlib import Path
from assignments.grade import play
print(play({code}, Path({str(tmp_path)!r}), timeout=120))
"""
    command, two = [sys.executable, "-c", text], dict(conditions())["SSE, 2 threads"]
    done = subprocess.run(
        command, cwd=HERE.parent, env=os.environ | two, capture_output=True, text=True
    )
    assert ": 2\\n" in done.stdout and "[400000]" in done.stdout, done.stderr


def test_the_first_cell_says_how_to_begin(name, built):
    first = nbformat.read(built / "student" / f"{name}.ipynb", as_version=4).cells[0].source
    assert first == start(name) and f"jupyter lab {name}.ipynb" in first
    assert (built / "student" / "requirements.txt").read_text() == requirements(student=True)


@pytest.mark.parametrize("found", [None, "git+https://github.com/who/book@main"])
def test_students_install_the_package_from_where_it_is(monkeypatch, found):
    monkeypatch.setattr(assignments.build, "address", lambda: found)
    needed, text = requirements(student=True).splitlines(), start("games")
    installed = {line.partition("==")[0] for line in needed}
    assert {"jupyterlab", "otter-grader", "ipykernel", "torch"} <= installed
    if found:
        assert needed[-1] == f"lectures-lib @ {found}" and "clone" not in text
        assert "pip install -r requirements.txt\njupyter lab games.ipynb" in text
    else:
        # Nothing that pip would look for on PyPI, where somebody else may have taken the name.
        assert not any("lectures" in line for line in needed)
        assert "pip install BOOK -r requirements.txt" in text and "a clone of the book" in text


def test_every_question_says_what_it_is_worth_and_the_text_adds_it_up(name, built):
    text = "\n".join(c.source for c in read(built / "student" / f"{name}.ipynb").cells)
    (machine, reader) = map(
        int, re.search(r"\*\*Earns\*\* (\d+) points .* and (\d+) by a reader", text).groups()
    )
    points = [float(x) for x in re.findall(r"_Points:_ ([\d.]+)", text)]
    assert sum(points) == machine + reader
    assert sum(possible(built / "autograder").values()) == machine


@pytest.mark.parametrize("missing", ["planner", "course"])
def test_an_assignment_that_does_not_exist_is_named(missing):
    with pytest.raises(ValueError, match=missing):
        master(missing)
