"""How far a policy is from another one, or from its Euler equation, where an economy goes.

Chapter *Global solution*.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..economies.base import Economy, TooManyOutcomes, map_state
from ..economies.capital import CapitalEconomy
from ..economies.play import Policy, in_actions
from ..solvers import euler_residuals
from ..solvers.euler import EXACT_OUTCOMES, NoEulerEquation, in_regime, stock
from .simulation import learned_roles

# Euler residuals are taken of as many of these states as keep the number of stocks, times that of
# next shocks, below this: all with one household, a few dozen with a hundred.
LARGEST_SAMPLE = 200_000
# Outcomes that are assumed where they are drawn.
DRAWN_OUTCOMES = 80
# Part of the reference's mean action below which there is no relative error.
SMALLEST_ACTION = 0.01


def action_errors(
    economy: Economy, singles: list[Policy], reference: Policy, sample
) -> dict[str, list[Tensor]]:
    """Relative differences of actions, for each role and run, as flat lists."""
    errors: dict[str, list[Tensor]] = {}
    exact = reference(sample)
    learned = [p(sample) for p in singles]
    for name in learned_roles(economy):
        right = exact[name]
        # Who exactly does nothing has no relative error.
        acts = right.abs() > SMALLEST_ACTION * right.abs().mean()
        errors[name] = [(actions[name] / right - 1).abs()[acts] for actions in learned]
        if not acts.any():  # nor has a role of which nobody ever does anything
            errors[name] = [torch.full((1,), torch.nan, dtype=torch.float64) for _ in learned]
    return errors


def welfare_loss(
    economy: Economy, role: str, value: Tensor, exact: Tensor, runs: int
) -> tuple[Tensor, Tensor]:
    """Relative losses of each run, and their standard errors, from values (*runs, paths)."""
    per_path = value.reshape(runs, -1)
    mean = exact.mean()
    exact_equivalent = economy.equivalent(role, mean)
    own_equivalent = economy.equivalent(role, per_path.mean(-1))
    # A profit may be a loss, and a larger one is worse.
    loss = (exact_equivalent - own_equivalent) / exact_equivalent.abs()
    # The loss is nearly linear in the difference of values: its slope scales their error.
    difference = per_path - exact
    size = exact.abs().mean()  # which the mean of gains and losses may be far below
    nudge = 1e-6 * torch.where(size > 0, size, 1.0)
    slope = economy.equivalent(role, mean + nudge) - exact_equivalent
    error = difference.std(-1) / per_path.shape[1] ** 0.5 * (slope / nudge / exact_equivalent).abs()
    return loss, error


@torch.no_grad()
def euler_distances(economy: Economy, policy: Policy, sample, regime: str | None) -> Tensor:
    """Absolute Euler residuals of a part of the sample, NaN where there is no Euler equation."""
    try:
        in_regime(economy, regime)
    except (ValueError, NoEulerEquation):
        return torch.full((1,), float("nan"))
    try:
        few = _thin(economy, sample)
        residual = euler_residuals(economy, policy, few, regime)
    except (NoEulerEquation, torch.linalg.LinAlgError):
        return torch.full((1,), float("nan"))
    info = economy.step(few, in_actions(economy, policy(few)), economy.no_luck(few)).info
    if not {"saving_share", "output", "consumption"} <= info.keys():
        return residual.abs()
    income = economy.income(few) if isinstance(economy, CapitalEconomy) else info["output"]
    spent = info["saving_share"] * income / info["consumption"]
    limit = spent.repeat_interleave(residual.shape[-1] // spent.shape[-1], -1)
    return torch.where(residual < -limit, limit, residual.abs())


def _thin(economy, sample):
    """States of the sample, evenly spread, in a number whose residuals take seconds."""
    try:
        one = map_state(lambda x: x[:1], sample)
        outcomes = len(economy.outcomes(one)[1])
    except TooManyOutcomes:
        outcomes = DRAWN_OUTCOMES
    if outcomes > EXACT_OUTCOMES:
        outcomes = DRAWN_OUTCOMES
    stocks = math.prod(economy.fields[stock(economy)].shape)
    every = -(-len(sample[0]) * stocks * outcomes // LARGEST_SAMPLE)
    return map_state(lambda x: x[::every], sample)
