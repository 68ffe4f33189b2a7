"""Many households, precisely: what bounds the error of their rule, and what removes it.

The error is told by part: how much all spend together, and how it is divided. Settings were chosen
on the paper's calibration with seed 100; all seeds of the table train at once, and the seconds of a
row are the processor seconds that one of them needs by itself.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from benchmarks.harness import CALIBRATIONS, seconds_per_iteration, solved, train
from lectures_lib.agents import Probing
from lectures_lib.economies import Planner
from lectures_lib.evaluation import spending_errors

from .many import FEW_PATHS, FOUR, HUNDRED, PATHS, accuracy, judged

#: Processor seconds of each row with four households.
SECONDS = 55
#: Many states and short paths: a polynomial critic has no use for long ones.
SHORT = replace(FOUR, groups=32, replicates=2, horizon=8, noise=(0.3, 0.05))
SPLIT, POLYNOMIAL = {"split_probes": True}, {"critic": "polynomial"}
#: What each row changes.
LADDER = {
    "network critic, one probe": {},
    "network critic, probes split": SPLIT,
    "polynomial critic, one probe": POLYNOMIAL,
    "polynomial critic, probes split": SPLIT | POLYNOMIAL,
}
BOTH = replace(SHORT, **SPLIT, **POLYNOMIAL)
#: Iterations with four households, and then with a hundred.
FIRST, POLISH = 3000, 500
POLISHED = replace(BOTH, groups=8, policy_rate=5e-3, noise=(0.08, 0.03))
#: Ten households with ten goods.
GOODS, GOODS_ITERATIONS = replace(BOTH, groups=8, policy_rate=1e-2), 1500


def by_part(policy, economy, paths, reference=None, **more):
    """What a table says of each seed, with the errors of spending by part, in per cent."""
    exact = reference or solved(economy)
    found = judged(policy, economy, paths, exact, **more)
    errors = vars(spending_errors(policy, economy, exact, paths))
    for seed, row in enumerate(found):
        row |= {name: 100 * float(x[seed]) for name, x in errors.items()}
    return found


def ladder_4(seeds=3):
    """Four households: one probe or two kinds, a critic that steps or one that is solved for."""
    economy = Planner(4)
    for name, changes in LADDER.items():
        config = replace(SHORT, **changes)
        agent, seconds = train(Probing, economy, config, range(seeds), seconds=SECONDS)
        done = {"steps": agent.steps, "seconds": seconds}
        yield name, by_part(agent.policy, economy, PATHS, **done)


@cache
def with_four(seeds):
    """An agent that has learned with four households, and its seconds."""
    return train(Probing, Planner(4), BOTH, range(seeds), iterations=FIRST)


def precise_4(seeds=5):
    """Four households, with a polynomial critic and split probes."""
    economy = Planner(4)
    agent, seconds = with_four(seeds)
    done = {"steps": agent.steps, "seconds": seconds}
    yield "Probing, precisely", by_part(agent.policy, economy, PATHS, **done)
    yield "reference", accuracy(economy)


def precise_100(seeds=5):
    """A hundred households: learned with four, and then for a little while with all of them."""
    economy = Planner(100)
    first, seconds = with_four(seeds)
    unchanged = first.policy.on(economy)
    done = {"steps": first.steps, "seconds": seconds}
    yield "learned with 4, unchanged", by_part(unchanged, economy, FEW_PATHS, **done)
    each = seconds_per_iteration(Probing(economy, seed=0, device="cpu", config=POLISHED))
    agent = Probing(economy, seeds=range(seeds), device="cpu", config=POLISHED)
    agent.start_from(first)
    agent.learn(POLISH * agent.steps_per_iteration)
    done = {"steps": first.steps + agent.steps, "seconds": seconds + POLISH * each}
    yield "learned with 4, then with 100", by_part(agent.policy, economy, FEW_PATHS, **done)
    yield "reference", accuracy(economy, FEW_PATHS)


def before_100(seeds=3):
    """A hundred households as they were learned before, by part."""
    economy = Planner(100)
    agent, seconds = train(Probing, economy, HUNDRED, range(seeds), iterations=1000)
    done = {"steps": agent.steps, "seconds": seconds}
    yield "from scratch, as before", by_part(agent.policy, economy, FEW_PATHS, **done)


def precise_calibration(seeds=5):
    """Four households in another economy, with the same settings."""
    economy = Planner(4, **CALIBRATIONS["other"])
    agent, seconds = train(Probing, economy, BOTH, range(seeds), iterations=FIRST)
    done = {"steps": agent.steps, "seconds": seconds}
    yield "polynomial critic, probes split", by_part(agent.policy, economy, PATHS, **done)
    yield "reference", accuracy(economy)


def precise_goods(seeds=3):
    """Ten households with ten goods, judged against the network on Euler residuals."""
    economy = Planner(10, 10)
    agent, seconds = train(Probing, economy, GOODS, range(seeds), iterations=GOODS_ITERATIONS)
    done = {"steps": agent.steps, "seconds": seconds, "start": "ergodic"}
    yield "polynomial critic, probes split", by_part(agent.policy, economy, FEW_PATHS, **done)
    yield "reference", judged(solved(economy).policy, economy, FEW_PATHS, start="ergodic")


PARTS = {
    f.__name__: f for f in (precise_4, precise_100, before_100, precise_calibration, precise_goods)
}
