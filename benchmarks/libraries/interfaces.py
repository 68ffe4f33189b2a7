"""What the environments of other libraries cost beside the bare economy."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import torch

from lectures_lib.economies import BrockMirman, Monopolist, Planner
from lectures_lib.interop import Gym, StableBaselines, VectorGym

ECONOMIES = {
    "planner": Planner(),
    "planner, 4 households": Planner(4),
    "Brock and Mirman": BrockMirman(),
    "monopolist": Monopolist(),
}
COPIES = 4096


def bare(economy, copies):
    """What a learner of ours does in each period: it draws, acts, and looks."""
    ((name, role),) = economy.roles.items()
    generator = torch.Generator().manual_seed(0)
    raw = torch.zeros(copies, role.n_agents, role.n_actions)
    state = economy.reset((copies,), generator)

    def period():
        nonlocal state
        actions = {name: role.to_physical(raw)}
        state = economy.step(state, actions, economy.draw((copies,), generator)).state
        return economy.observe(state)

    return period


def _single(economy):
    env = Gym(economy, actions="unit", horizon=None)
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    return lambda: env.step(action)


def _vector(economy, copies):
    env = VectorGym(economy, copies, actions="unit")
    env.reset(seed=0)
    actions = np.zeros(env.action_space.shape, np.float32)
    return lambda: env.step(actions)


def baselines(env):
    """A period of an environment of stable-baselines3."""
    env.reset()
    actions = np.zeros((env.num_envs, *env.action_space.shape), np.float32)
    return lambda: env.step(actions)


@torch.no_grad()
def interfaces(blocks: int = 60, periods: int = 50):
    """Microseconds of a period in environments, beside the bare economy in the same blocks."""
    for label, economy in ECONOMIES.items():
        of_one = {"bare, 1": bare(economy, 1), "Gym": _single(economy)}
        of_many = {
            f"bare, {COPIES}": bare(economy, COPIES),
            "VectorGym": _vector(economy, COPIES),
            "StableBaselines": baselines(StableBaselines(economy, COPIES, actions="unit")),
        }
        for lives in (of_one, of_many):
            seconds = {name: [] for name in lives}
            for _ in range(blocks + 1):
                for name, period in lives.items():
                    started = time.process_time()
                    for _ in range(periods):
                        period()
                    seconds[name].append((time.process_time() - started) / periods)
            (first, theirs), *_ = [(name, own[1:]) for name, own in seconds.items()]
            copies = 1 if lives is of_one else COPIES
            for name, own in seconds.items():
                # The first block warms up.
                ratios = [a / b for a, b in zip(own[1:], theirs, strict=True)]
                yield (
                    f"{label}: {name}",
                    {
                        "microseconds": 1e6 * median(own[1:]),
                        "beside the bare economy": 1.0 if name == first else median(ratios),
                        "million steps per second": copies / median(own[1:]) / 1e6,
                    },
                )


PARTS = {"interfaces": interfaces}
