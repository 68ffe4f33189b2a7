"""A part for each cell, what the cells say together, and rivals that get more time."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.harness import seconds_per_iteration, stored, swept
from lectures_lib.agents import PPO

from .cells import CELLS, CORNERS, LEARNERS, PRIVILEGES, Cell, economy_of, subsets
from .effects import effects
from .learning import configured, error_of, reported
from .search import TUNING_SEEDS, best_setting, search, summary


def part_of(cell: Cell):
    """The part of a cell: its search, and seeds that the search has not used."""

    def part(trials=33, seeds=10, steps=cell.steps):
        study = search(cell, trials, steps)
        best = best_setting(study)
        yield "search", summary(study)
        # A search that has gone on and found nothing better leaves the reported seeds as they are.
        before = stored("factorial").get(cell.name)
        asked = seeds, steps
        if before and before["search"]["setting"] == best and asked == (10, cell.steps):
            yield "tuned", before["tuned"]
        else:
            yield "tuned", reported(cell, best, range(seeds), steps)

    who = {"ppo": "PPO", "sac": "SAC"}.get(cell.learner, cell.learner)
    part.__doc__ = f"{who}, {cell.economy}: {', '.join(cell.privileges) or 'no privilege'}."
    return part


def with_more_time(corner: tuple[str, ...]):
    """The part in which PPO on the planner has more time, with the privileges of a corner.

    Whether it has pairs and differences is a setting. Tried are the best settings of the corner's
    searches and those that were known before, on the seeds of the search.
    """
    cell = Cell("ppo", "planner", corner, CORNERS, CELLS["planner"].steps)

    def part(seeds=10, seconds=120, candidates=3):
        found = {}
        for label, setting in _candidates(cell, candidates).items():
            steps = _steps_within(cell, setting, seconds)
            found[label] = (error_of(cell, setting, TUNING_SEEDS, steps), steps, setting)
            print(f"  {label}: {steps:,} steps, policy error {found[label][0]:.3g}%", flush=True)
        best = min(found, key=lambda label: found[label][0])
        error, steps, setting = found[best]
        errors = {label: x[0] for label, x in found.items()}
        yield "search", {"tuning_error": error, "best": best, "errors": errors, "setting": setting}
        yield "tuned", reported(cell, setting, range(seeds), steps)

    part.__doc__ = f"PPO, planner, more time: {', '.join(corner) or 'no privilege'}."
    return part


def _candidates(cell: Cell, n: int) -> dict[str, dict]:
    """The n best settings of the searches of a corner, and the known ones."""
    trials = []
    for other in CELLS.values():
        same = other.economy == cell.economy and other.learner == cell.learner
        if same and all(other.has(p, {}) == (p in cell.privileges) for p in cell.varied):
            also = {p: p in other.privileges for p in other.varied if p not in cell.varied}
            for trial in stored("factorial")[other.name]["search"]["trials"]:
                trials.append((trial["error"][-1], len(trial["error"]), also | trial["setting"]))
    full = max(rungs for _, rungs, _ in trials)
    best = sorted((t for t in trials if t[1] == full), key=lambda t: t[0])[:n]
    found = {f"short search, {i + 1}": setting for i, (_, _, setting) in enumerate(best)}
    return found | LEARNERS["ppo"].known(cell)


def _steps_within(cell: Cell, setting: dict, seconds: float) -> int:
    """Steps that one core takes in so many seconds, a seed by itself."""
    config, _ = configured(cell, setting, cell.steps)
    agent = PPO(economy_of(cell.economy)[0], seed=0, config=config, device="cpu")
    return int(seconds / seconds_per_iteration(agent)) * agent.steps_per_iteration


def defaults(seeds=10):
    """Settings that the library comes with, on the seeds that are reported, for some learners."""
    some = dict.fromkeys(subsets(CORNERS) + subsets(("common", "differences")))
    cells = [CELLS["+".join(("planner", *privileges))] for privileges in some]
    runs = {x.name: (x, LEARNERS["ppo"].known(x)["default"]) for x in cells}
    yield from _reported(runs, seeds)


def calibration(seeds=10):
    """The best settings of some learners, on a calibration on which nothing was searched."""
    some = (*subsets(("common", "differences")), PRIVILEGES)
    cells = [CELLS["+".join(("planner", *privileges))] for privileges in some]
    runs = {
        x.name: (
            replace(x, economy="planner_other"),
            stored("factorial")[x.name]["search"]["setting"],
        )
        for x in cells
    }
    yield from _reported(runs, seeds)


def _reported(runs, seeds):
    cells = {
        name: {"cell": cell, "setting": setting, "steps": cell.steps}
        for name, (cell, setting) in runs.items()
    }
    return swept(reported, cells, [range(seeds)])


PARTS = {name: part_of(cell) for name, cell in CELLS.items()}
PARTS |= {"+".join(("longer", *corner)): with_more_time(corner) for corner in subsets(CORNERS)}
PARTS |= {"defaults": defaults, "calibration": calibration, "effects": effects}
