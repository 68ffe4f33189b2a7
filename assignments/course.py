"""What the assignments share: a calibration of one's own, and blanks that do no harm.

This file is handed out with every assignment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from lectures_lib.economies import (
    Bertrand,
    BrockMirman,
    Externality,
    Market,
    MarkovChain,
    Monopolist,
    Planner,
)

#: Whose calibration is used as long as no number has been entered.
EXAMPLE = 0


def entered(number: Any) -> bool:
    """Whether this is a student's number: a whole number that is not negative."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def whose(number: Any) -> str:
    """Whose calibration it is, in words: what the first cell that uses it prints."""
    if entered(number):
        return f"Calibration of number {number}"
    return "Example calibration: no number entered yet"


def place(number: Any, purpose: str, n: int) -> int:
    """A place from 0 to n - 1, drawn from the student's number and from what it is for.

    The same on every machine and with every version of every library, and for two students or two
    purposes as if drawn by lot.
    """
    number = number if entered(number) else EXAMPLE
    digest = hashlib.sha256(f"{purpose}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % n


def pick(number: Any, purpose: str, options: Sequence) -> Any:
    """One of the options, drawn from the student's number and from what it is for."""
    return options[place(number, purpose, len(options))]


def shuffled(number: Any, purpose: str, options: Sequence) -> list:
    """The options in an order drawn from the student's number."""
    return sorted(options, key=lambda option: place(number, f"{purpose}, {option}", 2**63))


def written(*answers: Any) -> bool:
    """Whether all of these have been written, so that what follows can use them.

    A blank is ``...``, and a function that is still blank returns None.
    """
    if all(answer is not None and answer is not ... for answer in answers):
        return True
    print("Not written yet: there is something to see here once you have answered.")
    return False


def my_firm(number: Any) -> Monopolist:
    """The firm whose number this is: 8 levels of customers, 2 of demand, 9 prices."""
    low = pick(number, "demand", (0.4, 0.5, 0.6))
    return Monopolist(
        beta=pick(number, "beta", (0.84, 0.85, 0.86, 0.87, 0.88, 0.89, 0.9)),
        cost=pick(number, "cost", (0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22)),
        turnover=pick(number, "turnover", (0.2, 0.22, 0.24, 0.26, 0.28, 0.3)),
        demand=MarkovChain.symmetric(
            (low, round(2 - low, 1)), stay=pick(number, "stay", (0.7, 0.75, 0.8, 0.85))
        ),
        prices=tuple(round(0.25 + 0.05 * i, 2) for i in range(9)),
        levels=8,
    )


def my_planner(number: Any, n_households: int = 1, n_goods: int = 1) -> Planner:
    """The planner's economy whose number this is; its market has the same parameters."""
    own = pick(number, "own", (0.06, 0.08, 0.1, 0.12))
    common = pick(number, "common", (0.1, 0.15, 0.2))
    return Planner(
        n_households=n_households,
        n_goods=n_goods,
        alpha=pick(number, "alpha", (0.26, 0.28, 0.3, 0.32, 0.34, 0.36)),
        beta=pick(number, "beta", (0.94, 0.95, 0.96, 0.97)),
        delta=pick(number, "delta", (0.05, 0.06, 0.07, 0.08, 0.09)),
        phi=pick(number, "phi", (0.4, 0.5, 0.6, 0.7, 0.8)),
        idiosyncratic=MarkovChain.symmetric((1 - own, 1 + own), stay=0.9),
        aggregate=MarkovChain.symmetric((1 - common, 1 + common), stay=0.85),
    )


def my_saver(number: Any) -> BrockMirman:
    """The growth model whose number this is."""
    common = pick(number, "common", (0.06, 0.08, 0.1, 0.12, 0.14))
    return BrockMirman(
        alpha=pick(number, "alpha", (0.3, 0.32, 0.34, 0.36, 0.38, 0.4)),
        beta=pick(number, "beta", (0.91, 0.92, 0.93, 0.94, 0.95)),
        aggregate=MarkovChain.symmetric(
            (1 - common, 1 + common), stay=pick(number, "stay", (0.8, 0.85, 0.9))
        ),
    )


def my_duopoly(number: Any) -> Bertrand:
    """The two firms whose number this is: 7 prices, and a memory of one period."""
    return Bertrand(
        beta=pick(number, "beta", (0.8, 0.85, 0.9, 0.95)),
        quality=tuple(pick(number, f"quality {i}", (1.9, 2.0, 2.1)) for i in (1, 2)),
        cost=tuple(pick(number, f"cost {i}", (0.95, 1.0, 1.05)) for i in (1, 2)),
        mu=pick(number, "mu", (0.2, 0.25, 0.3, 0.35)),
        n_prices=7,
    )


def my_market(number: Any, n_households: int = 1, **changes: Any) -> Market:
    """The market of one good that has the parameters of :func:`my_planner`; profits leave."""
    planner = my_planner(number)
    names = ("alpha", "beta", "delta", "phi", "idiosyncratic", "aggregate")
    same = {name: getattr(planner, name) for name in names}
    return Market(n_households, **(same | changes))


def my_growth(number: Any) -> BrockMirman:
    """The growth model whose number this is: full depreciation, a slump and a boom."""
    slump = pick(number, "slump", (0.8, 0.82, 0.84, 0.86, 0.88))
    boom = pick(number, "boom", (1.1, 1.12, 1.14, 1.16, 1.18))
    out, back = pick(number, "leave", ((0.3, 0.1), (0.25, 0.1), (0.2, 0.08), (0.1, 0.25)))
    chances = ((round(1 - out, 2), out), (back, round(1 - back, 2)))
    return BrockMirman(
        alpha=pick(number, "alpha", (0.26, 0.28, 0.3, 0.32, 0.34, 0.36)),
        beta=pick(number, "beta", (0.94, 0.95, 0.96, 0.97)),
        aggregate=MarkovChain((slump, boom), chances),
    )


def my_externality(number: Any, **changes: Any) -> Externality:
    """The economy with a threshold whose number this is: three steady states, no luck."""
    planner = my_planner(number)
    gain = pick(number, "gain", (1.4, 1.5, 1.6, 1.7))
    # The steady states lie between those without spillovers and with all of them.
    top = (1 + gain) ** (1 / (2 - planner.alpha))
    between = pick(number, "place", (0.48, 0.51, 0.54))
    threshold = round(planner.efficient_capital * top**between, 1)
    same = {name: getattr(planner, name) for name in ("alpha", "beta", "delta", "phi")}
    same["width"] = round(threshold / pick(number, "width", (18, 20, 22)), 2)
    sure = MarkovChain((1.0,), ((1.0,),))
    fixed = {"gain": gain, "threshold": threshold, "idiosyncratic": sure, "aggregate": sure}
    return Externality(**(same | fixed | changes))
