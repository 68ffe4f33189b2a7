"""Code that is given in the assignment on games."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from course import my_duopoly, pick, shuffled

from lectures_lib.plotting import COLOURS

#: Rules to which two tables of Q-learning have come, after some 400,000 periods, in the market of
#: Calvano and others with 7 prices: for each of 49 states the places of both prices.
CYCLES = (
    "2130211602102135021034303026101021203010210430004"
    "5213305022102211110220015411110222102430400213242",
    "5122105252005222521012023200520200033303311252105"
    "4025210121100525212101224003133001000101011123012",
    "2026202020012020100020100110011013150220430101001"
    "0022243011040641243102001104520012620130111561526",
    "1161201221422200405021514012500321215350221121612"
    "1222121216150242120122421422421212221223121226010",
    "1211151311013001611111020102110101132161011011010"
    "1111110111111111161561513053101656110651101115511",
    "3200414000005122000040060050400141004541320210333"
    "2350041323200410111204012004100000610003232404160",
    "1130110012005000303011301230000054110101222200003"
    "3010143001111303001031111433022011100131450010022",
    "0202350202020202020202101124123006021211430203000"
    "2015502050021000302530202101010353511010202023511",
    "2102232202000202000202110432220210330021122102022"
    "3330202121212103312001100022353022211001233443223",
    "4111412241412202000135332123050024024120240121052"
    "1022220054400052241220122222202125211050400415252",
)
#: The same of sessions that end at constant prices and return to them after a departure.
STEADY = (
    "0140003141002004040104020424010044000023230022012"
    "4221111222204004466040112002200542204310110310441",
    "1000002006202003211112031311116303121112100350011"
    "2221223060320114400330600220411421200310066111244",
    "1010211212022244101000343322011001003322400101001"
    "1011046100010104434434054101301103633110243101134",
    "1000002300000044000001042002000000000000062100002"
    "1004404310000004420216004002400000220522434001002",
)
#: In the figure.
RULES = (
    "grim trigger",
    "one bad period",
    "high prices whatever happens",
    "learned by Q-learning",
)
BEFORE, AFTER = 3, 12


def sold(market, prices):
    """What each firm sells at prices (2,), an ndarray of shape (2,)."""
    worth = np.exp((market.qualities - np.asarray(prices)) / market.mu)
    return worth / (worth.sum() + 1)


def price_table(market):
    """Profits r[i, j, k] of firm k if firm 0 charges price i of the list, and firm 1 price j."""
    n, list_of_prices = market.n_prices, np.array(market.prices)
    r = np.empty((n, n, 2))
    for i in range(n):
        for j in range(n):
            prices = list_of_prices[[i, j]]
            r[i, j] = (prices - market.costs) * sold(market, prices)
    return r


def _rules(text):
    return np.array(list(map(int, text))).reshape(-1, 2)


def my_session(number):
    """Rules (states, 2) that were learned in a session, and the state from which to follow them."""
    return _rules(pick(number, "session", CYCLES)), 8


def my_agreement(number):
    """Places of the prices to which firms have agreed, and of those that they threaten with."""
    return pick(number, "agreed", ((4, 4), (4, 5), (5, 4), (5, 5))), (1, 1)


def my_two_step(number):
    """The team game: what the first table pays, and the second table, (2, 2)."""
    high = pick(number, "high", (8.0, 9.0, 10.0))
    middle, low = pick(number, "middle", (0.5, 1.0)), pick(number, "low", (-1.0, 0.0))
    second = np.array([[low, middle], [middle, high]])
    if pick(number, "rows", (True, False)):
        second = second[::-1]
    if pick(number, "columns", (True, False)):
        second = second[:, ::-1]
    return high - pick(number, "less", (0.5, 1.0, 3.5)), second.copy()


def mystery(number):
    """For each letter, rules (states, 2) for your market and the state in which they rest."""
    market = my_duopoly(number)
    r, n = price_table(market), market.n_prices
    high = np.unravel_index(r.sum(2).argmax(), (n, n))
    best = (r[..., 0] >= r[..., 0].max(0)) & (r[..., 1] >= r[..., 1].max(1, keepdims=True))
    low = np.argwhere(best)[0]
    rest, war = n * high[0] + high[1], n * low[0] + low[1]
    friendly = ([rest], [rest, war], list(range(n * n)))
    made = {}
    for name, states in zip(RULES, friendly, strict=False):
        rules = np.tile(low, (n * n, 1))
        rules[states] = high
        made[name] = rules, int(rest)
    made[RULES[-1]] = _rules(pick(number, "steady", STEADY)), 4 * n + 4
    order = shuffled(number, "rules", RULES)
    return {letter: made[name] for letter, name in zip("ABCD", order, strict=True)}


def draw_mystery(number, cases):
    """Prices of both firms, of which the first departs once: to the best price below its own."""
    market = my_duopoly(number)
    r, n, prices = price_table(market), market.n_prices, np.array(market.prices)
    _, axes = plt.subplots(2, 2, sharex=True, sharey=True, figsize=(8, 5))
    for (letter, (rules, state)), ax in zip(cases.items(), axes.flat, strict=True):
        path = []
        for t in range(-BEFORE, AFTER):
            i, j = rules[state]
            if t == 0:
                i = r[:i, j, 0].argmax()
            path.append((i, j))
            state = n * i + j
        path = prices[np.array(path)]
        for firm, style in enumerate(("o-", "s--")):
            label = ("who departs", "the other")[firm]
            ax.plot(range(-BEFORE, AFTER), path[:, firm], style, color=COLOURS[firm], label=label)
        ax.set_title(letter)
    axes[0, 0].legend(fontsize=8)
    axes[1, 0].set(xlabel="periods after the departure", ylabel="price")
    plt.show()


def fictitious_play_with_mistakes(r, rounds):
    """How often each price was charged, (2, prices), if each firm answers what the other has done
    so far on average. Two lines are wrong."""
    counts = np.ones((2, len(r)))
    for _ in range(rounds):
        belief = counts / counts.sum(1, keepdims=True)
        first = r.sum(2) @ belief[1]
        second = r[:, :, 1] @ belief[0]
        counts[0, first.argmax()] += 1
        counts[1, second.argmax()] += 1
    return counts
