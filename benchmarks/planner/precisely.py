"""Many households, precisely: what bounds the error of their rule, and what removes it.

The error is told by part: how much all spend together, and how it is divided. Settings were chosen
on the paper's calibration with seed 100; all seeds of the table train at once, and the seconds of a
row are the processor seconds that one of them needs by itself.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from benchmarks.harness import CALIBRATIONS, solved, train
from lectures_lib.agents import Probing
from lectures_lib.economies import Planner
from lectures_lib.evaluation import spending_errors

from .many import FEW_PATHS, FOUR, PATHS, accuracy, judged

#: Processor seconds of each step of the ladder.
SECONDS = 25
#: Many states and short paths; scales that settle, and replicates that stay closer together.
SHORT = replace(
    FOUR,
    groups=32,
    replicates=2,
    horizon=8,
    jitter=0.2,
    settled=0.3,
    noise=(0.3, 0.05),
    average=0.995,
)
SPLIT: dict[str, Any] = {"split_probes": True}
POLYNOMIAL: dict[str, Any] = {"critic": "polynomial"}
#: What each row changes.
LADDER: dict[str, dict[str, Any]] = {
    "network critic, one probe": {},
    "network critic, probes split": SPLIT,
    "polynomial critic, one probe": POLYNOMIAL,
    "polynomial critic, probes split": SPLIT | POLYNOMIAL,
}
BOTH = replace(SHORT, **SPLIT, **POLYNOMIAL)
#: Iterations with four households.
ITERATIONS = 3200


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
    return train(Probing, Planner(4), BOTH, range(seeds), iterations=ITERATIONS)


def precise_4(seeds=5):
    """Four households, with a polynomial critic and split probes."""
    economy = Planner(4)
    agent, seconds = with_four(seeds)
    done = {"steps": agent.steps, "seconds": seconds}
    yield "Probing, precisely", by_part(agent.policy, economy, PATHS, **done)
    yield "reference", accuracy(economy)


def precise_100(seeds=5):
    """A hundred households, by the rule that was learned with four."""
    economy = Planner(100)
    agent, seconds = with_four(seeds)
    done = {"steps": agent.steps, "seconds": seconds}
    yield "learned with 4", by_part(agent.policy.on(economy), economy, FEW_PATHS, **done)
    yield "reference", accuracy(economy, FEW_PATHS)


def precise_calibration(seeds=5):
    """Four households in another economy, with the same settings."""
    economy = Planner(4, **CALIBRATIONS["other"])
    agent, seconds = train(Probing, economy, BOTH, range(seeds), iterations=ITERATIONS)
    done = {"steps": agent.steps, "seconds": seconds}
    yield "polynomial critic, probes split", by_part(agent.policy, economy, PATHS, **done)
    yield "reference", accuracy(economy)


PARTS = {f.__name__: f for f in (ladder_4, precise_4, precise_100, precise_calibration)}
