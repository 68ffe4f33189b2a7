"""The search for settings behind `comparison.py`: the same for every learner, ours included.

Each learner gets the same number of settings drawn at random from the space written below. Each is
tried for the learner's seconds of processor time on one seed (100) that the comparison does not
use, and the setting with the smallest consumption-equivalent loss is its best.
"""

from __future__ import annotations

import numpy as np

from lectures_lib.economies import Planner
from lectures_lib.evaluation import evaluate
from lectures_lib.solvers import solve

from .learners import LEARNERS, learn_for

TUNING_SEED = 100

rate = ("log", 3e-4, 1e-2)
ours = {
    "policy_rate": rate,
    "critic_rate": rate,
    "lam": [0.0, 0.5, 0.9, 0.95, 1.0],
    "groups": [4, 8, 16],
    "horizon": [16, 32, 64],
    "average": [0.95, 0.98, 0.99],
    "critic_epochs": [1, 3, 6],
}
noise = [[0.15, 0.03], [0.37, 0.05], [0.37, 0.15]]
SPACES = {
    "PPO, common shocks": ours
    | {"replicates": [8, 16, 32], "noise": noise, "policy_epochs": [1, 3, 6]},
    "Probing": ours | {"replicates": [4, 8, 16], "noise": noise},
    "Analytic": ours | {"replicates": [4, 8, 16]},
    "PPO, ordinary": ours
    | {
        "replicates": [8, 16, 32],
        "groups": [8, 32, 64],
        "noise": noise,
        "policy_epochs": [1, 3, 6],
    },
    "SB3 PPO": {
        "n_envs": [16, 64, 256],
        "n_steps": [16, 32, 128],
        "batch_size": [256, 1024, 4096],
        "n_epochs": [3, 10],
        "learning_rate": rate,
        "gae_lambda": [0.0, 0.5, 0.9, 0.95],
        "normalise": [True, False],
        "decay": [True],
        "log_std": [-3.0, -2.0, -1.0],
        "silu": [True, False],
        "clip_range": [0.1, 0.2],
    },
    "SB3 SAC": {
        "n_envs": [1, 8, 32],
        "batch_size": [256, 1024],
        "learning_rate": rate,
        "tau": [0.005, 0.02],
        "train_freq": [1, 4],
        "gradient_steps": [1, 4],
        "ent_coef": ["auto", 0.001, 0.0001],
        "learning_starts": [1000, 5000],
        "normalise": [True, False],
        "decay": [True],
        "silu": [True, False],
    },
}

# Tried beside the random draws: what an earlier search by hand had found for ordinary PPO.
BY_HAND = {"PPO, ordinary": [{"groups": 64, "replicates": 16, "horizon": 32, "lam": 0.0}]}


def draw(space: dict, rng) -> dict:
    """A setting drawn uniformly (on a log scale for rates) from a space."""
    setting = {}
    for name, choices in space.items():
        if isinstance(choices, tuple):
            low, high = np.log(choices[1:])
            setting[name] = float(np.exp(rng.uniform(low, high)))
        else:
            setting[name] = choices[rng.integers(len(choices))]
    return setting


def tuning(trials=12):
    """Settings of every learner by the loss that they led to, the best first."""
    economy = Planner()
    reference = solve(economy)
    for name, space in SPACES.items():
        rng, found = np.random.default_rng(0), []
        settings = [draw(space, rng) for _ in range(trials)] + BY_HAND.get(name, [])
        seconds = LEARNERS[name].tuning_seconds
        for i, setting in enumerate(settings):
            try:
                policy, _, _ = learn_for(name, economy, TUNING_SEED, seconds, setting)
                report = evaluate(policy, economy, reference, seed=1, paths=512)
                loss = float(100 * report.consumption_equivalent_loss)
            except (RuntimeError, ValueError) as error:
                loss = float("inf")
                print(f"  failed: {error}")
            found.append({"loss_percent": loss, "setting": setting})
            print(f"  {name} {i + 1}/{len(settings)}: {loss:.5f}%  {setting}", flush=True)
        found.sort(key=lambda trial: trial["loss_percent"])
        best = found[0]["loss_percent"]
        yield name, {"loss_percent": best, "seconds_per_trial": seconds, "trials": found}


PARTS = {"tuning": tuning}
