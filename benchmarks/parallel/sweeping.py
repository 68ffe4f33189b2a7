"""What a second core saves a sweep of many short cells."""

from __future__ import annotations

import os
import time
from statistics import median

import torch

from lectures_lib.agents import PPO, PPOConfig
from lectures_lib.economies import BrockMirman
from lectures_lib.experiments import sweep
from lectures_lib.solvers import solve

#: A learner that takes about .3 seconds of one core.
CONFIG = PPOConfig(groups=2, replicates=8, horizon=16, hidden=(16,), warm_up=2)
STEPS = 5_120
CELLS = {f"alpha {alpha / 100:.2f}": {"alpha": alpha / 100} for alpha in range(20, 40)}


def learner(alpha: float, seed: int) -> dict[str, float]:
    """A short training on Brock and Mirman's model, judged by the exact rule at initial states."""
    economy = BrockMirman(alpha=alpha)
    agent = PPO(economy, seed=seed, config=CONFIG, device="cpu")
    agent.learn(STEPS, show_progress=False)
    state = economy.reset((256,), torch.Generator().manual_seed(0))
    learned, exact = agent.policy(state)["planner"], solve(economy).policy(state)["planner"]
    return {"policy_error": 100 * (learned / exact - 1).abs().mean().item()}


def sweeps(seeds: int = 10, repetitions: int = 3, workers: int = 2):
    """Seconds by the clock of 200 short runs, one after the other and in processes."""
    learner(0.3, 0)  # what is compiled or read once is not part of a sweep
    engines = {"serial": {}, "processes": {"engine": "processes", "workers": workers}}
    seconds, load, results = {name: [] for name in engines}, [], {}
    for _ in range(repetitions):
        for name, how in engines.items():
            load.append(os.getloadavg()[0])
            started = time.perf_counter()
            rows = sweep(learner, CELLS, range(seeds), **how)
            seconds[name].append(time.perf_counter() - started)
            found = [row["result"] for row in rows]
            if results.setdefault("serial", found) != found:
                raise AssertionError(f"engine {name!r} gives other results")
            print(f"  {name}: {seconds[name][-1]:.1f} s, load before {load[-1]:.1f}", flush=True)
    pairs = zip(seconds["serial"], seconds["processes"], strict=True)
    for name, own in seconds.items():
        yield name, {"runs": len(found), "seconds": median(own), "each": own}
    ratios = [a / b for a, b in pairs]
    yield "speed-up", {"times": median(ratios), "each": ratios, "workers": workers, "load": load}


PARTS = {"sweep": sweeps}
