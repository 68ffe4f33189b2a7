"""Code that is given in the assignment on design lessons."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from course import pick, shuffled

from lectures_lib.plotting import COLOURS, DASHES, EXACT

WAYS = ("squash", "stretch", "clip", "clip and pay")


def noise(number):
    """Standard deviation of the raw action in the figure."""
    return pick(number, "noise", (0.3, 0.35, 0.4, 0.45, 0.5))


def penalty(number):
    """What a unit that is cut off costs in the figure; a unit that is not is worth one."""
    return pick(number, "penalty", (0.1, 0.15, 0.2, 0.25))


def _slope_heard(way, raw, sd, paid):
    """Mean over the noise of the slope of reward in the raw action, (n,), at means `raw` (n,).

    A unit more of the share, which ends at one, is worth one.
    """
    e = np.linspace(-5, 5, 2001)
    weight = np.exp(-(e**2) / 2)
    m = raw[:, None] + sd * e
    s = 1 / (1 + np.exp(-m))
    if way == "squash":
        slope = s * (1 - s)
    elif way == "stretch":
        slope = 1.2 * s * (1 - s) * (0.5 + 1.2 * (s - 0.5) < 1)
    else:
        cut = 0.5 + m / 4 > 1
        slope = np.where(cut, -0.25 * paid if way == "clip and pay" else 0.0, 0.25)
    return slope @ weight / weight.sum()


def mystery(number):
    """Mean raw actions, and for each letter the slope that is heard there in one of `WAYS`."""
    raw, names = np.linspace(0, 5, 101), shuffled(number, "ways", list(WAYS))
    about = noise(number), penalty(number)
    return raw, {x: _slope_heard(way, raw, *about) for x, way in zip("ABCD", names, strict=True)}


def draw_mystery(raw, lines):
    """One line for each letter, over the mean raw action."""
    _, ax = plt.subplots()
    for i, (letter, line) in enumerate(lines.items()):
        ax.plot(raw, line, color=COLOURS[i], linestyle=DASHES[i], label=letter)
    ax.axhline(0, color=EXACT, linewidth=0.8)
    ax.set(xlabel="mean raw action", ylabel="slope of reward that is heard")
    ax.legend()
    plt.show()


def settle_with_mistakes(reward, grid, n, rounds=40):
    """Where answers to answers end, and whether inside of the grid. Two lines are wrong."""
    action = grid[len(grid) // 2]
    for _ in range(rounds):
        gains = [reward(g, np.full(n - 1, g)) for g in grid]
        action = grid[int(np.argmax(gains))]
    inside = bool(action > grid[0])
    return action, inside
