"""Where a policy spends too much or too little: all together, or one household beside another.

Chapter *Learning by a planner: many households*. The error of a rule for many households has two
parts, which are learned from different experience and cost different things: how much all of them
spend together, and who spends it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ..economies.base import Economy, map_state
from ..economies.capital import CapitalEconomy
from ..economies.play import Policy, in_actions
from ..solvers import Solution
from .distances import SMALLEST_ACTION
from .long_run import ergodic_states
from .simulation import as_policy, each_run, initial_states, simulate

# Every so many periods of a path its state joins the sample, and so many times.
PERIODS_BETWEEN_STATES, STATES = 40, 5


@dataclass(frozen=True)
class SpendingErrors:
    r"""Distances between what a policy and a reference spend on capital, in states of the long run.

    With :math:`x_{ij}` for what household :math:`i` spends on good :math:`j`, :math:`X` for the sum
    of all of it, and a star for the reference; each is a mean over states, and a float or an array
    over runs.

    Attributes
    ----------
    common : float or array
        Of all spending together, :math:`|X/X^*-1|`.
    own : float or array
        Of how it is divided, weighted by spending:
        :math:`\sum_{ij}|x_{ij}/X-x^*_{ij}/X^*|`.
    weighted : float or array
        Of everybody, weighted by spending: :math:`\sum_{ij}|x_{ij}-x^*_{ij}|/X^*`. It is at most
        `common` plus :math:`X/X^*` times `own`, and at least `common`.
    own_unweighted, unweighted : float or array
        The same without weights, means of :math:`|(x_{ij}/X)/(x^*_{ij}/X^*)-1|` and of
        :math:`|x_{ij}/x^*_{ij}-1|` over all who by the reference spend more than next to nothing
        (a hundredth of the mean). The last is :class:`Report`'s `policy_error_mean`, but for the
        states in which it is measured.
    """

    common: float | np.ndarray
    own: float | np.ndarray
    weighted: float | np.ndarray
    own_unweighted: float | np.ndarray
    unweighted: float | np.ndarray

    def __str__(self):
        lines = []
        for field in fields(self):
            found = 100 * np.atleast_1d(getattr(self, field.name))
            name = field.name.replace("_", ", ") + ", %"
            lines.append(f"{name:<20}{np.median(found):>10.3g}")
            if len(found) > 1:
                lines[-1] += f"  (worst run {found.max():.3g})"
        return "\n".join(lines)

    __repr__ = __str__


@torch.no_grad()
def spending_errors(
    policy: Policy | Solution,
    economy: CapitalEconomy,
    reference: Policy | Solution,
    paths: int = 64,
    seed: int = 0,
) -> SpendingErrors:
    """How wrong a policy's spending is, all together and divided among households and goods.

    Parameters
    ----------
    policy : callable or Solution
        With several runs, each is judged in the same states.
    economy : CapitalEconomy
    reference : callable or Solution
        The exact policy, in whose long run both are compared.
    paths : int
        Number of simulated economies, each of which gives five states.
    seed : int
        Of initial states and shocks.

    Returns
    -------
    SpendingErrors

    Raises
    ------
    TypeError
        If nobody in the economy invests in capital at a unit cost, so that there is no spending.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> from lectures_lib.solvers import solve
    >>> exact = solve(Planner(2))
    >>> spending_errors(exact, Planner(2), exact, paths=4).weighted
    0.0
    """
    policy, reference = as_policy(policy), as_policy(reference)
    states = _sample(reference, economy, paths, seed)
    exact = _spending(reference, economy, states)
    found = [_errors(_spending(one, economy, states), exact) for one in each_run(policy)]
    columns = zip(*found, strict=True)
    if getattr(policy, "runs", None) is None:
        return SpendingErrors(*(x for (x,) in columns))
    return SpendingErrors(*(np.asarray(x) for x in columns))


def _sample(reference, economy, paths, seed):
    start = initial_states(reference, economy, paths, seed)
    start = ergodic_states(reference, economy, start, seed + 2)
    periods = PERIODS_BETWEEN_STATES * (STATES - 1) + 1
    visited = simulate(
        reference, economy, start, periods, seed + 1, every=PERIODS_BETWEEN_STATES
    ).states
    return map_state(lambda *x: torch.cat(x), *visited)


def _spending(policy: Policy, economy: Economy, state) -> Tensor:
    """What each household spends on each good, (states, households, goods)."""
    actions = in_actions(economy, policy(state))
    info = economy.step(state, actions, economy.no_luck(state)).info
    if not isinstance(economy, CapitalEconomy) or "investment" not in info:
        raise TypeError(
            f"{type(economy).__name__}: nobody buys capital at a unit cost here; spending_errors "
            "compares what households spend in a Planner or a Market."
        )
    bought = info["investment"]
    return bought * economy.unit_cost(bought.sum(-2, keepdim=True))


def _errors(spent: Tensor, exact: Tensor) -> tuple[float, ...]:
    """The attributes of :class:`SpendingErrors`, in their order."""
    total, right = (x.sum((-1, -2), keepdim=True) for x in (spent, exact))
    share, right_share = spent / total, exact / right
    acts = exact > SMALLEST_ACTION * exact.mean()
    measures = (
        (total / right - 1).abs().mean(),
        (share - right_share).abs().sum((-1, -2)).mean(),
        ((spent - exact).abs() / right).sum((-1, -2)).mean(),
        (share / right_share - 1).abs()[acts].mean(),
        (spent / exact - 1).abs()[acts].mean(),
    )
    return tuple(x.item() for x in measures)
