"""How exact is the standard method, and on what does its law depend?

The shocks and the first cross-section of Den Haan, Judd and Juillard's (2010) comparison are a
binary file that we could not get. Laws are estimated and tested on paths of our own, of the same
chain and length, that begin where everybody owns the efficient capital; other paths show how much
that matters.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from benchmarks.harness import timed
from lectures_lib.economies import KrusellSmith, MarkovChain
from lectures_lib.solvers import CapitalLaw, law_accuracy, solve
from lectures_lib.solvers.krusell_smith import (
    BURN,
    HOUSEHOLDS,
    PERIODS,
    TESTED,
    solution_of_network,
    solve_with_law,
)
from lectures_lib.solvers.saving import Households, aggregate_path
from lectures_lib.solvers.saving_network import saving_network

#: Den Haan, Judd and Juillard (2010); Krusell and Smith (1998), without benefits and in their units
#: of labour; and the one of github.com/danmonuni/jax-marl-bc, of less patient households.
CALIBRATIONS = {
    "Den Haan, Judd and Juillard": KrusellSmith(),
    "Krusell and Smith": KrusellSmith(benefit=0.0, hours=0.3271),
    "jax-marl-bc": KrusellSmith(
        aggregate=MarkovChain.symmetric((0.98, 1.02), stay=0.875),
        beta=0.95,
        benefit=0.0,
        hours=1.11,
    ),
}
DEFAULT = CALIBRATIONS["Den Haan, Judd and Juillard"]
PATHS = range(10)


def coefficients(law: CapitalLaw) -> dict[str, float]:
    """Of a law in two aggregate states, by name."""
    names = ("a bad", "a good", "b bad", "b good")
    return dict(zip(names, law.intercepts + law.slopes, strict=True))


def tested(law, capital, aggregate) -> dict[str, float]:
    """Den Haan's errors in per cent, and one minus R2 in millionths, the larger of two."""
    found = law_accuracy(law, capital, aggregate)
    return {
        "mean error, %": 100 * found.mean,
        "largest error, %": 100 * found.largest,
        "unexplained, 1e-6": 1e6 * (1 - min(found.r2)),
    }


def gini(cells, mass) -> float:
    """Gini coefficient of a histogram."""
    held = np.concatenate([[0.0], (cells * mass).cumsum()]) / (cells @ mass)
    return float(1 - mass @ (held[1:] + held[:-1]))


def solved():
    """Laws, Den Haan's errors over 10,000 periods, Euler residuals, and seconds of one core."""
    # Compiled loops are made, or read, before something is timed.
    small = Households(DEFAULT, 20, 4, 50)
    rule = small.rule(CapitalLaw((0.12, 0.14), (0.965, 0.963)))
    small.follow(rule, aggregate_path(DEFAULT, 5, 0), small.everybody(0))
    for name, economy in CALIBRATIONS.items():
        solution, seconds = timed(solve, economy)
        path, residual = solution.tested, solution.residual["long run"]
        mass = path["histograms"].mean(0).sum(0)
        cells = solution.households.cells
        yield (
            name,
            coefficients(solution.law)
            | tested(solution.law, path["capital"], path["aggregate"])
            | {
                "mean Euler residual": residual.mean,
                "largest Euler residual": residual.largest,
                "mean capital": float(path["capital"].mean()),
                "sd of log capital, %": 100 * float(np.log(path["capital"]).std()),
                "gini": gini(cells, mass),
                "without capital, %": 100 * float(mass[0]),
                "iterations": solution.iterations,
                "seconds": seconds,
            },
        )


def network(seeds: int = 3):
    """A network on Euler residuals, of households who believe in no law, and the standard method.

    Errors of consumption are those of households on the standard method's tested path.
    """
    for name, economy, each in (
        ("Den Haan, Judd and Juillard", DEFAULT, seeds),
        ("less patient, more averse", replace(DEFAULT, beta=0.985, risk_aversion=2.0), 1),
    ):
        exact = solve(economy)
        yield name, [_by_network(exact, seed) for seed in range(each)]


@torch.no_grad()
def _by_network(exact, seed):
    (policy, _), seconds = timed(saving_network, exact.economy, seed=seed)
    found, state = solution_of_network(policy), exact.sample(HOUSEHOLDS)
    shares = (rule(state)["household"] for rule in (policy, exact.policy))
    apart = 100 * ((1 - next(shares)) / (1 - next(shares)) - 1).abs()
    capital, residual = found.tested["capital"], found.residual["long run"]
    gap = 100 * np.abs(capital / exact.tested["capital"] - 1)
    return (
        {"seed": seed}
        | coefficients(found.law)
        | tested(found.law, capital, found.tested["aggregate"])
        | {
            "mean Euler residual": residual.mean,
            "largest Euler residual": residual.largest,
            "mean error of consumption, %": apart.mean().item(),
            "largest error of consumption, %": apart.max().item(),
            "mean gap of capital, %": float(gap.mean()),
            "largest gap of capital, %": float(gap.max()),
            "mean capital": float(capital.mean()),
            "seconds": seconds,
        }
    )


def paths():
    """One law, estimated on one path of 10,000 periods, tested on ten others."""
    solution = solve(DEFAULT)
    households = solution.households
    for seed in PATHS:
        aggregate = aggregate_path(DEFAULT, BURN + PERIODS, TESTED + 1 + seed)
        mass = households.everybody(aggregate[0])
        capital = households.follow(solution.policy, aggregate, mass)[BURN:]
        yield (
            f"path {seed}",
            tested(solution.law, capital, aggregate[BURN:])
            | {"mean capital": float(capital.mean())},
        )


def thousands():
    """What is left unexplained, in millionths, of each thousand periods of the tested path.

    Maliar, Maliar and Valli estimate their law on so many; `published` has what they explain.
    """
    path = solve(DEFAULT).tested
    for first in range(0, PERIODS, 1_000):
        part = slice(first, first + 1_000)
        _, r2 = CapitalLaw.fitted(path["capital"][part], path["aggregate"][part])
        bad, good = (1e6 * (1 - x) for x in r2)
        yield f"from {first:,}", {"bad": bad, "good": good}


def estimated(paths: int = 10):
    """Laws estimated on other paths: of 10,000 periods, and of 1,000 of which all begin alike.

    A hundred periods before do not let them forget it; what is explained is less for it.
    """
    households = Households(DEFAULT)
    for periods, burn in ((PERIODS, BURN), (1_000, 100)):
        for seed in range(paths):
            law, rule, _ = solve_with_law(households, 100 + seed, periods, burn)
            aggregate = aggregate_path(DEFAULT, burn + periods, 100 + seed)
            capital = households.follow(rule, aggregate, households.everybody(aggregate[0]))
            _, r2 = CapitalLaw.fitted(capital[burn:], aggregate[burn:])
            numbers = {"unexplained, 1e-6": 1e6 * (1 - min(r2))}
            yield f"{periods:,} periods, path {seed}", coefficients(law) | numbers


def grids():
    """The law by the size of grids: points of own capital, points of the mean, cells."""
    aggregate = aggregate_path(DEFAULT, BURN + PERIODS, TESTED)
    for sizes in ((400, 16, 1200), (100, 16, 1200), (400, 6, 1200)):
        yield grid(sizes, aggregate)
    yield grid((400, 16, 4800), aggregate)


def grid(sizes, aggregate):
    """The row of one size."""
    households = Households(DEFAULT, *sizes)
    law, rule, _ = solve_with_law(households)
    capital = households.follow(rule, aggregate, households.everybody(aggregate[0]))[BURN:]
    name = "{} x {}, {} cells".format(*sizes)
    numbers = tested(law, capital, aggregate[BURN:]) | {"mean capital": float(capital.mean())}
    return name, coefficients(law) | numbers


@torch.no_grad()
def samples(seeds: int = 3, periods: int = 1_000):
    """Mean capital of some households beside a continuum's, under the same aggregate shocks."""
    solution = solve(DEFAULT)
    for n in (50, 200, 1_000, 10_000):
        rows = [sample(solution, KrusellSmith(n), seed, periods) for seed in range(seeds)]
        yield f"{n:,} households", rows


def sample(solution, economy, seed, periods):
    """How far a sample's mean capital goes from the continuum's."""
    generator = torch.Generator().manual_seed(seed)
    state = economy.reset((), generator, torch.float64)
    state = state._replace(capital=torch.full_like(state.capital, economy.efficient_capital))
    path, capital = [], []
    for _ in range(periods):
        path.append(int(state.aggregate))
        capital.append(state.capital.mean().item())
        shocks = economy.draw((), generator, torch.float64)
        state = economy.step(state, solution.policy(state), shocks).state
    households = solution.households
    mass = households.everybody(path[0])
    continuum = households.follow(solution.policy, np.array(path), mass)
    apart = 100 * np.abs(np.array(capital) / continuum - 1)
    return {"seed": seed, "mean gap, %": float(apart.mean()), "largest gap, %": float(apart.max())}


PARTS = {
    "solved": solved,
    "network": network,
    "paths": paths,
    "thousands": thousands,
    "estimated": estimated,
    "grids": grids,
    "samples": samples,
}
