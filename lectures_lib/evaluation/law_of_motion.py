"""The law of motion of mean capital that a policy brings about, learned or exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ..economies import KrusellSmith
from ..economies.play import Policy
from ..parameters import require
from ..solvers import CapitalLaw, LawAccuracy, Solution, law_accuracy
from ..solvers.registry import require_kind
from ..solvers.saving import Households, aggregate_path
from .simulation import as_policy, initial_states, walk


class LawOfMotion(NamedTuple):
    """What mean capital does where everybody follows a policy.

    Attributes
    ----------
    law : CapitalLaw
        Estimated on one path.
    accuracy : LawAccuracy
        How well it describes another one.
    capital, aggregate : ndarray, shape (periods,)
        Mean capital and the aggregate state on that other path.
    """

    law: CapitalLaw
    accuracy: LawAccuracy
    capital: np.ndarray
    aggregate: np.ndarray

    def __str__(self):
        pairs = zip(self.law.intercepts, self.law.slopes, self.accuracy.r2, strict=True)
        lines = [
            f"state {z}: log K' = {a:.5f} + {b:.5f} log K, R2 {r2:.6f}"
            for z, (a, b, r2) in enumerate(pairs)
        ]
        mean, largest = 100 * self.accuracy.mean, 100 * self.accuracy.largest
        lines.append(f"Den Haan's errors: {mean:.3g}% on average, {largest:.3g}% at most")
        return "\n".join(lines)


@torch.no_grad()
def law_of_motion(
    policy: Policy | Solution,
    economy: KrusellSmith,
    periods: int = 1_000,
    first: int = 500,
    seed: int = 0,
    continuum: bool = False,
) -> LawOfMotion:
    """Estimate the law of motion of mean capital, and test it as Den Haan (2010) does.

    The economy's own households are simulated, so that chance of a sample is part of the errors:
    with 1,000 households mean capital strays from a continuum's by some hundredths of a per cent.
    A continuum is followed as a histogram in place of them on demand.

    The test is one of the law, not of the policy: a rule that is far from the exact one can have a
    law that describes it perfectly. What tells them apart is the distance of `capital` from the
    path of the exact solution under the same shocks.

    Parameters
    ----------
    policy : callable or Solution
        Of a single run.
    economy : KrusellSmith
        With aggregate shocks, and enough households to stand for a continuum.
    periods : int
        Of each of two paths, the one on which the law is estimated and the one on which it is
        tested.
    first : int
        Periods before them, in which the beginning is forgotten.
    seed : int
        With ``continuum=True, periods=10_000, first=1_000, seed=1`` the paths are those of
        :class:`~lectures_lib.solvers.KrusellSmithSolution`.
    continuum : bool
        Whether to follow a continuum of households, who begin with the efficient capital.

    Returns
    -------
    LawOfMotion

    Raises
    ------
    TypeError
        If the economy is no KrusellSmith.
    ValueError
        If the policy has several runs, there are no aggregate shocks, or periods are too few.
    """
    require_kind(economy, "law_of_motion", (KrusellSmith,))
    policy = as_policy(policy)
    runs = getattr(policy, "runs", None)
    require(runs is None, "policy", policy, f"one run, such as policy[0] of these {runs}")
    states = len(economy.aggregate)
    require(states > 1, "economy", economy, "one with aggregate shocks")
    require(first >= 0, "first", first, "at least 0")

    households = Households(economy) if continuum else None
    rule = households.tabulated(policy) if households else None

    def path(seed):
        if households and rule:
            aggregate = aggregate_path(economy, first + periods, seed)
            capital = households.follow(rule, aggregate, households.everybody(aggregate[0]))
            return counted(capital[first:], aggregate[first:])
        start = initial_states(policy, economy, 1, seed)
        kept = [
            (economy.mean_capital(now).item(), int(now.aggregate))
            for t, now, _ in walk(policy, economy, start, first + periods, seed)
            if t >= first
        ]
        return counted(*map(np.array, zip(*kept, strict=True)))

    def counted(capital, aggregate):
        visits = np.bincount(aggregate[:-1], minlength=states)
        enough = f"more, as an aggregate state is visited {visits.min()} times"
        require(visits.min() >= 3, "periods", periods, enough)
        return capital, aggregate

    law, _ = CapitalLaw.fitted(*path(seed))
    capital, aggregate = path(seed + 1)
    return LawOfMotion(law, law_accuracy(law, capital, aggregate), capital, aggregate)
