"""What each privilege buys, from the cells that are stored.

The policy error of a cell is the geometric interquartile mean of its reported seeds; an effect is
the factor by which a privilege divides it, with a 95% bootstrap interval over the seeds (Agarwal
et al. 2021). What another search would have found is not in the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import bootstrap, trim_mean

from benchmarks.harness import stored

from .cells import CELLS, Cell

RESAMPLES = 4000


def log_errors(cell: Cell) -> np.ndarray:
    """Log policy errors of a cell's reported seeds."""
    return np.log([row["policy_error"] for row in stored("factorial")[cell.name]["tuned"]])


def middle(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean of the middle half."""
    return trim_mean(x, 0.25, axis=axis)


def interval(statistic: Callable, *samples: np.ndarray) -> tuple[float, float]:
    """A 95% bootstrap interval of a statistic of samples, seeds drawn anew in each of them."""
    found = bootstrap(
        samples, statistic, n_resamples=RESAMPLES, method="percentile", vectorized=True, rng=0
    ).confidence_interval
    return float(found.low), float(found.high)


def effect(without: Cell, having: Cell) -> dict[str, float]:
    """By what a privilege divides the policy error, and the interval."""
    samples = log_errors(without), log_errors(having)

    def difference(a, b, axis=-1):
        return middle(a, axis) - middle(b, axis)

    low, high = interval(difference, *samples)
    return {
        "factor": float(np.exp(difference(*samples))),
        "low": float(np.exp(low)),
        "high": float(np.exp(high)),
    }


def interaction(one: str, other: str, cells: dict[frozenset, Cell]) -> dict[str, float]:
    """How much more a privilege buys if one has another: the ratio of its two factors."""
    corners = [cells[frozenset(x)] for x in ((), (one,), (other,), (one, other))]
    samples = [log_errors(cell) for cell in corners]

    def contrast(none, first, second, both, axis=-1):
        alone = middle(none, axis) - middle(first, axis)
        return middle(second, axis) - middle(both, axis) - alone

    low, high = interval(contrast, *samples)
    return {
        "factor": float(np.exp(contrast(*samples))),
        "low": float(np.exp(low)),
        "high": float(np.exp(high)),
    }


def at_their_best(cells: list[Cell]) -> Cell:
    """The cell with the smallest error on the seeds of the search."""
    return min(cells, key=lambda c: stored("factorial")[c.name]["search"]["tuning_error"])


def factorials() -> dict[str, dict[frozenset, Cell]]:
    """The cells of each factorial of which all are stored."""
    found: dict[str, dict[frozenset, Cell]] = {}
    for cell in CELLS.values():
        head = cell.name.split("+")[0]
        found.setdefault(head, {})[frozenset(cell.privileges)] = cell
    have = stored("factorial")
    return {n: c for n, c in found.items() if all(x.name in have for x in c.values())}


def effects() -> Iterator[tuple[str, dict[str, float]]]:
    """What each privilege buys alone, with all others, and with the others at their best."""
    for name, cells in factorials().items():
        varied = next(iter(cells.values())).varied
        for privilege in varied:
            rest = frozenset(varied) - {privilege}
            alone = effect(cells[frozenset()], cells[frozenset([privilege])])
            yield f"{name}: {privilege}, alone", alone
            if not rest:
                continue
            with_rest = effect(cells[rest], cells[rest | {privilege}])
            yield f"{name}: {privilege}, with all others", with_rest
            best = [
                at_their_best([c for kept, c in cells.items() if (privilege in kept) == has])
                for has in (False, True)
            ]
            yield f"{name}: {privilege}, others at their best", effect(*best)
        for i, one in enumerate(varied):
            for other in varied[i + 1 :]:
                yield f"{name}: {one} x {other}", interaction(one, other, cells)
