"""Code that is given in the assignment on the framework."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from course import my_planner, pick, place, shuffled

from lectures_lib.economies import Market
from lectures_lib.plotting import COLOURS, DASHES
from lectures_lib.solvers import steady_state

GAMES = {
    "price takers": ({}, "competitive"),
    "strategic in spending": ({}, "nash"),
    "strategic in quantities": ({"action": "quantity"}, "nash"),
    "joint monopsony": ({}, "monopsony"),
}
#: In the figure; price takers are the line to which the others are compared.
LINES = [*list(GAMES)[1:], "strategic in spending, profits rebated"]
BUYERS = (1, 2, 3, 5, 10, 20, 50, 100)


def market_of(economy, n_households, **changes):
    """A market with the parameters of a planner's economy."""
    names = ("alpha", "beta", "delta", "phi", "idiosyncratic", "aggregate")
    same = {name: getattr(economy, name) for name in names}
    return Market(n_households, economy.n_goods, **(same | changes))


def rest(economy, game, n_households, **changes):
    """The steady state of a game, :class:`~lectures_lib.solvers.SteadyState`."""
    fixed, regime = GAMES[game]
    return steady_state(market_of(economy, n_households, **fixed, **changes), regime)


def mystery(number):
    """For each letter, capital over that of price takers with so many `BUYERS`, (buyers,)."""
    economy, lines = my_planner(number), {}
    for letter, name in zip("ABCD", shuffled(number, "lines", LINES), strict=True):
        game, _, rebated = name.partition(", ")
        changes = {"rebate_profits": True} if rebated else {}
        ratio = [
            rest(economy, game, n, **changes).capital / rest(economy, "price takers", n).capital
            for n in BUYERS
        ]
        lines[letter] = np.array(ratio)
    return lines


def draw_mystery(lines):
    """One line for each letter, over the number of buyers."""
    _, ax = plt.subplots()
    for (letter, ratio), colour, dash in zip(lines.items(), COLOURS, DASHES, strict=False):
        ax.plot(BUYERS, ratio, color=colour, linestyle=dash, marker="o", markersize=4)
        place_of_letter = {"xytext": (4, 4), "textcoords": "offset points"}
        ax.annotate(letter, (BUYERS[1], ratio[1]), **place_of_letter)
    ax.set(xscale="log", xlabel="number of buyers", ylabel="capital / capital of price takers")
    plt.show()


def buyers_observed(number):
    """How many households the statistician has observed."""
    return pick(number, "observed", (2, 3, 4))


def observations(number, periods=200):
    """Shares of output that households were seen to spend on machines, (periods, households).

    They rest in the steady state of one of the four games, of your economy, and profits leave. Each
    share has been recorded with an error of up to ten per cent.
    """
    n = buyers_observed(number)
    game = pick(number, "game", list(GAMES))
    share = rest(my_planner(number), game, n).saving_share
    luck = [place(number, f"error {i}", 10**9) / 10**9 for i in range(periods * n)]
    return share * (1 + 0.2 * (np.reshape(luck, (periods, n)) - 0.5))


def trial_with_mistakes(phi, spending, h=1e-3):
    """What one more machine costs household 1, over the price. Two lines are wrong."""
    price = np.sqrt(phi * spending.sum())
    tried = []
    for factor in (1 - h, 1 + h):
        bids = factor * spending
        bought = bids[0] / price
        tried.append((bids[0], bought))
    (spent_before, few), (spent_after, many) = tried
    return (spent_after - spent_before) / (many - few) / price
