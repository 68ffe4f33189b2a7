"""Where a rule leads, and its Euler residuals there. Chapter *Global solution*."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import NamedTuple

import torch

from ..economies.base import TooManyOutcomes, map_state
from .euler import EXACT_OUTCOMES, euler_residuals, in_actions

# Paths that are followed, and periods at most.
PATHS, PERIODS = 64, 600
# Residuals, times outcomes of the next period, that are computed for each distribution of states.
LARGEST_SAMPLE, DRAWN_OUTCOMES = 60_000, 80


class Residual(NamedTuple):
    """Absolute unit-free Euler residuals over a sample of states.

    Where a household buys nothing, only the wish to buy counts: one to sell, which it cannot, is no
    error.

    Attributes
    ----------
    mean, largest : float
    """

    mean: float
    largest: float

    def __str__(self):
        return f"{self.mean:.1e} on average, {self.largest:.1e} at most"


def initial_sample(economy, paths=PATHS):
    """Draws from the economy's initial distribution, in float64."""
    return economy.reset((paths,), torch.Generator().manual_seed(0), torch.float64)


def visited_states(economy, policy):
    """Where a policy leads from the initial distribution.

    Returns
    -------
    start, way, late : State
        Initial states; some on the way from there; and some after the start is forgotten.
    """
    # Capital forgets at the rate at which it wears out: to a few parts in a thousand.
    forgotten = min(math.ceil(6 / economy.delta), PERIODS // 2)
    every = max(1, min(10, forgotten // 4))
    generator = torch.Generator().manual_seed(1)
    state = start = initial_sample(economy)
    way, late = [], []
    for t in range(1, 2 * forgotten + 1):
        shocks = economy.draw((PATHS,), generator, torch.float64)
        state = economy.step(state, policy(state), shocks).state
        if t % every == 0:
            (late if t > forgotten else way).append(state)
    return start, join(*way), join(*late)


def join(*states):
    """Several batches of states as one."""
    return map_state(lambda *x: torch.cat(x), *states)


@torch.no_grad()
def residuals_where_it_leads(economy, policy, regime) -> dict[str, Residual]:
    """Residuals of a policy on the initial distribution and in the long run."""
    domain = getattr(policy, "domain", None)
    with domain.silent() if domain else nullcontext():  # this says how good it is there
        known = getattr(policy, "leads_to", None)
        if known is not None and policy.economy != economy:
            known = None
        start, _, late = known or visited_states(economy, policy)
        return {
            "initial distribution": _residual(economy, policy, regime, start),
            "long run": _residual(economy, policy, regime, late),
        }


def _residual(economy, policy, regime, states):
    try:
        outcomes = len(economy.outcomes(map_state(lambda x: x[:1], states))[1])
    except TooManyOutcomes:
        outcomes = DRAWN_OUTCOMES
    if outcomes > EXACT_OUTCOMES:
        outcomes = DRAWN_OUTCOMES
    stocks = economy.n_households * economy.n_goods
    every = math.ceil(len(states.aggregate) * stocks * outcomes / LARGEST_SAMPLE)
    states = map_state(lambda x: x[::every], states)
    residual = euler_residuals(economy, policy, states, regime)
    actions = in_actions(economy, policy(states))
    info = economy.step(states, actions, economy.no_luck(states)).info
    bought = info["investment"].flatten(-2) > 0
    error = torch.where(bought, residual.abs(), residual.clamp_min(0))
    return Residual(error.mean().item(), error.max().item())
