"""Do small errors add up? Den Haan's test of a policy. Chapter *Global solution*."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..economies import BrockMirman
from ..economies.base import Economy
from ..solvers import euler_residuals
from ..solvers.euler import in_actions
from .long_run import ergodic_states
from .simulation import as_policy, initial_states, walk


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
    policy,
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
    ValueError
        If the policy has several runs, or the regime has no Euler equation of this form.

    References
    ----------
    Den Haan (2010), "Comparison of solutions to the incomplete markets model with aggregate
    uncertainty", *Journal of Economic Dynamics and Control* 34(1), section 3.
    """
    regime = getattr(policy, "regime", None) if regime is None else regime
    policy = as_policy(policy)
    if getattr(policy, "runs", None) is not None:
        raise ValueError(
            f"the policy has {policy.runs} runs: ask for one at a time, as in "
            "dynamic_accuracy(policy[0], economy)."
        )
    implied = EulerImplied(policy, economy, regime)
    start = initial_states(policy, economy, paths, seed)
    start = ergodic_states(policy, economy, start, seed)
    distances: dict[str, list[Tensor]] = {"capital": [], "consumption": []}
    pairs = zip(
        walk(policy, economy, start, periods, seed + 1),
        walk(implied, economy, start, periods, seed + 1),
        strict=True,
    )
    for own, other in pairs:
        for name, distance in distances.items():
            distance.append((other.step.info[name] / own.step.info[name] - 1).abs())
    capital, consumption = (torch.stack(d) for d in distances.values())
    numbers = (capital.mean(), capital.max(), consumption.mean(), consumption.max())
    return DynamicAccuracy(*(x.item() for x in numbers))


class EulerImplied:
    """The policy whose consumption is what the Euler equation implies, given another policy.

    Parameters
    ----------
    policy : callable
        What is done from the next period on, and in which proportions goods are bought now.
    economy : Economy
    regime : str, optional
    """

    def __init__(self, policy, economy: Economy, regime: str | None):
        self.policy, self.economy, self.regime = policy, economy, regime

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """Actions of every role."""
        e = self.economy
        actions = in_actions(e, self.policy(state))
        no_luck = e.Shocks(
            *(
                torch.zeros(*state.aggregate.shape, *shape, dtype=state.capital.dtype)
                for shape in e.shock_shapes.values()
            )
        )
        info = e.step(state, actions, no_luck).info
        residual = euler_residuals(e, self.policy, state, self.regime)
        households = e.state_shapes["capital"][0]
        residual = residual.unflatten(-1, (households, -1)).mean(-1)
        consumption = info["consumption"] * (1 - residual)
        if isinstance(e, BrockMirman):
            return {"planner": consumption.unsqueeze(-1)}
        return e.actions_for(state, self._bought(info, consumption))

    def _bought(self, info, consumption):
        """Investment (*batch, N, M) that leaves `consumption` (*batch, N)."""
        e = self.economy
        kept = info["output"] - consumption
        if getattr(e, "rebate_profits", False):
            # Firms' profit is half of all spending, so that all spending is twice what is kept.
            kept = kept + kept.mean(-1, keepdim=True)
        # Capital cannot be sold.
        kept = kept.clamp_min(0).unsqueeze(-1)
        price = e.unit_cost(info["investment"].sum(-2, keepdim=True))
        spending = price * info["investment"]
        spending = kept * spending / spending.sum(-1, keepdim=True).clamp_min(1e-300)
        # Buying Q of a good costs a Q^2, where a is the unit cost at one.
        cost = e.unit_cost(torch.ones((), dtype=spending.dtype))
        total = spending.sum(-2, keepdim=True)
        return spending / (cost * total).sqrt().clamp_min(1e-300)
