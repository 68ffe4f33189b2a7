"""Two firms or more, a table of prices each: what they charge, and whether it is an equilibrium.

Chapter *Algorithmic collusion*. A session ends when no firm's best price has changed in any state
for 100,000 periods. Then the firms' rules are known, and all the rest is exact: the cycle in which
they end, what each could gain by its best response to the other's rule (dynamic programming), and
what happens after a forced departure. Gains are in per cent of the discounted profit that the firm
has where the rules lead, means over firms and the states of the cycle.
"""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np

from benchmarks.harness import rounded, swept, timed
from lectures_lib.agents import QLearning, QLearningConfig
from lectures_lib.economies import Bertrand, MarkovChain
from lectures_lib.evaluation import departure_gains, limit_cycle

MARKET = Bertrand()
#: The axes of the paper's figures: step sizes, and rates at which exploration falls.
RATES = np.linspace(0.025, 0.25, 10)
DECAYS = np.array((0.5, 1, 2, 4, 6, 8, 11, 14, 17, 20)) * 1e-6
#: Periods before and after a forced departure.
BEFORE, AFTER = 3, 25
# A gain of less than this, relative to what a rule is worth, is rounding.
NOTHING = 1e-9


def learned(market, sessions, first=0, **settings):
    """Sessions that are over, and the processor seconds that they took together."""
    numba.set_num_threads(1)
    config = QLearningConfig.calvano(**settings)
    agent = QLearning(market, seeds=range(first, first + sessions), config=config)
    _, seconds = timed(agent.learn, show_progress=False)
    return agent, seconds


def outcome(market, tables, choices, state) -> dict[str, float]:
    """What the rules of one session (states, firms) come to.

    Rules are an equilibrium on their path if no firm gains by any departure there (`nash`), and
    perfect if none gains anywhere. `no_gain_once` is the test of the paper's programs: departures
    for a single period, after which the firm returns to its rule.
    """
    if tables.successors.shape[-1] > 1:
        return _with_luck(market, tables, choices, state)
    cycle = limit_cycle(tables, choices, state)
    values, gains = tables.values(choices), departure_gains(tables, choices)
    here = cycle.states
    relative = gains / values
    once = [_best_once(market, tables, choices, values, here, i) for i in range(market.n_firms)]
    return {
        "gain": float(market.profit_gain(cycle.payoffs)),
        "length": len(here),
        "departure": 100 * float(relative[here].mean()),
        "departure_anywhere": 100 * float(relative.mean()),
        "once": 100 * float(np.mean(once)),
        "no_gain_once": float(max(once) < NOTHING),
        "nash": float(relative[here].max() < NOTHING),
        "one": float(relative[here].max(0).min() < NOTHING),
        "perfect": float(relative.max() < NOTHING),
    }


def _best_once(market, tables, choices, values, states, i):
    """Relative gain of the best single departure of firm i, the most over the states."""
    every = np.repeat(choices[states][:, None], tables.n_actions[i], 1)
    every[..., i] = np.arange(tables.n_actions[i])
    joint, at = tables.joint(every), states[:, None]
    following = tables.successors[at, joint, 0]
    worth = tables.payoffs[at, joint, 0, i] + market.beta * values[following, i]
    return (worth.max(1) / values[states, i] - 1).max()


def _with_luck(market, tables, choices, state, periods=4000):
    """The same where there is luck: averages over the long run, from the chain that rules make."""
    payoffs, moves = tables.chain(choices)
    weights = np.zeros(tables.n_states)
    weights[state], mean = 1.0, np.zeros(tables.n_states)
    for t in range(periods):
        weights = weights @ moves
        mean += weights / (periods / 2) * (t >= periods // 2)
    relative = departure_gains(tables, choices) / tables.values(choices)
    reached = mean > 1e-12
    return {
        "gain": float(market.profit_gain(mean @ payoffs)),
        "departure": 100 * float((mean @ relative).mean()),
        "departure_anywhere": 100 * float(relative.mean()),
        "nash": float(relative[reached].max() < NOTHING),
        "perfect": float(relative.max() < NOTHING),
    }


def outcomes(market, agent) -> dict[str, np.ndarray]:
    """Each number of :func:`outcome`, one for each session."""
    tables = market.tables()
    found = [
        outcome(market, tables, c, s) for c, s in zip(agent.choices, agent.states, strict=True)
    ]
    numbers = {name: np.array([x[name] for x in found]) for name in found[0]}
    # How many best prices are still those of the first table.
    first = QLearning(market, seed=0, config=agent.config).choices
    return numbers | {"unmoved": (agent.choices == first).mean((1, 2))}


def summary(agent, found, seconds) -> dict:
    """A row: means over sessions, and the spread of what is of interest."""
    n = len(agent.seeds)
    row = {
        "sessions": n,
        "converged": float((agent._arrays.unchanged >= agent.config.stop_after).mean()),
        "gain": float(found["gain"].mean()),
        "gain_error": float(found["gain"].std(ddof=1) / n**0.5),
        "gain_quantiles": rounded(np.quantile(found["gain"], (0.05, 0.25, 0.5, 0.75, 0.95))),
        "departure": float(found["departure"].mean()),
        "departure_quantiles": rounded(
            np.quantile(found["departure"], (0.05, 0.25, 0.5, 0.75, 0.95))
        ),
        "departure_anywhere": float(found["departure_anywhere"].mean()),
        "nash": float(found["nash"].mean()),
        "perfect": float(found["perfect"].mean()),
        "unmoved": float(found["unmoved"].mean()),
        "steps": float(agent.periods.mean()),
        "seconds": seconds / n,
    }
    if "length" in found:
        row |= {
            "once": float(found["once"].mean()),
            "one": float(found["one"].mean()),
            "no_gain_once": float(found["no_gain_once"].mean()),
            "constant": float((found["length"] == 1).mean()),
        }
    return row


def row(market, sessions, first=0, each=False, **settings) -> dict:
    """Learn and judge; if asked for, with what each session comes to."""
    agent, seconds = learned(market, sessions, first, **settings)
    found = outcomes(market, agent)
    of_each = {"gains": found["gain"], "departures": found["departure"]} if each else {}
    return summary(agent, found, seconds) | {k: rounded(x) for k, x in of_each.items()}


# ---------------------------------------------------------------------- after a departure
def response(market, tables, choices, state, firm, price) -> np.ndarray:
    """Prices (periods, 2), the firm's and its rival's, around a departure to a price for a period.

    Parameters
    ----------
    price : callable
        ``price(rival)`` is the place in the list to which the firm departs, given its rival's.
    """
    seen = []
    for t in range(-BEFORE, AFTER):
        chosen = choices[state].copy()
        if t == 0:
            chosen[firm] = price(chosen[1 - firm])
        seen.append(np.array(market.prices)[chosen[[firm, 1 - firm]]])
        state = int(tables.successors[state, tables.joint(chosen), 0])
    return np.array(seen)


def best_once(market):
    """The best price against each of the rival's in the one-shot game."""
    profits = market.tables().payoffs[0, :, 0, 0].reshape(market.n_prices, -1)
    return profits.argmax(0)


def responses(market, agent) -> np.ndarray:
    """:func:`response` of each session and firm, (sessions, firms, periods, 2).

    The mean over the states of the cycle in which a session ends.
    """
    tables, best = market.tables(), best_once(market)
    found = []
    for choices, state in zip(agent.choices, agent.states, strict=True):
        states = limit_cycle(tables, choices, state).states
        found.append(
            [
                np.mean(
                    [response(market, tables, choices, s, i, best.__getitem__) for s in states], 0
                )
                for i in (0, 1)
            ]
        )
    return np.array(found)


# ---------------------------------------------------------------------- parts
def baseline(sessions=1000):
    """The paper's market and settings."""
    agent, seconds = learned(MARKET, sessions)
    found = outcomes(MARKET, agent)
    paths = responses(MARKET, agent).mean(1)
    bands = np.quantile(paths, (0.25, 0.5, 0.75), axis=0)
    yield (
        "two firms",
        summary(agent, found, seconds)
        | {
            "gains": rounded(np.sort(found["gain"])),
            "departures": rounded(np.sort(found["departure"])),
            "lengths": np.bincount(found["length"]).tolist(),
            "path": rounded(paths.mean(0)),
            "path_quartiles": rounded(bands),
        },
    )


def grid(sessions=20):
    """Step sizes and rates at which exploration falls, ten of each, and each cell's sessions."""
    cells = {
        f"alpha {rate:.3f}, beta {decay:.1e}": {"rate": float(rate), "decay": float(decay)}
        for rate in RATES
        for decay in DECAYS
    }
    for label, found in _rows(sessions, cells, each=True):
        yield label, cells[label] | found


def _rows(sessions, changes, **how):
    """A row for each change of the paper's market or settings."""
    base = {"market": MARKET, "sessions": sessions, **how}
    return swept(row, {label: base | own for label, own in changes.items()})


def patience(sessions=100):
    """Discount factors from that of who is myopic to more than the paper's."""
    markets = {
        f"discount factor {beta}": replace(MARKET, beta=beta)
        for beta in (0.0, 0.25, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99)
    } | {
        f"no memory, discount factor {beta}": replace(MARKET, beta=beta, memory=0)
        for beta in (0.0, 0.5, 0.95)
    }
    yield from _rows(sessions, {label: {"market": market} for label, market in markets.items()})


def variants(sessions=100):
    """Other markets, and other choices of what the paper leaves open or fixes."""
    luck = MarkovChain((-0.1, 0.1), ((0.5, 0.5), (0.5, 0.5)))
    soft = {"exploration": "boltzmann", "temperature": (0.5, 1e-3)}
    changes = {
        "costs 1 and 0.75": {"market": replace(MARKET, cost=(1.0, 0.75))},
        "costs 1 and 0.5": {"market": replace(MARKET, cost=(1.0, 0.5))},
        "outside good of -0.1 or 0.1, seen later": {"market": replace(MARKET, outside=luck)},
        "tables of zeros at first": {"initial_value": 0.0},
        "the highest profit for ever at first": {"initial_value": _highest()},
        "slower step, longer exploration": {"rate": 0.05, "decay": 1e-6},
        "Boltzmann exploration, temperature from 0.5": soft,
    }
    yield from _rows(sessions, changes)


def _highest():
    return float(MARKET.tables().payoffs.max() / (1 - MARKET.beta))


def three(sessions=50):
    """Three firms, whose tables have 3,375 states."""
    yield "three firms", row(replace(MARKET, n_firms=3), sessions)


PARTS = {f.__name__: f for f in (baseline, grid, patience, variants, three)}
