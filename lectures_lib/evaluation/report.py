"""The judge: how far is a policy from the exact one? Chapter *Global solution*."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from ..economies.base import Economy, map_state
from ..economies.play import Policy
from ..solvers import Solution
from .distances import action_errors, euler_distances, welfare_loss
from .long_run import SHORTEST, burn_in, ergodic_states
from .moments import CORRELATION, QUANTITIES, Moments, MomentSums
from .simulation import (
    as_policy,
    batch_shape,
    each_run,
    initial_states,
    learned_roles,
    require_finite,
    walk,
    welfare_horizon,
)

# Moments are those of so many periods at least.
KEPT = 200
#: Every so many periods a state joins the sample on which rules are compared.
PERIODS_BETWEEN_STATES = 40
# Periods in which states join the sample on which the reference is judged where welfare is counted.
EARLY = (0, 10, 20, 40, 80)
# A gain over the best rule is no chance beyond so many standard errors, and matters beyond what the
# simulation's end and a good approximation can explain.
SURPRISING, NEGLIGIBLE = 4, 1e-5
#: The moments of a report, as far as the economy has them.
REPORTED = (
    *(
        f"{m} of {x}"
        for x in ("capital", "consumption", "saving share", "customers", "sales")
        for m in ("mean", "s.d.")
    ),
    CORRELATION,
)


class ReferenceBeaten(UserWarning):
    """A team did better than by the rule that should be best; the message says by how much."""


@dataclass(frozen=True)
class RoleReport:
    """What one role loses; each is a float, or an array over runs.

    Attributes
    ----------
    loss, loss_standard_error : float or array
        Share of the `measure` (of its size, where a profit is a loss) that somebody who follows the
        reference would give up. Of nothing there are no shares: where the reference is worth
        exactly zero, the loss is infinite, or NaN if the policy is worth as much.
    policy_error_mean, policy_error_max : float or array
        Relative difference of the role's actions on the reference's ergodic set, NaN if the
        reference does nothing there.
    measure : str
        What its welfare is measured in, such as consumption or profit.
    """

    loss: float | np.ndarray
    loss_standard_error: float | np.ndarray
    policy_error_mean: float | np.ndarray
    policy_error_max: float | np.ndarray
    measure: str


@dataclass(frozen=True)
class Report:
    """Distances between a policy and a reference; each is a float, or an array over runs.

    Attributes
    ----------
    consumption_equivalent_loss : float or array
        Share of consumption, in every period and state, that somebody who follows the reference
        would give up rather than follow the policy, from the economy's initial distribution. It is
        computed from the mean welfare of all households, so that in a game it is negative where
        everybody is better off than in the reference. Where roles' welfare is measured in different
        things, or discounted at different rates, no number stands for all (NaN): see `roles`,
        also for references that are worth nothing.
    loss_standard_error : float or array
        Monte Carlo standard error of the loss.
    policy_error_mean, policy_error_max : float or array
        Relative difference of actions on the reference's ergodic set, apart from where the
        reference does next to nothing, such as not to invest; NaN if it does nothing at all.
    euler_residual_mean, euler_residual_max : float or array
        Absolute unit-free Euler residuals on the ergodic set (the reference's if there is one), of
        the reference's regime, and otherwise of the economy's own game. As capital cannot be sold,
        a household that would like to consume more counts with at most what it spends on capital.
    moments : dict of str to float or array
        Ergodic mean and standard deviation of capital, consumption and saving share, and the
        correlation of the saving share with productivity; of customers and sales for a monopolist.
    reference_moments : dict of str to float
        The same of the reference.
    reference_euler_residual_max : float
        The reference's own accuracy, on its ergodic set and on the way there, where welfare is
        counted: losses below its square mean nothing.

    regime : str or None
        Whose conditions the Euler residuals are of; None for the economy's own game.
    roles : dict of str to RoleReport
        Each role by itself, where several choose for themselves and there is a reference.

    Notes
    -----
    What needs a reference is NaN, and its dictionary empty, without one. Euler residuals are NaN
    where the reference is a Markov-perfect equilibrium: its first-order conditions have the slopes
    of everybody's decision rules in them, and no residual of the open-loop conditions says how
    good it is. They are NaN, too, for a monopolist, who owns no capital, and where the economy cuts
    an action to what is feasible: a little more of it has no effect, and so no cost.
    """

    consumption_equivalent_loss: float | np.ndarray
    loss_standard_error: float | np.ndarray
    policy_error_mean: float | np.ndarray
    policy_error_max: float | np.ndarray
    euler_residual_mean: float | np.ndarray
    euler_residual_max: float | np.ndarray
    moments: dict = field(default_factory=dict)
    reference_moments: dict = field(default_factory=dict)
    reference_euler_residual_max: float = float("nan")
    regime: str | None = None
    roles: dict[str, RoleReport] = field(default_factory=dict)

    def __str__(self):
        # Where one number stands for all, it says it all.
        apart = self.roles if np.isnan(self.consumption_equivalent_loss).all() else {}
        rows = [
            ("consumption-equivalent loss, %", 100 * np.asarray(self.consumption_equivalent_loss)),
            ("  its standard error, %", 100 * np.asarray(self.loss_standard_error)),
            ("mean policy error, %", 100 * np.asarray(self.policy_error_mean)),
            ("largest policy error, %", 100 * np.asarray(self.policy_error_max)),
            ("mean Euler residual, %", 100 * np.asarray(self.euler_residual_mean)),
            ("largest Euler residual, %", 100 * np.asarray(self.euler_residual_max)),
            *(
                row
                for name, role in apart.items()
                for row in (
                    (f"{name}: loss in {role.measure}, %", 100 * np.asarray(role.loss)),
                    (f"{name}: mean policy error, %", 100 * np.asarray(role.policy_error_mean)),
                )
            ),
            *((name, np.asarray(value)) for name, value in self.moments.items()),
        ]
        distances = 6 + 2 * len(apart)
        many = rows[0][1].ndim > 0
        header = ["", *(("median", "worst run") if many else ("policy",)), "reference"]
        lines = [header]
        for i, (name, value) in enumerate(rows):
            reference = self.reference_moments.get(name)
            if name.startswith("largest Euler"):
                reference = 100 * self.reference_euler_residual_max
            if not many:
                cells = [_number(value)]
            else:
                # Distances are worst where they are largest, moments where furthest from exact.
                away = np.abs(value - (0 if i < distances or reference is None else reference))
                cells = [_number(np.median(value)), _number(value[np.argmax(away)])]
            known = reference is not None and np.isfinite(reference)
            lines.append([name, *cells, _number(reference) if known else ""])
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        return "\n".join(
            line[0].ljust(widths[0])
            + "".join("  " + cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))
            for line in lines
        )

    __repr__ = __str__


def _number(x) -> str:
    # What is zero but for rounding is shown as zero.
    return f"{float(x):.3g}" if abs(x) > 1e-14 or x != x else "0"


def evaluate(
    policy: Policy | Solution,
    economy: Economy,
    reference: Policy | Solution | None = None,
    seed: int = 0,
    paths: int = 1024,
    start: str = "initial",
) -> Report:
    """Judge a policy, beside a reference if there is one.

    Parameters
    ----------
    policy : callable or Solution
        Learned or exact; with several runs, each is judged under the same shocks.
    economy : Economy
        Its roles are judged together and, if there are several, each by itself; those that follow
        another one are left out.
    reference : callable or Solution, optional
        The exact policy.
    seed : int
        Of initial states and shocks, which policy and reference share.
    paths : int
        Number of simulated economies.
    start : {"initial", "ergodic"}
        Whether the loss is that of somebody who begins where the economy does, or where the
        reference leads in the long run: the loss to look at if the reference is precise only there.

    Returns
    -------
    Report

    Warns
    -----
    RuntimeWarning
        If policy or reference never forget where they began, so that there are no moments of the
        long run.
    ReferenceBeaten
        If a team does significantly better than by a solution, which is then not exact where
        welfare is counted.

    Raises
    ------
    NotFinite
        If the economy makes of finite numbers what is not finite.
    ValueError
        If an action or a state is not a finite number, or `start` is something else.
    """
    if start not in ("initial", "ergodic"):
        raise ValueError(f"start={start!r}: expected 'initial' or 'ergodic'.")
    judged = policy if reference is None else reference
    regime = getattr(judged, "regime", None)
    # A solution, or the rule of one.
    claims_exactness = isinstance(reference, Solution) or hasattr(reference, "domain")
    policy, reference = as_policy(policy), as_policy(reference)
    judge = policy if reference is None else reference
    states = initial_states(judge, economy, paths, seed)
    if start == "ergodic":
        states = ergodic_states(judge, economy, states, seed + 2)
    own = _follow(policy, economy, states, seed)
    runs = getattr(policy, "runs", None)
    singles = each_run(policy)
    squeeze: Callable[[list[float]], float | np.ndarray] = (
        (lambda x: float(x[0])) if runs is None else np.asarray
    )
    moments = _reported(own.moments, economy)

    if reference is None:
        nan = squeeze([float("nan")] * len(singles))
        samples = [own.sample(None if runs is None else i) for i in range(len(singles))]
        residuals = [
            euler_distances(economy, p, s, regime) for p, s in zip(singles, samples, strict=True)
        ]
        means, largest = ([getattr(r, f)().item() for r in residuals] for f in ("mean", "max"))
        found = squeeze(means), squeeze(largest)
        return Report(nan, nan, nan, nan, *found, moments=moments, regime=regime)

    if claims_exactness:
        exact = _follow_again(reference, economy, states, seed, (economy, paths, seed, start))
    else:
        exact = _follow(reference, economy, states, seed)
    sample = exact.sample(None)
    errors = action_errors(economy, singles, reference, sample)
    learned = learned_roles(economy)
    together = _are_alike(economy, learned)
    loss, error = torch.full((2, len(singles)), torch.nan, dtype=torch.float64)
    if together:
        loss, error = welfare_loss(economy, learned[0], own.together, exact.together, len(singles))
        if claims_exactness:
            _warn_if_beaten(economy, loss, error)
    roles = {}
    for name in learned if len(learned) > 1 else ():
        own_loss, own_error = welfare_loss(
            economy, name, own.value[name], exact.value[name], len(singles)
        )
        roles[name] = RoleReport(
            squeeze(own_loss.tolist()),
            squeeze(own_error.tolist()),
            squeeze([e.mean().item() for e in errors[name]]),
            squeeze([e.max().item() for e in errors[name]]),
            economy.roles[name].measure,
        )
    some = [each for each in errors.values() if not each[0].isnan().all()] or [*errors.values()]
    policy_errors = [torch.cat(each) for each in zip(*some, strict=True)]
    residuals = [euler_distances(economy, p, sample, regime) for p in singles]
    known = [euler_distances(economy, reference, s, regime).max() for s in (sample, exact.early())]
    return Report(
        squeeze(loss.tolist()),
        squeeze(error.tolist()),
        squeeze([e.mean().item() for e in policy_errors]),
        squeeze([e.max().item() for e in policy_errors]),
        squeeze([r.mean().item() for r in residuals]),
        squeeze([r.max().item() for r in residuals]),
        moments,
        _reported(exact.moments, economy),
        torch.stack(known).max().item(),
        regime,
        roles,
    )


def _are_alike(economy, learned) -> bool:
    """Whether one number can stand for the welfare of all roles."""
    kinds = {
        (economy.roles[name].measure, economy.roles[name].equivalent, economy.discount_of(name))
        for name in learned
    }
    return len(kinds) == 1


def _warn_if_beaten(economy, loss, error):
    """Raise an alarm if a team has gained what no rule can gain over the best."""
    if not all(economy.roles[name].team for name in learned_roles(economy)):
        return
    if (loss < -SURPRISING * error - NEGLIGIBLE).any():
        worst = loss.argmin()
        warnings.warn(
            f"the policy does better than the reference by {-100 * loss[worst].item():.2g}% of "
            f"consumption (standard error {100 * error[worst].item():.1g}%): the reference is not "
            "exact where welfare is counted. Compare where the economy begins with the reference's "
            "domain, or solve it for a wider one: solve(economy, domain=(lowest, highest)).",
            ReferenceBeaten,
            stacklevel=3,
        )


def _reported(moments, economy):
    stocks = [name for name in economy.fields.stocks if name not in QUANTITIES]
    own = [f"{m} of {name.replace('_', ' ')}" for name in stocks for m in ("mean", "s.d.")]
    return {name: moments[name].value for name in (*own, *REPORTED) if name in moments}


class _Followed(NamedTuple):
    """What is kept of a simulation: welfare (*runs, paths), moments, states some periods apart."""

    value: dict[str, Tensor]
    agents: dict[str, int]
    moments: Moments
    states: list
    first_states: list

    @property
    def together(self) -> Tensor:
        """Mean welfare of all agents, shape (*runs, paths)."""
        n = sum(self.agents.values())
        if len(self.agents) == 1:
            return next(iter(self.value.values()))
        return torch.stack([self.agents[k] * v for k, v in self.value.items()]).sum(0) / n

    def early(self):
        """States on the way to the ergodic set, shape (states, ...)."""
        return map_state(lambda *x: torch.cat(x), *self.first_states)

    def sample(self, run):
        """States from the ergodic set, shape (states, ...)."""
        states = self.states
        if run is not None:
            states = [map_state(lambda x: x[run], s) for s in states]
        return map_state(lambda *x: torch.cat(x), *states)


# Where exact rules led when last asked. A learner is judged by the same one again and again, and
# to follow it takes longer than to follow a network.
_LAST: WeakKeyDictionary[Policy, tuple[tuple, _Followed]] = WeakKeyDictionary()


def _follow_again(solution, economy, start, seed, asked) -> _Followed:
    """What `_follow` says of a rule that never changes; from memory if `asked` is as before."""
    if solution not in _LAST or _LAST[solution][0] != asked:
        _LAST[solution] = asked, _follow(solution, economy, start, seed)
    return _LAST[solution][1]


def _follow(policy, economy, start, seed) -> _Followed:
    runs = getattr(policy, "runs", None)
    if runs is not None and len(batch_shape(economy, start)) == 1:
        start = map_state(lambda x: x.expand(runs, *x.shape), start)
    first = burn_in(policy, economy)
    # Policy and reference may forget at different speeds, but welfare is that of equal times.
    learned = learned_roles(economy)
    discounts = {name: economy.discount_of(name) for name in learned}
    counted = max(*map(welfare_horizon, discounts.values()), SHORTEST + KEPT)
    horizon = max(counted, first + KEPT)
    sums, value = MomentSums(economy), dict.fromkeys(learned, torch.zeros(()).double())
    early, states = [], []
    for t, state, step in walk(policy, economy, start, horizon, seed + 1):
        if t < counted:
            for name, discount in discounts.items():
                value[name] = value[name] + discount**t * step.rewards[name].mean(-1)
        if t in EARLY:
            early.append(state)
        if t >= first:
            sums.add(state, step.info)
            if (t - first) % PERIODS_BETWEEN_STATES == 0:
                states.append(state)
    for name, total in value.items():
        require_finite(total, name, policy, economy, start, horizon, seed + 1)
    agents = {name: economy.roles[name].n_agents for name in learned}
    return _Followed(value, agents, sums.moments(), states, early)
