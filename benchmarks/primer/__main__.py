"""How near do the primer's learners come to the exact answers, and how fast?

    python benchmarks/primer.py [--only PART ...]

Prints the tables of the chapters on Q-learning, dynamic programming, DQN, PPO and SAC and stores
them, with device, versions and command, in `benchmarks/results/primer.json`. A part named by
`--only` replaces the stored one. Seconds are those of one core.
"""

from __future__ import annotations

import argparse
import json

import torch
from primer_actor_critics import methods
from primer_dqn import dqn_variants
from primer_q_learning import q_learning_rows
from primer_tables import tables_methods
from record import FOLDER, provenance, table

PATH = FOLDER / "primer.json"


PARTS = {
    "q_learning": q_learning_rows,
    "dynamic_programming": tables_methods,
    "dqn": dqn_variants,
    "actor_critics": methods,
}


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
    print(table(json.loads(PATH.read_text()), PARTS))


if __name__ == "__main__":
    main()
