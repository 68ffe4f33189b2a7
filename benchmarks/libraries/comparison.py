"""How fast, and how precise after how long, PPO is in this library and in others.

Seconds are those of one processor core; of RLlib they are those of its learner and its workers.

`throughput` counts steps of the economy per second, of simulation alone (with actions that no
network gives) and with learning: with the setting that each library publishes, and with this
library's network, batch and epochs. Where a library takes environments one by one and in one batch,
both are shown, the latter with 16 copies as published. Repetitions are interleaved.

`time_to_accuracy` searches settings for each library, as many for each and each for as long, by the
policy error at the end on a seed that is not reported, and reports the best setting on other seeds:
seconds and steps until the policy error is first below a threshold, if it is still below at the
end, and nothing otherwise. Of libraries other than stable-baselines3 only the faster environment is
asked. Policy errors are mean relative distances of actions from the exact rule's, in states that
the exact rule visits. A training that has ended is kept in a journal, so that a part that was
interrupted goes on where it stood.

Libraries that are not installed are left out. Parts that end in `_4` are the same with four
households.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from statistics import median

from benchmarks.factorial.learning import policy_errors
from benchmarks.harness import commit
from benchmarks.harness.sweeping import JOURNALS

from .contenders import COMMON, CONTENDERS, IN_COMMON, SB3, Contender
from .watch import Enough, Watch

#: Policy errors in per cent.
THRESHOLDS = (10, 3, 1, 0.3)
TUNING_SEED = 100
#: A policy error in per cent that stands for a training that has failed.
FAILED = 1e6
#: Seconds in which speed is measured.
BRIEF = 0.8
#: Steps that schedules are stretched over meanwhile, and steps that nobody takes.
MANY, NEVER = 4_000_000, 10**9
#: Those whose accuracy is not asked for: another learns the same from more steps.
SLOWER = ("CleanRL, Gym", "RLlib, Gym", "RLlib, Gym, one worker")


def watched(contender: Contender, economy: str, setting: dict, seed: int, steps: int, watch: Watch):
    """Let one learn until it has taken the steps, or the watch has seen enough."""
    try:
        contender.learn(economy, setting, seed, steps, watch)
    except Enough:
        pass
    return watch


# ---------------------------------------------------------------------- throughput
def speeds(economy: str, repetitions: int) -> Iterator[tuple[str, object]]:
    """Rows of all contenders in an economy, with the published setting and with the same."""
    kinds = {
        name + kind: (contender, setting)
        for name, contender in CONTENDERS.items()
        for kind, setting in (
            ("", contender.settings(economy, 1)[0]),
            (", same network", contender.same),
        )
        if setting is not None and contender.installed
    }
    found: dict[str, dict[str, list[float]]] = {
        row: {"simulation": [], "learning": []} for row in kinds
    }
    for contender, setting in kinds.values():
        simulating(contender, economy, setting)  # libraries are imported, and Ray begins
    for _ in range(repetitions):
        for row, (contender, setting) in kinds.items():
            found[row]["simulation"].append(simulating(contender, economy, setting))
            found[row]["learning"].append(learning(contender, economy, setting))
            print(f"  {row}: {found[row]['learning'][-1]:,.0f} steps a second", flush=True)
    first = next(iter(found.values()))["learning"]
    for row, own in found.items():
        yield row, _summary(own, first)


def throughput(repetitions=3):
    """Steps per second, simulation alone and with learning: median, least and most."""
    yield from speeds("planner", repetitions)


def throughput_4(repetitions=3):
    """The same with four households."""
    yield from speeds("planner_4", repetitions)


def simulating(contender: Contender, economy: str, setting: dict) -> float:
    """Steps of the economy per second in a contender's environment."""
    live, steps = contender.simulated(economy, setting)
    live()
    started, done = contender.clock(), 0
    while (seconds := contender.clock() - started) < BRIEF / 3:
        live()
        done += steps
    return done / seconds


def learning(contender: Contender, economy: str, setting: dict) -> float:
    """Steps of the economy per second of a contender who learns."""
    watch = Watch(contender.clock, BRIEF)
    return watched(contender, economy, setting, 0, MANY, watch).speed


def _summary(speeds, first) -> dict[str, float]:
    row = {}
    for name, own in speeds.items():
        row |= {name: median(own), f"{name} least": min(own), f"{name} most": max(own)}
    ratios = [a / b for a, b in zip(first, speeds["learning"], strict=True)]
    return row | {"ours over it": median(ratios)}


# ---------------------------------------------------------------------- accuracy
def to_accuracy(
    economy: str, settings: int, tuning: int, seeds: int, seconds: int
) -> Iterator[tuple[str, object]]:
    """Rows of the searches and of the best settings of all contenders in an economy."""
    best: dict[str, dict] = {}
    for name, contender in CONTENDERS.items():
        if name in SLOWER or not contender.installed:
            continue
        tried = [
            (trained(name, contender, economy, setting, TUNING_SEED, tuning), setting)
            for setting in contender.settings(economy, settings)
        ]
        errors = [result["error"] for result, _ in tried]
        best[name] = tried[errors.index(min(errors))][1]
        yield (
            f"{name}: search",
            {
                "settings": settings,
                "published": errors[0],
                "best": min(errors),
                "which": errors.index(min(errors)),
                "setting": best[name],
                "trials": [
                    {"setting": s, "error": r["error"], "code": r["code"]} for r, s in tried
                ],
            },
        )
        yield name, reported(name, contender, economy, best[name], seeds, seconds)
        if name == f"{SB3}, vector":
            chosen = min(
                (pair for pair in tried if pair[1]["copies"] >= COMMON),
                key=lambda pair: pair[0]["error"],
                default=None,
            )
            if chosen is None:
                continue
            if chosen[1] != best[name]:
                row = f"{name}, {chosen[1]['copies']} copies"
                yield row, reported(name, contender, economy, chosen[1], seeds, seconds)
            for other, sharing in IN_COMMON.items():
                yield other, reported(other, sharing, economy, chosen[1], seeds, seconds)


def reported(name, contender, economy, setting, seeds, seconds) -> list[dict]:
    """What is stored of each seed.

    Tables show medians over the seeds that got there; `reached` counts thresholds.
    """
    rows = []
    for seed in range(seeds):
        result = trained(name, contender, economy, setting, seed, seconds)
        found = times(result["curve"])
        reached = sum(x is not None for x in found.values()) // 2
        rows.append({"seed": seed, "reached": reached} | found | result)
    return rows


def times(curve: dict) -> dict[str, float | None]:
    """Seconds and steps to each threshold, None if it is not reached or lost again at the end."""
    found: dict[str, float | None] = {}
    for threshold in THRESHOLDS:
        below = [error <= threshold for error in curve["error"]]
        first = below.index(True) if below and below[-1] else None
        for unit in ("seconds", "steps"):
            found[f"{threshold}% {unit}"] = None if first is None else curve[unit][first]
    return found


def trained(name: str, contender: Contender, economy: str, setting, seed: int, seconds: int):
    """A training for so many processor seconds, or what a journal of this commit knows of it.

    Returns
    -------
    dict
        The policy `error` in per cent at the end, `steps` and `seconds` of learning, the `curve`,
        and the commit whose `code` has made it.
    """
    key = hashlib.sha1(repr((name, economy, setting, seed, seconds, commit())).encode()).hexdigest()
    file = JOURNALS / "libraries.jsonl"
    for line in file.read_text().splitlines() if file.exists() else ():
        if (entry := json.loads(line))["key"] == key:
            return entry["result"]
    watch = Watch(contender.clock, seconds, lambda policy: policy_errors(policy, economy)[0])
    try:
        steps = _steps_within(contender, economy, setting, seconds)
        watched(contender, economy, setting, seed, steps, watch)
        error = watch.curve["error"][-1]
    except (RuntimeError, ValueError) as failure:
        print(f"  failed: {str(failure)[:100]}", flush=True)
        error = FAILED
    result = {
        "error": error,
        "steps": watch.steps[-1] if watch.steps else 0,
        "seconds": watch.seconds[-1] if watch.seconds else 0.0,
        "curve": watch.curve,
        "code": commit(),
    }
    print(
        f"  {economy}, {name}, seed {seed}, {seconds} s: policy error {error:.3g}% "
        f"after {result['steps']:,} steps",
        flush=True,
    )
    JOURNALS.mkdir(exist_ok=True)
    with file.open("a") as journal:
        journal.write(json.dumps({"key": key, "result": result}) + "\n")
    return result


def _steps_within(contender, economy, setting, seconds) -> int:
    """Steps that schedules are stretched over, those of so many seconds."""
    if setting.get("decay") is False:
        return NEVER
    return int(seconds * learning(contender, economy, setting))


def time_to_accuracy(settings=8, tuning=60, seeds=3, seconds=120):
    """Seconds to a policy error of 10, 3, 1 and 0.3 per cent, each library at its best setting."""
    yield from to_accuracy("planner", settings, tuning, seeds, seconds)


def time_to_accuracy_4(settings=4, tuning=60, seeds=3, seconds=120):
    """The same with four households."""
    yield from to_accuracy("planner_4", settings, tuning, seeds, seconds)


PARTS = {
    "throughput": throughput,
    "throughput_4": throughput_4,
    "time_to_accuracy": time_to_accuracy,
    "time_to_accuracy_4": time_to_accuracy_4,
}
