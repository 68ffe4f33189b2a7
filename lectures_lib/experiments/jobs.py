"""What a sweep has to do: a job for each cell and seed, and by what it is known."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..parameters import described, entered, require


@dataclass(frozen=True)
class Job:
    """A call that is to be made.

    Attributes
    ----------
    keywords : dict
        Its arguments.
    row : dict
        What the row of results says of it, apart from what comes of it.
    """

    keywords: dict[str, Any]
    row: dict[str, Any]

    @property
    def key(self) -> str:
        """By what the job is known in a file of results."""
        return self.row["key"]

    @property
    def place(self) -> tuple:
        """The cell's name and the seed: a number, a tuple of them or None."""
        seed = self.row["seed"]
        return self.row["cell"], tuple(seed) if isinstance(seed, list) else seed


def place(cell: str, seed) -> str:
    """A job's place, for people."""
    if seed is None:
        return f"cell {cell!r}"
    return f"cell {cell!r}, {'seeds' if isinstance(seed, tuple) else 'seed'} {seed}"


def jobs_of(run, cells, seeds) -> list[Job]:
    """All jobs, the seeds of the first cell first; the arguments are those of `sweep`."""
    function, jobs, seeds = _told(run), {}, list(_handed(seeds))
    for name, cell in _named(cells).items():
        for seed, given in seeds:
            if clash := given.keys() & cell.keys():
                raise ValueError(
                    f"cell {name!r} sets {min(clash)!r}, and so do the seeds of the sweep: leave "
                    "one of them out."
                )
            keywords = {**cell, **given}
            settings = {k: x for k, x in _bound(run, name, keywords).items() if k not in given}
            row = {"run": name_of(run), "cell": name, "settings": described(settings), "seed": seed}
            row["key"] = hashlib.sha256(json.dumps([function, row]).encode()).hexdigest()[:16]
            require(row["key"] not in jobs, "seeds", seed, "every seed only once")
            # As it will be read from a file.
            jobs[row["key"]] = Job(keywords, json.loads(json.dumps(row)))
    return list(jobs.values())


def name_of(run) -> str:
    """A function's module and name."""
    run = _innermost(run)
    kind = run if hasattr(run, "__qualname__") else type(run)
    return f"{kind.__module__}.{kind.__qualname__}"


def _innermost(run):
    while isinstance(run, functools.partial):
        run = run.func
    return run


def _told(run) -> list:
    """What makes of a function another one."""
    try:
        text = inspect.getsource(_innermost(run))
    except (OSError, TypeError):
        text = None
    return [described(run), text]


def _named(cells) -> dict[str, Mapping]:
    if not isinstance(cells, Mapping):
        named: dict[str, Mapping] = {}
        for cell in cells:
            require(isinstance(cell, Mapping), "cell", cell, "a dictionary of settings")
            name = ", ".join(f"{key}={value}" for key, value in cell.items())
            if name in named:
                raise ValueError(
                    f"two cells are called {name!r}: leave one out, or give a dictionary of cells "
                    "by names that tell them apart."
                )
            named[name] = cell
        return named
    for name, cell in cells.items():
        require(isinstance(name, str), "name of a cell", name, "a string")
        require(isinstance(cell, Mapping), f"cell {name!r}", cell, "a dictionary of settings")
    return dict(cells)


def _handed(seeds) -> Iterator[tuple[int | list[int] | None, dict]]:
    """What a row says of its seed or seeds, and how the function is given them."""
    if seeds is None:
        yield None, {}
        return
    require(isinstance(seeds, Iterable), "seeds", seeds, "several, such as range(5)")
    for one in seeds:
        if isinstance(one, Iterable) and getattr(one, "ndim", 1) != 0:
            several = entered("seeds", one, tuple[int, ...])
            yield list(several), {"seeds": several}
        else:
            seed = entered("seed", one, int)
            yield seed, {"seed": seed}


def _bound(run, name, keywords) -> dict[str, Any]:
    """All arguments of a call, defaults included."""
    try:
        signature = inspect.signature(run)
    except ValueError:  # something built in, which does not say what it takes
        return keywords
    try:
        bound = signature.bind(**keywords)
    except TypeError as error:
        raise TypeError(f"cell {name!r} does not fit {name_of(run)}: {error}") from None
    bound.apply_defaults()
    found = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= found.pop(parameter.name)
    return found
