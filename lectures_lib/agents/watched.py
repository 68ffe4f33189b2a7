"""Whose fault is it that numbers are not finite: the learner's, or the economy's?"""

from __future__ import annotations

import torch


class NotFinite(ArithmeticError):
    """An economy has made something of finite numbers that is not finite; the message says what."""


class Watched:
    """An economy that looks at everything it returns. Slow, and only used once learning has failed.

    Parameters
    ----------
    economy : Economy
    """

    def __init__(self, economy):
        self._economy = economy

    def __getattr__(self, name):
        return getattr(self._economy, name)

    def reset(self, *args):
        """Initial states."""
        state = self._economy.reset(*args)
        self._look(state._asdict(), "an initial state")
        return state

    def observe(self, state, moved=None):
        """What agents see of themselves."""
        seen = self._economy.observe(state, moved)
        self._look_at(state, moved, seen, "an observation")
        return seen

    def sights(self, state, moved=None):
        """What agents see."""
        sights = self._economy.sights(state, moved)
        for part in ("own", "population"):
            seen = {n: x for n, s in sights.items() if (x := getattr(s, part)) is not None}
            self._look_at(state, moved, seen, "an observation")
        return sights

    def observe_centrally(self, state, moved=None):
        """What critics see."""
        sights = self._economy.observe_centrally(state, moved)
        for part in ("own", "population"):
            seen = {n: x for n, s in sights.items() if (x := getattr(s, part)) is not None}
            self._look_at(state, moved, seen, "an observation for critics")
        return sights

    def _look_at(self, state, moved, seen, what):
        if _finite(*state) and _finite(*(moved or {}).values()):
            self._look(seen, what)

    def step(self, state, actions, shocks):
        """One period."""
        step = self._economy.step(state, actions, shocks)
        if _finite(*state) and _finite(*actions.values()):
            self._look(step.rewards, "a reward")
            self._look(step.state._asdict(), "a next state")
        return step

    def _look(self, tensors, what):
        for name, x in tensors.items():
            if not _finite(x):
                raise NotFinite(
                    f"{type(self._economy).__name__} gives {what} for {name!r} that is not a "
                    "finite number, from states and actions that are: look at its code, or at what "
                    "to_physical allows agents to do. The learning rates are not to blame."
                )


def _finite(*tensors) -> bool:
    return all(bool(torch.isfinite(x).all()) for x in tensors if x.is_floating_point())
