"""Do small errors add up? Den Haan's test of a policy. Chapter *How exact is it?*"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..economies.base import Economy
from ..economies.capital import CapitalEconomy
from ..economies.play import Policy, in_actions
from ..solvers import Solution, euler_residuals
from ..solvers.euler import stock
from .long_run import ergodic_states
from .simulation import as_policy, initial_states, learned_roles, walk

# More than Newton's method needs for an action that leaves a given consumption.
NEWTON_STEPS = 50


@dataclass(frozen=True)
class DynamicAccuracy:
    """Distances between a policy's path and the one that the Euler equation implies.

    Attributes
    ----------
    capital_mean, capital_max, consumption_mean, consumption_max : float
        Absolute differences as shares of the policy's own capital and consumption.
    """

    capital_mean: float
    capital_max: float
    consumption_mean: float
    consumption_max: float

    def __str__(self):
        lines = [f"{'distance, %':<12}{'mean':>10}{'largest':>10}"]
        for name in ("capital", "consumption"):
            cells = (100 * getattr(self, f"{name}_{kind}") for kind in ("mean", "max"))
            lines.append(f"{name:<12}" + "".join(f"{x:>10.2g}" for x in cells))
        return "\n".join(lines)

    __repr__ = __str__


def dynamic_accuracy(
    policy: Policy | Solution,
    economy: Economy,
    regime: str | None = None,
    paths: int = 16,
    periods: int = 300,
    seed: int = 0,
) -> DynamicAccuracy:
    r"""Den Haan's (2010) dynamic Euler equation accuracy test.

    An Euler residual says how wrong a policy is today. Errors of one sign add up in capital, and
    a residual does not show by how much. So two economies start at the same states and live
    through the same shocks. One follows the policy. In the other, each period, consumption is
    what the Euler equation says,

    .. math:: \tilde C_t = C(\tilde s_t)\,(1-\epsilon(\tilde s_t)), \qquad
              \epsilon = 1 - \left(\frac{\beta E[\cdot]}{\lambda}\right)^{-1/\sigma},

    with the conditional expectation that the policy implies from the state :math:`\tilde s_t`
    (:func:`lectures_lib.solvers.euler_residuals`); what is left of output is spent on capital, in
    the policy's proportions, and leads to :math:`\tilde s_{t+1}`. The distance between the two
    stays as small as residuals are if these have no systematic sign, and otherwise grows until
    the decreasing returns to capital stop it.

    Parameters
    ----------
    policy : callable or Solution
        Of a single run.
    economy : Economy
        With few households (up to three): each period needs all conditional expectations.
    regime : str, optional
        Whose Euler equation. By default a Solution's own, and otherwise that of the economy's own
        game.
    paths, periods, seed : int
        Of the comparison, which starts where initial capital has been forgotten.

    Returns
    -------
    DynamicAccuracy

    Warns
    -----
    RuntimeWarning
        If the policy never forgets where it began.

    Raises
    ------
    TypeError
        If the economy has no Euler equation (:func:`lectures_lib.solvers.euler_residuals`), or
        reports no consumption.
    ValueError
        If the policy has several runs, or the regime has no Euler equation of this form.

    References
    ----------
    Den Haan (2010), "Comparison of solutions to the incomplete markets model with aggregate
    uncertainty", *Journal of Economic Dynamics and Control* 34(1), section 3.
    """
    regime = getattr(policy, "regime", None) if regime is None else regime
    policy = as_policy(policy)
    if (runs := getattr(policy, "runs", None)) is not None:
        raise ValueError(
            f"the policy has {runs} runs: ask for one at a time, as in "
            "dynamic_accuracy(policy[0], economy)."
        )
    implied = EulerImplied(policy, economy, regime)
    start = initial_states(policy, economy, paths, seed)
    _require_consumption(policy, economy, start)
    start = ergodic_states(policy, economy, start, seed)
    name = stock(economy)
    distances: dict[str, list[Tensor]] = {"capital": [], "consumption": []}
    pairs = zip(
        walk(policy, economy, start, periods, seed + 1),
        walk(implied, economy, start, periods, seed + 1),
        strict=True,
    )
    for own, other in pairs:
        stocks, left = ((getattr(p.state, name), p.step.info["consumption"]) for p in (other, own))
        for distance, one, two in zip(distances.values(), stocks, left, strict=True):
            distance.append((one / two - 1).abs())
    capital, consumption = (torch.stack(d) for d in distances.values())
    numbers = (capital.mean(), capital.max(), consumption.mean(), consumption.max())
    return DynamicAccuracy(*(x.item() for x in numbers))


def _require_consumption(policy, economy, state):
    """Refuse an economy whose consumption is not known, or decided by several actions."""
    (period,) = walk(policy, economy, state, 1, seed=0)
    if "consumption" not in period.step.info:
        raise TypeError(
            f"{type(economy).__name__} reports no 'consumption' in a step's info, which "
            f"dynamic_accuracy compares; there are {sorted(period.step.info)}."
        )
    learned = [economy.roles[name] for name in learned_roles(economy)]
    if not isinstance(economy, CapitalEconomy) and [r.n_agents * r.n_actions for r in learned] != [
        1
    ]:
        raise TypeError(
            f"{type(economy).__name__} has several agents or actions: dynamic_accuracy knows what "
            "they would do to consume what the Euler equation says in economies with one action, "
            "and in a Planner and a Market."
        )


class EulerImplied:
    """The policy whose consumption is what the Euler equation implies, given another policy.

    Parameters
    ----------
    policy : callable
        What is done from the next period on, and in which proportions goods are bought now.
    economy : Economy
    regime : str, optional
    """

    def __init__(self, policy: Policy, economy: Economy, regime: str | None):
        self.policy, self.economy, self.regime = policy, economy, regime

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """Actions of every role."""
        e = self.economy
        actions = in_actions(e, self.policy(state))
        info = e.step(state, actions, e.no_luck(state)).info
        residual = euler_residuals(e, self.policy, state, self.regime)
        consumption = info["consumption"]
        residual = residual.unflatten(-1, (math.prod(consumption.shape[residual.dim() - 1 :]), -1))
        consumption = consumption * (1 - residual.mean(-1).reshape(consumption.shape))
        if isinstance(e, CapitalEconomy):
            kept = e.income(state) - consumption
            return e.actions_for(state, self._bought(info["investment"], kept))
        return self._that_leave(state, actions, consumption)

    @torch.enable_grad()
    def _that_leave(self, state, actions, consumption):
        """Actions near `actions` that leave `consumption`, by Newton's method."""
        e = self.economy
        (role,) = learned_roles(e)
        found, no_luck = actions[role].detach(), e.no_luck(state)
        for _ in range(NEWTON_STEPS):
            action = found.requires_grad_(True)
            left = e.step(state, {**actions, role: action}, no_luck).info["consumption"]
            (slope,) = torch.autograd.grad(left.sum(), action)
            step = (left.detach().reshape(slope.shape) - consumption.reshape(slope.shape)) / slope
            found = found.detach() - step
            if not (step.abs() > 1e-14 * found.abs()).any():
                break
        return {**actions, role: found}

    def _bought(self, investment, kept):
        """Investment (*batch, N, M) in proportion to `investment`, from what is `kept` (*batch, N)
        of income."""
        e = self.economy
        if e.rebate_profits:
            # Firms' profit is half of all spending, so that all spending is twice what is kept.
            kept = kept + kept.mean(-1, keepdim=True)
        # Capital cannot be sold.
        kept = kept.clamp_min(0).unsqueeze(-1)
        spending = e.unit_cost(investment.sum(-2, keepdim=True)) * investment
        spending = kept * spending / spending.sum(-1, keepdim=True).clamp_min(1e-300)
        # Buying Q of a good costs a Q^2, where a is the unit cost at one.
        cost = e.unit_cost(torch.ones((), dtype=spending.dtype))
        total = spending.sum(-2, keepdim=True)
        return spending / (cost * total).sqrt().clamp_min(1e-300)
