"""What every benchmark writes down beside its numbers, and how it prints them."""

import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("torch", "numpy", "scipy", "stable-baselines3", "lectures-lib")


def provenance(command: str) -> dict:
    """Where and how a part's numbers were made."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=FOLDER
    ).stdout.strip()
    return {
        "command": command,
        "date": date.today().isoformat(),
        "device": _processor(),
        "python": platform.python_version(),
        "versions": {name: v for name in PACKAGES if (v := _version(name))},
        "code": commit,
    }


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


def timed(function):
    """What a call returns, and the processor seconds that it took."""
    started = time.process_time()
    result = function()
    return result, time.process_time() - started


def seconds_per_iteration(agent) -> float:
    """Processor seconds of an iteration of an agent that has not learned yet.

    The fastest of some blocks, because a busy machine makes a processor slower.
    """
    done, blocks = 2 * agent.config.warm_up, []
    agent.learn(done * agent.steps_per_iteration)
    for _ in range(5):
        done += 12
        _, seconds = timed(lambda: agent.learn(done * agent.steps_per_iteration))  # noqa: B023
        blocks.append(seconds / 12)
    return min(blocks)


def rounded(x):
    """Four significant digits of each number in nested lists or arrays: enough for a figure."""
    return [rounded(y) for y in x] if hasattr(x, "__iter__") else float(f"{x:.4g}")


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells as text, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        line[0].ljust(widths[0])
        + "".join("  " + c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))
        for line in lines
    ]


def table(results: dict, parts: Sequence[str]) -> str:
    """The stored results as lines of text, one block for each part."""
    blocks = []
    for part in parts:
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
