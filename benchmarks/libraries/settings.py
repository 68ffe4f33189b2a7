"""Settings of PPO in other libraries: what each publishes, and the space that all are drawn from.

Settings have the same names whatever the library calls them:

- `copies` of the economy live side by side, and `batch` is the number of their steps between two
  updates, which go over it `epochs` times in parts of `minibatch`;
- Adam's `rate` falls linearly to nearly nothing with `decay`;
- `lam` and `clip` are the lambda of advantages and the half-width of the band of ratios;
- `log_std` is the log of the standard deviation of actions at the start;
- with `normalise`, observations and rewards are divided by running standard deviations;
- networks have two layers of `width`, with SiLU instead of the hyperbolic tangent with `silu`;
- episodes are cut after `horizon` periods.

The discount factor is part of the problem and no setting.
"""

from __future__ import annotations

import optuna

from benchmarks.factorial.cells import CELLS, PRIVILEGES, Cell, ppo_known, ppo_space, sb3_known

optuna.logging.set_verbosity(optuna.logging.WARNING)

#: Copies in one batch, where a library's own setting is used with them.
IN_A_BATCH = 16
#: Stable-baselines3's defaults, with the length of episodes that our environments have by default.
STABLE_BASELINES = {
    "copies": 1,
    "batch": 2048,
    "minibatch": 64,
    "epochs": 10,
    "rate": 3e-4,
    "decay": False,
    "lam": 0.95,
    "clip": 0.2,
    "log_std": 0.0,
    "normalise": False,
    "width": 64,
    "silu": False,
    "horizon": 500,
}
PUBLISHED = {
    "stable-baselines3": STABLE_BASELINES,
    # Huang et al. (2022), "The 37 implementation details of PPO": continuous actions.
    "CleanRL": STABLE_BASELINES | {"decay": True, "normalise": True},
    # What PPOConfig() has.
    "RLlib": STABLE_BASELINES
    | {
        "batch": 4000,
        "minibatch": 128,
        "epochs": 30,
        "rate": 5e-5,
        "lam": 1.0,
        "clip": 0.3,
        "width": 256,
    },
    # Its own example for continuous actions, which follows the same source as CleanRL's.
    "TorchRL": STABLE_BASELINES | {"decay": True, "normalise": True},
}


def _found_before() -> dict:
    """The best that earlier searches for stable-baselines3 had found on this planner."""
    known = sb3_known(CELLS["sb3_ppo"])["found earlier"]
    copies = known["groups"] * known["replicates"]
    return {
        "copies": copies,
        "batch": copies * known["n_steps"],
        "minibatch": known["batch_size"],
        "epochs": known["n_epochs"],
        "rate": known["learning_rate"],
        "decay": known["decay"],
        "lam": known["gae_lambda"],
        "clip": known["clip_range"],
        "log_std": known["log_std_init"],
        "normalise": known["normalise"],
        "width": known["width"],
        "silu": known["silu"],
        "horizon": known["episode"],
    }


#: Network, batch and epochs of this library's default, whose steps go over whole batches.
SAME = STABLE_BASELINES | {
    "copies": 128,
    "batch": 4096,
    "minibatch": 4096,
    "epochs": 3,
    "rate": 3e-3,
    "width": 48,
    "silu": True,
}


def space(trial: optuna.Trial) -> dict:
    """A setting of PPO in any library but this one."""
    choose = trial.suggest_categorical
    return {
        "copies": choose("copies", [1, 16, 256]),
        "batch": choose("batch", [2048, 4000, 8192]),
        "minibatch": choose("minibatch", [64, 128, 512, 1024]),
        "epochs": choose("epochs", [3, 10, 30]),
        "rate": trial.suggest_float("rate", 5e-5, 1e-2, log=True),
        "decay": choose("decay", [True, False]),
        "lam": choose("lam", [0.0, 0.5, 0.9, 0.95, 1.0]),
        "clip": choose("clip", [0.1, 0.2, 0.3]),
        "log_std": choose("log_std", [-2.0, -1.0, 0.0]),
        "normalise": choose("normalise", [True, False]),
        "width": choose("width", [48, 64, 256]),
        "silu": choose("silu", [True, False]),
        "horizon": choose("horizon", [100, 500, 1000]),
    }


def others(library: str, settings: int, copies: int = 1) -> list[dict]:
    """As many settings: the published one, that which was found before, and others by chance.

    Those by chance are the same for each library.

    Parameters
    ----------
    library : str
    settings : int
        How many.
    copies : int
        Of the published setting, where economies live in one batch.
    """
    published = PUBLISHED[library] | {"copies": copies}
    return [published, _found_before(), *_drawn(space, settings)][:settings]


def cell_of(economy: str, *, privileged: bool) -> Cell:
    """This library's PPO with all privileges or with none, as the factorial names them."""
    return Cell("ppo", economy, PRIVILEGES if privileged else (), PRIVILEGES, 0)


def ours(cell: Cell, settings: int) -> list[dict]:
    """As many settings of this library's PPO: its default, and others of the factorial's space."""
    drawn = _drawn(lambda trial: ppo_space(trial, cell), settings)
    return [ppo_known(cell)["default"], *drawn][:settings]


def _drawn(draw, settings):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [draw(study.ask()) for _ in range(settings)]
