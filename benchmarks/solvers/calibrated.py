"""What the planner with one household does, and where that keeps capital, by calibration.

Chapter *What rules look like*, whose readers move a picture over this grid. Everything is exact but
for the solver's last digits: the long run is the stationary distribution of a Markov chain on a
fine grid of log capital; what falls between two points is shared out between them, the nearer the
more (Young, "Solving the incomplete markets model with aggregate uncertainty", 2010).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve

from benchmarks.harness import rounded, swept, timed
from lectures_lib.economies import MarkovChain, Planner
from lectures_lib.economies.capital import CapitalState
from lectures_lib.solvers import solve, steady_state

RISK_AVERSIONS = (1.0, 1.5, 2.0, 2.5, 3.0)
#: By how much common productivity is above or below its mean of one.
LUCK = (0.1, 0.15, 0.2, 0.25, 0.3)
#: Capital relative to its steady state, where rules and densities are stored.
CAPITAL = np.linspace(0.6, 1.9, 53)
FINE = np.linspace(np.log(0.45), np.log(2.2), 1201)


def calibrated(risk_aversion: float, luck: float) -> Planner:
    """The paper's planner with another risk aversion and other common luck."""
    chain = MarkovChain((1 - luck, 1 + luck), Planner().aggregate.transition)
    return Planner(risk_aversion=risk_aversion, aggregate=chain)


def states(economy: Planner, relative: np.ndarray) -> CapitalState:
    """Each list of productivities at each capital, shape (Z and z, points)."""
    capital = steady_state(economy).capital * torch.as_tensor(relative).double()
    shape = (4, len(capital))
    z = torch.arange(4)[:, None].expand(shape)
    return CapitalState(capital.expand(shape)[..., None, None], z[..., None] % 2, z // 2)


def shares(solution, economy, relative=CAPITAL) -> np.ndarray:
    """Saving shares (Z and z, points), the common productivity first."""
    return solution.policy(states(economy, relative))["planner"][..., 0, 0].numpy()


def long_run(solution, economy) -> np.ndarray:
    """Probability of each point of the fine grid, (points,)."""
    n, rest = len(FINE), steady_state(economy).capital
    now = states(economy, np.exp(FINE))
    invested = solution.policy.investment(now)[..., 0, 0].numpy()
    following = np.log((1 - economy.delta) * np.exp(FINE) + invested / rest)
    # Shared between the two neighbours.
    place = ((following - FINE[0]) / (FINE[1] - FINE[0])).clip(0, n - 1 - 1e-9)
    left = place.astype(int)
    chances = np.kron(economy.aggregate.transition, economy.idiosyncratic.transition)
    begin = np.arange(4 * n).reshape(4, n)
    entries = []
    for after in range(4):
        for step, weight in ((0, 1 - place % 1), (1, place % 1)):
            chance = weight * chances[:, after][:, None]
            entries.append((chance, begin, after * n + left + step))
    chance, begin, end = (np.stack(x).ravel() for x in zip(*entries, strict=True))
    moves = sparse.csc_matrix((chance, (end, begin)), shape=(4 * n, 4 * n))
    # One of the equations says the same as the others: probabilities add up to one in its place.
    system = sparse.vstack([(moves - sparse.identity(4 * n))[:-1], np.ones((1, 4 * n))])
    found = spsolve(system.tocsc(), np.append(np.zeros(4 * n - 1), 1.0))
    return found.reshape(4, n).sum(0).clip(0)


def row(risk_aversion, luck) -> dict:
    """One calibration."""
    economy = calibrated(risk_aversion, luck)
    solution, seconds = timed(solve, economy)
    weights, at = long_run(solution, economy), np.exp(FINE)
    mean = weights @ at
    # Of relative capital, which has not the distances that its logarithm has.
    density = np.interp(CAPITAL, at, weights / np.gradient(at))
    return {
        "risk_aversion": risk_aversion,
        "luck": luck,
        "steady": steady_state(economy).capital,
        "capital": rounded(CAPITAL),
        "share": rounded(shares(solution, economy)),
        "density": rounded(density),
        "mean": mean,
        "deviation": float((weights @ (at - mean) ** 2) ** 0.5),
        "seconds": seconds,
    }


def rules():
    """Risk aversions and sizes of common luck."""
    cells = {
        f"risk aversion {s:g}, luck {x:g}": {"risk_aversion": s, "luck": x}
        for s in RISK_AVERSIONS
        for x in LUCK
    }
    yield from swept(row, cells)


PARTS = {f.__name__: f for f in (rules,)}
