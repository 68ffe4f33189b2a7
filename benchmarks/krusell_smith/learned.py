"""Krusell and Smith's economy, learned by massless households that see what they need to.

Fifty households probe, none of which moves prices; fifty others, who follow the same rule, do.
Rules are judged where the exact rule leads a continuum, and a continuum is led by them along the
paths on which the exact solution's law is estimated and tested. Settings were chosen on seeds 100
and 101; that beginners should not eat half was seen on the reported seeds, too. The seconds of a
row are the processor seconds that one seed needs by itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from benchmarks.harness import solved, train
from lectures_lib.agents import Probing, ProbingConfig
from lectures_lib.economies import KrusellSmith
from lectures_lib.evaluation import law_of_motion
from lectures_lib.solvers import household_residuals
from lectures_lib.solvers.krusell_smith import BURN, ESTIMATED, PERIODS

from .published import HOUSEHOLDS, realised_residuals
from .standard import CALIBRATIONS, DEFAULT, gini, tested

#: Few returns to the beginning, because the long run is where decisions matter; and scales that
#: settle, so that neither inputs nor the critic chase them.
CONFIG = ProbingConfig(
    groups=2,
    replicates=4,
    horizon=16,
    noise=(0.15, 0.01),
    jitter=0.1,
    restart=0.05,
    settled=0.3,
)
#: Households that learn, and households of each date at which a rule is judged.
LEARN, JUDGE = 50, 500
ITERATIONS = 1_000
#: Periods of the tested path that are stored for a figure.
SHOWN = slice(0, 1_000, 4)
#: Quantiles of the distribution of capital.
QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


def learner(economy: KrusellSmith) -> KrusellSmith:
    """The economy in which a rule for `economy` is learned."""
    return replace(economy, n_households=LEARN, atomistic=True)


def taught(economy, seeds, iterations=ITERATIONS, config=CONFIG):
    """The policy of all seeds, and the seconds of one."""
    agent, seconds = train(Probing, learner(economy), config, seeds, iterations=iterations)
    return agent.policy, seconds


@torch.no_grad()
def errors(policy, economy) -> dict[str, float]:
    """Euler residuals and distance from the exact rule, in per cent, where that one leads."""
    exact = solved(economy)
    states = exact.sample(JUDGE)
    massless = replace(economy, n_households=JUDGE, atomistic=True)
    act = policy.on(massless)
    residual = household_residuals(massless, act, states)
    share, known = (f(states)["household"].squeeze(-1) for f in (act, exact.policy))
    # Who saves nothing and would like to borrow makes no error.
    wrong = torch.where(share > 0, residual.abs(), residual.clamp_min(0))
    apart = ((1 - share) / (1 - known) - 1).abs()
    return {
        "mean Euler residual, %": 100 * wrong.mean().item(),
        "largest Euler residual, %": 100 * wrong.max().item(),
        "policy error, %": 100 * apart.mean().item(),
    }


def led(policy, economy) -> dict:
    """Den Haan's errors of the law that a rule brings about, and how far it leads from the exact
    one under the same shocks."""
    found = law_of_motion(policy, economy, PERIODS, BURN, ESTIMATED, continuum=True)
    exact = solved(economy).tested["capital"]
    gap = 100 * np.abs(found.capital / exact - 1)
    return tested(found.law, found.capital, found.aggregate) | {
        "slope, bad": found.law.slopes[0],
        "slope, good": found.law.slopes[1],
        "mean gap, %": float(gap.mean()),
        "largest gap, %": float(gap.max()),
        "s.d. ratio": float(np.log(found.capital).std() / np.log(exact).std()),
        "path": found.capital[SHOWN].tolist(),
    }


def rows(economy, seeds, **how):
    """A row of each seed."""
    policy, seconds = taught(economy, seeds, **how)
    for i, seed in enumerate(seeds):
        one = policy[i]
        yield {"seed": seed, "seconds": seconds} | errors(one, economy) | led(one, economy)


def learned(seeds=range(5)):
    """Seeds 0 to 4, and where the exact rule leads."""
    exact = solved(DEFAULT).tested
    yield "exact", {"path": exact["capital"][SHOWN].tolist()}
    yield "Probing", list(rows(DEFAULT, seeds))


def more(seeds=range(5, 10)):
    """Five seeds more: is any of them stuck?"""
    yield "Probing", list(rows(DEFAULT, seeds))


def at_rest(rule, economy) -> dict[str, float]:
    """Where a continuum comes to rest that follows a rule, without aggregate shocks."""
    households = solved(economy).households
    mass = households.everybody(0)
    still = np.zeros(BURN + PERIODS, dtype=np.int64)
    capital = households.follow(rule, still, mass)[-1]
    rent = economy.prices(torch.tensor([capital]), torch.tensor(0)).rent.item()
    cells, everybody = households.cells, mass.sum(0)
    held = np.interp(QUANTILES, everybody.cumsum(), cells)
    quantiles = {f"quantile {q}": float(x) for q, x in zip(QUANTILES, held, strict=True)}
    return {
        "interest, % a year": 100 * ((1 + rent - economy.delta) ** 4 - 1),
        "mean capital": float(capital),
        "gini": gini(cells, everybody),
    } | quantiles


def aiyagari(seeds=range(5)):
    """Without aggregate shocks there is an interest rate to be found, and a distribution."""
    economy = DEFAULT.without_aggregate_shocks()
    exact = solved(economy)
    yield "exact", at_rest(exact.policy, economy)
    policy, seconds = taught(economy, seeds, iterations=ITERATIONS // 2)
    found = []
    for i, seed in enumerate(seeds):
        rule = exact.households.tabulated(policy[i])
        row = {"seed": seed, "seconds": seconds} | errors(policy[i], economy)
        found.append(row | at_rest(rule, economy))
    yield "Probing", found


def rival(seeds=range(5)):
    """The economy of jax-marl-bc, in which two hundred households learned."""
    economy = CALIBRATIONS["jax-marl-bc"]
    policy, seconds = taught(economy, seeds)
    theirs = replace(economy, n_households=HOUSEHOLDS, atomistic=True)
    found = []
    for i, seed in enumerate(seeds):
        one = policy[i]
        realised, _ = realised_residuals(one.on(theirs), theirs)
        row = {"seed": seed, "seconds": seconds} | errors(one, economy) | led(one, economy)
        found.append(row | {"residual of realised returns, %": 100 * realised})
    yield "Probing", found


PARTS = {"learned": learned, "more": more, "aiyagari": aiyagari, "rival": rival}
