"""Stored results: a file for each question, a part at a time, and where each part comes from."""

import json
import os
import platform
import re
import subprocess
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "gymnasium",
    "stable-baselines3",
    "ray",
    "torchrl",
    "optuna",
    "lectures-lib",
)
#: What numbers depend on, from the root of the repository; storing some changes none of it.
CODE = ("lectures_lib", "benchmarks", ":!benchmarks/results")


def stored(question: str) -> dict:
    """The parts stored so far, and in `made` where they come from."""
    path = RESULTS / f"{question}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def store(question: str, part: str, rows: dict, made: dict) -> None:
    """Replace one part and keep the others, also those that another process stored meanwhile."""
    results = stored(question)
    results[part] = rows
    results.setdefault("made", {})[part] = made
    path = RESULTS / f"{question}.json"
    # Whoever reads at this moment finds the old file or the new one, never half of it.
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(written(results))
    new.replace(path)


def written(results: dict) -> str:
    """As JSON, a list of numbers on one line."""
    text = json.dumps(results, indent=1) + "\n"
    return re.sub(r'\[\n[^][{}"]+\]', lambda numbers: " ".join(numbers[0].split()), text)


def commit() -> str:
    """The commit of now; nothing, outside a repository."""
    try:
        return _git("rev-parse", "--short", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return ""


def provenance() -> dict:
    """Where numbers are made: the day, the machine, the software and the commit."""
    return {
        "date": date.today().isoformat(),
        "device": _processor(),
        "python": platform.python_version(),
        "versions": {name: v for name in PACKAGES if (v := _version(name))},
        "code": commit(),
    }


def uncommitted() -> str:
    """Files of code that differ from their last commit; everything, outside a repository."""
    try:
        return _git("status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return "everything, because this is no git repository"


def rounded(x):
    """Four significant digits of each number in nested lists or arrays: enough for a figure."""
    return [rounded(y) for y in x] if hasattr(x, "__iter__") else float(f"{x:.4g}")


def _git(*arguments: str) -> str:
    root = RESULTS.parents[1]
    command = ["git", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=root, check=True
    ).stdout.strip()


def _processor() -> str:
    if sys.platform == "linux":
        for line in open("/proc/cpuinfo"):
            if "model name" in line:
                return line.split(":")[1].strip()
    return platform.processor()


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None
