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
#: Beliefs that do not depend on capital: an interval, and half the width around the middle one.
ANYWHERE, NEARBY = (24.0, 48.0), 0.1
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


def starts(n, seed, believed=None):
    """Capital, where it is expected to rest, and slopes (n,).

    Households expect what they own, or a stock from an interval that does not depend on it.
    """
    random = np.random.default_rng(seed)
    capital = random.uniform(24, 48, n)
    slope = random.uniform(0.8, 0.97, n)
    expected = capital if believed is None else random.uniform(*believed, n)
    return capital, expected, slope


def fated(economy, capital, expected, slope) -> np.ndarray:
    """Whether the differential equation leads high, (3, n), also from beliefs a little beside."""
    moved = (1.0, 1 / (1 + MOVED), 1 + MOVED)
    middle = stocks(economy)[1]
    found = [expected_fates(economy, capital, expected * x, slope) > middle for x in moved]
    return np.array(found)


def compared(economy, n, seed=0, believed=None, gain=GAIN, luck=LUCK) -> dict:
    """Fates of the differential equation against those of learners with a constant gain."""
    capital, expected, slope = starts(n, seed, believed)
    middle = stocks(economy)[1]
    high = fated(economy, capital, expected, slope)
    off = (high == high[0]).all(0)
    settings = {"periods": PERIODS, "gain": gain, "luck": luck, "seed": seed}
    path, seconds = timed(least_squares, economy, capital, expected, slope, **settings)
    end = np.exp(np.log(path.capital[-LATE:]).mean(0))
    up = end > middle
    agree = up == high[0]
    return {
        "starts": n,
        "off_boundary": int(off.sum()),
        "agree": float(agree[off].mean()),
        "agree_all": float(agree.mean()),
        "by_first_belief": float((up == (expected > middle)).mean()),
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


def beliefs(starts=200):
    """The same where the first belief does not depend on capital: anywhere, or near the middle."""
    for name, economy in ECONOMIES.items():
        middle = stocks(economy)[1]
        near = (middle * (1 - NEARBY), middle * (1 + NEARBY))
        for label, settings in (
            ("anywhere", {}),
            ("anywhere, gain .02", {"gain": 0.02}),
            ("anywhere, luck .01", {"luck": 0.01}),
            ("near the middle", {"believed": near}),
        ):
            row = compared(economy, starts, **{"believed": ANYWHERE} | settings)
            capital, expected, _ = np.array(row["start"]).T
            up, high = np.array(row["end"]) > middle, np.array(row["predicted"]) == 1
            told = expected > middle
            opposed, differ = told != (capital > middle), high != told
            more = {
                "by_first_capital": float((up == (capital > middle)).mean()),
                "opposed": int(opposed.sum()),
                "as_believed_if_opposed": float((up == told)[opposed].mean()),
                "equation_against_belief": int(differ.sum()),
                "equation_right_then": int((up == high)[differ].sum()),
            }
            yield f"{name}, {label}", row | more


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


PARTS = {f.__name__: f for f in (stability, e_stability, beliefs, forecasters)}
