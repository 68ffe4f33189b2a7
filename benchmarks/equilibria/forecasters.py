"""Where societies end that know the model and estimate by least squares how capital moves."""

from __future__ import annotations

import numpy as np

from benchmarks.harness import rounded, timed
from lectures_lib.solvers import expected_fates, learnable, least_squares

from .selection import CAPITAL, EXPECTATIONS, HISTORY, crossing, ends, spending, stocks

#: How far a start is moved to see whether it lies at the boundary between two fates.
MOVED = 0.03
#: A constant gain, the periods of learning with it, and those at the end whose mean is taken.
GAIN, PERIODS, LATE = 0.005, 8000, 200
#: Standard deviation of a period's luck: small, because fates are compared with those without.
LUCK = 0.001
ECONOMIES = {"history": spending(HISTORY), "expectations": spending(EXPECTATIONS)}


def stability(seeds=1):
    """Every law that is true if believed, at each rest point, and whether it is E-stable."""
    for name, economy in ECONOMIES.items():
        for x in learnable(economy):
            label = f"{name}, rest point {x.point.capital:.1f}"
            if not x.laws:
                yield label, {"capital": x.point.capital, "laws": 0}
            for law in x.laws:
                yield (
                    f"{label}, slope {law.slope:.3f}",
                    {
                        "capital": x.point.capital,
                        "laws": len(x.laws),
                        "slope": law.slope,
                        "level_eigenvalue": law.eigenvalues[0],
                        "slope_eigenvalue": law.eigenvalues[1],
                        "e_stable": float(law.e_stable),
                        "stationary": float(law.stationary),
                    },
                )


def starts(n, seed):
    """Capital, which is where it is expected to rest, and slopes (n,)."""
    random = np.random.default_rng(seed)
    capital = random.uniform(24, 48, n)
    return capital, capital, random.uniform(0.8, 0.97, n)


def compared(economy, n, seed=0) -> dict:
    """Fates of the differential equation against those of learners with a constant gain."""
    capital, expected, slope = starts(n, seed)
    middle = stocks(economy)[1]
    moved = [1.0, 1 / (1 + MOVED), 1 + MOVED]
    high = np.array([expected_fates(economy, capital, expected * m, slope) > middle for m in moved])
    off = (high == high[0]).all(0)
    settings = {"periods": PERIODS, "gain": GAIN, "luck": LUCK, "seed": seed}
    path, seconds = timed(least_squares, economy, capital, expected, slope, **settings)
    end = np.exp(np.log(path.capital[-LATE:]).mean(0))
    agree = (end > middle) == high[0]
    return {
        "starts": n,
        "off_boundary": int(off.sum()),
        "agree": float(agree[off].mean()),
        "agree_all": float(agree.mean()),
        "by_first_belief": float(((end > middle) == (expected > middle)).mean()),
        "settled": float(1 - ends(economy, end)["elsewhere"].mean()),
        "seconds": seconds,
        "start": rounded(np.stack([capital, expected, slope], 1)),
        "predicted": high[0].astype(int).tolist(),
        "end": rounded(end),
    }


def e_stability(starts=200):
    """Fates of 200 starts: the differential equation against learners."""
    for name, economy in ECONOMIES.items():
        yield name, compared(economy, starts)


def forecasters(seeds=5, periods=6000):
    """Least-squares learners who first expect what they own, from the maps' initial capital."""
    for name, economy in ECONOMIES.items():
        for label, settings in (
            ("gain .005", {"gain": 0.005}),
            ("gain .02", {"gain": 0.02}),
            ("decreasing gain", {"weight": 50.0}),
        ):
            first = CAPITAL[::2]
            capital = np.repeat(first, seeds)
            path, seconds = timed(
                least_squares, economy, capital, capital, periods=periods, luck=0.003, **settings
            )
            late = np.exp(np.log(path.capital[-LATE:]).mean(0))
            found = {k: v.reshape(len(first), -1) for k, v in ends(economy, late).items()}
            side = (late > stocks(economy)[1]).reshape(len(first), -1).mean(1)
            yield (
                f"{name}, {label}",
                {
                    "boundary": crossing(first, side),
                    **{f"share_{k}": float(v.mean()) for k, v in found.items()},
                    "seconds": seconds,
                    "capital_at_first": rounded(first),
                    **{k: rounded(v.mean(1)) for k, v in found.items()},
                    "side": rounded(side),
                    "path": rounded(
                        np.exp(np.log(path.capital[::100]).reshape(-1, len(first), seeds).mean(2))
                    ),
                },
            )


PARTS = {f.__name__: f for f in (stability, e_stability, forecasters)}
