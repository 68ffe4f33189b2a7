"""The exercises of section 4: how precisely do planners and buyers learn, from 1 to 100?

    python benchmarks/exercises.py [--only PART ...] [--print]

Prints a table of every part, the median over seeds with the worst seed in brackets, and stores all
seeds' numbers, with device, versions and command, in `benchmarks/results/exercises.json`. A part
named by `--only` replaces the stored one; `--print` shows what is stored and runs nothing. Seconds
are those of one core, so that other work on the machine does not shorten them.
"""

from __future__ import annotations

import argparse
import json

import exercises_critic
import exercises_market
import exercises_planner
import numpy as np
import torch
from record import FOLDER, aligned, provenance

PATH = FOLDER / "exercises.json"
PARTS = exercises_planner.PARTS | exercises_market.PARTS | exercises_critic.PARTS
#: Where a number would stand if learning were exact; zero where nothing else is said.
EXACT = {"spread": 1.0, "mean": 1.0}
#: Numbers, and endings of names of numbers, of which no seed is the worst.
PLAIN = (
    "steps",
    "seconds",
    "capital",
    "share",
    "_sd",
    "its_error",
    "gain_error",
    "exploitability_error",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--print", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in [] if arguments.print else arguments.only:
        print(f"--- {part}", flush=True)
        rows = PARTS[part]()
        # Read again, because another part may have been stored meanwhile.
        results = json.loads(PATH.read_text()) if PATH.exists() else {}
        results[part] = rows
        made = provenance(f"python benchmarks/exercises.py --only {part}")
        results.setdefault("made", {})[part] = made
        PATH.write_text(json.dumps(results, indent=1) + "\n")
    stored = json.loads(PATH.read_text())
    print("\n\n".join(table(part, stored[part]) for part in arguments.only if part in stored))


def table(part: str, rows: dict) -> str:
    """One part as text: a line for each row, medians over seeds and the worst seed's numbers."""
    names = []
    for results in rows.values():
        numbers = [n for n, x in results[0].items() if isinstance(x, int | float) and n != "seed"]
        names += [n for n in numbers if n not in names]
    lines = [(part, "seeds", *names)]
    for row, results in rows.items():
        # Exact solutions have the name of their regime in the place of a seed.
        together = all(isinstance(result["seed"], int) for result in results)
        for some in [results] if together else [[result] for result in results]:
            seeds = ",".join(str(result["seed"]) for result in some)
            lines.append((row, seeds, *(summary(name, some) for name in names)))
    return "\n".join(aligned(lines))


def summary(name: str, results: list[dict]) -> str:
    """The median over seeds, and in brackets the number that is furthest from exact."""
    values = np.array([result[name] for result in results if result.get(name) is not None])
    if not len(values):
        return ""
    median = f"{np.median(values):.3g}"
    if name.endswith(PLAIN) or len(values) == 1:
        return median
    worst = values[np.argmax(np.abs(values - EXACT.get(name, 0.0)))]
    return f"{median} ({worst:.3g})"


if __name__ == "__main__":
    main()
