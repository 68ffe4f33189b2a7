"""How results are printed.

A part's results are rows by name. A row is a number, or numbers by name, or a list of those, one
for each seed. What is no number, such as a path for a figure, is not printed.
"""

from collections.abc import Iterator, Mapping

import numpy as np

#: Where a number would stand if learning were exact; zero where nothing else is said.
EXACT = {"spread": 1.0, "mean": 1.0, "capital_spread": 100.0}
#: Numbers, and endings of names of numbers, of which no seed is the worst.
PLAIN = (
    "steps",
    "seconds",
    "capital",
    "share",
    "_sd",
    "its_error",
    "gain_error",
    "standard_error",
    "exploitability_error",
)


def table(part: str, rows: Mapping) -> str:
    """A line for each row: medians over seeds, with the worst seed's numbers in brackets."""
    seeded = any("seed" in result for row in rows.values() for result in _results(row))
    names = list(dict.fromkeys(name for row in rows.values() for name in _names(row)))
    lines = [(part, *(["seeds"] if seeded else []), *names)]
    for label, row in rows.items():
        for some in _lines(_results(row)):
            seeds = ",".join(str(result["seed"]) for result in some if "seed" in result)
            numbers = [summary(name, some) for name in names]
            lines.append((label, *([seeds] if seeded else []), *numbers))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    )


def brief(label: str, row) -> str:
    """A row by itself, for who waits."""
    numbers = (f"{name} {summary(name, _results(row))}".strip() for name in _names(row))
    return f"{label}: {', '.join(numbers)}"


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


def _results(row) -> list[dict]:
    if isinstance(row, list):
        return row
    return [row if isinstance(row, dict) else {"": row}]


def _names(row) -> list[str]:
    numbers = (n for x in _results(row) for n, v in x.items() if isinstance(v, int | float))
    return [name for name in dict.fromkeys(numbers) if name != "seed"]


def _lines(results: list[dict]) -> Iterator[list[dict]]:
    # Exact solutions have the name of their regime in the place of a seed, and a line of their own.
    if all(isinstance(result.get("seed", 0), int) for result in results):
        yield results
    else:
        yield from ([result] for result in results)
