"""The search for a cell's setting, by optuna; one that was interrupted goes on where it stood.

Every cell gets the same: 33 settings, the first of which are the known ones. Each is trained anew
for a quarter of the cell's steps on three seeds that are not reported. Of those drawn from the
space (tree-structured Parzen estimator) the best quarter so far, and of the known ones all, are
trained anew for all of the steps (asynchronous successive halving). The best has the smallest
policy error then, in geometric mean over the seeds.

What is drawn depends on nothing but the errors before. So a search that is begun again draws what
it has drawn, and finds the errors in the part's journal.
"""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from benchmarks.harness import commit, swept

from .cells import LEARNERS, Cell
from .learning import error_of

TUNING_SEEDS = range(100, 103)
#: Of the steps, the share that comes first; of the settings drawn, the share that goes on.
QUARTER = 4

optuna.logging.set_verbosity(optuna.logging.WARNING)


def search(cell: Cell, trials: int, steps: int) -> optuna.Study:
    """The finished search of a cell.

    Parameters
    ----------
    cell : Cell
    trials : int
        Settings tried, known ones included.
    steps : int
        Of a full training.
    """
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(1, QUARTER, 0),
    )
    for label, setting in list(LEARNERS[cell.learner].known(cell).items())[:trials]:
        study.enqueue_trial(setting, user_attrs={"known": label})

    def objective(trial):
        setting = LEARNERS[cell.learner].space(trial, cell)
        trial.set_user_attr("setting", setting)
        trial.set_user_attr("code", commit())
        known = trial.user_attrs.get("known")
        for rung in (1, QUARTER):
            label = f"setting {trial.number}{f' ({known})' if known else ''}, {rung}/{QUARTER}"
            error = _error(label, cell, setting, steps * rung // QUARTER)
            print(f"  {cell.name}: {label} of the steps: policy error {error:.3g}%", flush=True)
            trial.report(error, rung)
            if rung < QUARTER and not known and trial.should_prune():
                raise optuna.TrialPruned
        return error

    study.optimize(objective, n_trials=trials)
    return study


def _error(label, cell, setting, steps) -> float:
    ((_, error),) = swept(
        error_of, {label: {"cell": cell, "setting": setting, "steps": steps}}, [TUNING_SEEDS]
    )
    return error


def summary(study: optuna.Study) -> dict:
    """What is stored of a search."""
    full = study.get_trials(states=(TrialState.COMPLETE,))
    known = {t.user_attrs["known"]: t.value for t in full if "known" in t.user_attrs}
    return {
        "tuning_error": study.best_value,
        "settings": len(study.trials),
        "trained_fully": len(full),
        "default_error": known["default"],
        "known": known,
        "best": study.best_trial.user_attrs.get("known", "drawn"),
        "setting": best_setting(study),
        "trials": [
            {
                "setting": t.user_attrs["setting"],
                "error": [t.intermediate_values[k] for k in sorted(t.intermediate_values)],
                "code": t.user_attrs["code"],
            }
            for t in study.trials
        ],
    }


def best_setting(study: optuna.Study) -> dict:
    """The setting with the smallest error of those that were trained fully."""
    return study.best_trial.user_attrs["setting"]
