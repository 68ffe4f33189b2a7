"""Every size and regime that time iteration is offered for, at every calibration.

Each is solved for once more with all four parameters of technology and preferences multiplied by
one plus a normal draw times 1e-10, as often as the command line says. Parts are the sizes, such as
`2x1`, and `2x1-joint` where households decide jointly. Stored are seconds for one solution and
updates of the unknown (the most of all draws), the Euler residuals (the worst of all draws), and
how far next period's capital, relative to the efficient steady state, is moved by the perturbations
at states of the initial distribution: at most, and on average. Where rules of one row differ,
`groups` asks whether they are two or many.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import numpy as np

from benchmarks.harness import CALIBRATIONS, swept, timed
from lectures_lib.economies import Market, Planner
from lectures_lib.solvers import ConvergenceError, time_iteration
from lectures_lib.solvers.time_iteration import DEGREES, JOINT_SIZES
from lectures_lib.solvers.visited import initial_sample, residuals_where_it_leads

PARAMETERS = ("alpha", "beta", "delta", "phi")
SIZE = 1e-10


def perturbed(economy, number):
    """The economy, its parameters moved in their eleventh digit; unchanged for number zero."""
    if number == 0:
        return economy
    draws = np.random.default_rng(number).standard_normal(len(PARAMETERS))
    parameters = zip(PARAMETERS, draws, strict=True)
    return replace(economy, **{p: getattr(economy, p) * (1 + SIZE * x) for p, x in parameters})


def next_capital(economy, policy, states):
    """Next period's stocks relative to the efficient steady state."""
    bought = policy.investment(states)
    return ((1 - economy.delta) * states.capital + bought) / economy.efficient_capital


@cache
def warm():
    """What takes time once in a process takes it before something is timed."""
    time_iteration(Market(), "competitive")


def solution(economy, regime, seed):
    """What a row needs of one draw's rule; nothing if there is none."""
    warm()
    other = perturbed(economy, seed)
    # That a rule is imprecise is what is measured here.
    with warnings.catch_warnings(action="ignore"):
        try:
            (rule, updates), seconds = timed(time_iteration, other, regime)
        except ConvergenceError:
            return None
        found = next_capital(other, rule, initial_sample(economy, 256)).numpy()
        residuals = residuals_where_it_leads(other, rule, regime).values()
    measured = {"seconds": seconds, "updates": updates}
    for where, residual in zip(("initial", "long run"), residuals, strict=True):
        measured |= {f"{where} mean": residual.mean, f"{where} largest": residual.largest}
    return found, measured


def row_of(solutions):
    """The row of one size, regime and calibration, from the solutions of all draws."""
    solved = [x for x in solutions if x is not None]
    row = {"solved": len(solutions), "failed": len(solutions) - len(solved)}
    if not solved:
        return row
    # Lists, if they come from a journal.
    solved = [(np.asarray(found), measured) for found, measured in solved]
    moved = [np.abs(found - solved[0][0]) for found, _ in solved]
    worst = {name: max(measured[name] for _, measured in solved) for name in solved[0][1]}
    return row | {
        "moved": max(float(x.max()) for x in moved),
        "moved on average": max(float(x.mean()) for x in moved),
        **worst,
    }


def part(size, kinds):
    """The part of one size, for pairs of an economy's class and a regime."""

    def rows(perturbations=5):
        cells = {
            f"{regime}, {label}": {"economy": kind(*size, **parameters), "regime": regime}
            for kind, regime in kinds
            for label, parameters in CALIBRATIONS.items()
        }
        for name, draws in swept(solution, cells, range(perturbations + 1)):
            yield name, row_of(draws)

    regimes = " and ".join(regime for _, regime in kinds)
    rows.__doc__ = f"Households x goods: {size[0]} x {size[1]}, {regimes}."
    return rows


def groups(perturbations=5):
    """How far the planner's rules for two households, risk aversion 5, are from two among them."""
    economy = Planner(2, **CALIBRATIONS["risk aversion 5"])
    found = [solution(economy, "planner", number)[0] for number in range(perturbations + 1)]
    for number, rule in enumerate(found):
        yield (
            f"planner, risk aversion 5, draw {number}",
            {
                f"from the {which}": float(np.abs(rule - other).max())
                for which, other in (("first", found[0]), ("last", found[-1]))
            },
        )


MARKET = [(Market, "competitive"), (Market, "nash")]
JOINT = [(Planner, "planner"), (Market, "monopsony")]
PARTS = {f"{n}x{m}": part((n, m), MARKET) for n, m in DEGREES}
PARTS |= {f"{n}x{m}-joint": part((n, m), JOINT) for n, m in JOINT_SIZES}
PARTS |= {"groups": groups}
