"""Student and autograder versions of the assignments.

    python -m assignments.build [NAME ...] [--to FOLDER] [--no-tests]

Each assignment is a folder with a master notebook of the same name. Otter makes two folders of it:
`student`, which is handed out, and `autograder`, with the solutions and the zip file that grades.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parent / "_build" / "assignments"
#: What every assignment brings along.
SHARED = HERE / "course.py"
#: What runs a submission, and what the package needs; and where pip finds torch without CUDA.
GRADING = {"otter-grader", "ipykernel", "jupyter_client", "nbconvert", "nbformat", "dill"}
GRADING |= {"torch", "numpy", "scipy", "matplotlib", "quantecon", "numba", "tqdm", "pandas"}
#: What students need besides, to open a notebook.
READING = {"jupyterlab"}
WITHOUT_GPU = "https://download.pytorch.org/whl/cpu"
#: The first cell of every student version.
START = """\
## Before you start

You need Python 3.11, 3.12 or 3.13, best in an environment of its own. Unzip `student.zip`, open a \
terminal in the folder `{name}`, and call

```bash
pip install {what}
jupyter lab {name}.ipynb
```

{where}The first command takes some minutes. It installs what your answers will be graded with, \
and of PyTorch the small version that needs no GPU. Leave the name of the notebook and the files \
beside it as they are. A warning that a kernel runs *over TCP without encryption* is of no account \
on your own machine. With the answers that we have in mind the whole notebook runs in less than \
five minutes.
"""
#: Before the commands are explained, where the package has no address.
CLONE = "Here `BOOK` stands for the folder with a clone of the book, which your teacher gives you. "


def names() -> list[str]:
    """All assignments, by their folders."""
    return sorted(path.parent.name for path in HERE.glob("*/*.ipynb") if _is_master(path))


def _is_master(path: Path) -> bool:
    return path.stem == path.parent.name


def master(name: str) -> Path:
    """The master notebook of an assignment.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    path = HERE / name / f"{name}.ipynb"
    if not path.exists():
        raise ValueError(f"name={name!r}: expected one of {names()}.")
    return path


def build(name: str, to: Path = BUILT, run_tests: bool = False) -> Path:
    """Make both versions of an assignment.

    Parameters
    ----------
    name : str
    to : Path
        They are written to `to / name`, which is emptied first.
    run_tests : bool
        Whether otter runs the solutions through all tests, which takes as long as grading.

    Returns
    -------
    Path
        The folder, with `student`, `autograder`, `student.zip` for handing out, and
        `autograder.zip` for grading.
    """
    from otter.assign import main

    made = to / name
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / name
        private = shutil.ignore_patterns("__pycache__", "*.toml", ".*")
        shutil.copytree(master(name).parent, work, ignore=private)
        shutil.copy(SHARED, work)
        (work / "requirements.txt").write_text(requirements())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            main(str(work / f"{name}.ipynb"), str(made), no_run_tests=not run_tests, no_pdfs=True)
    (zipped,) = (made / "autograder").glob("*.zip")
    zipped.rename(made / "autograder.zip")
    _hand_out(made / "student" / f"{name}.ipynb")
    with zipfile.ZipFile(made / "student.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted((made / "student").rglob("*")):
            file.write(path, Path(name) / path.relative_to(made / "student"))
    return made


def requirements(student: bool = False) -> str:
    """What has to be installed: the pins of the book, and its package.

    The package comes from the repository's address where that is known (`repository.py` of the
    book). In a copy that has none the machine that grades asks for it by name, and students install
    it from a clone, as the first cell of their notebook says.
    """
    wanted = GRADING | READING if student else GRADING
    lines = (HERE.parent / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line.partition("==")[0] in wanted]
    found = address()
    package = [f"lectures-lib @ {found}"] if found else [] if student else ["lectures-lib"]
    return "\n".join([f"--extra-index-url {WITHOUT_GPU}", *pins, *package, ""])


def address() -> str | None:
    """Where pip finds the package, `git+https://...`, or None if the repository has no address."""
    import sys

    sys.path.insert(0, str(HERE.parent / "book" / "_ext"))
    try:
        from repository import find_repository
    finally:
        del sys.path[0]
    found = find_repository(HERE.parent)
    return None if found is None else f"git+{found[0]}@{found[1]}"


def start(name: str) -> str:
    """How a student installs what is needed, and opens the notebook."""
    if address():
        return START.format(name=name, what="-r requirements.txt", where="")
    return START.format(name=name, what="BOOK -r requirements.txt", where=CLONE)


def _hand_out(path: Path) -> None:
    """Leave no outputs in a student's notebook, and say how to begin with it."""
    import nbformat  # only here, as in `grade.py`

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    first = nbformat.v4.new_markdown_cell(start(path.stem), id="before-you-start")
    notebook.cells.insert(0, first)
    nbformat.write(notebook, path)
    (path.parent / "requirements.txt").write_text(requirements(student=True))


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="all, if none is named")
    parser.add_argument("--to", type=Path, default=BUILT, metavar="FOLDER")
    parser.add_argument("--no-tests", action="store_true", help="trust the solutions")
    given = parser.parse_args()
    for name in given.names or names():
        made = build(name, given.to, run_tests=not given.no_tests)
        print(f"{name}: {made}")


if __name__ == "__main__":
    run()
