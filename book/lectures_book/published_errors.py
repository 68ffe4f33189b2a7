"""The economies of :mod:`.published`, and their errors as they are defined there."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from lectures_lib.economies import AutoRegression, BrockMirman, InternationalCycle, map_state
from lectures_lib.solvers import Solution, euler_residuals, solve

from .published import BOX, GRID, GROWTH, PATHS, SPARSE_GRID

#: Of every so many periods of a path, one is looked at.
EVERY = 8
# States of the box, drawn like those of paths with a seed that nobody learns with. Settings were
# chosen at these states, too.
BOX_STATES, SEED = 1024, 7_000


def growth(action: str = "share") -> BrockMirman:
    """Brock and Mirman's economy with the published calibration."""
    process = AutoRegression(GROWTH["persistence"], GROWTH["deviation"], int(GROWTH["nodes"]))
    return BrockMirman(GROWTH["alpha"], GROWTH["beta"], process, action)


def grid(economy: BrockMirman):
    """The published grid of log productivity and log capital around the steady state."""
    deviations, half, points = GRID
    z = torch.linspace(-deviations, deviations, points, dtype=torch.float64)
    k = torch.linspace(-half, half, points, dtype=torch.float64)
    z, k = torch.meshgrid(z * economy.aggregate.spread, k, indexing="ij")
    capital = economy.efficient_capital * k.flatten().exp()
    return economy.State(capital.unsqueeze(-1), z.flatten())


def lived(economy: BrockMirman):
    """States that the exact rule visits when the beginning is forgotten."""
    generator = torch.Generator().manual_seed(SEED)
    state, policy = economy.reset((64,), generator, torch.float64), solve(economy).policy
    found = []
    for t in range(300):
        state = economy.step(
            state, policy(state), economy.draw((64,), generator, torch.float64)
        ).state
        if t >= 100 and t % EVERY == 0:
            found.append(state)
    return map_state(lambda *x: torch.cat(x), *found)


def consumed(economy: BrockMirman, policy, state) -> Tensor:
    """Consumption in units of steady-state output, shape (*batch,)."""
    actions = {name: x.double() for name, x in policy(state).items()}
    return economy.step(state, actions, economy.no_luck(state)).info["consumption"].squeeze(-1)


def growth_errors(economy: BrockMirman, policy, state) -> Tensor:
    r"""Theirs: :math:`\beta E[(C/C')\,\alpha Y'/K'] - 1`, with Gauss and Hermite's five nodes.

    Written out by hand, where :func:`lectures_lib.solvers.euler_residuals` differentiates.
    """
    consumption = consumed(economy, policy, state)
    capital = economy.output(state).squeeze(-1) - consumption
    uniform, weight = economy.aggregate.outcomes(state.aggregate, torch.float64)
    later = economy.State(
        capital.expand_as(weight).unsqueeze(-1), economy.aggregate.next(state.aggregate, uniform)
    )
    marginal = economy.alpha * economy.output(later).squeeze(-1) / capital
    ratio = consumption / consumed(economy, policy, later) * marginal
    return economy.beta * (weight * ratio).sum(0) - 1


# ---------------------------------------------------------------------- two countries
@cache
def countries() -> tuple[InternationalCycle, Solution]:
    """The two countries of the published calibration, and our solution."""
    economy = InternationalCycle()
    return economy, solve(economy)


def placed(economy: InternationalCycle, capital: Tensor, z: Tensor):
    """The state with these log productivities, of which the likeliest part is common."""
    common = z.sum(-1) / (economy.n_countries + 1)
    return economy.State(capital, z - common.unsqueeze(-1), common)


def sparse_grid_states(economy: InternationalCycle):
    """The states at which a sparse grid's rule is published."""
    known = torch.tensor(SPARSE_GRID, dtype=torch.float64)
    return placed(economy, known[:, :2], known[:, 2:])


def _deviation(economy) -> float:
    return math.hypot(economy.idiosyncratic.spread, economy.aggregate.spread)


def box(economy: InternationalCycle):
    """Capital and productivity drawn evenly, and independently, from the published box."""
    generator = torch.Generator().manual_seed(SEED)
    (low, high), deviations = BOX
    uniform = torch.rand((BOX_STATES, 4), generator=generator, dtype=torch.float64)
    z = (2 * uniform[:, 2:] - 1) * deviations * _deviation(economy)
    return placed(economy, low + (high - low) * uniform[:, :2], z)


def simulated(economy: InternationalCycle, policy):
    """States on a policy's own paths, begun and counted as the published ones are."""
    generator = torch.Generator().manual_seed(SEED)
    (low, high), deviations, burn, keep, paths = PATHS
    uniform = torch.rand((paths, 4), generator=generator, dtype=torch.float64)
    z = (2 * uniform[:, 2:] - 1) * deviations * _deviation(economy)
    state, found = placed(economy, low * (high / low) ** uniform[:, :2], z), []
    for t in range(burn + keep):
        if t >= burn and (t - burn) % EVERY == 0:
            found.append(state)
        luck = economy.draw((paths,), generator, torch.float64)
        actions = {name: x.double() for name, x in policy(state).items()}
        state = economy.step(state, actions, luck).state
    return map_state(lambda *x: torch.cat(x), *found)


def countries_errors(economy: InternationalCycle, policy, state) -> Tensor:
    r"""Theirs: worth over cost of a unit of each country's capital, less one.

    Ours is :math:`1 - (\text{worth}/\text{cost})^{-1/\sigma}`.
    """
    return (1 - euler_residuals(economy, policy, state)) ** -economy.risk_aversion - 1


def chosen(economy: InternationalCycle, policy, state):
    """What a policy does: growth of both capitals, and the world's consumption."""
    actions = {name: x.double() for name, x in policy(state).items()}
    step = economy.step(state, actions, economy.no_luck(state))
    growth = step.state.capital / state.capital - 1
    return growth, step.info["consumption"].sum(-1), step.info["marginal_utility"].squeeze(-1)
