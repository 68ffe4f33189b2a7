"""Every size and regime that time iteration is offered for, at every calibration.

Each is solved for once more with all four parameters of technology and preferences multiplied by
one plus a normal draw times 1e-10, as often as the command line says. Parts are the sizes, such as
`2x1`, and `2x1-joint` where households decide jointly. Stored are seconds for one solution, updates
of the unknown, the solution's own Euler residuals, and how far next period's capital, relative to
the efficient steady state, is moved by the perturbations at states of the initial distribution.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from benchmarks.harness import CALIBRATIONS, timed
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


def cell(economy, regime, perturbations):
    """One size, regime and calibration."""
    states, found, seconds, updates, rule = initial_sample(economy, 256), [], [], [], None
    failed = 0
    for number in range(perturbations + 1):
        other = perturbed(economy, number)
        try:
            (policy, count), took = timed(time_iteration, other, regime)
        except ConvergenceError:
            failed += 1
            continue
        rule = rule or policy
        seconds.append(took)
        updates.append(count)
        found.append(next_capital(other, policy, states))
    row = {"solved": perturbations + 1, "failed": failed}
    if rule is None:
        return row
    residuals = residuals_where_it_leads(economy, rule, regime).values()
    names = ("initial", "long run")
    return row | {
        "seconds": max(seconds),
        "updates": max(updates),
        "moved": max((x - found[0]).abs().max().item() for x in found),
        **{f"{n} mean": r.mean for n, r in zip(names, residuals, strict=True)},
        **{f"{n} largest": r.largest for n, r in zip(names, residuals, strict=True)},
    }


def part(size, kinds):
    """The part of one size, for pairs of an economy's class and a regime."""

    def rows(perturbations=5):
        time_iteration(Market(), "competitive")  # warms the libraries up
        for kind, regime in kinds:
            for label, parameters in CALIBRATIONS.items():
                # That a rule is imprecise is what is measured here.
                with warnings.catch_warnings(action="ignore"):
                    row = cell(kind(*size, **parameters), regime, perturbations)
                yield f"{regime}, {label}", row

    regimes = " and ".join(regime for _, regime in kinds)
    rows.__doc__ = f"Households x goods: {size[0]} x {size[1]}, {regimes}."
    return rows


MARKET = [(Market, "competitive"), (Market, "nash")]
JOINT = [(Planner, "planner"), (Market, "monopsony")]
PARTS = {f"{n}x{m}": part((n, m), MARKET) for n, m in DEGREES}
PARTS |= {f"{n}x{m}-joint": part((n, m), JOINT) for n, m in JOINT_SIZES}
