"""How near do the primer's learners come to the exact answers, and how fast?

    python benchmarks/primer.py [--only PART ...]

Prints the tables of the chapters on Q-learning, dynamic programming, DQN, PPO and SAC and stores
them, with device, versions and command, in `benchmarks/results/primer.json`. A part named by
`--only` replaces the stored one. Seconds are those of one core.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from primer_actor_critics import methods
from primer_dqn import dqn_variants
from primer_q_learning import q_learning_rows
from primer_tables import tables_methods
from record import FOLDER, aligned, provenance

PATH = FOLDER / "primer.json"


def timed(function):
    """What a call returns, and the seconds that it took."""
    started = time.process_time()
    result = function()
    return result, time.process_time() - started


def q_learning():
    """Tabular Q-learning on the monopolist, for several step sizes and kinds of exploration."""
    return q_learning_rows()


def dynamic_programming():
    """Value iteration, policy iteration and their transformed and simulated versions."""
    return tables_methods()


def dqn():
    """DQN on the monopolist, whole and with parts left out."""
    return dqn_variants()


def actor_critics():
    """PPO and SAC, with and without common shocks, on two economies."""
    return methods()


PARTS = {
    "q_learning": q_learning,
    "dynamic_programming": dynamic_programming,
    "dqn": dqn,
    "actor_critics": actor_critics,
}


def table(results) -> str:
    """The stored results as lines of text, one block for each part."""
    blocks = []
    for part in PARTS:
        rows = results.get(part, {})
        if not rows:
            continue
        names = [n for n, x in next(iter(rows.values())).items() if isinstance(x, int | float)]
        lines = [(part, *names)]
        lines += [
            (label, *(f"{row[n]:.3g}" if n in row else "" for n in names))
            for label, row in rows.items()
        ]
        blocks.append("\n".join(aligned(lines)))
    return "\n\n".join(blocks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in arguments.only:
        print(f"--- {part}", flush=True)
        rows = PARTS[part]()
        results = json.loads(PATH.read_text()) if PATH.exists() else {}
        results[part] = rows
        results.setdefault("made", {})[part] = provenance("python benchmarks/primer.py")
        PATH.write_text(json.dumps(results, indent=1) + "\n")
    print(table(json.loads(PATH.read_text())))


if __name__ == "__main__":
    main()
