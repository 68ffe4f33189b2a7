"""What a seat sees and does, as Gymnasium's spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from .seat import Seat

#: Economies show finite numbers, and nothing else is known of how large they may be.
LARGEST = float(np.finfo(np.float32).max)


def observation_space(seat: Seat, features: int | None = None) -> spaces.Box:
    """What one who decides sees: all finite numbers of type float32, `features` of them."""
    n = seat.n_features if features is None else features
    return spaces.Box(-LARGEST, LARGEST, (n,), np.float32)


def action_space(seat: Seat) -> spaces.Space[Any]:
    """What one who decides may do."""
    n = seat.n_actions
    if seat.choices is not None:
        return spaces.Discrete(seat.choices) if n == 1 else spaces.MultiDiscrete([seat.choices] * n)
    if seat.kind == "unit":
        return spaces.Box(-1.0, 1.0, (n,), np.float32)
    # In physical units an action may have no highest value, and float32 would not do for a rule
    # whose worth is known to many digits.
    return spaces.Box(seat.role.low, seat.role.high, (n,), np.float64)
