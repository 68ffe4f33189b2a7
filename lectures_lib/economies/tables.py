"""A Markov decision problem with finitely many states and actions, written out in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..parameters import Parameters, require

if TYPE_CHECKING:
    import quantecon


@dataclass(frozen=True, eq=False)
class Tables(Parameters):
    """Payoffs and transition probabilities. Chapter *Markov decision problems*.

    Parameters
    ----------
    payoffs : ndarray, shape (states, actions)
        Expected reward of an action in a state.
    transitions : ndarray, shape (states, actions, states)
        Probabilities of the next state; they sum to one over the last dimension.
    discount : float
        In (0, 1).
    actions : ndarray, shape (actions,)
        The physical action that goes with each index.

    Raises
    ------
    ValueError
        If shapes do not fit, a payoff is not finite, or a row is not a distribution.
    """

    payoffs: np.ndarray
    transitions: np.ndarray
    discount: float
    actions: np.ndarray

    def __post_init__(self):
        for name in ("payoffs", "transitions", "actions"):
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, np.asarray(value, dtype=float))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}={value!r}: expected numbers ({error}).") from error
        shape = self.payoffs.shape
        good = len(shape) == 2 and min(shape) > 0
        require(good, "payoffs.shape", shape, "(states, actions)")
        states, actions = shape
        require(
            self.transitions.shape == (states, actions, states),
            "transitions.shape",
            self.transitions.shape,
            f"{(states, actions, states)}, as payoffs have shape {(states, actions)}",
        )
        require(
            self.actions.shape == (actions,), "actions.shape", self.actions.shape, f"({actions},)"
        )
        require(
            bool(np.isfinite(self.payoffs).all()),
            "payoffs",
            self.payoffs,
            "finite numbers only. Learners average payoffs: mark an infeasible action by a finite "
            "loss larger than all that could be gained later, (highest - lowest payoff) / "
            "(1 - discount) below the lowest",
        )
        worst = max(-self.transitions.min(), np.abs(self.transitions.sum(-1) - 1).max())
        require(
            bool(worst < 1e-9),
            "transitions",
            self.transitions,
            "rows of probabilities that sum to one",
        )
        require(0 < self.discount < 1, "discount", self.discount, "a number in (0, 1)")

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.payoffs.shape[0]

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return self.payoffs.shape[1]

    def discrete_dp(self) -> quantecon.markov.DiscreteDP:
        """The same problem for quantecon's solvers."""
        import quantecon  # only here, as in `markov.py`

        return quantecon.markov.DiscreteDP(self.payoffs, self.transitions, self.discount)
