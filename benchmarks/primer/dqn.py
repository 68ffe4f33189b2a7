"""DQN on the monopolist, whole and with parts left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from benchmarks.harness import timed
from lectures_lib.agents import DQN, DQNConfig
from lectures_lib.economies import Monopolist, map_state
from lectures_lib.economies.monopolist import MonopolistState
from lectures_lib.solvers import solve

# Levels of customers on which policies are judged, and periods that find where customers go.
NODES, PERIODS = 301, 4000


class Judge:
    """Exact values on a fine grid of customers, linear between its nodes.

    Parameters
    ----------
    economy : Monopolist

    Attributes
    ----------
    q : ndarray, shape (nodes, intensities, prices)
        Exact values of the listed prices.
    best, best_price : float
        Value of the best rule that uses listed prices, and of the best with any, from the
        economy's initial distribution.
    ergodic : ndarray of bool, shape (nodes, intensities)
        Where the best rule with listed prices leads.
    """

    def __init__(self, economy: Monopolist):
        self.economy = economy
        tables = replace(economy, levels=NODES).tables()
        self.x = replace(economy, levels=NODES).customer_levels
        n = len(economy.demand)
        self.states = MonopolistState(
            torch.from_numpy(self.x.repeat(n))[:, None], torch.arange(n).repeat(NODES)
        )
        solution = tables.discrete_dp().solve("policy_iteration")
        q = tables.payoffs + tables.discount * tables.transitions @ solution.v
        self.q = q.reshape(NODES, n, -1)
        self.best = self.mean(solution.v.reshape(NODES, n))
        exact = solve(economy).policy(self.states)["firm"].reshape(NODES, n).numpy()
        self.best_price = self.mean(self.value(exact))
        self.ergodic = self._visited(np.array(economy.prices)[self.q.argmax(-1)])

    def value(self, price: np.ndarray) -> np.ndarray:
        """Value (nodes, intensities) of following a price rule of that shape for ever."""
        e, x = self.economy, self.x
        a, chain = np.array(e.demand.values), np.array(e.demand.transition)
        profit = a * x[:, None] * (1 - price) * (price - e.cost)
        following = (1 - e.turnover) * x[:, None] + e.turnover * e.attracted(price)
        place = ((following - x[0]) / (x[1] - x[0])).clip(0, NODES - 1)
        below = np.minimum(place.astype(int), NODES - 2)
        moves = np.zeros((NODES, len(a), NODES))
        i, j = np.ogrid[:NODES, : len(a)]
        moves[i, j, below], moves[i, j, below + 1] = 1 - (place - below), place - below
        matrix = np.einsum("xay,ab->xayb", moves, chain).reshape(profit.size, profit.size)
        system = np.eye(profit.size) - e.beta * matrix
        return np.linalg.solve(system, profit.ravel()).reshape(profit.shape)

    def mean(self, value: np.ndarray) -> float:
        """Expectation over the initial distribution: customers uniform, demand stationary."""
        line = value @ self.economy.demand.stationary
        return float((line[1:] + line[:-1]).mean() / 2)

    def _visited(self, price):
        e, generator = self.economy, torch.Generator().manual_seed(0)
        state, seen = e.reset((64,), generator, torch.float64), np.zeros(price.shape, bool)
        for t in range(PERIODS // 64 + 100):
            place = (state.customers[:, 0].numpy() - self.x[0]) / (self.x[1] - self.x[0])
            node = place.round().astype(int).clip(0, NODES - 1)
            if t >= 100:
                seen[node, state.demand.numpy()] = True
            chosen = torch.from_numpy(price[node, state.demand.numpy()])[:, None, None]
            shocks = e.draw((64,), generator, torch.float64)
            state = e.step(state, {"firm": chosen}, shocks).state
        return seen

    def __call__(self, agent: DQN) -> dict[str, list[float]]:
        """Losses in per cent and errors of Q in per cent of its largest value, for each run."""
        runs = len(agent.seeds)
        states = map_state(lambda x: x.expand(runs, *x.shape), self.states)
        q = agent.q_values(states)["firm"].double().numpy().reshape(runs, *self.q.shape)
        price = agent.policy(states)["firm"].numpy().reshape(runs, *self.q.shape[:2])
        values = np.array([self.mean(self.value(p)) for p in price])
        error = (q - self.q)[:, self.ergodic]
        return {
            "losses": (100 * (1 - values / self.best)).tolist(),
            "losses_to_any_price": (100 * (1 - values / self.best_price)).tolist(),
            "q_errors": (100 * np.abs(error).max((1, 2)) / np.abs(self.q).max()).tolist(),
            "q_bias": (100 * error.mean((1, 2)) / np.abs(self.q).max()).tolist(),
        }


def dqn(seeds=5):
    """DQN, whole and with parts left out, many economies at a time and one."""
    economy = Monopolist()
    judge = Judge(economy)
    whole = DQNConfig()
    # One economy at a time, as in Mnih et al.: eight periods between two steps of the optimiser.
    one = replace(whole, groups=1, horizon=8, updates=1, batch=256, warm_up=200, restart=0.5)
    groups = {"groups": whole.groups // 8, "replicates": 8}
    # Settings, and environment steps.
    variants = {
        "whole": (whole, whole.steps),
        "without replay": (replace(whole, capacity=0), whole.steps),
        "without target network": (replace(whole, target_rate=1.0), whole.steps),
        "target network in jumps": (
            replace(whole, target_every=200, target_rate=1.0),
            whole.steps,
        ),
        "double": (replace(whole, double=True), whole.steps),
        "dueling": (replace(whole, dueling=True), whole.steps),
        "common shocks": (replace(whole, common_shocks=True, **groups), whole.steps),
        "one economy": (one, 32_000),
        "one economy, without replay": (replace(one, capacity=0), 32_000),
        "one economy, without target network": (replace(one, target_rate=1.0), 32_000),
    }
    for label, (config, steps) in variants.items():
        agent = DQN(economy, seeds=range(seeds), config=config, device="cpu")
        _, seconds = timed(agent.learn, steps, show_progress=False)
        row = _row(judge(agent), agent, seconds)
        if label == "whole":
            alone = DQN(economy, seed=0, device="cpu")
            _, row["seconds_of_one_seed"] = timed(alone.learn, show_progress=False)
        yield label, row


def _row(judged, agent, seconds):
    losses = np.array(judged["losses"])
    return {
        "loss_median_percent": float(np.median(losses)),
        "loss_worst_percent": float(losses.max()),
        "q_error_median_percent": float(np.median(judged["q_errors"])),
        "q_bias_median_percent": float(np.median(judged["q_bias"])),
        "seconds_of_all_seeds": seconds,
        "steps": agent.steps,
        **judged,
        "seeds": list(agent.seeds),
    }


PARTS = {"dqn": dqn}
