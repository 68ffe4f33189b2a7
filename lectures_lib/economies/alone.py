"""One agent among others who follow a policy: a decision problem like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..parameters import require
from .base import Sight, Step
from .derived import Derived
from .play import Policy, in_actions
from .tables import Tables, number_of, tabulate


@dataclass(frozen=True)
class Alone(Derived):
    """The economy in which all but one agent follow a policy.

    It has one role with one agent, who sees what it sees in the original economy and is rewarded
    with its own reward. Those who move before it do so by the policy, and so do those who move
    after it and see what it has done. Learners, solvers and measures take it as they take any
    economy: what it can gain there is what the policy's exploitability is about. A crowd that
    follows the agent's role keeps to the policy, too.

    Parameters
    ----------
    economy : Economy
    policy : callable
        Of a single run, for all roles of the economy.
    role : str, optional
        Whose agent decides; needed if several roles choose for themselves.
    agent : int
        Which of the role's agents.

    Raises
    ------
    ValueError
        If there is no such role or agent, or the policy has several runs.

    Examples
    --------
    >>> from lectures_lib.economies import FixedAction, Market
    >>> market = Market(n_households=3)
    >>> alone = Alone(market, FixedAction(market, 0.1))
    >>> alone.roles["household"].n_agents
    1
    """

    policy: Policy
    role: str = None  # type: ignore[assignment]  # left out, it becomes the only one
    agent: int = 0

    def __post_init__(self):
        super().__post_init__()
        runs = getattr(self.policy, "runs", None)
        require(runs is None, "policy", self.policy, f"one run, such as policy[0] of these {runs}")
        expected = "a function of a state, such as solution.policy"
        require(callable(self.policy), "policy", self.policy, expected)
        known = [name for name, role in self.economy.roles.items() if role.follows is None]
        if self.role is None and len(known) == 1:
            object.__setattr__(self, "role", known[0])
        require(self.role in known, "role", self.role, f"one of {known}")
        n = self.economy.roles[self.role].n_agents
        require(0 <= self.agent < n, "agent", self.agent, f"one of 0..{n - 1}")

    @cached_property
    def roles(self):
        """The agent's role, with this agent alone."""
        return {self.role: replace(self.economy.roles[self.role], n_agents=1, team=False)}

    @property
    def discount(self) -> float:
        """The agent's."""
        return self.economy.discount_of(self.role)

    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """The agent's measure of welfare."""
        return self.economy.equivalent(self.role, value)

    # ------------------------------------------------------------------ what the agent sees
    @cached_property
    def _earlier(self) -> tuple[str, ...]:
        """Roles that move before the agent's."""
        stages = self.economy.stages
        now = next(k for k, stage in enumerate(stages) if self.role in stage)
        return tuple(name for stage in stages[:now] for name in stage)

    def moved_before(self, state) -> dict[str, Tensor]:
        """What the policy has done before the agent's turn, by role; nothing where it is first."""
        if not self._earlier:
            return {}
        actions = in_actions(self.economy, self.policy(state))
        return {name: actions[name] for name in self._earlier}

    def _one(self, x: Tensor, dim: int = -2) -> Tensor:
        return x.narrow(dim, self.agent, 1)

    def _own(self, sights) -> dict[str, Sight]:
        own, population = sights[self.role]
        return {self.role: Sight(self._one(own), population)}

    def observe(self, state, moved=None):
        """What the agent sees of itself in the original economy."""
        return {self.role: self.sights(state)[self.role].own}

    def sights(self, state, moved=None):
        """What the agent sees in the original economy, the others included."""
        return self._own(self.economy.sights(state, self.moved_before(state)))

    def observe_centrally(self, state, moved=None):
        """What a critic of the agent may see."""
        return self._own(self.economy.observe_centrally(state, self.moved_before(state)))

    # ------------------------------------------------------------------ what happens
    def actions(self, state, actions, moved=None) -> dict[str, Tensor]:
        """Everybody's actions, if the agent does what `actions` say of its role.

        Those of earlier roles that have `moved` are taken as given.

        Returns
        -------
        dict of str to Tensor, shape (*batch, agents, actions)
        """
        theirs = self.policy(state, moved) if moved else self.policy(state)
        theirs = in_actions(self.economy, theirs)
        both = theirs[self.role], actions[self.role].to(theirs[self.role])
        batch = torch.broadcast_shapes(*(x.shape[:-2] for x in both))
        others, own = (x.expand(*batch, *x.shape[-2:]) for x in both)
        before, after = others[..., : self.agent, :], others[..., self.agent + 1 :, :]
        moved = {name: theirs[name] for name in self._earlier}
        moved[self.role] = torch.cat([before, own, after], -2)
        stages = self.economy.stages
        now = next(stage for stage in stages if self.role in stage)
        moved |= {name: theirs[name] for name in now if name != self.role}
        if len(moved) < len(self.economy.roles):
            # Those who move later see what the agent has done.
            moved = in_actions(self.economy, self.policy(state, moved)) | moved
        return moved

    def transition(self, state, actions, shocks) -> Step:
        """One period; `actions` hold the agent's (*batch, 1, actions)."""
        step = self.economy.step(state, self.actions(state, actions), shocks)
        rewards = {self.role: self._one(step.rewards[self.role], -1)}
        return step._replace(rewards=rewards)

    # ------------------------------------------------------------------ finite games
    def tables(self) -> Tables:
        """The agent's problem written out, where states and its choices are finite."""
        return tabulate(self)

    def index(self, state) -> Tensor:
        """The number of each state in the tables, shape (*batch,)."""
        return number_of(self, state)
