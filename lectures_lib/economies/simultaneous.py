"""Prices that are posted while households spend, and not before (a design lesson)."""

from __future__ import annotations

from dataclasses import dataclass

from .sellers import PostedPrice


@dataclass(frozen=True)
class SimultaneousPrice(PostedPrice):
    r"""Firms post prices, and households spend, at the same time.

    All rules are those of :class:`PostedPrice`, but nobody sees a price before the period is over.
    What firm :math:`j` earns today, :math:`X_j - \frac{\phi}{2}(X_j/p_j)^2` if households spend
    :math:`X_j` on its good, rises in its price without end. So who is myopic has no best price. Nor
    do tomorrow's customers hold back who is patient: near rest, those who own more spend less.
    Chapter *How to specify markets*.

    The parameters are those of :class:`PostedPrice`.

    Examples
    --------
    >>> SimultaneousPrice(2).stages
    (('firm', 'household'),)
    """

    @property
    def stages(self):
        """All at once."""
        return (tuple(self.roles),)
