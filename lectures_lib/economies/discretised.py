"""A list of choices for learners that need one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from ..parameters import require
from .base import Step
from .derived import SameAgents


@dataclass(frozen=True)
class Discretised(SameAgents):
    """An economy whose agents may choose from a list.

    Nothing else changes: it takes any action that the original economy takes, so that what a list
    costs is found by solving the original. Chapter *Centralised training*.

    Parameters
    ----------
    economy : Economy
        Agents have one action each.
    choices : tuple of float
        Physical actions of every role, from the lowest to the highest.

    Raises
    ------
    ValueError
        If an agent has several actions, or choices are less than two, do not rise, or are not
        between the lowest and the highest action of a role.
    TypeError
        If `economy` is none.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> Discretised(Planner(2), (0.05, 0.1, 0.15)).roles["planner"].choices
    (0.05, 0.1, 0.15)
    """

    choices: tuple[float, ...]

    def __post_init__(self):
        super().__post_init__()
        pairs = zip(self.choices, self.choices[1:], strict=False)
        good = len(self.choices) >= 2 and all(a < b for a, b in pairs)
        require(good, "choices", self.choices, "two or more numbers that rise")
        for name, role in self.economy.roles.items():
            one = f"an economy whose agents have one action each; {name!r} has {role.n_actions}"
            require(role.n_actions == 1, "economy", self.economy, one)
            inside = role.low < self.choices[0] and self.choices[-1] < role.high
            between = f"numbers between {role.low} and {role.high}, as for the role {name!r}"
            require(inside, "choices", self.choices, between)

    @cached_property
    def roles(self):
        """Those of the original economy, with the choices."""
        return {
            name: replace(role, choices=None if role.follows else self.choices)
            for name, role in self.economy.roles.items()
        }

    def transition(self, state, actions, shocks) -> Step:
        """A period of the original economy."""
        return self.economy.step(state, actions, shocks)
