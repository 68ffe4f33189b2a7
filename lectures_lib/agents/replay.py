"""Remembered transitions, for learners that use each of them many times (Lin 1992).

Chapter *Deep Q-learning*.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..memory import require_memory
from ..networks import Streams
from .base import COPIES


class Replay:
    """The last transitions of each run, from which batches are drawn with replacement.

    Memory is taken when the first transitions arrive, whose shapes and types it keeps; if there is
    too little, that is said then (:func:`lectures_lib.memory.require_memory`).

    Parameters
    ----------
    capacity : int
        Transitions that each run remembers; the oldest are forgotten first.
    streams : Streams
        One random stream for each run.
    """

    def __init__(self, capacity: int, streams: Streams):
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: expected a whole number of at least 1.")
        self.capacity, self.streams = capacity, streams
        self.fields: dict[str, Tensor] = {}
        self.count = 0

    def __len__(self) -> int:
        return min(self.count, self.capacity)

    def add(self, **fields: Tensor) -> None:
        """Remember transitions, each field of shape (runs, n, ...)."""
        x = next(iter(fields.values()))
        runs, n = x.shape[:2]
        if n > self.capacity:
            raise ValueError(f"{n} transitions at once do not fit into capacity={self.capacity}.")
        if not self.fields:
            size = sum(x[:, 0].numel() * x.element_size() for x in fields.values())
            require_memory(
                COPIES * size * self.capacity,
                x.device,
                f"a memory of {self.capacity:,} transitions of {runs:,} runs",
                "remember fewer (memory or capacity in the config), or take fewer seeds at once",
            )
            self.fields = {
                name: x.new_zeros((runs, self.capacity, *x.shape[2:])) for name, x in fields.items()
            }
        place = (self.count + torch.arange(n)) % self.capacity
        for name, x in fields.items():
            self.fields[name][:, place.to(x.device)] = x
        self.count += n

    def sample(self, n: int) -> dict[str, Tensor]:
        """Draw n of the remembered transitions for each run, fields of shape (runs, n, ...)."""
        if not len(self):
            raise ValueError("nothing is remembered yet: call add first.")
        index = self.streams.stack(
            lambda _, g: torch.randint(len(self), (n,), generator=g, device=g.device)
        )
        run = torch.arange(len(index), device=index.device).unsqueeze(-1)
        rows = (index + self.capacity * run).flatten()
        # Whole rows are copied several times as fast as they are gathered by two indices.
        return {
            name: x.flatten(0, 1).index_select(0, rows).unflatten(0, index.shape)
            for name, x in self.fields.items()
        }

    def state_dict(self) -> dict:
        """Everything that is remembered."""
        return {"count": self.count, "fields": dict(self.fields)}

    def load_state_dict(self, state: dict) -> None:
        """Return to what was remembered."""
        self.count, self.fields = state["count"], dict(state["fields"])
