"""The judge: how far is a policy from the exact one? Chapter *Global solution*."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ..economies.base import Economy, TooManyOutcomes, map_state
from ..solvers import euler_residuals
from .simulation import ERGODIC_AFTER, initial_states, simulate, welfare_horizon

#: Every so many periods a state joins the sample on which rules are compared.
PERIODS_BETWEEN_STATES = 40


@dataclass(frozen=True)
class Report:
    """Distances between a policy and a reference; each is a float, or an array over runs.

    Attributes
    ----------
    consumption_equivalent_loss : float or array
        Share of consumption, in every period and state, that somebody who follows the reference
        would give up rather than follow the policy, from the economy's initial distribution.
    loss_standard_error : float or array
        Monte Carlo standard error of the loss.
    policy_error_mean, policy_error_max : float or array
        Relative difference of actions, on the reference's ergodic set.
    euler_residual_mean, euler_residual_max : float or array
        Absolute unit-free Euler residuals on the ergodic set (the reference's if there is one).
    moments : dict of str to float or array
        Ergodic mean and standard deviation of capital, consumption and saving share, and the
        correlation of the saving share with productivity.
    reference_moments : dict of str to float
        The same of the reference.
    reference_euler_residual_max : float
        The reference's own accuracy: losses below its square mean nothing.

    Notes
    -----
    What needs a reference is NaN, and its dictionary empty, without one. Euler residuals are NaN
    where there are too many next shocks to list.
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

    def __str__(self):
        rows = [
            ("consumption-equivalent loss, %", 100 * np.asarray(self.consumption_equivalent_loss)),
            ("  its standard error, %", 100 * np.asarray(self.loss_standard_error)),
            ("mean policy error, %", 100 * np.asarray(self.policy_error_mean)),
            ("largest policy error, %", 100 * np.asarray(self.policy_error_max)),
            ("mean Euler residual, %", 100 * np.asarray(self.euler_residual_mean)),
            ("largest Euler residual, %", 100 * np.asarray(self.euler_residual_max)),
            *((name, np.asarray(value)) for name, value in self.moments.items()),
        ]
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
                away = np.abs(value - (0 if i < 6 or reference is None else reference))
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


def evaluate(policy, economy: Economy, reference=None, seed: int = 0, paths: int = 1024) -> Report:
    """Judge a policy, beside a reference if there is one.

    Parameters
    ----------
    policy : callable
        Learned or exact; with several runs, each is judged under the same shocks.
    economy : Economy
        With one role.
    reference : callable or Solution, optional
        The exact policy.
    seed : int
        Of initial states and shocks, which policy and reference share.
    paths : int
        Number of simulated economies.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If an action or a state is not a finite number.
    """
    reference = getattr(reference, "policy", reference)
    if len(economy.roles) != 1:
        raise ValueError(
            f"{type(economy).__name__} has the roles {tuple(economy.roles)}; evaluate judges "
            "economies with one role."
        )
    (role,) = economy.roles
    horizon = max(welfare_horizon(economy), 2 * ERGODIC_AFTER)

    def run(p):
        state = initial_states(p, economy, paths, seed)
        return simulate(p, economy, state, horizon, seed + 1, first=ERGODIC_AFTER)

    own = run(policy)
    runs = getattr(policy, "runs", None)
    singles = [policy] if runs is None else [policy[i] for i in range(runs)]
    squeeze = (lambda x: float(x[0])) if runs is None else np.asarray

    if reference is None:
        nan = squeeze([float("nan")] * len(singles))
        samples = [_sample(own, None if runs is None else i) for i in range(len(singles))]
        residuals = [_residuals(economy, p, s) for p, s in zip(singles, samples, strict=True)]
        return Report(
            nan,
            nan,
            nan,
            nan,
            squeeze([r.mean().item() for r in residuals]),
            squeeze([r.max().item() for r in residuals]),
            {n: squeeze(m) for n, m in _moments(own.info, runs).items()},
        )

    exact = run(reference)
    per_path = own.value[role].mean(-1).reshape(len(singles), paths)
    exact_per_path = exact.value[role].mean(-1)
    exact_equivalent = economy.consumption_equivalent(exact_per_path.mean())
    equivalent = economy.consumption_equivalent(per_path.mean(-1))
    # The loss is nearly linear in the difference of values: its slope scales their error.
    difference = per_path - exact_per_path
    nudge = 1e-6 * exact_per_path.mean().abs()
    slope = economy.consumption_equivalent(exact_per_path.mean() + nudge) - exact_equivalent
    error = difference.std(-1) / paths**0.5 * (slope / nudge / exact_equivalent).abs()

    sample = _sample(exact, None)
    exact_action = reference(sample)[role]
    policy_errors = [((p(sample)[role] - exact_action) / exact_action).abs() for p in singles]
    residuals = [_residuals(economy, p, sample) for p in singles]
    return Report(
        squeeze((1 - equivalent / exact_equivalent).tolist()),
        squeeze(error.tolist()),
        squeeze([e.mean().item() for e in policy_errors]),
        squeeze([e.max().item() for e in policy_errors]),
        squeeze([r.mean().item() for r in residuals]),
        squeeze([r.max().item() for r in residuals]),
        {n: squeeze(m) for n, m in _moments(own.info, runs).items()},
        {n: float(m[0]) for n, m in _moments(exact.info, None).items()},
        _residuals(economy, reference, sample).max().item(),
    )


def _residuals(economy, policy, sample):
    """Absolute Euler residuals, NaN where there are too many outcomes for exact expectations."""
    try:
        return euler_residuals(economy, policy, sample).abs()
    except TooManyOutcomes:
        return torch.full((1,), float("nan"))


def _sample(paths, run):
    """States from the ergodic set, some periods apart, shape (states, ...)."""
    states = paths.states[::PERIODS_BETWEEN_STATES]
    if run is not None:
        states = [map_state(lambda x: x[run], s) for s in states]
    return map_state(lambda *x: torch.cat(x), *states)


def _moments(info, runs) -> dict[str, list[float]]:
    """Ergodic moments, one number per run."""

    def by_run(name):
        x = info[name] if runs is not None else info[name].unsqueeze(1)
        return x.movedim(1, 0).flatten(1)

    moments = {}
    for name, label in (
        ("capital", "capital"),
        ("consumption", "consumption"),
        ("saving_share", "saving share"),
    ):
        x = by_run(name)
        moments[f"mean of {label}"] = x.mean(-1).tolist()
        moments[f"s.d. of {label}"] = x.std(-1).tolist()
    saving, productivity = by_run("saving_share"), by_run("productivity")
    pairs = zip(saving, productivity, strict=True)
    moments["correlation of saving share and productivity"] = [_correlation(s, z) for s, z in pairs]
    return moments


def _correlation(x, y) -> float:
    """Pearson's correlation; NaN for a constant, whose correlation is not defined."""
    x, y = x - x.mean(), y - y.mean()
    spread = x.square().mean() * y.square().mean()
    return ((x * y).mean() / spread.sqrt()).item() if spread > 1e-20 else float("nan")
