"""A sweep from its beginning to its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from ..parameters import entered, require
from ..progress import progress_bar
from .engines import ENGINES, Means, cores
from .jobs import jobs_of, place
from .rows import append, resumed


class RunsFailed(RuntimeError):
    """Some runs of a sweep failed, and all others are done.

    Attributes
    ----------
    failures : dict
        What went wrong, as text with its traceback, by pairs of a cell's name and its seed (a
        number, a tuple or None).
    rows : list of dict
        Of the runs that are done, as :func:`sweep` would have returned them.
    """

    def __init__(self, failures: dict[tuple, str], rows: list[dict]):
        self.failures, self.rows = failures, rows
        last = [f"  {place(*at)}: {text.splitlines()[-1]}" for at, text in failures.items()]
        super().__init__(
            f"{len(failures)} of {len(failures) + len(rows)} runs failed. The others are done, and "
            "are not done again by the same sweep if it has a path.\n"
            + "\n".join(last)
            + f"\n\nThe first of them:\n\n{next(iter(failures.values()))}"
        )


def sweep(
    run: Callable,
    cells: Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]],
    seeds: Iterable | None = None,
    engine: str = "serial",
    *,
    path: str | os.PathLike | None = None,
    workers: int | None = None,
    retries: int = 3,
    address: str | None = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[[dict], None] | None = None,
    show_progress: bool | None = None,
) -> list[dict]:
    """Call a function once for each cell and seed.

    A cell is keyword arguments of the function, so that the sweep does what ``run(**cell,
    seed=seed)`` does by hand. Torch has one thread in each call, whatever the engine, so that
    results do not depend on where they are made.

    Parameters
    ----------
    run : callable
        What it returns is stored as JSON: numbers, strings, None, and lists and dictionaries of
        them. Tensors, arrays and tuples become lists.
    cells : dict of dict, or iterable of dict
        Settings by the cells' names; without names, a cell is called by its settings.
    seeds : iterable, optional
        A whole number is handed to `run` as ``seed``. What holds several is handed over in one
        call, as a tuple ``seeds``, for agents that train them at once: with ``seeds=range(5)`` each
        cell is called five times, and with ``seeds=[range(5)]`` once. By default `run` is given
        none.
    engine : {"serial", "processes", "ray"}
        In this process; in processes of this computer; or as tasks of `Ray <https://docs.ray.io>`_
        (``pip install 'lectures-lib[cluster]'``). For "processes" `run` has to be in a module.
        Computers of a cluster need the same packages and the module of `run`, unless that is
        defined in the notebook or script itself.
    path : path, optional
        The file that gets a line for each run when it is done. Runs that are in it are not done
        again. A run is known by its function (its name and its own text, not what it calls), its
        cell's name and settings, defaults included, and its seed. Only one sweep at a time may
        write to a file.
    workers : int, optional
        Processes at a time, by default as many as there are cores; with Ray, cores of a cluster
        that is started on this computer.
    retries : int
        How often a run is begun again whose process was killed or whose computer was lost. Errors
        of `run` itself are not retried.
    address : str, optional
        For ``ray.init``, unless the program is connected to a cluster already. By default that of a
        cluster which the variable RAY_ADDRESS names or which runs on this computer; if there is
        none, one is started here and stopped afterwards.
    options : dict, optional
        Of Ray's tasks, such as ``{"num_gpus": 0.25}``.
    callback : callable, optional
        Is given each row when its run is done.
    show_progress : bool, optional
        By default the bar shows where somebody watches. It counts failures as they come.

    Returns
    -------
    list of dict
        A row for each cell and seed, in this order. It has ``cell`` (the name), ``settings`` (as
        JSON), ``seed`` (a number, a list or None), ``result``, ``seconds`` (by the clock),
        ``worker`` (computer and process), ``run`` (the function's name) and ``key``.

    Raises
    ------
    RunsFailed
        If some runs failed: when all others are done.
    ValueError, TypeError
        Before anything is run: if a name or seed is there twice, settings are no arguments of
        `run`, or `run` cannot be sent to where it should be run.
    ImportError
        If Ray is wanted and not installed.

    Examples
    --------
    >>> def worth(discount, seed):
    ...     return {"worth": seed / (1 - discount)}
    >>> cells = {"patient": {"discount": 0.5}, "myopic": {"discount": 0.0}}
    >>> for row in sweep(worth, cells, seeds=range(1, 3)):
    ...     print(row["cell"], row["seed"], row["result"])
    patient 1 {'worth': 2.0}
    patient 2 {'worth': 4.0}
    myopic 1 {'worth': 1.0}
    myopic 2 {'worth': 2.0}
    """
    require(engine in ENGINES, "engine", engine, f"one of {', '.join(map(repr, ENGINES))}")
    for name, value in (("address", address), ("options", options)):
        require(value is None or engine == "ray", name, value, "None unless engine='ray'")
    workers, retries = entered("workers", workers, int | None), entered("retries", retries, int)
    require(workers is None or workers >= 1, "workers", workers, "at least 1")
    require(retries >= 0, "retries", retries, "at least 0")
    means = Means(workers or cores(), workers is not None, retries, address, dict(options or {}))
    jobs = jobs_of(run, cells, seeds)
    file = None if path is None else Path(path)
    found = {} if file is None else resumed(file, jobs)
    missing = [job for job in jobs if job.key not in found]
    failures: dict[str, str] = {}
    outcomes = closing(ENGINES[engine](run, missing, means))
    with progress_bar(len(jobs), "sweep", show_progress, unit="run") as bar, outcomes as coming:
        bar.update(len(found))
        for job, outcome in coming:
            if "error" in outcome:
                failures[job.key] = outcome["error"]
                bar.set_postfix(failed=len(failures))
            else:
                row = found[job.key] = job.row | outcome
                if file is not None:
                    append(file, [row])
                if callback is not None:
                    callback(row)
            bar.update()
    rows = [found[job.key] for job in jobs if job.key in found]
    if failures:
        told = {job.place: failures[job.key] for job in jobs if job.key in failures}
        raise RunsFailed(told, rows)
    return rows
