"""Do right answers lose points on other machines, with other seeds, or written in other ways?

    python -m assignments.honest NAME [--runs 100] [--first 0]

Each run draws a student number, a seed and a set of other right ways to write the answers
(`honest.toml`), and is graded in turn with one, two and three threads and with the instructions of
three kinds of processors. A run that loses a point is printed, and makes the command fail.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

from .build import BUILT, HERE
from .grade import Grade, changed, changes, grade_here, read, sources

THREADS = ("1", "2", "3")
#: Instructions of three kinds of processors, for PyTorch and for OpenBLAS.
MACHINES = {
    "SSE": {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Nehalem"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell"},
    "AVX512": {"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"},
}
MACHINES["SSE"]["MKL_CBWR"] = "COMPATIBLE"


def conditions() -> list[tuple[str, dict[str, str]]]:
    """Environments of runs, by name: every kind of machine with every number of threads."""
    cpus = Path("/proc/cpuinfo")
    machines = dict(MACHINES)
    if not cpus.exists() or "avx512f" not in cpus.read_text():
        del machines["AVX512"]
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return [
        (f"{machine}, {threads} threads", dict.fromkeys(names, threads) | instructions)
        for threads in THREADS
        for machine, instructions in machines.items()
    ]


def answers(name: str, code: list[str], luck: random.Random) -> tuple[list[str], list[str]]:
    """The solution's code with another number and other right ways, and the names of these."""
    seed, number, used = luck.randrange(10**6), luck.randrange(10**8), []
    code = [re.sub(r"(?m)^STUDENT_NUMBER *=.*", f"STUDENT_NUMBER = {number}", x) for x in code]
    code = [x.replace("default_rng(0)", f"default_rng({seed})") for x in code]
    for change in changes(name, "honest", seed):
        # Where two change the same text, the second finds it no more.
        if luck.random() < 0.5 and any(change.old in text for text in code):
            code = changed(code, change)
            used.append(change.name)
    return code, [f"number {number}", f"seed {seed}", *used]


def failures(name: str, folder: Path, runs: range, show=print) -> list[str]:
    """What was drawn, and what it lost, wherever an honest answer has lost points.

    Parameters
    ----------
    name : str
    folder : Path
        Where the assignment was built.
    runs : range
        Numbers of the runs. Those with the same conditions share a process, which forks.
    """
    code = sources(read(folder / "autograder" / f"{name}.ipynb"))
    found, everywhere = [], conditions()
    for k, (condition, environment) in enumerate(everywhere):
        mine = [luck for luck in runs if luck % len(everywhere) == k]
        drawn = [answers(name, code, random.Random(f"{name} {luck}")) for luck in mine]
        if not drawn:
            continue
        process = subprocess.Popen(
            [sys.executable, "-m", "assignments.honest", "--grade", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
            env={**os.environ, **environment},
        )
        process.stdin.write(json.dumps([text for text, _ in drawn]))
        process.stdin.close()
        done = 0
        for luck, (_, words), line in zip(mine, drawn, process.stdout, strict=False):
            done += 1
            grade = Grade(**json.loads(line))
            verdict = "lost nothing"
            if grade.lost or grade.errors:
                said = "\n".join([*grade.errors, *grade.said.values()])
                verdict = f"LOST {grade.lost}\n{said}"
                found.append(f"run {luck}, {condition}, {words}: {verdict}")
            show(f"run {luck}, {condition}, {', '.join(words)}: {verdict}", flush=True)
        if process.wait() or done < len(drawn):
            found.append(f"{condition}: only {done} of {len(drawn)} runs came to their end")
    return found


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the assignment")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first run's number")
    parser.add_argument("--folder", type=Path, help="where the assignment was built")
    parser.add_argument("--grade", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.grade:
        for code in json.load(sys.stdin):
            found = grade_here(code, given.grade / "autograder")
            print(json.dumps(vars(found)), flush=True)
        return
    folder = given.folder or BUILT / given.name
    if not folder.exists():
        sys.exit(f"There is no {folder}: run `make assignments` first.")
    failed = failures(given.name, folder, range(given.first, given.first + given.runs))
    print(f"{len(failed)} of {given.runs} honest runs lost points")
    sys.exit(bool(failed))


if __name__ == "__main__":
    run()
