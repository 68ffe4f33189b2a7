"""How precisely actors learn that lag behind the learner, and what corrections mend of it.

Chapter *The parallel framework*. All rows have PPO's own settings and the same steps, and differ
in the delay and in what is made of it. PPO's settings were not chosen for any delay.
"""

from __future__ import annotations

import re

import numpy as np

from benchmarks.factorial.cells import economy_of
from benchmarks.factorial.learning import policy_errors
from benchmarks.harness import rounded, swept, timed
from lectures_lib.agents import IMPALA, IMPALAConfig, TrainingDiverged
from lectures_lib.evaluation import evaluate

DELAYS = (1, 2, 4, 8, 16)
#: What is made of a delay, as settings.
CORRECTIONS = {
    "none": {"correction": "none"},
    "PPO's ratio": {"correction": "ratio"},
    "V-trace as published": {"group_trace": False},
    "V-trace on differences": {},
}
STEPS = 1_200_000
#: How often a run is looked at while it learns, and paths on which it is judged at its end.
POINTS, PATHS = 20, 64


def settings(correction: str, delay: int, own: bool = False) -> IMPALAConfig:
    """Of a row; with own luck it is ordinary PPO."""
    make = IMPALAConfig.ordinary if own else IMPALAConfig
    return make(delay=delay, **CORRECTIONS[correction])


def learned(
    name: str, correction: str, delay: int, own: bool = False, seeds=range(5), steps: int = STEPS
) -> list[dict]:
    """A row: what each seed has learned, and how it came there; distances in per cent.

    Of a seed that has diverged nothing is known but the iteration.
    """
    try:
        return _learned(name, settings(correction, delay, own), seeds, steps)
    except TrainingDiverged as failure:
        if len(seeds) == 1:
            iteration = int(re.search(r"iteration (\d+)", str(failure))[1])
            return [{"seed": seeds[0], "diverged": iteration}]
        # Seeds that learn at once are stopped at once.
        alone = ([seed] for seed in seeds)
        return [row for s in alone for row in learned(name, correction, delay, own, s, steps)]


def _learned(name, config, seeds, steps):
    economy, exact = economy_of(name)
    agent = IMPALA(economy, seeds=seeds, device="cpu", config=config)
    iterations = steps // agent.steps_per_iteration
    history, seconds = timed(
        agent.learn,
        iterations * agent.steps_per_iteration,
        callback=lambda agent: {"error": np.array(policy_errors(agent.policy, name))},
        callback_every=-(-iterations // POINTS),
        show_progress=False,
    )
    report = evaluate(agent.policy, economy, exact, paths=PATHS)
    return [
        {
            "seed": seed,
            "policy_error": 100 * report.policy_error_mean[i],
            "euler_residual": 100 * report.euler_residual_mean[i],
            "loss": 100 * report.consumption_equivalent_loss[i],
            "weight": weight,
            "steps": iterations * agent.steps_per_iteration,
            "seconds": seconds / len(seeds),
            "curve": {"steps": list(history.steps), "error": rounded(history["error"][:, i])},
        }
        for i, (seed, weight) in enumerate(zip(seeds, weights(agent), strict=True))
    ]


def weights(agent: IMPALA) -> list[float]:
    """The mean of each run's ratios, cut at one, at the end of learning."""
    return agent.ratio.clamp(max=1.0).flatten(1).mean(1).tolist()


def rows(name: str, delays, corrections=tuple(CORRECTIONS), own=False):
    """Yield a row without delay, and one for each delay and correction."""
    kinds = {"no delay": ("none", 0)}
    kinds |= {f"{delay}, {c}": (c, delay) for delay in delays for c in corrections}
    cells = {
        label: {"name": name, "correction": correction, "delay": delay, "own": own}
        for label, (correction, delay) in kinds.items()
    }
    yield from swept(learned, cells, [range(5)])


def common():
    """Common shocks, on the planner with one household."""
    yield from rows("planner", DELAYS)


def other():
    """The same on another calibration."""
    yield from rows("planner_other", (4, 16))


def own():
    """Ordinary PPO, which has its own luck."""
    corrections = [name for name in CORRECTIONS if name != "V-trace on differences"]
    yield from rows("planner", (4, 16), corrections, own=True)


def market():
    """Two strategic buyers, with common shocks."""
    yield from rows("market", (4, 16))


PARTS = {"common": common, "other": other, "own": own, "market": market}
