"""The file of a sweep: a line of JSON for each run that is done."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path


def read(path: str | os.PathLike) -> list[dict]:
    """The rows of a file that :func:`~lectures_lib.experiments.sweep` writes or has written.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of dict
        As `sweep` returns them, in the order in which runs were done. Of rows with the same
        function's name, cell and seed the last one counts: others had other settings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is no row. Only the last one may be half written, and is left out.

    Examples
    --------
    ::

        rows = read("sweep.jsonl")
        losses = np.array([row["result"]["loss"] for row in rows])
    """
    return list({_shown(row): row for row in _lines(Path(path))}.values())


def resumed(path: Path, jobs) -> dict[str, dict]:
    """Those rows of jobs that are in a file, by their keys; others can be appended to it then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    rows = _lines(path)
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    by_key = {row["key"]: row for row in rows}
    found = {job.key: by_key[job.key] for job in jobs if job.key in by_key}
    # Where settings were changed and changed back, those that count are again the last.
    last = {_shown(row): row["key"] for row in rows}
    append(path, [row for row in found.values() if last[_shown(row)] != row["key"]])
    return found


def append(path: Path, rows: Sequence[dict]) -> None:
    """Add lines to a file."""
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _lines(path: Path) -> list[dict]:
    rows = []
    # What follows the last end of a line is half a row.
    for number, line in enumerate(path.read_text().split("\n")[:-1], 1):
        try:
            row = json.loads(line)
            row["key"], _shown(row)
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"line {number} of {path} is no row of a sweep: {line[:60]!r}. Name another file, "
                "or delete the line."
            ) from None
        rows.append(row)
    return rows


def _shown(row: dict) -> tuple[str, str, str]:
    """What a row is taken for by who reads it."""
    return row["run"], row["cell"], str(row["seed"])
