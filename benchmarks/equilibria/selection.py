"""Where societies end that learn by trial and error, by where they begin and how they learn.

Chapter *Which equilibrium?* A row is a line of a map: all initial stocks of capital, twenty seeds
each. What is judged is the rule without noise that has been learned, followed from the capital at
which it was learned. It ends `low` or `high` within 15 per cent of one of the outer rest points, in
the `middle` within 3 per cent of the unstable one, or elsewhere. Its `error` is by how much capital
departs from the nearest path with perfect foresight to the same end, in per cent, the largest of
150 periods.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from benchmarks.harness import CALIBRATIONS, rounded, timed
from lectures_lib.agents import PPOConfig, ProbingConfig
from lectures_lib.economies import Externality
from lectures_lib.solvers import perfect_foresight, rest_points, without_risk

from .cells import GRID, Cells, PPOCells, ProbingCells, fates, motion

HISTORY = Externality(action="quantity")
EXPECTATIONS = replace(HISTORY, endowment=20.0)
#: The axes of the maps.
CAPITAL = np.linspace(27.0, 42.2, 20)
SCATTER = np.geomspace(0.01, 0.4, 10)
NOISE = np.geomspace(0.2, 5.0, 3)
GUESS = np.linspace(24.0, 46.0, 5)
#: Distances in logarithms from the outer rest points, and from the one between.
NEAR, NEAR_MIDDLE = 0.15, 0.03
#: Periods in which a learned path is compared with an exact one.
COMPARED = 150
SMALL = {"groups": 1, "replicates": 8, "hidden": (16, 16)}
PROBING = ProbingConfig(
    **SMALL, horizon=8, policy_rate=5e-3, critic_rate=5e-3, jitter=0.05, restart=0.2
)
PPO_COMMON = PPOConfig(
    **SMALL, horizon=16, policy_rate=5e-3, critic_rate=5e-3, jitter=0.05, restart=0.2
)
PPO_ORDINARY = PPOConfig.ordinary(
    **SMALL, horizon=16, policy_rate=5e-3, critic_rate=5e-3, restart=0.2
)
ITERATIONS = 400


def spending(economy):
    """The same economy as the solver of perfect foresight wants it."""
    return replace(economy, action="spending")


def riskless(economy):
    """Without risk, as the exact paths are."""
    return without_risk(economy)


@cache
def stocks(economy) -> tuple[float, ...]:
    """Capital at the rest points."""
    return tuple(point.capital for point in rest_points(spending(economy)))


def learned(kind, economy, cells, config, iterations, luck=0):
    """Each run's motion of capital (runs, grid), and the processor seconds it all took."""
    torch.set_num_threads(1)
    e = riskless(economy)
    agent = kind.on(e, cells, config, luck)
    steps = iterations * agent.steps_per_iteration
    _, seconds = timed(agent.learn, steps, show_progress=False)
    return motion(agent.policy, e, GRID), seconds


def ends(economy, capital) -> dict[str, np.ndarray]:
    """Which rest point each capital is near to, as zeros and ones."""
    low, middle, high = (abs(np.log(np.maximum(capital, 1e-9) / x)) for x in stocks(economy))
    found = {"low": low < NEAR, "middle": middle < NEAR_MIDDLE, "high": high < NEAR}
    found["elsewhere"] = ~(found["low"] | found["middle"] | found["high"])
    return {name: x.astype(float) for name, x in found.items()}


def paths(rules, capital, periods) -> np.ndarray:
    """Capital under each rule, (periods + 1, runs)."""
    found = [np.array(capital, dtype=float)]
    for _ in range(periods):
        found.append(fates(rules, found[-1], 1))
    return np.array(found)


@cache
def exact(economy, capital) -> tuple:
    """Ends and paths (periods + 1,) with perfect foresight from a capital."""
    found = []
    for path in perfect_foresight(spending(economy), capital):
        rest = np.full(COMPARED + 1, path.end.capital)
        rest[: len(path.capital)] = path.capital[: COMPARED + 1]
        found.append((path.end.capital, rest))
    return tuple(found)


def errors(economy, walked, end) -> np.ndarray:
    """Distance of learned paths (periods + 1, runs) from exact ones, per cent; NaN without one."""
    found = np.full(walked.shape[1], np.nan)
    for i, path in enumerate(walked.T):
        rivals = [x for stop, x in exact(economy, path[0]) if abs(np.log(end[i] / stop)) < NEAR]
        gaps = [100 * abs(np.log(path.clip(1e-9) / x)).max() for x in rivals]
        found[i] = min(gaps, default=np.nan)
    return found


def crossing(capital, high) -> float | None:
    """The smallest capital at which half of the seeds end high, on a straight line between two."""
    for i in range(len(high) - 1):
        if high[i] < 0.5 <= high[i + 1]:
            part = (0.5 - high[i]) / (high[i + 1] - high[i])
            return float(capital[i] + part * (capital[i + 1] - capital[i]))
    return None


def lines(economy, cells, axis, rules, seconds):
    """A row for each value of an axis, from all runs of a map."""
    end = fates(rules, cells.capital)
    found = ends(economy, end)
    walked = paths(rules, cells.capital, COMPARED)
    error = errors(economy, walked, end)
    along = getattr(cells, axis)
    for value in np.unique(along):
        mine = along == value
        capital = np.unique(cells.capital[mine])
        place = [mine & (cells.capital == k) for k in capital]
        shares = {name: [float(x[p].mean()) for p in place] for name, x in found.items()}
        pairs = zip(shares["high"], shares["low"], strict=True)
        decided = [h / (h + w) if h + w else 0.0 for h, w in pairs]
        row = {
            axis: float(value),
            "boundary": crossing(capital, decided),
            **{f"share_{name}": float(x[mine].mean()) for name, x in found.items()},
            "error": float(np.nanmedian(error[mine])) if np.isfinite(error[mine]).any() else None,
            "seconds": seconds * float(mine.mean()),
            "capital_at_first": rounded(capital),
            "ends": rounded([np.quantile(end[p], (0.1, 0.5, 0.9)) for p in place]),
            "errors": [
                float(f"{np.nanmedian(error[p]):.4g}") if np.isfinite(error[p]).any() else None
                for p in place
            ],
        } | {name: rounded(x) for name, x in shares.items()}
        yield float(value), row


def _map(economy, kind, config, iterations, axis, label, cells):
    rules, seconds = learned(kind, economy, cells, config, iterations)
    for value, row in lines(economy, cells, axis, rules, seconds):
        yield f"{label} {value:.3g}", row


# ---------------------------------------------------------------------- parts
def expectations(seeds=20, iterations=ITERATIONS):
    """Probing with the endowment, by initial capital and by how far states are scattered."""
    cells = Cells.grid(CAPITAL, range(seeds), scatter=SCATTER)
    yield from _map(EXPECTATIONS, ProbingCells, PROBING, iterations, "scatter", "scatter", cells)


def history(seeds=20, iterations=ITERATIONS):
    """The same without an endowment, where history alone should decide."""
    cells = Cells.grid(CAPITAL, range(seeds), scatter=SCATTER)
    yield from _map(HISTORY, ProbingCells, PROBING, iterations, "scatter", "scatter", cells)


def guesses(seeds=5, iterations=ITERATIONS):
    """Probing from first rules that maintain more or less capital than there is."""
    for name, economy in (("history", HISTORY), ("expectations", EXPECTATIONS)):
        cells = Cells.grid(CAPITAL[::2], range(seeds), guess=GUESS)
        label = f"{name}, guess"
        yield from _map(economy, ProbingCells, PROBING, iterations, "guess", label, cells)


def algorithms(seeds=5, iterations=ITERATIONS):
    """PPO with and without common shocks, by initial capital and noise."""
    kinds = {"ordinary": PPO_ORDINARY, "common": PPO_COMMON}
    for name, economy in (("history", HISTORY), ("expectations", EXPECTATIONS)):
        for kind, config in kinds.items():
            cells = Cells.grid(CAPITAL[::2], range(seeds), noise=NOISE)
            label = f"{name}, PPO {kind}, noise"
            yield from _map(economy, PPOCells, config, iterations, "noise", label, cells)


def rates(seeds=5, iterations=ITERATIONS):
    """Probing by initial capital and size of the policy's steps, with the endowment."""
    cells = Cells.grid(CAPITAL[::2], range(seeds), rate=np.geomspace(0.25, 4, 3))
    yield from _map(EXPECTATIONS, ProbingCells, PROBING, iterations, "rate", "rate", cells)


def restarts(seeds=5, iterations=ITERATIONS):
    """Probing by initial capital and how often societies are set back to it."""
    for name, economy in (("history", HISTORY), ("expectations", EXPECTATIONS)):
        for chance in (0.2, 0.02):
            cells = Cells.grid(CAPITAL[::2], range(seeds))
            config = replace(PROBING, restart=chance)
            rules, seconds = learned(ProbingCells, economy, cells, config, iterations)
            for _, row in lines(economy, cells, "scatter", rules, seconds):
                yield f"{name}, restart {chance:g}", {"restart": chance} | row


def other(seeds=10, iterations=ITERATIONS):
    """Another calibration, untuned, with its threshold where it lies relative to capital."""
    changes = CALIBRATIONS["other"]
    scale = replace(HISTORY, **changes).efficient_capital / HISTORY.efficient_capital
    economy = replace(HISTORY, **changes, threshold=35.0 * scale, width=2.0 * scale)
    low, middle, high = stocks(economy)
    cells = Cells.grid(np.linspace(1.05 * low, 0.95 * high, 10), range(seeds))
    rules, seconds = learned(ProbingCells, economy, cells, PROBING, iterations)
    for _, row in lines(economy, cells, "scatter", rules, seconds):
        points = {"low_capital": low, "middle_capital": middle, "high_capital": high}
        yield "other calibration", points | row


def everywhere(seeds=5, iterations=800):
    """Rules learned from all capital at once, from a low and a high first guess: their thresholds.

    A threshold is capital below which a rule leads down, and above which it leads up.
    """
    config = replace(PROBING, groups=4, jitter=0.1)
    for name, economy in (("history", HISTORY), ("expectations", EXPECTATIONS)):
        low, _, high = stocks(economy)
        cells = Cells.grid((np.nan,), range(seeds), guess=(low, high))
        rules, seconds = learned(ProbingCells, economy, cells, config, iterations)
        for label, guess in (("low", low), ("high", high)):
            mine = rules[cells.guess == guess]
            places = [thresholds(rule) for rule in mine]
            rests = [thresholds(rule, down=True) for rule in mine]
            yield (
                f"{name}, {label} first guess",
                {
                    "guess": guess,
                    "with_threshold": float(np.mean([len(x) > 0 for x in places])),
                    "threshold": float(np.median([x[0] for x in places if x]))
                    if any(places)
                    else None,
                    "seconds": seconds / 2,
                    "thresholds": rounded(places),
                    "rests": rounded(rests),
                    "rules": rounded(mine[:, ::4]),
                },
            )


def thresholds(rule, down=False, between=(20.0, 50.0)):
    """Capital at which a rule (grid,) crosses the diagonal upwards, or downwards."""
    gap = rule - GRID
    signs = (gap[:-1] >= 0) & (gap[1:] < 0) if down else (gap[:-1] < 0) & (gap[1:] >= 0)
    step = GRID[1] - GRID[0]
    found = [GRID[i] + step * gap[i] / (gap[i] - gap[i + 1]) for i in np.flatnonzero(signs)]
    return [float(x) for x in found if between[0] <= x <= between[1]]


PARTS = {
    f.__name__: f
    for f in (expectations, history, guesses, algorithms, rates, restarts, other, everywhere)
}
