"""Runs of a part: in as many processes as the command line says, and none of them twice.

The journals lie in `benchmarks/.journals`, which may be deleted when nothing is to be continued.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby

from lectures_lib.experiments import sweep

from .record import RESULTS, commit

JOURNALS = RESULTS.parent / ".journals"
#: What `sweep` is told besides what to run; without a command line, nothing.
_HOW: ContextVar[dict] = ContextVar("how", default={})  # noqa: B039


@contextmanager
def journal(question: str, part: str, kept: bool, **how):
    """Runs of this part can go on when they have been interrupted, as long as the commit is this.

    Parameters
    ----------
    question, part : str
    kept : bool
        Whether there is a journal: there is none of code that no commit holds.
    **how
        What :func:`lectures_lib.experiments.sweep` is told, such as the engine.
    """
    path = JOURNALS / f"{question}.{part}.{commit()}.jsonl" if kept else None
    before = _HOW.set({"path": path, **how})
    try:
        yield
    finally:
        _HOW.reset(before)
    if path is not None:
        path.unlink(missing_ok=True)


def swept(run, cells, seeds=None) -> Iterator[tuple[str, object]]:
    """Names of cells with what `run` returns for them, as a part yields them.

    Parameters
    ----------
    run, cells, seeds
        As :func:`lectures_lib.experiments.sweep` takes them.

    Yields
    ------
    name, result
        The result is a list with that of each seed, if seeds are handed over one by one.
    """
    how = _HOW.get()
    if how.get("engine") == "processes" and len(cells) * len(seeds or [None]) == 1:
        how = {"path": how["path"]}  # nothing is gained by another process
    rows = sweep(run, cells, seeds, callback=_tell, show_progress=False, **how)
    for name, own in groupby(rows, lambda row: row["cell"]):
        found = list(own)
        one_by_one = isinstance(found[0]["seed"], int)
        yield name, [row["result"] for row in found] if one_by_one else found[0]["result"]


def _tell(row) -> None:
    seed = f", seed {row['seed']}" if isinstance(row["seed"], int) else ""
    print(f"  {row['cell']}{seed}: {row['seconds']:.0f} s", flush=True)
