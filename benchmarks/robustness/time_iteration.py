"""Does time iteration converge, and to the same rule, wherever it is offered?

    python benchmarks/robustness.py [--only PART ...] [--perturbations N]

Every size of `DEGREES` and `JOINT_SIZES`, in each regime, at nine calibrations; each of them again
with all four parameters of technology and preferences multiplied by one plus a normal draw times
1e-10. Parts are the sizes, such as `2x1`, and `2x1-joint` where households decide jointly. Stores
seconds, updates of the unknown, the solution's own Euler residuals and how far next period's
capital, relative to the efficient steady state, is moved by the perturbations at states of the
initial distribution. Seconds are those of one core, for one solution.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import replace

import numpy as np
import torch
from record import FOLDER, provenance, table, timed

from lectures_lib.economies import Market, Planner
from lectures_lib.solvers import ConvergenceError, time_iteration
from lectures_lib.solvers.time_iteration import DEGREES, JOINT_SIZES
from lectures_lib.solvers.visited import initial_sample, residuals_where_it_leads

PATH = FOLDER / "robustness.json"
CALIBRATIONS = {
    "paper": {},
    "other": {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8},
    "quarterly": {"alpha": 0.33, "beta": 0.99, "delta": 0.025, "phi": 0.5},
    "annual": {"alpha": 0.33, "beta": 0.96, "delta": 0.1, "phi": 0.5},
    "risk aversion 2": {"risk_aversion": 2.0},
    "risk aversion 5": {"risk_aversion": 5.0},
    "phi .05": {"phi": 0.05},
    "phi 5": {"phi": 5.0},
    # One that no setting of the solver was chosen on.
    "unseen": {"alpha": 0.25, "beta": 0.97, "delta": 0.15, "phi": 1.3, "risk_aversion": 3.0},
}
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
            (policy, count), took = timed(lambda: time_iteration(other, regime))  # noqa: B023
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


def parts():
    """Economies' classes and regimes by part."""
    name = lambda size: f"{size[0]}x{size[1]}"  # noqa: E731
    market = {name(s): (s, [(Market, r) for r in ("competitive", "nash")]) for s in DEGREES}
    joint = [(Planner, "planner"), (Market, "monopsony")]
    return market | {f"{name(s)}-joint": (s, joint) for s in JOINT_SIZES}


def main():
    every = parts()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=every, default=list(every))
    parser.add_argument("--perturbations", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # That a rule is imprecise is what is measured here.
    warnings.simplefilter("ignore")
    time_iteration(Market(), "competitive")  # warms the libraries up
    for part in arguments.only:
        size, kinds = every[part]
        rows = {}
        for kind, regime in kinds:
            for label, parameters in CALIBRATIONS.items():
                row = cell(kind(*size, **parameters), regime, arguments.perturbations)
                rows[f"{regime}, {label}"] = row
                print(f"{part}, {regime}, {label}: {row}", flush=True)
        # Parts may run side by side: what another has stored meanwhile is kept.
        results = json.loads(PATH.read_text()) if PATH.exists() else {}
        results[part] = rows
        command = f"python benchmarks/robustness.py --perturbations {arguments.perturbations}"
        results.setdefault("made", {})[part] = provenance(command)
        PATH.write_text(json.dumps(results, indent=1) + "\n")
    print(table(json.loads(PATH.read_text()), every))


if __name__ == "__main__":
    main()
