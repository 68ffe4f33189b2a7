"""Five ways to organise one market, and what those who learn in them come to.

Chapter *How to specify markets*. Two households, one good, no risk; sellers are as patient as
households unless a row says otherwise. What the chapters on sellers have stored of trading posts
and posted prices is not run again (`sellers.json`). All learners have the settings that two buyers
and two sellers have there (`PPOConfig.sellers`, and probes as in `benchmarks.sellers`). `HALF` as
many iterations go to rows at a price that nobody forms or sees. `seconds` are processor seconds of
all seeds on one thread, `steps` environment steps of each. Numbers are those after a path of 250
periods more than learning took: capital in units of the competitive steady state's (`relative`),
price over marginal cost (`markup`), what is ordered and offered over what is delivered (`ordered`,
`offered`), the share of output that is paid (`paid`), households' consumption equivalent from
initial states relative to competition with an auctioneer's, in per cent (`welfare`). Gains are
those of `benchmarks.sellers.posted_prices`, in per cent.
"""

from __future__ import annotations

from functools import cache

import torch

from benchmarks.harness import CALIBRATIONS, rounded, solved, swept
from benchmarks.sellers.posted_prices import LATE, PERIODS, Watch, gains, learned, rest
from benchmarks.sellers.trading_post import PROBES
from lectures_lib.agents import PPO, PPOConfig, Probing
from lectures_lib.economies import Market, Rationing, SimultaneousPrice, map_state
from lectures_lib.evaluation import evaluate
from lectures_lib.solvers import without_risk

LEARNERS = {PPO: PPOConfig.sellers(), Probing: PROBES}
ITERATIONS, HALF = {PPO: 2000, Probing: 1500}, {PPO: 1000, Probing: 750}
#: Prices that nobody forms, in units of the competitive one, and what an order costs.
LOW, HIGH, FEE = 0.8, 1.6, 0.1
#: Initial states from which households' welfare is measured.
STARTS = 6


class TradeWatch(Watch):
    """What is traded while policies learn."""

    def noted(self, step):
        """What is traded on average, at what price and for which share of output."""
        info, e = step.info, self.economy
        got = info["investment"].sum(-2)
        seen = {
            "relative": step.state.capital.mean((-1, -2)) / e.efficient_capital,
            "markup": (info["price"] / (e.phi * got)).mean(-1),
            "paid": info["saving_share"].mean(-1),
        }
        if "orders" in info:
            for name, of in (("ordered", "orders"), ("offered", "offers")):
                seen[name] = (info[of] / got).mean(-1)
        return seen


@torch.no_grad()
def consumption(economy, policy, runs=1):
    """Households' consumption equivalents (runs,) from initial states, their mean's."""
    start = economy.reset((STARTS,), torch.Generator().manual_seed(11))
    state = map_state(lambda x: x.expand(runs, *x.shape), start)
    value, weight = torch.zeros(runs).double(), 1.0
    for _ in range(2 * PERIODS):
        step = economy.step(state, policy(state), economy.no_luck(state))
        utility = step.rewards["household"].double().mean((-1, -2))
        value, weight, state = value + weight * utility, weight * economy.discount, step.state
    value = value + weight / (1 - economy.discount) * utility
    return economy.consumption_equivalent(value)


@cache
def competition(calibration):
    """The consumption equivalent of price takers at an auctioneer."""
    economy = without_risk(Market(2, **CALIBRATIONS[calibration]))
    return consumption(economy, solved(economy, "competitive").policy).item()


def cell(kind, economy, calibration, learner, iterations, config, seeds):
    """Learn, and say for each seed what has come of it."""
    economy = without_risk(economy)
    agent, watch, seconds = learned(economy, learner, config, iterations, seeds, TradeWatch)
    last, late = watch.looks[-1], watch.looks[LATE]
    centre = [x * economy.efficient_capital for x in last["relative"]]
    roles = [name for name in ("firm", "household") if name in economy.roles]
    gained = {role: gains(economy, agent.policy, role, centre) for role in roles}
    worth = consumption(economy, agent.policy, len(seeds)) / competition(calibration)
    exact = rest(economy) if kind == "auctioneer" else None
    rows = []
    for i, seed in enumerate(seeds):
        row = {"seed": seed} | {name: x[i] for name, x in last.items()}
        if exact is not None:
            capital, markup = exact
            row["capital_error"] = 100 * (centre[i] / capital - 1)
            row["markup_error"] = 100 * (row["markup"] / markup - 1)
        row["moved_late"] = 100 * (row["markup"] / late["markup"][i] - 1)
        row["welfare"] = 100 * (worth[i].item() - 1)
        row |= {f"{role}_gain": gained[role][i] for role in roles}
        row |= {"steps": agent.steps, "seconds": seconds}
        for name in last:
            row[f"path_of_{name}"] = rounded(look[name][i] for look in watch.looks)
        rows.append(row)
    if kind == "auctioneer":
        report = evaluate(agent.policy, economy, solved(economy, "markov perfect"), paths=8)
        for row, error in zip(rows, report.policy_error_mean, strict=True):
            row["policy_error"] = 100 * float(error)
    return rows


def made(kinds, calibration, length, seeds):
    """Rows of all learners for economies by name."""
    cells = {}
    for label, economy in kinds.items():
        kind = label.split(",")[0]
        for learner, config in LEARNERS.items():
            cells[f"{label}, {learner.__name__}"] = {
                "kind": kind,
                "economy": economy,
                "calibration": calibration,
                "learner": learner,
                "iterations": length[learner],
                "config": config,
            }
    return swept(cell, cells, [range(seeds)])


def markets_auctioneer(seeds=5):
    """Firms that sell at marginal cost; and an order that costs nothing, at a price too low."""
    yield from made({"auctioneer": Market(2)}, "paper", ITERATIONS, seeds)
    yield from made({"rationing, low": Rationing(relative_price=LOW)}, "paper", HALF, seeds)


def markets_myopic(seeds=5):
    """Prices posted while households spend, by a seller who does not care for tomorrow."""
    kinds = {"simultaneous, myopic": SimultaneousPrice(2, seller_discount=0.0)}
    yield from made(kinds, "paper", HALF, seeds)


def markets_patient(seeds=5):
    """The same by a seller who does."""
    yield from made({"simultaneous, patient": SimultaneousPrice(2)}, "paper", HALF, seeds)


def markets_fee(seeds=5):
    """Orders that cost a fee, at a price that is too low."""
    dear = {"rationing, low with a fee": Rationing(relative_price=LOW, fee=FEE)}
    yield from made(dear, "paper", ITERATIONS, seeds)


def markets_high(seeds=5):
    """A price that is too high instead of too low."""
    yield from made({"rationing, high": Rationing(relative_price=HIGH)}, "paper", HALF, seeds)


def markets_calibration(seeds=5):
    """Another calibration: prices and spending at once, and orders that cost nothing."""
    other = CALIBRATIONS["other"]
    kinds = {
        "simultaneous, myopic": SimultaneousPrice(2, seller_discount=0.0, **other),
        "rationing, low": Rationing(relative_price=LOW, **other),
    }
    yield from made(kinds, "other", HALF, seeds)


PARTS = {
    f.__name__: f
    for f in (
        markets_auctioneer,
        markets_myopic,
        markets_patient,
        markets_fee,
        markets_high,
        markets_calibration,
    )
}
