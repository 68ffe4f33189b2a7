"""For which capital an approximate rule holds. Chapter *Global solution*."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor


class OutsideDomain(UserWarning):
    """A rule was asked for choices at states for which it has not been solved."""


@dataclass
class Domain:
    """The stocks of capital for which a rule was found; it is extrapolated beyond.

    Parameters
    ----------
    low, high : float
        Smallest and largest stock.
    remedy : str
        What to do who needs more.
    """

    low: float
    high: float
    remedy: str = "say what you need, as in solve(economy, domain=(lowest, highest))"
    _warns: bool = True

    def check(self, capital: Tensor, rule) -> None:
        """Warn, once, if a rule is asked about capital outside.

        Warns
        -----
        OutsideDomain
        """
        if not self._warns or capital.numel() == 0:
            return
        least, most = capital.min().item(), capital.max().item()
        if least < self.low or most > self.high:
            self._warns = False
            away = least if least < self.low else most
            warnings.warn(
                f"{rule!r} was found for capital from {self.low:.4g} to {self.high:.4g} and is "
                f"extrapolated to {away:.4g}: {self.remedy}.",
                OutsideDomain,
                stacklevel=4,
            )

    @contextmanager
    def silent(self):
        """Do not warn for a while."""
        before, self._warns = self._warns, False
        yield
        self._warns = before
