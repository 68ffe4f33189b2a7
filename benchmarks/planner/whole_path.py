"""The planner's plan without risk, all of it chosen at once.

Welfare along a path is a function of all spending along it, and its gradient is found by going back
through the path (the adjoint). No rule, Euler equation or value function takes part, so that this
is a check of all of them, from any initial capital and out of balance, too.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from scipy.optimize import minimize

from lectures_lib.economies import Planner
from lectures_lib.evaluation import initial_states
from lectures_lib.solvers import steady_state, without_risk

from .many import balanced_rule

#: Periods that are planned, and after which shares are those of the steady state; periods in all.
PLANNED, PERIODS = 450, 900
# Log odds of a share against what is consumed: below the least of them nothing is spent.
LOWEST, HIGHEST = -25.0, 5.0


class Plan(NamedTuple):
    """Welfare, the mean over households, and shares (periods, households, goods) of a plan."""

    welfare: float
    shares: np.ndarray


def best_plan(
    economy: Planner,
    capital: np.ndarray,
    guess: np.ndarray | None = None,
    precision: float = 1e-14,
) -> Plan:
    """The plan with the highest welfare, by L-BFGS.

    Parameters
    ----------
    economy : Planner
        With logarithmic utility; its productivities are taken to be one for ever.
    capital : ndarray, shape (households, goods)
        At the beginning.
    guess : ndarray, shape (periods, households, goods), optional
        Shares to begin from; those of the steady state by default.
    precision : float
        Relative change of welfare at which to stop.

    Raises
    ------
    RuntimeError
        If the search stops before it has converged.
    """
    rest = steady_state(economy).saving_share / economy.n_goods
    if guess is None:
        guess = np.full((PLANNED, *capital.shape), rest)
    guess = guess.clip(1e-6, 0.9)
    odds = np.log(guess / (1 - guess.sum(-1, keepdims=True)))
    # What is done late counts little, and would be found late.
    scale = economy.beta ** (np.arange(PLANNED) / 2)[:, None, None]
    technology = economy.alpha, economy.beta, economy.delta, economy.phi

    def loss(flat):
        welfare, gradient = _welfare(flat.reshape(odds.shape) / scale, capital, rest, *technology)
        return -1e3 * welfare, -1e3 * (gradient / scale).ravel()

    bounds = [(LOWEST * x, HIGHEST * x) for x in np.broadcast_to(scale, odds.shape).ravel()]
    options = {"maxiter": 6000, "maxfun": 8000, "maxcor": 30, "ftol": precision, "gtol": 1e-8}
    flat = (odds * scale).ravel()
    # Near the top a line search may fail by rounding; from there, a new one finds no more.
    for _ in range(3):
        found = minimize(loss, flat, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        flat = found.x
        if found.success:
            break
    else:
        raise RuntimeError(f"the plan from capital {capital.tolist()} stopped: {found.message}")
    odds = np.exp(found.x.reshape(odds.shape) / scale)
    return Plan(-found.fun / 1e3, odds / (1 + odds.sum(-1, keepdims=True)))


def plans_of(rule, economy: Planner, capital: np.ndarray) -> list[Plan]:
    """What a rule does from each initial capital (paths, households, goods)."""
    paths = (len(capital),)
    luck = economy.draw(paths, torch.Generator().manual_seed(0), torch.float64)
    state = economy.reset(paths, torch.Generator().manual_seed(0), torch.float64)
    state = state._replace(capital=torch.from_numpy(capital))
    rest = torch.full_like(state.capital, steady_state(economy).saving_share / economy.n_goods)
    welfare, shares = torch.zeros(paths, dtype=torch.float64), []
    for t in range(PERIODS):
        action = rule(state) if t < PLANNED else {"planner": rest}
        shares.append(action["planner"])
        step = economy.step(state, action, luck)
        welfare += economy.beta**t * step.rewards["planner"].mean(-1)
        state = step.state
    every = torch.stack(shares[:PLANNED], 1).numpy()
    return [Plan(w, x) for w, x in zip(welfare.tolist(), every, strict=True)]


@njit(cache=True, fastmath=True)
def _welfare(odds, start, rest, alpha, beta, delta, phi):
    """Welfare of a plan and its gradient in the log odds of shares."""
    households, goods = start.shape
    capital = np.empty((PERIODS + 1, households, goods))
    share = np.full((PERIODS, households, goods), rest)
    bought = np.empty((PERIODS, households, goods))
    output, consumed = np.empty((PERIODS, households)), np.empty((PERIODS, households))
    spent = np.zeros((PERIODS, goods))
    capital[0], welfare = start, 0.0
    for t in range(PERIODS):
        for i in range(households):
            logs, total, saved = 0.0, 1.0, 0.0
            for j in range(goods):
                logs += math.log(capital[t, i, j])
                if t < PLANNED:
                    share[t, i, j] = math.exp(odds[t, i, j])
                    total += share[t, i, j]
            output[t, i] = math.exp(alpha / goods * logs)
            for j in range(goods):
                if t < PLANNED:
                    share[t, i, j] /= total
                saved += share[t, i, j]
                spent[t, j] += share[t, i, j] * output[t, i]
            consumed[t, i] = 1 - saved
            welfare += beta**t * math.log(output[t, i] * consumed[t, i]) / households
        for j in range(goods):
            cost = math.sqrt(phi / 2 * spent[t, j])
            for i in range(households):
                bought[t, i, j] = share[t, i, j] * output[t, i] / cost
                capital[t + 1, i, j] = (1 - delta) * capital[t, i, j] + bought[t, i, j]
    gradient, worth = np.zeros_like(odds), np.zeros((households, goods))
    of_spending = np.empty((households, goods))
    for t in range(PERIODS - 1, -1, -1):
        now = beta**t / households
        for j in range(goods):
            # More spending by one makes the good dearer for all.
            dearer, cost = 0.0, math.sqrt(phi / 2 * spent[t, j])
            for i in range(households):
                dearer += worth[i, j] * bought[t, i, j] / (2 * spent[t, j])
            for i in range(households):
                of_spending[i, j] = worth[i, j] / cost - dearer
        for i in range(households):
            of_output, mean = now / output[t, i], 0.0
            for j in range(goods):
                of_output += of_spending[i, j] * share[t, i, j]
                mean += (of_spending[i, j] * output[t, i] - now / consumed[t, i]) * share[t, i, j]
            for j in range(goods):
                if t < PLANNED:
                    of_share = of_spending[i, j] * output[t, i] - now / consumed[t, i]
                    gradient[t, i, j] = share[t, i, j] * (of_share - mean)
                marginal = alpha / goods * output[t, i] / capital[t, i, j]
                worth[i, j] = (1 - delta) * worth[i, j] + of_output * marginal
    return welfare, gradient


def rebalancing(pairs=192, tens=3):
    """What the best plan gains over the balanced rule out of balance, without risk.

    In per cent of consumption: the mean over the paper's initial capital, and its standard error.
    """
    for size, paths in ((2, pairs), (10, tens)):
        economy = Planner(size, size)
        capital = initial_states(balanced_rule(economy), economy, paths, 0).capital.double().numpy()
        alone = without_risk(economy)
        gains = []
        for start, usual in zip(
            capital, plans_of(balanced_rule(alone), alone, capital), strict=True
        ):
            more = best_plan(alone, start, usual.shares, 1e-10).welfare - usual.welfare
            gains.append(100 * np.expm1((1 - economy.beta) * more))
        error = np.std(gains, ddof=1) / paths**0.5
        yield f"{size} x {size}", {"gain": float(np.mean(gains)), "standard error": float(error)}


PARTS = {"rebalancing": rebalancing}
