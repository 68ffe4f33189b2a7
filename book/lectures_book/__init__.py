"""What every chapter of the book uses: how it states a claim, shows the library's own code, reads
stored results and draws a band over seeds."""

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from IPython.display import Markdown
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from lectures_lib.plotting import COLOURS, DASHES

__all__ = ["band", "claim", "missed", "source", "stored", "written"]

HOLDS, FAILS = "✓", "NO:"
MISSED = "predicted, and not so: "
WIDTH = 76  # of a line that fits into the pages' column


def claim(text: str, holds: bool | np.bool_ | torch.Tensor) -> None:
    """Print one of a chapter's claims with a tick, or with NO if it does not hold.

    In a cell tagged `nbval-check-output`, a claim that no longer holds differs from the stored
    output, and the chapter's test fails.

    Parameters
    ----------
    text : str
        A sentence without a full stop, the same whether it holds or not.
    holds : bool
        Python's, or NumPy's or torch's of no dimension.

    Raises
    ------
    TypeError
        If `holds` is anything else. A number or a list is no answer, although Python would take
        it for one.

    Examples
    --------
    >>> claim("two and two are four", 2 + 2 == 4)
    ✓ two and two are four
    >>> claim("the largest of three is below 2", np.max([1, 2, 3]) < 2)
    NO: the largest of three is below 2
    """
    print(f"{HOLDS if _answer(text, holds) else FAILS} {text}")


def missed(text: str, holds: bool | np.bool_ | torch.Tensor) -> None:
    """Print a prediction of a chapter that was wrong, or NO if it has come true.

    Parameters are those of :func:`claim`, and checked alike.

    Examples
    --------
    >>> missed("two and two are five", 2 + 2 == 5)
    ✓ predicted, and not so: two and two are five
    """
    claim(MISSED + text, not _answer(text, holds))


def _answer(text, holds) -> bool:
    answer = holds
    if isinstance(holds, np.ndarray | torch.Tensor) and holds.ndim == 0:
        answer = holds.item()
    if not isinstance(answer, bool | np.bool_):
        raise TypeError(
            f"The claim {text!r} holds or not: one bool is needed, and this is {holds!r}. Compare "
            "a number with its bound; of several comparisons take all() or any()."
        )
    return bool(answer)


def source(
    *functions: Callable,
    documented: bool = True,
    first: str = "",
    last: str = "",
) -> Markdown:
    """The library's own code, as a chapter shows it.

    Parameters
    ----------
    *functions : callable
        Functions or methods of `lectures_lib`.
    documented : bool
        Whether with what their docstrings say.
    first, last : str, optional
        Show only the lines from one that holds the first text to one that holds the last.

    Returns
    -------
    Markdown

    Raises
    ------
    ValueError
        If a line is too wide for a page.
    """
    shown = "\n\n".join(_code(function, documented) for function in functions)
    lines = shown.splitlines()
    begin = next(i for i, line in enumerate(lines) if first in line)
    end = next(i for i, line in reversed([*enumerate(lines)]) if last in line)
    shown = textwrap.dedent("\n".join(lines[begin : end + 1]))
    wide = [line.strip() for line in shown.splitlines() if len(line) > WIDTH]
    if wide:
        raise ValueError(f"wider than {WIDTH} characters, so that a page would cut it: {wide[0]}")
    return Markdown(f"```python\n{shown}\n```")


def _code(function, documented) -> str:
    code = textwrap.dedent(inspect.getsource(function)).rstrip()
    if documented or code.count('"""') < 2:
        return code
    head, _, body = code.split('"""', 2)
    return head.removesuffix("r").rstrip() + body


def stored(name: str) -> dict:
    """What a benchmark measured and stored in the repository, under `benchmarks/results`.

    Parameters
    ----------
    name : str
        The file's name without its ending: `stored("planner")`.

    Returns
    -------
    dict
        As the benchmark wrote it; what made it is said under "made".

    Raises
    ------
    FileNotFoundError
        If no repository is found, or if its results have no such file.
    """
    folder = _repository() / "benchmarks" / "results"
    file = folder / f"{name}.json"
    if not file.is_file():
        there = ", ".join(sorted(path.stem for path in folder.glob("*.json"))) or "none"
        raise FileNotFoundError(f"No results {name!r} are stored in {folder}. There are: {there}.")
    return json.loads(file.read_text(encoding="utf-8"))


def written(chapter: str, until: str) -> ModuleType:
    """What an earlier chapter has written, for a chapter or a benchmark that goes on with it.

    Imports, functions, classes and constants (names in capitals) of its cells; nothing else that
    stands there is run.

    Parameters
    ----------
    chapter : str
        The notebook under `book`, without its ending: `"learning/bring_your_own_economy"`.
    until : str
        Code of the last cell that is read.

    Returns
    -------
    ModuleType

    Raises
    ------
    FileNotFoundError
        If there is no such chapter.
    ValueError
        If none of its cells has this code.
    """
    file = _repository() / "book" / f"{chapter}.ipynb"
    if not file.is_file():
        raise FileNotFoundError(f"There is no chapter {file}.")
    every = json.loads(file.read_text(encoding="utf-8"))["cells"]
    cells = ["".join(cell["source"]) for cell in every if cell["cell_type"] == "code"]
    last = next((i for i, code in enumerate(cells) if until in code), None)
    if last is None:
        raise ValueError(f"No cell of {chapter} has the code {until!r}.")
    module = ModuleType("written_in_" + file.stem)
    sys.modules[module.__name__] = module  # where classes look for the names in their annotations
    for code in cells[: last + 1]:
        body = [node for node in ast.parse(code).body if _defines(node)]
        exec(compile(ast.Module(body, []), str(file), "exec"), module.__dict__)
    return module


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return all(isinstance(x, ast.Name) and x.id.isupper() for x in node.targets)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def _repository() -> Path:
    """The repository in which the chapter runs, or else the one that this file lies in."""
    begin, here = Path.cwd(), Path(__file__).resolve().parent
    for folder in (begin, *begin.parents, *here.parents):
        # A folder of benchmarks alone may be anybody's.
        if all((folder / part).is_dir() for part in ("book/lectures_book", "benchmarks/results")):
            return folder
    raise FileNotFoundError(
        f"No folder above {begin} or {here} has the book's benchmarks/results. Stored results are "
        "not installed with the package: run the chapter within a clone of the repository."
    )


def band(
    ax: Axes,
    x: Sequence[float],
    rows: ArrayLike,
    look: int = 0,
    *,
    middle: Callable[..., np.ndarray] = np.median,
    **line,
) -> None:
    """Draw what several seeds did: a line through the middle, a band from smallest to largest.

    Parameters
    ----------
    ax : Axes
    x : sequence of float, shape (points,)
    rows : array, shape (points, seeds)
        One row for each point, as the records of a :class:`~lectures_lib.agents.History` have it.
    look : int
        The place in the book's colours and dashes, the same for line and band.
    middle : callable
        `middle(rows, axis=1)` is the line, shape (points,).
    **line
        For `ax.plot`, such as `label`, `marker`, and `color` and `linestyle` instead of the look's.

    Raises
    ------
    ValueError
        If `rows` does not have one row for each point.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or len(rows) != len(x):
        raise ValueError(
            f"rows must have shape (points, seeds) with {len(x)} points, as x has, and has shape "
            f"{rows.shape}. If seeds come first, give rows.T."
        )
    line = {"color": COLOURS[look % len(COLOURS)], "linestyle": DASHES[look % len(DASHES)]} | line
    ax.plot(x, middle(rows, axis=1), **line)
    low, high = rows.min(1), rows.max(1)
    ax.fill_between(x, low, high, color=line["color"], alpha=0.25, linewidth=0)
