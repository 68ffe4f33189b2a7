"""The cells of the factorial: an economy, a learner, and which privileges the learner has.

A privilege is what a learner may do to the simulator, or what it makes of that:

- `common`: the replicates of a group receive the same shocks;
- `scattered`: a group's replicates restart around a state that one of them has visited (a memory
  of such states, for SAC);
- `pairs`: exploration noise comes in pairs of opposite sign;
- `differences`: the critic is fitted on differences within the group.

All else is a setting, for which every cell of a learner is searched in the same space. Whether
advantages are compared within the group is one of them, and so are, where the factorial does not
ask for them, pairs and differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import optuna

from benchmarks.harness import CALIBRATIONS, solved
from lectures_lib.agents import PPO, SAC, PPOConfig, SACConfig
from lectures_lib.economies import BrockMirman, Market, Planner

PRIVILEGES = ("common", "scattered", "pairs", "differences")
CORNERS = PRIVILEGES[:2]


@cache
def economy_of(name: str):
    """The economy of a cell, and its exact solution."""
    economy = {
        "planner": Planner(),
        "planner_4": Planner(4),
        "brock_mirman": BrockMirman(),
        "market": Market(2),
        # Nothing is searched there.
        "planner_other": Planner(**CALIBRATIONS["other"]),
    }[name]
    return economy, solved(economy, "markov perfect" if name == "market" else None)


@dataclass(frozen=True)
class Cell:
    """A learner with some of the privileges in an economy."""

    learner: str
    economy: str
    privileges: tuple[str, ...]
    #: Those that the factorial varies; the others are settings.
    varied: tuple[str, ...]
    #: Simulated steps of each reported seed.
    steps: int

    @property
    def name(self) -> str:
        """As the command line has it."""
        head = self.economy if self.learner == "ppo" else self.learner
        return "+".join((head, *self.privileges))

    def has(self, privilege: str, setting: Mapping) -> bool:
        """Whether the learner has a privilege, by the cell or by its settings."""
        if privilege in self.varied:
            return privilege in self.privileges
        return setting[privilege]


# ---------------------------------------------------------------------- PPO
def ppo_space(trial: optuna.Trial, cell: Cell) -> dict:
    """A setting of PPO from the space of all its cells."""
    choose, between = trial.suggest_categorical, trial.suggest_float
    setting = {
        "groups": choose("groups", [4, 8, 16, 64]),
        "replicates": choose("replicates", [8, 16, 32]),
        "horizon": choose("horizon", [8, 16, 32, 64]),
        "lam": choose("lam", [0.0, 0.5, 0.8, 0.95, 1.0]),
        "policy_rate": between("policy_rate", 1e-3, 2e-2, log=True),
        "critic_rate": between("critic_rate", 1e-3, 2e-2, log=True),
        "policy_epochs": choose("policy_epochs", [1, 2, 3, 6]),
        "critic_epochs": choose("critic_epochs", [1, 3, 6]),
        "first_noise": choose("first_noise", [0.2, 0.37, 0.6]),
        "last_noise": between("last_noise", 0.02, 0.3, log=True),
        "clip": choose("clip", [0.1, 0.2, 0.3]),
        "average": choose("average", [0.95, 0.98, 0.99]),
        "restart": choose("restart", [0.03, 0.1, 0.3]),
        "group_advantage": choose("group_advantage", [True, False]),
    }
    for privilege in PRIVILEGES:
        if privilege not in cell.varied:
            setting[privilege] = choose(privilege, [True, False])
    if cell.has("scattered", setting):
        setting["jitter"] = choose("jitter", [0.35, 0.7])
        if cell.has("pairs", setting):
            setting["paired_starts"] = choose("paired_starts", [True, False])
    return setting


def ppo_config(setting: Mapping, cell: Cell, iterations: int) -> PPOConfig:
    """The configuration that a setting means; the critic warms up for a twentieth of the time."""
    s = {"jitter": 0.0, "paired_starts": False} | setting
    scattered, pairs = cell.has("scattered", s), cell.has("pairs", s)
    return PPOConfig(
        noise=(s.pop("first_noise"), s.pop("last_noise")),
        common_shocks=cell.has("common", s),
        antithetic=pairs,
        difference_critic=cell.has("differences", s),
        jitter=s.pop("jitter") * scattered,
        # Pairs that begin in the same state are restarts of a kind, and for who may scatter.
        paired_starts=s.pop("paired_starts") and scattered and pairs,
        warm_up=min(20, iterations // 20),
        **{name: value for name, value in s.items() if name not in PRIVILEGES},
    )


def ppo_known(cell: Cell) -> dict[str, dict]:
    """Settings that are known to be good in some cell, tried in all of them.

    `default` is the library's: that of `PPOConfig` with common shocks, and without them that of
    `PPOConfig.ordinary`. `large batches` is what a review of this book has found for a learner with
    its own shocks; `large steps` and `little noise` have served well with common shocks, for four
    households and for Brock and Mirman's model, and `many restarts` there without them.
    """
    common = "common" in cell.privileges
    default = {
        "groups": 8,
        "replicates": 16,
        "horizon": 32,
        "lam": 0.95,
        "policy_rate": 3e-3,
        "critic_rate": 3e-3,
        "policy_epochs": 3,
        "critic_epochs": 3,
        "first_noise": 0.37,
        "last_noise": 0.05,
        "clip": 0.2,
        "average": 0.98,
        "restart": 0.3 if common or "scattered" in cell.privileges else 0.03,
        "group_advantage": common,
        "pairs": common,
        "differences": common,
        "jitter": 0.35,
        "paired_starts": False,
    }
    changes = {
        "default": {},
        "large batches": {
            "groups": 64,
            "replicates": 32,
            "horizon": 16,
            "lam": 0.0,
            "policy_rate": 5e-3,
            "critic_rate": 5e-3,
            "critic_epochs": 6,
            "last_noise": 0.15,
            "average": 0.99,
            "restart": 0.3,
        },
        "large steps": {
            "horizon": 16,
            "policy_rate": 1.5e-2,
            "policy_epochs": 2,
            "last_noise": 0.07,
            "average": 0.99,
            "paired_starts": True,
        },
        "little noise": {"horizon": 8, "last_noise": 0.02},
        "many restarts": {"horizon": 8, "last_noise": 0.1, "restart": 0.3},
    }
    return {label: default | change for label, change in changes.items()}


# ---------------------------------------------------------------------- SAC
def sac_space(trial: optuna.Trial, cell: Cell) -> dict:
    """A setting of SAC from the space of all its cells."""
    choose, between = trial.suggest_categorical, trial.suggest_float
    setting = {
        "groups": choose("groups", [2, 4, 8, 16]),
        "replicates": choose("replicates", [8, 16, 32]),
        "horizon": choose("horizon", [2, 4, 8]),
        "batch": choose("batch", [256, 512, 1024]),
        "critic_epochs": choose("critic_epochs", [1, 2, 4]),
        "policy_rate": between("policy_rate", 1e-3, 2e-2, log=True),
        "critic_rate": between("critic_rate", 1e-3, 3e-2, log=True),
        "first_noise": choose("first_noise", [0.2, 0.4]),
        "last_noise": between("last_noise", 0.03, 0.3, log=True),
        "average": choose("average", [0.95, 0.98, 0.99]),
        "restart": choose("restart", [0.03, 0.1, 0.3]),
        "differences": choose("differences", [True, False]),
    }
    if cell.has("scattered", setting):
        setting["jitter"] = choose("jitter", [0.35, 0.7])
    return setting


def sac_config(setting: Mapping, cell: Cell, iterations: int) -> SACConfig:
    """The configuration that a setting means; the critic warms up for a twentieth of the time."""
    s = {"jitter": 0.0} | setting
    return SACConfig(
        noise=(s.pop("first_noise"), s.pop("last_noise")),
        common_shocks=cell.has("common", s),
        difference_critic=s.pop("differences"),
        jitter=s.pop("jitter") * cell.has("scattered", s),
        warm_up=min(80, iterations // 20),
        **s,
    )


def sac_known(cell: Cell) -> dict[str, dict]:
    """Settings that are known to be good in some cell, tried in all of them."""
    common = "common" in cell.privileges
    default = {
        "groups": 4,
        "replicates": 16,
        "horizon": 4,
        "batch": 256,
        "critic_epochs": 2,
        "policy_rate": 3e-3,
        "critic_rate": 1e-2,
        "first_noise": 0.4,
        "last_noise": 0.05,
        "average": 0.98,
        "restart": 0.3 if common or "scattered" in cell.privileges else 0.03,
        "differences": common,
        "jitter": 0.35,
    }
    changes = {
        "default": {},
        "more noise": {"last_noise": 0.15},
        "large batches": {"batch": 1024},
        "large steps": {"policy_rate": 6e-3},
    }
    return {label: default | change for label, change in changes.items()}


# ---------------------------------------------------------------------- stable-baselines3
def sb3_space(trial: optuna.Trial) -> dict:
    """What the searches of both of stable-baselines3's learners have in common."""
    choose = trial.suggest_categorical
    return {
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        "decay": choose("decay", [True, False]),
        "normalise": choose("normalise", [True, False]),
        "silu": choose("silu", [True, False]),
        "episode": choose("episode", [100, 300, 1000]),
        "relative": choose("relative", [True, False]),
    }


def sb3_ppo_space(trial: optuna.Trial, cell: Cell) -> dict:
    """A setting of stable-baselines3's PPO."""
    choose = trial.suggest_categorical
    return sb3_space(trial) | {
        "groups": choose("groups", [4, 16]),
        "replicates": choose("replicates", [4, 16]),
        "n_steps": choose("n_steps", [32, 128, 2048]),
        "batch_size": choose("batch_size", [512, 1024, 4096]),
        "n_epochs": choose("n_epochs", [3, 10]),
        "gae_lambda": choose("gae_lambda", [0.0, 0.5, 0.9, 0.95]),
        "clip_range": choose("clip_range", [0.1, 0.2]),
        "log_std_init": choose("log_std_init", [-3.0, -2.0, -1.0, 0.0]),
        "width": choose("width", [48, 64]),
    }


def sb3_sac_space(trial: optuna.Trial, cell: Cell) -> dict:
    """A setting of stable-baselines3's SAC."""
    choose = trial.suggest_categorical
    return sb3_space(trial) | {
        "groups": choose("groups", [2, 4]),
        "replicates": choose("replicates", [8, 16]),
        "batch_size": choose("batch_size", [256, 1024]),
        "tau": choose("tau", [0.005, 0.02]),
        "gradient_steps": choose("gradient_steps", [1, 4]),
        "ent_coef": choose("ent_coef", ["auto", 0.001, 0.0001]),
        "learning_starts": choose("learning_starts", [1000, 5000]),
        "width": choose("width", [48, 256]),
    }


def sb3_known(cell: Cell) -> dict[str, dict]:
    """The learners' own defaults, in 16 economies at once, and what earlier searches had found.

    With 16 economies PPO's batches are 16 times as large as with one.
    """
    common = {
        "learning_rate": 3e-4,
        "decay": False,
        "normalise": False,
        "silu": False,
        "episode": 1000,
        "relative": False,
    }
    if cell.learner == "sb3_ppo":
        default = common | {
            "groups": 4,
            "replicates": 4,
            "n_steps": 2048,
            "batch_size": 1024,
            "n_epochs": 10,
            "gae_lambda": 0.95,
            "clip_range": 0.2,
            "log_std_init": 0.0,
            "width": 64,
        }
        found = {
            "groups": 16,
            "replicates": 16,
            "n_steps": 32,
            "learning_rate": 2e-3,
            "gae_lambda": 0.9,
            "log_std_init": -1.0,
            "width": 48,
        }
    else:
        default = common | {
            "groups": 2,
            "replicates": 8,
            "batch_size": 256,
            "tau": 0.005,
            "gradient_steps": 1,
            "ent_coef": "auto",
            "learning_starts": 1000,
            "width": 256,
        }
        found = {
            "groups": 4,
            "learning_rate": 8.6e-4,
            "tau": 0.02,
            "ent_coef": 0.001,
            "normalise": True,
        }
    found |= {"decay": True, "silu": True}
    return {
        "default": default,
        "found earlier": default | found,
        "found earlier, relative rewards": default | found | {"relative": True},
    }


# ---------------------------------------------------------------------- all of them
@dataclass(frozen=True)
class Learner:
    """How a learner's settings are drawn and what they mean."""

    space: Callable
    known: Callable
    #: The agent's class and configuration; none of another library's learners.
    agent: type | None = None
    config: Callable | None = None


LEARNERS = {
    "ppo": Learner(ppo_space, ppo_known, PPO, ppo_config),
    "sac": Learner(sac_space, sac_known, SAC, sac_config),
    "sb3_ppo": Learner(sb3_ppo_space, sb3_known),
    "sb3_sac": Learner(sb3_sac_space, sb3_known),
}

#: Learner, economy, varied privileges, steps of a reported seed.
FACTORIALS = (
    ("ppo", "planner", PRIVILEGES, 2_400_000),
    ("ppo", "brock_mirman", CORNERS, 1_000_000),
    ("ppo", "market", CORNERS, 1_000_000),
    ("ppo", "planner_4", CORNERS, 1_000_000),
    ("sac", "planner", CORNERS, 200_000),
    ("sb3_ppo", "planner", CORNERS[:1], 2_400_000),
    ("sb3_sac", "planner", CORNERS[:1], 200_000),
)


def subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All subsets, the smaller ones first."""
    return [chosen for n in range(len(names) + 1) for chosen in combinations(names, n)]


CELLS = {
    cell.name: cell
    for learner, economy, varied, steps in FACTORIALS
    for cell in (Cell(learner, economy, chosen, varied, steps) for chosen in subsets(varied))
}
