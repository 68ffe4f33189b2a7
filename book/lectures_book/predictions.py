"""What the book predicted before it measured, as its notebooks are stored.

A cell with the tag `prediction` states predictions: each line that :func:`lectures_book.claim`
prints there is one. What :func:`lectures_book.missed` prints is one wherever it stands. If a cell
claims other things as well, its metadata say which lines are meant, by how they begin, and what
was measured::

    "predictions": {"customers end at": "{mar-n10: customers after 40 periods #1}", "profits": ""}

Between braces stands a place in the chapter's own stored outputs, which :func:`printed` reads.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lectures_book import FAILS, HOLDS, MISSED, _repository

TAG, KEY = "prediction", "predictions"


class Chapter(NamedTuple):
    """A notebook of the book, and where the table of contents has it."""

    name: str  # under `book`, without its ending: "primer/q_learning"
    part: str
    title: str
    cells: list[dict]


class Prediction(NamedTuple):
    """One line of a cell of claims."""

    chapter: str
    cell: str
    text: str
    held: bool
    measured: str  # empty where the text says it


def chapters() -> list[Chapter]:
    """All notebooks of the book, in the order of the table of contents."""
    root, found, part = _repository(), [], ""
    contents = (root / "_toc.yml").read_text(encoding="utf-8")
    for caption, file in re.findall(r"- caption: (.+)|- file: book/(\S+)", contents):
        part = caption or part
        path = root / "book" / f"{file}.ipynb"
        if file and path.is_file():
            cells = read(path)
            title = "".join(cells[0]["source"]).partition("\n")[0].removeprefix("# ")
            found.append(Chapter(file, part, title, cells))
    return found


def read(path: str | Path) -> list[dict]:
    """A notebook's cells."""
    return json.loads(Path(path).read_text(encoding="utf-8"))["cells"]


def predictions() -> list[Prediction]:
    """All predictions of the book, in its order."""
    return [one for chapter in chapters() for one in stated(chapter.name, chapter.cells)]


def stated(chapter: str, cells: list[dict]) -> Iterator[Prediction]:
    """The predictions of a chapter, in the order in which it checks them.

    Raises
    ------
    ValueError
        If a cell's metadata name a line that it does not print, or a place that is not there.
    """
    for cell in cells:
        named = cell["metadata"].get(KEY, {})
        is_tagged = TAG in cell["metadata"].get("tags", ())
        if named and not is_tagged:
            raise ValueError(f"{chapter}, cell {cell['id']}: {KEY!r} needs the tag {TAG!r}.")
        used = set()
        for mark, text in claimed(cell):
            was_missed = text.startswith(MISSED)
            text = text.removeprefix(MISSED)
            begin = next((begin for begin in named if text.startswith(begin)), None)
            used.add(begin)
            if was_missed or begin is not None or (is_tagged and not named):
                measured = filled(chapter, cells, named[begin]) if begin is not None else ""
                yield Prediction(chapter, cell["id"], text, was_missed != (mark == HOLDS), measured)
        if idle := set(named) - used:
            raise ValueError(f"{chapter}, cell {cell['id']} claims nothing that begins: {idle}.")


def claimed(cell: dict) -> list[tuple[str, str]]:
    """What a cell claims: the mark and the text of each line."""
    return re.findall(rf"^({HOLDS}|{FAILS}) (.+)$", _shown(cell), re.M)


def filled(chapter: str, cells: list[dict], text: str) -> str:
    """A text with the words of the chapter's outputs in the place of its braces."""
    return re.sub(
        r"\{([\w-]+): ([^}]+)\}", lambda place: _word(chapter, cells, place[1], place[2]), text
    )


def printed(chapter: str, place: str) -> str:
    """A word of what a chapter's stored outputs show.

    Parameters
    ----------
    chapter : str
        Its name under `book`, such as "primer/q_learning".
    place : str
        "cell: label #3" is the third word behind the label, in the output of the cell with this
        id. The label begins a line, such as a row of a table, or else stands in one line only.

    Raises
    ------
    ValueError
        If there is no such place, or more than one.
    """
    cells = read(_repository() / "book" / f"{chapter}.ipynb")
    return _word(chapter, cells, *place.split(": ", 1))


def _word(chapter, cells, name, place) -> str:
    label, _, number = place.rpartition(" #")
    shown = [_shown(cell) for cell in cells if cell.get("id") == name]
    lines = [f"{' '.join(line.split())} " for text in shown for line in text.splitlines()]
    begun = [line for line in lines if line.startswith(f"{label} ")]
    found = begun or [line for line in lines if f"{label} " in line]
    words = found[0].partition(f"{label} ")[2].split() if len(found) == 1 else []
    if not label or not number.isdigit() or not 0 < int(number) <= len(words):
        raise ValueError(
            f"{chapter}: {name!r} shows no word {place!r}, or more than one: there are {found}."
        )
    word = words[int(number) - 1].strip(",;:()[]")
    return f"{float(word):.10g}" if re.search(r"\de[+-]0[0-3]$", word) else word


def _shown(cell) -> str:
    """The text of a code cell's outputs."""
    texts = []
    for output in cell.get("outputs", ()):
        texts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return "\n".join("".join(text) for text in texts)
