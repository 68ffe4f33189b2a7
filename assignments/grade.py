"""What a submission earns, question by question.

    python -m assignments.grade NAME SUBMISSION ... [--autograder ZIP] [--csv FILE]
                                                    [--feedback FOLDER]

A submission is a notebook, or the zip file that the last cell of a notebook writes. Otter runs it
from top to bottom in a process of its own and then runs all tests, public and hidden. What is
printed holds answers; what `--feedback` writes for each submission does not.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import re
import sys
import tempfile
import tomllib
import traceback
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .build import BUILT, HERE, master

if TYPE_CHECKING:
    import nbformat


@dataclass(frozen=True)
class Grade:
    """What was earned.

    Attributes
    ----------
    points : dict of str to float
        Earned, by question.
    possible : dict of str to float
        What each question is worth.
    said : dict of str to str
        Of each question that has not earned everything, what the failed tests said.
    errors : list of str
        What the submission's own cells raised; only from :func:`grade_here`.
    number : int or None
        The student number that was entered.
    hints : dict of str to list of str
        As `said`, but only what a student may read: the messages of the failed tests.
    """

    points: dict[str, float]
    possible: dict[str, float]
    said: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    number: int | None = None
    hints: dict[str, list[str]] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """All points."""
        return sum(self.points.values())

    @property
    def full(self) -> float:
        """All points that can be earned."""
        return sum(self.possible.values())

    @property
    def lost(self) -> dict[str, float]:
        """By question, where points were lost."""
        lost = {name: self.possible[name] - earned for name, earned in self.points.items()}
        return {name: points for name, points in lost.items() if points > 1e-9}

    def feedback(self) -> str:
        """What a student may read: points and hints, and nothing of a test's code."""
        lines = [f"{self.total:g} of {self.full:g} points, student number {self.number}", ""]
        for name, earned in self.points.items():
            lines.append(f"{name}: {earned:g} of {self.possible[name]:g}")
            lines += [f"    {hint}" for hint in self.hints.get(name, [])]
        return "\n".join([*lines, ""])


def _hints(tests) -> list[str]:
    failed = (result.test_case for result in tests.test_case_results if not result.passed)
    return [" ".join((case.failure_message or case.name).split()) for case in failed]


def grade(submission: Path, autograder: Path) -> Grade:
    """Through otter, as Gradescope and ``otter run`` do: a kernel of its own, hidden tests and all.

    Parameters
    ----------
    submission, autograder : Path
        A notebook or a zip file; and the zip file that :func:`~assignments.build.build` has made.
    """
    from otter.run import main

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        out, sys.stdout = sys.stdout, nowhere
        try:
            results = main(
                str(submission), autograder=str(autograder), output_dir=folder, no_logo=True
            )
        finally:
            sys.stdout = out
        json.loads((Path(folder) / "results.json").read_text())  # Gradescope reads this
    points = {name: float(result.score) for name, result in results.results.items()}
    possible = {name: float(result.possible) for name, result in results.results.items()}
    said = {
        name: result.summary() for name, result in results.results.items() if not result.passed_all
    }
    hints = {name: _hints(results.results[name]) for name in said}
    return Grade(points, possible, said, number=entered_number(submission), hints=hints)


def entered_number(submission: Path) -> int | None:
    """The student number that stands in a submission, read without running it."""
    match = re.search(r"^STUDENT_NUMBER *= *(\d+)", "\n".join(sources(read(submission))), re.M)
    return int(match[1]) if match else None


def answers_in_words(submission: Path) -> str:
    """What a student has answered in words, for a person to read."""
    cells = (cell for cell in read(submission).cells if cell.cell_type == "markdown")
    # Otter's tag stays with a cell while its text is edited.
    tagged = (cell for cell in cells if "otter_answer_cell" in cell.metadata.get("tags", []))
    return "\n\n".join(cell.source for cell in tagged)


def read(submission: Path) -> nbformat.NotebookNode:
    """The notebook of a submission.

    Raises
    ------
    ValueError
        If a zip file holds no notebook, or several.
    """
    import nbformat  # only here: it takes longer than a grade

    if submission.suffix != ".zip":
        return nbformat.read(submission, as_version=4)
    with zipfile.ZipFile(submission) as file:
        inside = [name for name in file.namelist() if name.endswith(".ipynb")]
        if len(inside) != 1:
            raise ValueError(f"{submission} holds {inside or 'no notebook'}: expected one.")
        return nbformat.reads(file.read(inside[0]).decode(), as_version=4)


def sources(notebook: nbformat.NotebookNode) -> list[str]:
    """The code of each cell that is not otter's own."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [text for text in code if not re.search(r"^(grader\b|import otter)", text, re.M)]


# ------------------------------------------------------------ many versions of one notebook
@dataclass(frozen=True)
class Change:
    """A piece of a solution that somebody has written differently.

    Attributes
    ----------
    name : str
    old, new : str
        Text of the solution, which stands there once, and what stands there instead.
    loses : dict of str to float
        By question; empty if it is as right as the solution.
    """

    name: str
    old: str
    new: str
    loses: dict[str, float] = field(default_factory=dict)


def changes(name: str, kind: str, seed: int = 0) -> list[Change]:
    """The planted mistakes (`wrong`) of an assignment, or other right ways (`honest`).

    The word SEED in them stands for `seed`.
    """
    text = (HERE / name / f"{kind}.toml").read_text().replace("SEED", str(seed))
    return [Change(**entry) for entry in tomllib.loads(text)[kind]]


def changed(code: list[str], change: Change) -> list[str]:
    """The cells' code with a change.

    Raises
    ------
    ValueError
        If the old text does not stand there exactly once.
    """
    count = sum(text.count(change.old) for text in code)
    if count != 1:
        raise ValueError(
            f"{change.name!r}: the text to be changed stands {count} times in the solution: "
            f"expected once.\n{change.old}"
        )
    return [text.replace(change.old, change.new) for text in code]


def rounds(planted: list[Change]) -> list[list[Change]]:
    """Mistakes in as few rounds as possible, with at most one mistake for a question in each.

    As questions do not depend on each other, the mistakes of a round lose what they lose alone.
    """
    made: list[list[Change]] = []
    for change in planted:
        for others in made:
            if not any(change.loses.keys() & other.loses.keys() for other in others):
                others.append(change)
                break
        else:
            made.append([change])
    return made


def possible(autograder: Path) -> dict[str, float]:
    """What each question is worth, by the tests in the folder that `build` has made."""
    from otter.test_files.exception_test import ExceptionTestFile

    files = sorted((autograder / "tests").glob("*.py"))
    tests = [ExceptionTestFile.from_file(str(path)) for path in files]
    return {test.name: float(test.possible) for test in tests}


def grade_here(code: list[str], autograder: Path, timeout: float = 900) -> Grade:
    """The same tests without a kernel, in the fork of a process that has imported everything.

    Parameters
    ----------
    code : list of str
        As of :func:`sources`.
    autograder : Path
        The *folder* that :func:`~assignments.build.build` has made.
    timeout : float
        Seconds.

    Raises
    ------
    TimeoutError
        If it takes longer.
    """
    return _forked(_grade, code, autograder, timeout=timeout)


def play(code: list[str], folder: Path, timeout: float = 900) -> list[str]:
    """What cells print and show if IPython runs them in turn in a folder; a fork, again.

    Raises
    ------
    RuntimeError
        If a cell raises an error, which is named.
    TimeoutError
        If it takes longer.
    """
    return _forked(_play, code, folder, timeout=timeout)


def _forked(work, *args, timeout: float):
    # The threads of OpenMP do not survive a fork; numba has others.
    os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["assignments.warm"])
    here, there = server.Pipe(duplex=False)
    child = server.Process(target=_run, args=(work, args, there), daemon=True)
    child.start()
    there.close()
    try:
        if not here.poll(timeout):
            raise TimeoutError(f"still running after {timeout} seconds")
        result = here.recv()
    finally:
        child.kill()
        child.join()
    if isinstance(result, str):
        raise RuntimeError(result)
    return result


def _run(work, args, pipe):
    import torch

    from .warm import THREADS

    try:
        torch.set_num_threads(THREADS)
        with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
            os.chdir(folder)
            sys.stdout = nowhere
            pipe.send(work(*args))
    except BaseException:
        pipe.send(traceback.format_exc())
    finally:
        pipe.close()
        os._exit(0)


def _grade(code, autograder):
    from otter.test_files.exception_test import ExceptionTestFile

    sys.path.insert(0, str(autograder))
    env: dict = {"__name__": "__main__"}
    errors = []
    for text in code:
        try:
            exec(compile(text, "<cell>", "exec"), env)
        except Exception:
            errors.append(traceback.format_exc(limit=-1))
    points, possible, said, hints = {}, {}, {}, {}
    for path in sorted((autograder / "tests").glob("*.py")):
        tests = ExceptionTestFile.from_file(str(path))
        tests.run(env)
        points[tests.name], possible[tests.name] = float(tests.score), float(tests.possible)
        if not tests.passed_all:
            said[tests.name], hints[tests.name] = tests.summary(), _hints(tests)
    number = env.get("STUDENT_NUMBER")
    return Grade(points, possible, said, errors, number if isinstance(number, int) else None, hints)


def _play(code, folder):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    said = []
    for text in code:
        with capture_output() as heard:
            result = shell.run_cell(text)
        result.raise_error()
        said.append(heard.stdout)
    return said


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", metavar="NAME", help="of the assignment")
    parser.add_argument("submissions", nargs="+", type=Path, metavar="SUBMISSION")
    parser.add_argument("--autograder", type=Path, metavar="ZIP", help="by default the built one")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="one line for each submission")
    parser.add_argument(
        "--feedback", type=Path, metavar="FOLDER", help="a text for each student, without answers"
    )
    given = parser.parse_args()
    master(given.name)
    autograder = given.autograder or BUILT / given.name / "autograder.zip"
    if not autograder.exists():
        sys.exit(f"There is no {autograder}: run `make assignments` first.")
    rows, numbers = [], {}
    for submission in given.submissions:
        try:
            found, words = grade(submission, autograder), answers_in_words(submission)
        except Exception as error:
            print(f"{submission}: could not be graded: {error!r}")
            rows.append({"submission": submission})
            continue
        same = numbers.setdefault(found.number, submission)
        print(f"{submission}: {found.total:g} of {found.full:g}, number {found.number}")
        for question, text in found.said.items():
            print(f"{question}: {found.points[question]:g} of {found.possible[question]:g}\n{text}")
        if found.number is not None and same != submission:
            print(f"  the student number is that of {same}, too")
        rows.append({"submission": submission, "number": found.number, "total": found.total})
        rows[-1] |= {**found.points, "in words": words}
        if given.feedback:
            given.feedback.mkdir(parents=True, exist_ok=True)
            (given.feedback / f"{submission.stem}.txt").write_text(found.feedback())
    if given.csv:
        with given.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(max(rows, key=len)))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    run()
