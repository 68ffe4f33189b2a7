"""The search for a cell's setting, by optuna; one that was interrupted goes on where it stood.

Every cell gets the same: 33 settings, the first of which are the known ones. Each is trained anew
for a quarter of the cell's steps on three seeds that are not reported. Of those drawn from the
space (tree-structured Parzen estimator) the best quarter so far, and of the known ones all, are
trained anew for all of the steps (asynchronous successive halving). The best has the smallest
policy error then, in geometric mean over the seeds.

The journals lie in `benchmarks/.journals`, which may be deleted when nothing is to be continued.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import optuna
from optuna.trial import TrialState

from benchmarks.harness import RESULTS, commit

from .cells import LEARNERS, Cell
from .learning import error_of

TUNING_SEEDS = range(100, 103)
#: Of the steps, the share that comes first; of the settings drawn, the share that goes on.
QUARTER = 4
JOURNALS = RESULTS.parent / ".journals"

DONE = (TrialState.COMPLETE, TrialState.PRUNED)

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
    study = _opened(cell, trials, steps)

    def objective(trial):
        setting = LEARNERS[cell.learner].space(trial, cell)
        trial.set_user_attr("setting", setting)
        trial.set_user_attr("code", commit())
        known = trial.user_attrs.get("known")
        for rung in (1, QUARTER):
            error = error_of(cell, setting, TUNING_SEEDS, steps * rung // QUARTER)
            print(
                f"  {cell.name}: setting {trial.number}{f' ({known})' if known else ''}, "
                f"{rung}/{QUARTER} of the steps: policy error {error:.3g}%",
                flush=True,
            )
            trial.report(error, rung)
            if rung < QUARTER and not known and trial.should_prune():
                raise optuna.TrialPruned
        return error

    while (left := trials - len(study.get_trials(states=DONE))) > 0:
        study.optimize(objective, n_trials=left)
    return study


def _opened(cell, trials, steps) -> optuna.Study:
    known = LEARNERS[cell.learner].known(cell)
    asked = repr((asdict(cell), trials, steps, known))
    JOURNALS.mkdir(exist_ok=True)
    file = JOURNALS / f"{cell.name}.{hashlib.sha1(asked.encode()).hexdigest()[:8]}"
    study = optuna.create_study(
        study_name=cell.name,
        storage=optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(file))
        ),
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(1, QUARTER, 0),
        load_if_exists=True,
    )
    # Those that an interruption has kept from ending are tried again; others are drawn anew.
    there = study.get_trials(states=(*DONE, TrialState.WAITING))
    told = {trial.user_attrs.get("known") for trial in there}
    for label, setting in list(known.items())[:trials]:
        if label not in told:
            study.enqueue_trial(setting, user_attrs={"known": label})
    return study


def summary(study: optuna.Study) -> dict:
    """What is stored of a search."""
    done = study.get_trials(states=DONE)
    full = [t for t in done if t.state == TrialState.COMPLETE]
    known = {t.user_attrs["known"]: t.value for t in full if "known" in t.user_attrs}
    return {
        "tuning_error": study.best_value,
        "settings": len(done),
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
            for t in done
        ],
    }


def best_setting(study: optuna.Study) -> dict:
    """The setting with the smallest error of those that were trained fully."""
    return study.best_trial.user_attrs["setting"]
