"""Two firms whose learners are networks: what they charge, and what holds their prices up.

Chapter *Do deep learners collude?* A cell is a learner, a market and twenty seeds, and differs from
another in one thing. What is judged is the rule without its noise, once learning is over: a table
of its prices on a fine list of remembered ones, between which prices and values are interpolated.
On it the best response of each firm is found by dynamic programming. With prices from the market's
own list nothing is interpolated and all is exact.

Gains from departures are in per cent of the discounted profit that the firm has where the rules
lead, means over both firms.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numba
import numpy as np
import torch

from benchmarks.harness import rounded, swept, timed
from lectures_lib.agents import DQN, PPO, SAC, DQNConfig, PPOConfig, SACConfig
from lectures_lib.economies import Bertrand
from lectures_lib.economies.bertrand import BertrandState

LISTED = Bertrand()
MARKET = Bertrand(on_grid=False)
#: Remembered prices at which a rule for any price is looked up.
NODES = 31
#: Periods from which the long run is taken, the last so many of them, and a response's length.
PERIODS, LATE, AFTER = 120, 20, 12
#: How often prices are recorded while a cell learns.
POINTS = 25


# ---------------------------------------------------------------------- rules, looked up
def nodes(market) -> np.ndarray:
    """Prices at which a rule is looked up."""
    ends = market.prices[0], market.prices[-1]
    return np.array(market.prices) if market.on_grid else np.linspace(*ends, NODES)


def looked_up(policy, market) -> np.ndarray:
    """The price of each firm where both remember prices of the list, (runs, nodes, nodes, firms).

    Without memory a rule is one price, shape (runs, 1, 1, firms).
    """
    runs, at = policy.runs, nodes(market)
    if market.memory:
        size = len(at)
        pairs = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), -1)
        last = torch.as_tensor(pairs if market.on_grid else at[pairs]).reshape(-1, 1, 2)
    else:
        size, last = 1, torch.zeros(1, 1, 2) if market.on_grid else torch.ones(1, 1, 2)
    last = last.long() if market.on_grid else last.float()
    state = BertrandState(
        last.expand(runs, *last.shape), torch.zeros(runs, size**2, dtype=torch.long)
    )
    with torch.no_grad():
        price = policy(state)["firm"].double().numpy().reshape(runs, size, size, 2)
    if market.on_grid:
        price = at[np.abs(price[..., None] - at).argmin(-1)]
    return price


class Game(NamedTuple):
    """What the loops need to know of a market."""

    at: np.ndarray
    beta: float
    mu: float
    quality: float
    cost: float
    listed: bool


def game(market) -> Game:
    """Of a market whose firms are alike."""
    at = nodes(market)
    return Game(at, market.beta, market.mu, market.qualities[0], market.costs[0], market.on_grid)


@numba.njit(cache=True)
def profit(game, own, other):
    """Of a firm in a period."""
    first = np.exp((game.quality - own) / game.mu)
    return (own - game.cost) * first / (first + np.exp((game.quality - other) / game.mu) + 1)


@numba.njit(cache=True)
def place(game, price, size):
    """The node below a price, and how far the price is towards the next."""
    if size == 1:
        return 0, 0.0
    at = (price - game.at[0]) / (game.at[-1] - game.at[0]) * (size - 1)
    k = min(max(int(at + 1e-9), 0), size - 2)
    return k, min(max(at - k, 0.0), 1.0)


@numba.njit(cache=True)
def between(game, table, first, second):
    """A table (nodes, nodes) at any two prices."""
    n = len(table)
    j, x = place(game, first, n)
    k, y = place(game, second, n)
    if n == 1:
        return table[0, 0]
    low = (1 - y) * table[j, k] + y * table[j, k + 1]
    return (1 - x) * low + x * ((1 - y) * table[j + 1, k] + y * table[j + 1, k + 1])


@numba.njit(cache=True)
def values(game, own, other, best):
    """Discounted profits (nodes, nodes) of a firm, by its own last price and its rival's.

    `own` and `other` are both rules, by the same two prices; with `best`, each period the firm
    takes the best of its rule's price and those of the list.
    """
    n, prices = len(own), len(game.at)
    middle = profit(game, own[n // 2, n // 2], other[n // 2, n // 2])
    value = np.full((n, n), middle / (1 - game.beta))
    # What does not change from round to round; the prices of the list are nodes themselves.
    earned = np.empty((n, n, prices))
    below, share = np.zeros((n, n), np.int64), np.zeros((n, n))
    for j in range(n):
        for k in range(n):
            below[j, k], share[j, k] = place(game, other[j, k], n)
            for b in range(prices):
                earned[j, k, b] = profit(game, game.at[b], other[j, k])
    for _ in range(600):
        new = np.empty_like(value)
        for j in range(n):
            for k in range(n):
                mine, rival = own[j, k], other[j, k]
                top = profit(game, mine, rival) + game.beta * between(game, value, mine, rival)
                if best:
                    low, y = below[j, k], share[j, k]
                    for b in range(prices):
                        row = value[b if n > 1 else 0]
                        ahead = row[low] if y == 0 else (1 - y) * row[low] + y * row[low + 1]
                        top = max(top, earned[j, k, b] + game.beta * ahead)
                new[j, k] = top
        change = np.abs(new - value).max()
        value = new
        if change < 1e-7:
            break
    return value


def of_firm(rule, i):
    """A firm's rule and its rival's (nodes, nodes), by its own last price and its rival's."""
    turned = rule if i == 0 else rule.swapaxes(0, 1)
    return np.ascontiguousarray(turned[..., i]), np.ascontiguousarray(turned[..., 1 - i])


def follow(game, rule, last, forced=None):
    """Prices (periods, 2) where the rules lead from remembered prices; `forced` for a period."""
    seen, tables = [], [np.ascontiguousarray(rule[..., i]) for i in (0, 1)]
    for t in range(AFTER if forced is not None else PERIODS):
        now = np.array([between(game, table, *last) for table in tables])
        if t == 0 and forced is not None:
            i, price = forced
            now[i] = price(now[1 - i])
        seen.append(now)
        last = now
    return np.array(seen)


def judged(policy, market) -> list[dict]:
    """What the rules of each run come to."""
    return [_one(game(market), market, rule) for rule in looked_up(policy, market)]


def _one(known, market, rule) -> dict:
    starts = market.nash_prices, market.monopoly_prices
    late = np.stack([follow(known, rule, start)[-LATE:] for start in starts])
    found, responses = {"departure": [], "once": []}, []
    for i in (0, 1):
        own, other = of_firm(rule, i)
        kept, best = (values(known, own, other, x) for x in (False, True))
        relative, once = [], []
        for path in late:
            for last in path[-4:]:
                mine, rival = last[i], last[1 - i]
                here = between(known, kept, mine, rival)
                relative.append(between(known, best, mine, rival) / here - 1)
                meets = between(known, other, mine, rival)
                once.append(
                    max(
                        profit(known, p, meets) + known.beta * between(known, kept, p, meets)
                        for p in known.at
                    )
                    / here
                    - 1
                )
        found["departure"].append(np.mean(relative))
        found["once"].append(max(np.mean(once), 0.0))
        path = follow(known, rule, late[1, -1], (i, lambda rival: _undercut(known, rival)))
        responses.append(path[:, [i, 1 - i]] - late[1, -1][[i, 1 - i]])
    price = late.mean((1, 2))
    return {
        "price": float(price.mean()),
        "gain": float(market.profit_gain(market.expected_profits(late).mean((0, 1)))),
        "starts": float(price[1] - price[0]),
        "departure": 100 * float(np.mean(found["departure"])),
        "once": 100 * float(np.mean(found["once"])),
        "answer": float(np.mean([x[1, 1] for x in responses])),
        "response": rounded(np.mean(responses, 0)),
    }


def _undercut(known, rival):
    """The best price of a period against the rival's."""
    prices = known.at if known.listed else np.linspace(known.at[0], known.at[-1], 1000)
    return max(prices, key=lambda p: profit(known, p, rival))


def long_run(policy, market) -> np.ndarray:
    """Mean price of each run in the long run, after remembered prices of a monopoly."""
    known = game(market)
    rules = looked_up(policy, market)
    start = market.monopoly_prices
    return np.array([follow(known, rule, start)[-LATE:].mean() for rule in rules])


def answers(policy, market) -> dict:
    """How rules answer a small change of the last prices where they lead: lists by run.

    `own` and `rival` are slopes of a rule in its own last price and in the other's, means over
    firms. If firm i deviates by a little for a period, prices change by powers of the matrix of
    slopes; `lasting` is the discounted sum of its rival's changes, by that of its own and by the
    discount factor. `needed` is what this has to be if no small deviation gains.
    """
    known, beta, h = game(market), market.beta, 0.01
    rest = np.array(
        [follow(known, rule, market.monopoly_prices)[-1] for rule in looked_up(policy, market)]
    )
    sides = rest[:, None, None] + h * np.array([1, -1])[:, None, None] * np.eye(2)
    last = torch.as_tensor(sides, dtype=torch.float32).reshape(len(rest), 4, 1, 2)
    state = BertrandState(last, torch.zeros(len(rest), 4, dtype=torch.long))
    with torch.no_grad():
        price = policy(state)["firm"].double().numpy().reshape(len(rest), 2, 2, 2)
    # Of each firm's price (rows) in each firm's last price (columns).
    slopes = ((price[:, 0] - price[:, 1]) / (2 * h)).swapaxes(1, 2)
    sums = np.linalg.inv(np.eye(2) - beta * slopes)
    both, swapped = np.arange(2), np.arange(2)[::-1]
    sold = market.quantities(torch.as_tensor(rest), 0.0).numpy()
    markup = (rest - known.cost) / known.mu
    change = 1 - markup * (1 - sold), markup * sold[:, ::-1]  # of profit, per unit sold
    found = {
        "price": rest.mean(1),
        "own": slopes[:, both, both].mean(1),
        "rival": slopes[:, swapped, both].mean(1),
        "lasting": (sums[:, swapped, both] / sums[:, both, both]).mean(1) / beta,
        "needed": (-change[0] / change[1]).mean(1) / beta,
    }
    return {name: rounded(x) for name, x in found.items()}


# ---------------------------------------------------------------------- learning
KINDS = {PPOConfig: PPO, SACConfig: SAC, DQNConfig: DQN}


def begin_at(agent, price) -> None:
    """Let an actor's first policy charge a price, whatever it remembers."""
    role = agent.economy.roles["firm"]
    low, high = agent.economy.prices[0], agent.economy.prices[-1]
    raw = np.log((price - low) / (high - price))
    assert role.n_actions == 1
    with torch.no_grad():
        for learner in agent.learners.values():
            for actor in (learner.actor, learner.average):
                list(actor.parameters())[-1].fill_(float(raw))


def learned(market, config, seeds, steps, start=None):
    """An agent that has learned, its path of long-run prices (points, runs), and seconds."""
    device = "cpu"
    agent = KINDS[type(config)](market, seeds=seeds, config=config, device=device)
    if start is not None:
        begin_at(agent, start)
    every = max(1, steps // agent.steps_per_iteration // POINTS)
    path = [long_run(agent.policy, market)]

    def record(agent):
        path.append(long_run(agent.policy, market))

    _, seconds = timed(
        agent.learn, steps, callback=record, callback_every=every, show_progress=False
    )
    return agent, np.array(path), seconds


def cell(market, config, steps, seeds, start=None) -> dict:
    """Learn and judge: lists with a number of each seed."""
    agent, path, seconds = learned(market, config, seeds, steps, start)
    found = judged(agent.policy, market)
    copies = config.groups * config.replicates
    numbers = ("price", "gain", "departure", "once", "answer", "starts")
    row = {name: rounded([x[name] for x in found]) for name in numbers}
    response = np.array([x["response"] for x in found])
    return row | {
        "drift": rounded(path[-1] - path[int(0.8 * (len(path) - 1))]),
        "path": rounded(path.mean(1)),
        "path_quartiles": rounded(np.quantile(path, (0.25, 0.75), axis=1)),
        "response": rounded(response.mean(0)),
        "response_quartiles": rounded(np.quantile(response, (0.25, 0.75), axis=0)),
        "algorithm": type(agent).__name__,
        "memory": market.memory,
        "listed": market.on_grid,
        "copies": copies,
        "iterations": agent.iteration,
        "steps": agent.steps,
        "periods": agent.steps // copies,
        "seconds": seconds / len(seeds),
    }


# ---------------------------------------------------------------------- cells
#: Copies of the market, and environment steps of a run of each algorithm.
COPIES = {"groups": 4, "replicates": 4, "shared": False}
STEPS = {"PPO": 100_000, "SAC": 40_000, "DQN": 100_000}


def ppo(**changes):
    """The base case: ordinary PPO, a network for each firm, sixteen copies of the market."""
    return PPOConfig.ordinary(**(COPIES | {"horizon": 16} | changes))


def controlled(**changes):
    """The same with the comparisons that common random numbers allow."""
    return PPOConfig(**(COPIES | {"horizon": 16} | changes))


def sac(**changes):
    """Soft actor-critic with as many copies."""
    return SACConfig.ordinary(**(COPIES | changes))


def dqn(**changes):
    """Deep Q-learning with as many copies; it needs prices of the list."""
    base = {"groups": 16, "horizon": 2, "batch": 128, "updates": 2, "capacity": 20_000}
    return DQNConfig(**(base | {"shared": False} | changes))


def forgetful(market):
    """The market whose firms remember nothing."""
    return replace(market, memory=0)


# ---------------------------------------------------------------------- parts
def _cells(seeds, changes, **same):
    """A row for each change of the base case, besides what is the same in all of them."""
    base = {"market": MARKET, "config": ppo(), "steps": STEPS["PPO"]} | same
    return swept(cell, {name: base | own for name, own in changes.items()}, [range(seeds)])


def deep_memory(seeds=20):
    """The base case, firms without memory, and firms without patience."""
    changes = {"no memory": forgetful(MARKET), "no patience": replace(MARKET, beta=0.0)}
    yield from _cells(seeds, {"PPO": {}} | {k: {"market": x} for k, x in changes.items()})


def deep_start(seeds=20):
    """Where first policies charge the price of competition, or that of a monopoly."""
    (low, _), (high, _) = MARKET.nash_prices, MARKET.monopoly_prices
    changes = {
        "from competition": {"start": low},
        "from monopoly": {},
        "from monopoly, no memory": {"market": forgetful(MARKET)},
        "from monopoly, no patience": {"market": replace(MARKET, beta=0.0)},
    }
    yield from _cells(seeds, changes, start=high)


def deep_others(seeds=20):
    """Other algorithms, with and without memory."""
    for name, market, config in (("DQN", LISTED, dqn()), ("SAC", MARKET, sac())):
        changes = {name: {"market": market}, f"{name}, no memory": {"market": forgetful(market)}}
        yield from _cells(seeds, changes, config=config, steps=STEPS[name])


def deep_long(seeds=20):
    """Three times as long, from the monopoly's price."""
    high, _ = MARKET.monopoly_prices
    yield from _cells(seeds, {"from monopoly, longer": {"steps": 3 * STEPS["PPO"], "start": high}})


def deep_how(seeds=20):
    """What else might matter: one change each from the base case."""
    changes = {
        "common random numbers": {"config": controlled()},
        "prices of the list": {"market": LISTED},
    }
    yield from _cells(seeds, changes)


def deep_few(seeds=20):
    """Two copies of the market, as long by their own clock, with and without memory."""
    changes = {"2 copies": {}, "2 copies, no memory": {"market": forgetful(MARKET)}}
    few = ppo(groups=1, replicates=2)
    yield from _cells(seeds, changes, config=few, steps=STEPS["PPO"] // 8)


def deep_which(seeds=20):
    """What of common random numbers it is: states that rules do not lead to, or comparisons."""
    changes = {
        "restarts alone": {"config": ppo(restart=0.3, jitter=0.35)},
        "comparisons alone": {"config": controlled(restart=0.03, jitter=0.0)},
    }
    yield from _cells(seeds, changes)


def deep_noise(seeds=20):
    """Deep Q-learning without memory whose rivals are seldom at random at the end."""
    quiet = {"market": forgetful(LISTED), "config": dqn(epsilon=(1.0, 0.05))}
    yield from _cells(seeds, {"DQN, no memory, less noise": quiet}, steps=STEPS["DQN"])


def deep_answers(seeds=20):
    """How learned rules answer a small change of a price, and what would hold prices up."""
    high = MARKET.monopoly_prices[0]
    for name, config, start in (
        ("PPO", ppo(), None),
        ("from monopoly", ppo(), high),
        ("common random numbers", controlled(), None),
    ):
        agent, _, _ = learned(MARKET, config, range(seeds), STEPS["PPO"], start)
        yield name, answers(agent.policy, MARKET)


PARTS = {
    f.__name__: f
    for f in (
        deep_memory,
        deep_start,
        deep_others,
        deep_long,
        deep_how,
        deep_few,
        deep_which,
        deep_noise,
        deep_answers,
    )
}
