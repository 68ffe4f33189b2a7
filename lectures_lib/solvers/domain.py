"""For which states an approximate rule holds. Chapter *Global solution*."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class OutsideDomain(UserWarning):
    """A rule was asked for choices at states for which it has not been solved."""


class Box(Protocol):
    """A set of states."""

    @property
    def low(self) -> float:
        """The smallest stock in it."""

    @property
    def high(self) -> float:
        """The largest stock in it."""

    def inside(self, capital: Tensor, /) -> Tensor:
        """Whether stocks (..., stocks) lie in it."""


def listed(stocks: Tensor) -> str:
    """Stocks (stocks,) as a message names them."""
    return f"[{', '.join(f'{x:.4g}' for x in stocks.tolist())}]"


@dataclass
class Domain:
    """The stocks for which a rule was found; it is extrapolated beyond.

    Parameters
    ----------
    low, high : float
        Smallest and largest stock.
    remedy : str
        What to do who needs more.
    quantity : str
        What the stocks are of.
    """

    low: float
    high: float
    remedy: str = "say what you need, as in solve(economy, domain=(lowest, highest))"
    quantity: str = "capital"
    _warns: bool = True

    def check(self, stocks: Tensor, rule) -> None:
        """Warn, once, if a rule is asked about stocks outside.

        Warns
        -----
        OutsideDomain
        """
        away = self._beyond(stocks) if self._warns and stocks.numel() else None
        if away is not None:
            self._warns = False
            warnings.warn(
                f"{rule!r} was found for {self} and is extrapolated to {away}: {self.remedy}.",
                OutsideDomain,
                stacklevel=4,
            )

    def __str__(self):
        return f"{self.quantity} from {self.low:.4g} to {self.high:.4g}"

    def _beyond(self, stocks) -> str | None:
        """What lies outside, if anything does."""
        least, most = stocks.min().item(), stocks.max().item()
        if least < self.low:
            return f"{least:.4g}"
        return f"{most:.4g}" if most > self.high else None

    @contextmanager
    def silent(self):
        """Do not warn for a while."""
        before, self._warns = self._warns, False
        try:
            yield
        finally:
            self._warns = before


class Balanced(Domain):
    """Several goods: stocks that lie in one of several boxes, along axes of their own.

    Parameters
    ----------
    boxes : sequence of Box
    """

    def __init__(self, boxes: Sequence[Box]):
        super().__init__(
            min(box.low for box in boxes),
            max(box.high for box in boxes),
            "there is no domain to ask for; with goods far out of balance the rule is rough, and "
            "paths leave such states within some fifty periods",
        )
        self.boxes = tuple(boxes)

    def __str__(self):
        return f"{super().__str__()}, of goods near balance,"

    def _beyond(self, stocks):
        flat = stocks.detach().flatten(-2)
        outside = ~torch.stack([box.inside(flat) for box in self.boxes]).any(0)
        if not outside.any():
            return None
        return listed(flat[outside][0])
