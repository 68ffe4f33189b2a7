"""What others have published about the same economies, and what is found here.

Each entry of `PUBLISHED` says where its numbers stand. The tables of Den Haan's (2010) comparison
of solutions could not be had, so that no row compares with them.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.harness import timed
from lectures_lib.solvers import solve

from .standard import CALIBRATIONS, coefficients, tested

#: By calibration: what was published, and where.
PUBLISHED = {
    "Krusell and Smith": {
        "source": "Krusell and Smith (1998), page 877, as quoted by econ-ark/DemARK, KrusellSmith",
        "a bad": 0.085,
        "a good": 0.095,
        "b bad": 0.965,
        "b good": 0.962,
        "unexplained, 1e-6": 2.0,
    },
    "Den Haan, Judd and Juillard": {
        "source": "a run of the program of Maliar, Maliar and Valli (2010) in January 2019, whose "
        "log is in the file !README.txt of sischei/SummerSchool_DL_Turin_2025, day2/Yang; R2 of "
        "1,000 periods, 0.999999345 and 0.999999719 (see the part `thousands` for what is left "
        "unexplained here of as many)",
        "unexplained, 1e-6": 0.655,
        "iterations": 34,
        "seconds": 1196.2,
    },
    "jax-marl-bc": {
        "source": "danmonuni/jax-marl-bc, runs/paper-ks-fig34/results/ks/sigma_0.00_seed_8: "
        "diagnostics.json (final) and timing.json (run_time_s), learned by 200 households on a "
        "T4; 200 periods are simulated, of which the second half is used, and a residual is one "
        "of realised returns",
        "mean error, %": 0.27869,
        "largest error, %": 0.73853,
        "unexplained, 1e-6": 6372.3,
        "mean residual of realised returns": 0.013060,
        "mean capital": 13.0294,
        "gini": 0.22346,
        "seconds": 67.570,
    },
}
#: Periods in which jax-marl-bc evaluates, and how many of them it leaves out.
EVALUATED, LEFT_OUT, HOUSEHOLDS = 200, 100, 200


def beside():
    """What was published, and the same numbers of the standard method here."""
    for name, row in PUBLISHED.items():
        yield f"{name}: published", row
        solution, seconds = timed(solve, CALIBRATIONS[name])
        path = solution.tested
        found = (
            coefficients(solution.law)
            | tested(solution.law, path["capital"], path["aggregate"])
            | {
                "mean capital": float(path["capital"].mean()),
                "iterations": solution.iterations,
                "seconds": seconds,
            }
        )
        yield f"{name}: here", {n: x for n, x in found.items() if n in row}


@torch.no_grad()
def realised_residuals(policy, economy, seeds: int = 20) -> tuple[float, float]:
    """Mean absolute residual of realised returns, and mean residual, of `seeds` samples.

    They are chance for the most part: beta R' c / c' - 1 is zero on average only, so that a small
    mean absolute value is no sign of precision.
    """
    generator = torch.Generator().manual_seed(0)
    state, before, found = economy.reset((seeds,), generator, torch.float64), None, []
    for t in range(EVALUATED):
        shocks = economy.draw((seeds,), generator, torch.float64)
        step = economy.step(state, policy(state), shocks)
        consumed, saves = step.info["consumption"], step.state.capital.squeeze(-1) > 0
        if before is not None and t > LEFT_OUT:
            gross = 1 - economy.delta + step.info["rent"]
            error = economy.beta * gross * before[0] / consumed - 1
            found.append(error[before[1]])
        state, before = step.state, (consumed, saves)
    error = torch.cat(found)
    return error.abs().mean().item(), error.mean().item()


def realised():
    """Residuals of realised returns, which jax-marl-bc reports, of the standard method's rule."""
    economy = replace(CALIBRATIONS["jax-marl-bc"], n_households=HOUSEHOLDS)
    size, mean = realised_residuals(solve(economy).policy, economy)
    yield (
        "exact rule, 200 households",
        {"mean absolute residual": size, "mean residual": mean},
    )


PARTS = {"beside": beside, "realised": realised}
