"""How a period is played: stage by stage, each role seeing what the earlier ones have done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from ..parameters import entered, require
from .base import Actions, Economy, Sight, State, require_economy


@runtime_checkable
class Policy(Protocol):
    """Anything that acts: learned, exact or a reader's own function.

    A policy of several runs says so in an attribute `runs`, and takes states whose first dimension
    they are; without one, or if it is None, states of any batch shape are taken.
    """

    def __call__(self, state: Any, moved: Actions | None = None) -> Mapping[str, Tensor]:
        """Actions in physical units (*batch, agents, actions) by role.

        Those of roles that have `moved` are taken as given.
        """


class Played(NamedTuple):
    """What a period's stages have brought.

    Attributes
    ----------
    actions : dict of str to Tensor, shape (*batch, agents, actions)
    seen : dict of str to Sight
        What each role saw when it moved.
    surveyed : dict of str to Sight
        What its critic saw then, if that was asked for.
    """

    actions: dict[str, Tensor]
    seen: dict[str, Sight]
    surveyed: dict[str, Sight]


def play(
    economy: Economy,
    state: State,
    choose: Callable[[str, Sight], Tensor | None],
    moved: Actions | None = None,
    survey: bool = False,
) -> Played:
    """Let every role choose when its turn comes.

    Parameters
    ----------
    economy : Economy
    state : State
    choose : callable
        ``choose(role, sight)`` gives actions in physical units, or None to look and not to act,
        as all may do who move last.
    moved : dict of str to Tensor, optional
        Actions that are taken as given; their roles look, but are not asked.
    survey : bool
        Whether critics look as well, at what `Economy.observe_centrally` shows.

    Returns
    -------
    Played
    """
    given = dict(moved or {})
    played = Played({}, {}, {})
    actions, seen, surveyed = played
    for stage in economy.stages:
        sights = economy.sights(state, actions)
        if survey:
            surveyed |= economy.observe_centrally(state, actions)
        chosen = {}
        for name in stage:
            seen[name] = sights[name]
            action = given[name] if name in given else choose(name, seen[name])
            if action is not None:
                chosen[name] = action
        actions |= chosen
    return played


def in_actions(economy: Economy, actions: Actions) -> dict[str, Tensor]:
    """Actions for all roles of `economy`, crowds doing what those they follow do.

    Those of roles that it does not have, such as crowds of a massless economy, are left out.
    """
    following = {
        name: actions[role.follows]
        for name, role in economy.roles.items()
        if role.follows is not None and role.follows in actions
    }
    return following | {name: x for name, x in actions.items() if name in economy.roles}


def neutral(economy: Economy) -> Callable[[str, Sight], Tensor]:
    """Who always takes the action that a raw zero stands for, to :func:`play` with."""

    def choose(name, sight):
        role = economy.roles[name]
        zero = sight.own.new_zeros((*sight.own.shape[:-1], role.n_actions))
        return role.to_physical(zero)

    return choose


class FixedAction:
    """The policy that always does the same: a constant saving share, for example.

    Parameters
    ----------
    economy : Economy
    value : float or dict of str to float
        Physical action taken by every agent of every role, or of each role by its name.

    Raises
    ------
    ValueError
        If a value is no number, or none or more than one is given for a role.
    """

    def __init__(self, economy: Economy, value: float | Mapping[str, float]):
        require_economy(economy)
        self.economy, roles = economy, tuple(economy.roles)
        if isinstance(value, Mapping):
            require(set(value) == set(roles), "value", value, f"a number for each of {roles}")
            self.value: Any = {
                name: entered(f"value[{name!r}]", value[name], float) for name in roles
            }
        else:
            self.value = entered("value", value, float)

    def __repr__(self):
        return f"{type(self).__name__}({self.economy!r}, {self.value!r})"

    def __call__(self, state: State, moved: Actions | None = None) -> dict[str, Tensor]:
        self.economy.check_form(state)
        zero, same = self.economy.zeros(state), not isinstance(self.value, dict)
        return {
            name: zero.new_full(
                (*zero.shape, role.n_agents, role.n_actions),
                self.value if same else self.value[name],
            )
            for name, role in self.economy.roles.items()
        } | dict(moved or {})
