"""Where the time of an iteration goes, and what larger batches and several seeds at once save.

Chapter *The parallel framework*. All of it is PPO with its own settings on one core.
"""

from __future__ import annotations

import time
from collections import Counter
from statistics import median

from lectures_lib.agents import PPO, PPOConfig
from lectures_lib.economies import Planner

#: Iterations that are timed, in so many blocks; the first ones are not.
ITERATIONS, BLOCKS = 12, 5
PHASES = {"collect": "simulate", "fit_critic": "fit the critic", "improve": "improve the policy"}


def phases(households: int = 1, seeds: int = 1, **settings) -> dict[str, float]:
    """Processor milliseconds of an iteration, by phase; the median of some blocks."""
    config = PPOConfig(warm_up=0, **settings)
    agent = PPO(Planner(households), seeds=range(seeds), device="cpu", config=config)
    spent: Counter[str] = Counter()

    def timed(method, phase):
        def call(*arguments):
            started = time.process_time()
            result = method(*arguments)
            spent[phase] += time.process_time() - started
            return result

        return call

    for method, phase in PHASES.items():
        setattr(agent, method, timed(getattr(agent, method), phase))
    blocks, done = [], 2
    agent.learn(done * agent.steps_per_iteration)
    for _ in range(BLOCKS):
        done += ITERATIONS
        spent.clear()
        started = time.process_time()
        agent.learn(done * agent.steps_per_iteration)
        spent["the rest"] = time.process_time() - started - sum(spent.values())
        blocks.append({phase: 1e3 * x / ITERATIONS for phase, x in spent.items()})
    return {phase: median(block[phase] for block in blocks) for phase in blocks[0]}


def profile():
    """Milliseconds of an iteration by phase, with one household and with a hundred."""
    for households in (1, 100):
        label = "one household" if households == 1 else f"{households} households"
        yield label, phases(households)


def batches():
    """Milliseconds and steps per second, by the number of groups of economies."""
    for groups in (1, 4, 16, 64, 256):
        total = sum(phases(groups=groups).values())
        copies = groups * PPOConfig().replicates
        steps = copies * PPOConfig().horizon
        yield (
            f"{copies} economies",
            {"copies": copies, "milliseconds": total, "steps_per_second": 1e3 * steps / total},
        )


def runs():
    """Milliseconds of an iteration by the number of seeds that learn at once."""
    for seeds in (1, 2, 5, 10, 20):
        total = sum(phases(seeds=seeds).values())
        yield f"{seeds} seeds", {"runs": seeds, "milliseconds": total, "each": total / seeds}


PARTS = {"profile": profile, "batches": batches, "runs": runs}
