"""A seat at an economy's table: rows of numbers to look at, rows of numbers to act by.

What every interface of this room has in common: who decides, what that one sees, and what its
actions mean. Nothing here knows of another library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..economies.alone import Alone
from ..economies.base import Economy, Sight, require_economy
from ..economies.play import Policy, neutral, play
from ..parameters import entered, require

#: Actions in [-1, 1] end this far, as a share of the range, before an end of what is feasible,
#: where a share may be worth minus infinity.
LEAST = 1e-5
#: How an action may be written: `Seat` says what each is.
KINDS = ("choices", "unit", "physical")


def rule_of(policy: Any, name: str = "policy") -> Policy:
    """A policy itself, or that of a solution or an agent.

    Raises
    ------
    TypeError
        If it is none of them, or a policy of several runs.
    """
    rule = policy if callable(policy) else getattr(policy, "policy", None)
    if not callable(rule):
        raise TypeError(
            f"{name} is a {type(policy).__name__}: expected a function of a state, such as "
            "solve(economy).policy, agent.policy or FixedAction(economy, 0.2)."
        )
    if getattr(rule, "runs", None) is not None:
        raise TypeError(f"{name} has {rule.runs} runs: expected one of them, such as policy[0].")
    return rule


def deciding(economy: Economy) -> list[str]:
    """The roles that decide for themselves; crowds follow one of them."""
    return [name for name, role in economy.roles.items() if role.follows is None]


class Seat:
    """How those who decide see and act.

    Parameters
    ----------
    economy : Economy
    role : str
        Whose agents they are.
    actions : {"auto", "choices", "unit", "physical"}
        How an action is written. ``"choices"``: the place in the role's list of choices.
        ``"unit"``: numbers in [-1, 1], as most libraries' learners put out, of which 0 is the
        middle. What is bounded is mapped linearly, -1 being the lowest action and 1 the highest;
        elsewhere the number a is what ``Role.to_physical`` makes of the logit of (1 + a) / 2, of
        which the linear map of a share is a case. Numbers beyond are cut. ``"physical"``: the
        economy's own units. ``"auto"``: choices if the role has a list, and otherwise units.
    together : bool
        Whether one decides for all agents of the role, as a planner for its households. Its row of
        observations is then that of the first agent, the second, and so on, and so is its action.
        Otherwise each agent has a row of its own, with what it sees of itself first and what it
        sees of the population, member by member, after it.

    Attributes
    ----------
    rows : int
        How many decide.
    n_features, n_actions : int
        Length of what each sees, and of what it puts out.
    choices : int or None
        How many there are, if actions are choices.

    Raises
    ------
    ValueError
        If there is no such role, or actions cannot be written so.
    """

    def __init__(
        self, economy: Economy, role: str, actions: str = "auto", together: bool | None = None
    ):
        require_economy(economy)
        known = deciding(economy)
        require(role in known, "role", role, f"one of {known}")
        self.economy, self.name, self.role = economy, role, economy.roles[role]
        self.together = self.role.team if together is None else together
        listed = self.role.choices
        if actions == "auto":
            actions = "unit" if listed is None else "choices"
        require(actions in KINDS, "actions", actions, f"'auto' or one of {KINDS}")
        missing = f"'unit' or 'physical', as role {role!r} has no list of choices"
        require(actions != "choices" or listed is not None, "actions", actions, missing)
        self.kind = actions
        self.choices = len(listed) if listed is not None and actions == "choices" else None
        self.rows = 1 if self.together else self.role.n_agents
        self.n_actions = self.role.n_actions * (self.role.n_agents if self.together else 1)
        state = economy.reset((1,), torch.Generator())
        with torch.no_grad():
            sights = play(economy, state, neutral(economy)).seen
            self.n_features = self.look(sights[role]).shape[-1]
        low, high = self.role.low, self.role.high
        several = self.role.shares and self.role.n_actions > 1  # they compete for what there is
        self._linear = not several and math.isfinite(high - low)

    # ------------------------------------------------------------------ what is seen
    def look(self, sight: Sight) -> Tensor:
        """What those who decide see, shape (*batch, rows, n_features)."""
        own, population = sight
        if self.together:
            return own.flatten(-2).unsqueeze(-2)
        if population is None:
            return own
        everybody = population.flatten(-2).unsqueeze(-2)
        return torch.cat([own, everybody.expand(*own.shape[:-1], -1)], -1)

    # ------------------------------------------------------------------ what is done
    def physical(self, actions: Tensor, *, checked: bool = True) -> Tensor:
        """Actions of all agents in physical units, shape (*batch, agents, actions).

        Parameters
        ----------
        actions : Tensor, shape (*batch, rows, n_actions)
            Written as the seat has it; whole numbers if they are choices.
        checked : bool
            Whether numbers are looked at, for which a GPU has to be waited for.

        Raises
        ------
        ValueError
            If one is no number, or is not feasible; numbers beyond [-1, 1] are cut.
        """
        role, x = self.role, actions
        if self.rows != role.n_agents:
            x = x.reshape(*x.shape[:-2], role.n_agents, role.n_actions)
        if self.choices is not None:
            if checked:
                self._require((x >= 0) & (x < self.choices), x, f"places 0..{self.choices - 1}")
            return torch.tensor(role.choices, dtype=torch.float64, device=x.device)[x]
        if self.kind == "physical":
            if checked:
                self._require_feasible(x)
            return x.clone()  # a state may remember it, and who has written it may write again
        share = torch.add(0.5, x, alpha=0.5).clamp_(LEAST, 1 - LEAST)
        # No number is left by what cuts, and to add up costs less than to look at each.
        if checked and not math.isfinite(share.sum()):
            self._require(~x.isnan(), x, "numbers in [-1, 1]")
        if not self._linear:
            return role.to_physical(share.logit())
        if (role.low, role.high) == (0.0, 1.0):
            return share
        return role.low + (role.high - role.low) * share

    def _require_feasible(self, x):
        role = self.role
        slack = 1e-6 * (1 + abs(role.low) if math.isfinite(role.low) else 1.0)
        feasible = (x >= role.low - slack) & (x <= role.high * (1 + 1e-6) + slack)
        self._require(feasible & x.isfinite(), x, f"numbers from {role.low} to {role.high}")
        if role.shares:
            total = x.sum(-1)
            self._require(total <= 1 + 1e-6, total, "shares whose sum is at most one")

    def _require(self, good: Tensor, x: Tensor, expected: str) -> None:
        if not good.all():
            raise ValueError(
                f"an action of role {self.name!r} is {x[~good].flatten()[0].item():g}: expected "
                f"{expected} (actions={self.kind!r})."
            )

    def own(self, policy: Policy, state) -> Tensor:
        """What a policy would do in the seat, in physical units (*batch, agents, actions).

        The policy may be one for the whole game, of which an economy that is
        :class:`~lectures_lib.economies.Alone` shows a place, or one for that place.
        """
        if not isinstance(self.economy, Alone):
            return policy(state)[self.name]
        moved = self.economy.moved_before(state)
        action = (policy(state, moved) if moved else policy(state))[self.name]
        place = self.economy.agent
        return action if action.shape[-2] == 1 else action[..., place : place + 1, :]


def seat_of(
    economy: Economy,
    policy: Any = None,
    role: str | None = None,
    agent: int = 0,
    actions: str = "auto",
) -> Seat:
    """The seat of a single one who decides.

    Parameters
    ----------
    economy : Economy
    policy : callable, Solution or Agent, optional
        What all others do. Needed unless one decides alone: a planner, a monopolist.
    role, agent
        In whose place one sits, as for :class:`~lectures_lib.economies.Alone`.
    actions : str
        As for :class:`Seat`.

    Raises
    ------
    ValueError
        If others are there and it is not said what they do, or there is no such place.
    """
    require_economy(economy)
    if policy is not None:
        economy = Alone(economy, rule_of(policy), role, entered("agent", agent, int))  # type: ignore[arg-type]
        return Seat(economy, economy.role, actions)
    roles = economy.roles
    name, only = next(iter(roles.items()))
    if len(roles) > 1 or not (only.team or only.n_agents == 1):
        others: Mapping[str, int] = {name: r.n_agents for name, r in roles.items()}
        raise ValueError(
            f"{type(economy).__name__} has several who decide, or crowds (agents by role: "
            f"{others}): say what the others do, as in policy=solve(economy).policy, and in whose "
            "place the environment is, with role=... and agent=..."
        )
    require(role in (None, name), "role", role, f"{name!r}, the only one")
    require(agent == 0, "agent", agent, "0, as one decides for all")
    return Seat(economy, name, actions)
