"""Who is compared: this library's PPO, and that of other libraries as their users would run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from stable_baselines3 import PPO as TheirPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from benchmarks.factorial.cells import economy_of, ppo_config
from benchmarks.factorial.rivals import Relative, model_of
from lectures_lib.agents import PPO
from lectures_lib.interop import Gym, StableBaselines, policy_of

from .interfaces import bare, baselines
from .settings import IN_A_BATCH, SAME, cell_of, others, ours
from .watch import Watch, processor_seconds, with_workers


@dataclass(frozen=True)
class Contender:
    """A library's PPO, in the environment that it lives in.

    Attributes
    ----------
    learn : callable
        ``learn(economy, setting, seed, steps, watch)``, with the economy's name.
    simulated : callable
        ``simulated(economy, setting)`` gives a function that lives without learning, and how many
        steps of the economy that are.
    settings : callable
        ``settings(economy, n)`` gives the n settings of the search, the published one first.
    same : dict or None
        The setting with this library's network, batch and epochs; None where it is not asked for.
    clock : callable
        Processor seconds of all who work for it.
    needs : str
        The package that it needs, beside those of this file.
    """

    learn: Callable[..., None]
    simulated: Callable[[str, dict], tuple[Callable[[], object], int]]
    settings: Callable[[str, int], list[dict]]
    same: dict | None = None
    clock: Callable[[], float] = processor_seconds
    needs: str = "torch"

    @property
    def installed(self) -> bool:
        """Whether the library is there."""
        try:
            import_module(self.needs)
        except ImportError:  # of the library, or of what it needs itself
            return False
        return True


# ---------------------------------------------------------------------- this library
#: Iterations between two calls of the watch.
EVERY = 10


def _ours(economy: str, setting: dict, seed: int, steps: int, watch: Watch, *, privileged: bool):
    cell = cell_of(economy, privileged=privileged)
    iterations = max(1, steps // _steps_per_iteration(setting))
    config = ppo_config(setting, cell, iterations)
    agent = PPO(economy_of(economy)[0], seed=seed, config=config, device="cpu")

    def policy():
        return agent.policy

    watch(0, policy)
    agent.learn(
        iterations * agent.steps_per_iteration,
        callback=lambda agent: watch(agent.steps, policy),
        callback_every=EVERY,
        show_progress=False,
    )
    watch.note(policy)


def _steps_per_iteration(setting) -> int:
    return setting["groups"] * setting["replicates"] * setting["horizon"]


def _simulated(economy: str, setting: dict):
    copies = setting["groups"] * setting["replicates"]
    return bare(economy_of(economy)[0], copies), copies


def _own(privileged: bool) -> Contender:
    return Contender(
        partial(_ours, privileged=privileged),
        _simulated,
        lambda economy, n: ours(cell_of(economy, privileged=privileged), n),
    )


# ---------------------------------------------------------------------- stable-baselines3
#: Copies of a group that have the same luck, where they have.
COMMON = 16


class _Watched(BaseCallback):
    """Calls the watch before the first batch and after each."""

    def __init__(self, watch, policy):
        super().__init__()
        self.watch, self.policy = watch, policy

    def _on_rollout_start(self):
        self.watch(self.num_timesteps, self.policy)

    def _on_step(self):
        return True


def their_environment(
    economy: str,
    setting: dict,
    *,
    single: bool = False,
    common: bool = False,
    relative: bool = False,
) -> VecEnv:
    """Copies that are Gym environments, or in one batch.

    Parameters
    ----------
    economy : str
    setting : dict
    single : bool
        Whether each copy is an environment of its own, in `DummyVecEnv`.
    common : bool
        Whether groups of copies begin in the same state and have the same luck.
    relative : bool
        Whether rewards are differences from the group's mean.
    """
    own_economy, copies, horizon = economy_of(economy)[0], setting["copies"], setting["horizon"]
    if single:
        return DummyVecEnv([lambda: Gym(own_economy, horizon=horizon)] * copies)
    group = min(COMMON, copies)
    env = StableBaselines(
        own_economy,
        copies,
        horizon=horizon,
        common=group if common else 1,
        # As many ages with common luck as without.
        stagger=copies // group,
    )
    return Relative(env, group) if relative else env


def stable_baselines(
    economy: str, setting: dict, seed: int, steps: int, watch: Watch, **environment: bool
) -> None:
    """Its PPO, in :func:`their_environment`."""
    own_economy, copies = economy_of(economy)[0], setting["copies"]
    env = their_environment(economy, setting, **environment)
    names = {
        "rate": "learning_rate",
        "epochs": "n_epochs",
        "lam": "gae_lambda",
        "clip": "clip_range",
        "log_std": "log_std_init",
    }
    own = {
        names.get(name, name): x
        for name, x in setting.items()
        if name not in ("copies", "batch", "minibatch", "horizon")
    }
    own["n_steps"] = setting["batch"] // copies
    own["batch_size"] = min(setting["minibatch"], own["n_steps"] * copies)
    model = model_of(TheirPPO, env, own_economy, own, seed)

    def policy():
        return policy_of(model, own_economy)

    model.learn(steps, callback=_Watched(watch, policy))
    watch(model.num_timesteps, policy)
    watch.note(policy)


def _others(
    library, learn, simulated, copies=1, clock=processor_seconds, same=SAME, needs="torch"
) -> Contender:
    def drawn(economy, n):
        return others(library, n, copies)

    return Contender(learn, simulated, drawn, same, clock, needs)


def _theirs(copies: int = 1, **environment: bool) -> Contender:
    def simulated(economy, setting):
        env = their_environment(economy, setting, **environment)
        return baselines(env), setting["copies"]

    return _others(SB3, partial(stable_baselines, **environment), simulated, copies)


def _elsewhere(library, module, copies=1, clock=processor_seconds, same=SAME, **options):
    """The learner of a module that needs another library, which is imported once it learns."""

    def learn(economy, setting, *rest):
        there = import_module(f".{module}", __package__)
        there.learn(economy_of(economy)[0], setting, *rest, **options)

    def simulated(economy, setting):
        there = import_module(f".{module}", __package__)
        return there.simulated(economy_of(economy)[0], setting, **options)

    needs = {"rllib": "ray.rllib", "torch_rl": "torchrl"}.get(module, "torch")
    return _others(library, learn, simulated, copies, clock, same, needs)


SB3, CLEAN = "stable-baselines3", "CleanRL"
CONTENDERS = {
    "ours": _own(True),
    "ours, ordinary": _own(False),
    f"{SB3}, vector": _theirs(IN_A_BATCH),
    f"{SB3}, Gym": _theirs(single=True),
    f"{CLEAN}, vector": _elsewhere(CLEAN, "clean", IN_A_BATCH, single=False),
    f"{CLEAN}, Gym": _elsewhere(CLEAN, "clean", single=True),
    "TorchRL, vector": _elsewhere("TorchRL", "torch_rl", IN_A_BATCH),
    "RLlib, vector": _elsewhere("RLlib", "rllib", IN_A_BATCH, with_workers, single=False),
    "RLlib, Gym": _elsewhere("RLlib", "rllib", 1, with_workers, single=True),
    "RLlib, Gym, one worker": _elsewhere(
        "RLlib", "rllib", 1, with_workers, None, single=True, runners=1
    ),
}
#: Stable-baselines3's best setting with many copies, when these share their luck.
IN_COMMON = {
    f"{SB3}, common luck": _theirs(common=True),
    f"{SB3}, common luck, relative rewards": _theirs(common=True, relative=True),
}
