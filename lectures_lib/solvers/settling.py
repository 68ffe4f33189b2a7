"""A fixed point of a map that jumps at a few nodes. Chapter *How exact is it?*

A planner's problem need not be concave: where somebody hardly buys anything, two plans may be best
in turn. If next period's worth is as after the first, the second is better, and the other way
round, so that the worth of capital there has no value that reproduces itself. It has one between
the two, where the planner is indifferent; the two plans then follow each other from period to
period, and a lottery between them is the fixed point in the sense of Kakutani (1941). Newton's
method finds all entries but these, and these are found by the change of sign, as in bisection.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# A node jumps if its change has turned round so often, being so many times the mean change.
TURNS, OUTSTANDING = 3, 30.0
# To how much, in logarithms, the worth of capital at a jump is found; it jumps by a hundred times
# as much, at a few nodes among tens of thousands.
WIDTH = 1e-5
# Images at most.
MOST = 80


def settle(
    image: Callable[[Tensor], Tensor],
    newton: Callable[[Tensor, Tensor, Tensor], Tensor],
    values: Tensor,
    tolerance: float,
) -> tuple[Tensor, int, bool]:
    """Find values that are their own image, but for jumps, in which they lie.

    Parameters
    ----------
    image : callable
        From values to their image, of the same shape.
    newton : callable
        ``newton(change, held, given)``: Newton's step at the values of which the image was taken
        last, if the entries that are `held` (bool) take the steps `given`.
    values : Tensor, shape (*nodes, stocks)
        Where the search begins.
    tolerance : float
        Largest change of an entry at a node that does not jump.

    Returns
    -------
    values : Tensor
    count : int
        How often the image was taken.
    found : bool
    """
    held = torch.zeros_like(values[..., :1], dtype=torch.bool)
    turns, share, before = torch.zeros_like(held, dtype=torch.int64), held + 1.0, None
    for count in range(1, MOST + 1):
        change = image(values) - values
        size = change.abs().amax(-1, keepdim=True)
        if before is not None:
            turned = (change * before).sum(-1, keepdim=True) < 0
            turns += turned & (size > OUTSTANDING * size.mean())
            share = torch.where(turned & held, share / 2, share)
            held |= turns >= TURNS
        before = change
        given = torch.where(held, share * change, 0.0)
        # What jumps still moves the rest.
        least = max(tolerance, WIDTH / 100) if held.any() else tolerance
        if torch.where(held, 0.0, size).max() < least and given.abs().max() < WIDTH:
            return values, count, True
        values = values + newton(change, held, given)
    return values, MOST, False
