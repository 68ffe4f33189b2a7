"""What it costs, and saves, to train an agent in several processes (`lectures_lib.distributed`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.distributed import joined
from lectures_lib.economies import Planner

#: Agents, and for how many iterations they are watched at once.
SETTINGS = {
    "PPO, 1 household": (PPO, Planner(), PPOConfig(), 8),
    "PPO, 1 household, 128 groups": (PPO, Planner(), PPOConfig(groups=128), 1),
    "PPO, 100 households": (PPO, Planner(100), PPOConfig(), 1),
    "PPO, 100 households, 32 groups": (PPO, Planner(100), PPOConfig(groups=32), 1),
    "Probing, 100 households, 32 groups": (Probing, Planner(100), ProbingConfig(groups=32), 1),
}
BLOCKS = 4


def torchrun(ranks: int = 2, rounds: int = 2):
    """Seconds and bytes of an iteration of several processes beside those of one, same batch."""
    for label, (kind, economy, config, _) in SETTINGS.items():
        counts = dict.fromkeys((1, ranks))
        found = {n: np.concatenate([_started(label, n) for _ in range(rounds)]) for n in counts}
        # The fastest of the blocks, because a busy machine makes a processor slower.
        alone, each = (x.min(0) for x in found.values())
        agent = kind(economy, seed=0, config=config, device="cpu")
        yield (
            label,
            {
                "steps": agent.steps_per_iteration,
                "alone, seconds": alone[ALL],
                "drawing, share": alone[DRAWS] / alone[ALL],
                "each, seconds": each[ALL],
                "of that talking": each[TALK],
                "ratio": alone[ALL] / each[ALL],
                "talking, on the wall": float(np.median(found[ranks][:, WALL])),
                "messages": each[MESSAGES],
                "kilobytes": each[BYTES] / 1e3,
            },
        )


#: Columns of what a process finds: processor seconds of all, of draws and of communication,
#: seconds for which it waits for others and for messages, messages, and bytes of them.
ALL, DRAWS, TALK, WALL, MESSAGES, BYTES = range(6)


def _started(label, processes) -> np.ndarray:
    """What torchrun's processes find, (blocks, 6); processor seconds are the means of theirs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(processes), "-m", "benchmarks.parallel.data_parallel"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run([*command, label, folder], check=True, env=environment)
        return np.mean([json.loads(path.read_text()) for path in Path(folder).iterdir()], axis=0)


def _watched(label, folder):
    """What each of the processes does."""
    torch.set_num_threads(1)
    kind, economy, config, iterations = SETTINGS[label]
    totals = defaultdict(float)
    for name in ("all_reduce", "all_gather"):
        setattr(dist, name, _clocked(getattr(dist, name), totals, "talk"))
    with joined(timeout=300) as processes:
        config = replace(config, warm_up=0)
        agent = kind(economy, seed=0, config=config, device="cpu")
        agent.streams.stack = _clocked(agent.streams.stack, totals, "draws")

        def some():
            for _ in range(iterations):
                agent.iterate()
                processes.any(False)  # as `learn` asks in every iteration

        learn, blocks = _clocked(some, totals, "all"), []
        for _ in range(BLOCKS + 1):
            totals.clear()
            learn()
            names = ("all", "draws", "talk", "talk, wall", "talk, messages", "talk, bytes")
            blocks.append([totals[name] / iterations for name in names])
    # The first block warms up.
    Path(folder, f"{processes.rank}.json").write_text(json.dumps(blocks[1:]))


def _clocked(function, totals, name):
    """A function that adds to totals what its calls cost, and the size of the last argument."""

    def clocked(*arguments):
        wall, own = time.perf_counter(), time.process_time()
        result = function(*arguments)
        totals[name] += time.process_time() - own
        totals[f"{name}, wall"] += time.perf_counter() - wall
        totals[f"{name}, messages"] += 1
        sent = [x for x in arguments[-1:] if isinstance(x, torch.Tensor)]
        totals[f"{name}, bytes"] += sum(x.numel() * x.element_size() for x in sent)
        return result

    return clocked


PARTS = {"torchrun": torchrun}

if __name__ == "__main__":
    _watched(*sys.argv[1:])
