"""A part for each cell, and what the cells say together."""

from __future__ import annotations

from .cells import CELLS, Cell
from .learning import reported
from .search import best_setting, search, summary


def part_of(cell: Cell):
    """The part of a cell: its search, and seeds that the search has not used."""

    def part(trials=32, seeds=10, steps=cell.steps):
        study = search(cell, trials, steps)
        yield "search", summary(study)
        yield "tuned", reported(cell, best_setting(study), range(seeds), steps)

    who = {"ppo": "PPO", "sac": "SAC"}.get(cell.learner, cell.learner)
    part.__doc__ = f"{who}, {cell.economy}: {', '.join(cell.privileges) or 'no privilege'}."
    return part


PARTS = {name: part_of(cell) for name, cell in CELLS.items()}
