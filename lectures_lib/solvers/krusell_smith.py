r"""Krusell and Smith's economy by the standard method: households that forecast mean capital.

Households believe that the mean of capital follows

.. math:: \log \bar K' = a_z + b_z \log \bar K

and save accordingly (time iteration by endogenous grid points, Carroll 2006). A continuum of them
is followed as a histogram (Young 2010); a regression on its path gives the next belief, until it
describes the path that it leads to. Without aggregate shocks mean capital does not move, and is
found as the root of what households own beyond what they expect all to own (Aiyagari 1994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..economies import KrusellSmith
from ..economies.crowds import CrowdState
from ..parameters import require
from .capital_law import CapitalLaw, LawAccuracy, law_accuracy
from .euler import game_in
from .piece import ConvergenceError
from .regimes import regimes_of, resolve_regime
from .saving import Households, SavingRule, aggregate_path, household_residuals
from .saving_network import SavingNetwork, saving_network
from .solution import Solution, require_no_choice, solve
from .visited import Residual

# Periods of a path that are left out, and those that are used.
BURN, PERIODS = 1_000, 10_000
# Seeds of the path on which the law is estimated and of the one on which it is tested.
ESTIMATED, TESTED = 1, 2
# A law is found to this precision, in so many iterations at most.
LAW_TOLERANCE, MAX_LAWS = 1e-7, 60
# Of the search for a law: the first step, because households who expect more capital bring about
# much less of it; and how many steps are remembered.
STEP, MEMORY = 0.25, 5
# Dates of the tested path and households of each at which Euler residuals are computed.
DATES, HOUSEHOLDS = 50, 500


@dataclass(frozen=True, repr=False)
class KrusellSmithSolution(Solution):
    """Households that forecast mean capital by a law which describes what they bring about.

    Attributes
    ----------
    law : CapitalLaw
        What households believe; without aggregate shocks, that mean capital stays where it is.
    """

    economy: KrusellSmith
    policy: SavingRule | SavingNetwork
    law: CapitalLaw = field(kw_only=True)

    @cached_property
    def rule(self) -> SavingRule:
        """The policy between the points of a grid, by which a continuum is followed."""
        if isinstance(self.policy, SavingRule):
            return self.policy
        return self.policy.on_grid(self.households.own, self.households.means)

    @cached_property
    def households(self) -> Households:
        """What can be asked what becomes of everybody."""
        return Households(self.economy)

    @cached_property
    def tested(self) -> dict[str, Any]:
        """A path of its own, on which the law has not been estimated.

        Returns
        -------
        dict
            ``aggregate`` and ``capital``, (periods,) each; ``histograms``, (dates, 2, cells), at
            the periods ``dates``.
        """
        every, where = PERIODS // DATES, self.households
        path = aggregate_path(self.economy, BURN + PERIODS, TESTED)
        mass = where.everybody(path[0])
        where.follow(self.rule, path[: BURN + 1], mass)
        path, capital, seen = path[BURN:], [], []
        for first in range(0, PERIODS, every):
            seen.append(mass.copy())
            part = path[first : first + every + 1]
            found = where.follow(self.rule, part, mass)
            capital.append(found[:every])
        return {
            "aggregate": path,
            "capital": np.concatenate(capital),
            "histograms": np.array(seen),
            "dates": np.arange(0, PERIODS, every),
        }

    @cached_property
    def accuracy(self) -> LawAccuracy:
        """Den Haan's test of the law on the :attr:`tested` path."""
        return law_accuracy(self.law, self.tested["capital"], self.tested["aggregate"])

    def euler_residuals(self, state) -> Tensor:
        """Unit-free residuals of households at `state`, shape (*batch, households)."""
        return household_residuals(self.economy, self.policy, state)

    @cached_property
    def residual(self) -> dict[str, Residual]:
        """Euler residuals of households on the tested path, who save something or would like to."""
        states, n = self.sample(HOUSEHOLDS), HOUSEHOLDS
        massless = replace(self.economy, n_households=n, atomistic=True)
        residual = household_residuals(massless, self.policy, states)
        share = self.policy(states)["household"].squeeze(-1)
        error = torch.where(share > 0, residual.abs(), residual.clamp_min(0))
        return {"long run": Residual(error.mean().item(), error.max().item())}

    def sample(self, households: int) -> CrowdState:
        """So many households at each of the tested path's dates, in equal parts of the histogram.

        Returns
        -------
        CrowdState, shape (dates, ...)
            Massless households, that own what the crowd owns.
        """
        cells, found = self.households.cells, []
        for mass in self.tested["histograms"]:
            idle = round(households * mass[0].sum())
            rows = []
            for row, n in zip(mass, (idle, households - idle), strict=True):
                if n == 0:
                    continue
                share = np.concatenate([[0.0], row.cumsum() / row.sum()])
                edges = np.concatenate([cells[:1], (cells[1:] + cells[:-1]) / 2, cells[-1:]])
                rows.append(np.interp((np.arange(n) + 0.5) / n, share, edges))
            found.append((np.concatenate(rows), np.repeat([0, 1], [idle, households - idle])))
        capital, employed = (torch.as_tensor(np.array(x)) for x in zip(*found, strict=True))
        aggregate = torch.as_tensor(self.tested["aggregate"][self.tested["dates"]])
        return CrowdState(capital.unsqueeze(-1), capital.unsqueeze(-1), employed, aggregate)


@regimes_of.register(KrusellSmith)
def _(economy):
    return ("competitive",)


@game_in.register(KrusellSmith)
def _(economy, regime):
    if regime is None:
        return economy, False
    resolve_regime(economy, regime)
    return replace(economy, atomistic=True), False


@solve.register(KrusellSmith)
def _(economy, regime, method, domain):
    expected = "time iteration", "network"
    require(method in (None, *expected), "method", method, " or ".join(map(repr, expected)))
    require_no_choice(economy, None, domain)
    regime = resolve_regime(economy, regime)
    if method == "network":
        # Where mean capital does not move, it is not seen how it would.
        shocks = "'time iteration' where there are no aggregate shocks"
        require(len(economy.aggregate) > 1, "method", method, shocks)
        fed = "'time iteration' where benefit=0, as who has neither work nor capital has nothing"
        require(economy.benefit > 0, "method", method, fed)
        return solution_of_network(*saving_network(economy))
    find = solve_with_law if len(economy.aggregate) > 1 else solve_at_rest
    law, rule, iterations = find(Households(economy))
    return KrusellSmithSolution(economy, regime, rule, iterations, "time iteration", law=law)


def solution_of_network(policy: SavingNetwork, rounds: int = 0) -> KrusellSmithSolution:
    """A network's solution, with the law that describes what it brings about.

    Parameters
    ----------
    policy : SavingNetwork
    rounds : int
        Of training.
    """
    economy = policy.economy
    households, path = Households(economy), aggregate_path(economy, BURN + PERIODS, ESTIMATED)
    rule = policy.on_grid(households.own, households.means)
    capital = households.follow(rule, path, households.everybody(path[0]))
    law, _ = CapitalLaw.fitted(capital[BURN:], path[BURN:])
    return KrusellSmithSolution(economy, "competitive", policy, rounds, "network", law=law)


def solve_with_law(
    households: Households, seed: int = ESTIMATED, periods: int = PERIODS, burn: int = BURN
) -> tuple[CapitalLaw, SavingRule, int]:
    """The law that describes the path to which belief in it leads.

    Parameters
    ----------
    households : Households
    seed, periods, burn : int
        Of the path of aggregate states, and how many of its first periods are left out.

    Returns
    -------
    law, rule, iterations

    Raises
    ------
    ConvergenceError
        If beliefs do not settle.
    """
    from scipy.optimize import NoConvergence, anderson  # where needed: it is slow to import

    economy, tried = households.economy, 0
    path = aggregate_path(economy, burn + periods, seed)
    unit, states = math.log(economy.efficient_capital), len(economy.aggregate)

    def law_of(numbers):
        """From where each state leads from the efficient capital, and slopes."""
        values, slopes = np.split(numbers, 2)
        intercepts = unit + values - slopes * unit
        return CapitalLaw(tuple(intercepts.tolist()), tuple(slopes.tolist()))

    def gap(numbers):
        nonlocal tried
        tried += 1
        believed = law_of(numbers)
        capital = households.follow(households.rule(believed), path, households.everybody(path[0]))
        fitted, _ = CapitalLaw.fitted(capital[burn:], path[burn:])
        slopes = np.array(fitted.slopes)
        values = np.array(fitted.intercepts) + slopes * unit - unit
        return np.concatenate([values, slopes]) - numbers

    # As if a constant share of output was saved.
    output = np.array(economy.aggregate.values) * np.array(economy.labour) ** (1 - economy.alpha)
    output /= economy.aggregate.stationary @ output
    values = np.log(1 - economy.delta + economy.delta * output)
    start = np.concatenate([values, np.full(states, 1 - economy.delta * (1 - economy.alpha))])
    try:
        numbers = anderson(
            *(gap, start),
            **{"alpha": STEP, "M": MEMORY, "f_tol": LAW_TOLERANCE, "maxiter": MAX_LAWS},
            line_search=None,
        )
    except NoConvergence as error:
        raise ConvergenceError(
            f"no law of motion has been found in {MAX_LAWS} iterations: the last one was "
            f"{law_of(error.args[0])}."
        ) from None
    law = law_of(numbers)
    return law, households.rule(law), tried


def solve_at_rest(households: Households) -> tuple[CapitalLaw, SavingRule, int]:
    """Mean capital that households own if they expect all to own it for ever.

    Returns
    -------
    law, rule, iterations
        The law that mean capital stays there; and the number of means that were tried.
    """
    from scipy.optimize import brentq  # where needed: it is slow to import

    path, tried = np.zeros(BURN + PERIODS, dtype=np.int64), 0

    def believed(log):
        households.means = np.array([log])
        return households.rule(CapitalLaw((log,), (0.0,)))

    def excess(log):
        nonlocal tried
        tried += 1
        capital = households.follow(believed(log), path, households.everybody(0))
        return math.log(capital[-1]) - log

    unit = math.log(households.economy.efficient_capital)
    # Who is insured would own the efficient capital, and nobody owns less for fear of bad luck.
    high = unit + 0.05
    while excess(high) > 0:
        high += 0.1
    log = brentq(excess, unit, high, xtol=1e-9)
    return CapitalLaw((log,), (0.0,)), believed(log), tried
