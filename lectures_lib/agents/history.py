"""What an agent records while it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class History:
    """What was recorded while learning.

    Attributes
    ----------
    steps : list of int
        Environment steps taken per run when each record was made.
    seconds : list of float
        Training time until then, time spent in callbacks apart.
    records : dict of str to list
        One entry per record, each a list with one number per run; read them as
        ``history["loss"]``, an array of shape (records, runs).
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.seconds: list[float] = []
        self.records: dict[str, list[list[float]]] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.records:
            raise KeyError(f"{name!r} was not recorded; there are {sorted(self.records)}.")
        return np.array(self.records[name])

    def append(self, steps: int, seconds: float, values: Mapping[str, Any]) -> None:
        """Add a record; each value has one number per run (or one for all)."""
        self.steps.append(steps)
        self.seconds.append(seconds)
        for name, value in values.items():
            row = np.atleast_1d(np.asarray(value, dtype=float)).tolist()
            self.records.setdefault(name, []).append(row)
