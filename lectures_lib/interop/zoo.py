"""An economy as an environment of many agents, for PettingZoo: all at once, or in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Space
from pettingzoo import AECEnv, ParallelEnv
from torch import Tensor

from ..economies.base import Economy, require_economy
from ..economies.play import in_actions
from ..parameters import entered, require, seeded
from .seat import Seat, deciding, rule_of
from .simulation import HORIZON
from .spaces import action_space, observation_space


class _Game:
    """What both environments are: an economy whose agents have names, one copy of it.

    Agents are called by their role and number, such as ``household_0``.
    """

    metadata: dict[str, Any]

    def __init__(
        self,
        economy: Economy,
        policy: Any = None,
        roles: Sequence[str] | None = None,
        *,
        horizon: int | None = HORIZON,
        actions: str = "auto",
        pad: bool = False,
        dtype: torch.dtype = torch.float32,
    ):
        require_economy(economy)
        known = deciding(economy)
        roles = tuple(known if roles is None else roles)
        for name in roles:
            require(name in known, "roles", roles, f"some of {known}")
        missing = [name for name in economy.roles if name not in roles]
        expected = f"what the roles {missing} do, such as solve(economy).policy"
        require(policy is not None or not missing, "policy", policy, expected)
        horizon = entered("horizon", horizon, int | None)
        require(horizon is None or horizon >= 1, "horizon", horizon, "at least 1, or None")
        self.economy, self.horizon, self.dtype = economy, horizon, dtype
        #: What roles do that are not in the game; it may be replaced as learners learn.
        self.policy = None if policy is None else rule_of(policy)
        self.seats = {name: Seat(economy, name, actions, together=False) for name in roles}
        #: Who moves when, by roles that are in the game.
        self.stages = [[n for n in stage if n in roles] for stage in economy.stages]
        self.members = {
            f"{name}_{i}": (name, i)
            for stage in self.stages
            for name in stage
            for i in range(economy.roles[name].n_agents)
        }
        self.possible_agents = [*self.members]
        self.agents: list[str] = []
        widest = max(seat.n_features for seat in self.seats.values())
        self._width = {n: widest if pad else s.n_features for n, s in self.seats.items()}
        self.observation_spaces = {
            agent: observation_space(self.seats[name], self._width[name])
            for agent, (name, _) in self.members.items()
        }
        self.action_spaces = {
            agent: action_space(self.seats[name]) for agent, (name, _) in self.members.items()
        }
        self.metadata = {"name": type(economy).__name__, "render_modes": []}
        self._luck: torch.Generator | None = None

    def observation_space(self, agent: str) -> Space[Any]:
        """What an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """What an agent may do."""
        return self.action_spaces[agent]

    def render(self) -> None:
        """There is nothing to draw: figures are those of `lectures_lib.plotting`."""

    def close(self) -> None:
        """There is nothing to close."""

    def state(self) -> np.ndarray:
        """The whole state, for critics that may see everything: float32, field by field."""
        fields = [getattr(self._state, name).flatten().float() for name in self.economy.fields]
        return torch.cat(fields).numpy().copy()

    # ------------------------------------------------------------------ a period
    def _begin(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        if seed is not None:
            self._luck = seeded(seed)
        elif self._luck is None:
            self._luck = seeded(int(np.random.default_rng().integers(2**62)))
        given = (options or {}).get("state")
        if given is None:
            given = self.economy.reset((1,), self._luck, self.dtype)
        self.economy.check_state(given)
        batch = tuple(self.economy.zeros(given).shape)
        require(batch == (1,), "state", batch, "a state of batch shape (1,)")
        self._state, self._age = given, 0
        self._moved: dict[str, Tensor] = {}
        self.agents = [*self.possible_agents]

    @torch.no_grad()
    def _look(self, roles: Sequence[str]) -> dict[str, np.ndarray]:
        """What the agents of roles see whose turn it is."""
        sights = self.economy.sights(self._state, self._moved)
        seen: dict[str, np.ndarray] = {}
        for name in roles:
            rows = self.seats[name].look(sights[name])[0].float().numpy()
            wide = np.zeros((len(rows), self._width[name]), np.float32)
            wide[:, : rows.shape[-1]] = rows
            seen |= {f"{name}_{i}": row.copy() for i, row in enumerate(wide)}
        return seen

    @torch.no_grad()
    def _move(self, stage: int, actions: Mapping[str, Any]) -> None:
        """A stage of the period: those in the game act, and the policy does for all others."""
        chosen: dict[str, Tensor] = {}
        others = [name for name in self.economy.stages[stage] if name not in self.seats]
        if others:
            theirs = in_actions(self.economy, self.policy(self._state, self._moved))  # type: ignore[misc]
            chosen |= {name: theirs[name].to(self.dtype) for name in others}
        for name in self.stages[stage]:
            seat = self.seats[name]
            rows = [actions[f"{name}_{i}"] for i in range(seat.rows)]
            x = torch.from_numpy(np.asarray(rows)).reshape(1, seat.rows, seat.n_actions)
            x = x.to(self.dtype) if seat.choices is None else x.long()
            chosen[name] = seat.physical(x).to(self.dtype)
        self._moved |= chosen

    @torch.no_grad()
    def _settle(self) -> dict[str, float]:
        """The end of the period: everybody's reward, a team's being the mean of all."""
        shocks = self.economy.draw((1,), self._luck, self.dtype)  # type: ignore[arg-type]
        step = self.economy.step(self._state, self._moved, shocks)
        self._state, self._moved, self._age = step.state, {}, self._age + 1
        rewards: dict[str, float] = {}
        for name in self.seats:
            own = step.rewards[name][0]
            own = own.mean().expand_as(own) if self.economy.roles[name].team else own
            rewards |= {f"{name}_{i}": x for i, x in enumerate(own.tolist())}
        return rewards

    @property
    def _over(self) -> bool:
        return self.horizon is not None and self._age >= self.horizon


class Parallel(_Game, ParallelEnv[str, np.ndarray, Any]):
    """All agents at once: each sees, acts and is rewarded by itself.

    Agents are called by role and number, such as ``household_0``; each of a team is rewarded for
    the mean of all.

    Parameters
    ----------
    economy : Economy
    policy : callable, Solution or Agent, optional
        What roles do that are not in the game; needed where there are some, such as a crowd. It is
        an attribute that may be replaced as agents learn.
    roles : sequence of str, optional
        Whose agents are in the game: by default all that decide.
    horizon : int or None
        Periods after which an episode is cut; with None it never is.
    actions : {"auto", "choices", "unit", "physical"}
        As for :class:`Gym`.
    pad : bool
        Whether all observations are as long as the longest, with zeros at their ends, for libraries
        that want one length.
    dtype : torch.dtype
        Of the economy.

    Raises
    ------
    ValueError
        If roles of the game move in turn, as in PostedPrice (:class:`Turns` is for those); if it is
        not said what the others do; or a value is out of range.

    Examples
    --------
    >>> from lectures_lib.economies import Market
    >>> env = Parallel(Market(2), horizon=100)
    >>> observations, infos = env.reset(seed=0)
    >>> act = {who: env.action_space(who).sample() for who in env.agents}
    >>> observations, rewards, *ends, infos = env.step(act)
    >>> sorted(rewards)
    ['household_0', 'household_1']
    """

    def __init__(self, economy: Economy, policy: Any = None, roles=None, **options: Any):
        super().__init__(economy, policy, roles, **options)
        turns = [stage for stage in self.stages if stage]
        expected = "some that move at the same time, or Turns(economy), where they move in turn"
        require(len(turns) == 1, "roles", turns, expected)
        self._stage = self.stages.index(turns[0])

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode; ``options={"state": state}`` begins in a state of the economy.

        Returns
        -------
        observations : dict of str to ndarray, by agent
        infos : dict of str to dict
        """
        self._begin(seed, options)
        self._earlier()
        return self._look([*self.seats]), {agent: {} for agent in self.agents}

    def _earlier(self):
        """What is done before the game's turn."""
        for stage in range(self._stage):
            self._move(stage, {})

    def step(self, actions: Mapping[str, Any]):
        """A period.

        Returns
        -------
        observations, rewards, terminations, truncations, infos : dict, by agent

        Raises
        ------
        ValueError
            If an agent's action is missing, no number, or not feasible.
        """
        if not self.agents:
            return {}, {}, {}, {}, {}
        missing = [agent for agent in self.agents if agent not in actions]
        require(not missing, "actions", sorted(actions), f"an action also of {missing}")
        for stage in range(self._stage, len(self.stages)):
            self._move(stage, actions)
        rewards = self._settle()
        self._earlier()
        everybody, over = self.agents, self._over
        self.agents = [] if over else everybody
        return (
            self._look([*self.seats]),
            rewards,
            dict.fromkeys(everybody, False),
            dict.fromkeys(everybody, over),
            {agent: {} for agent in everybody},
        )


class Turns(_Game, AECEnv[str, np.ndarray, Any]):
    """One agent after the other, in the order in which an economy's roles move.

    Where prices are posted, firms move first, and households see their prices. Who moves at the
    same time as others does not see what these have done. Rewards come when all have moved. What
    somebody sees whose turn has not come is what it saw last, and zeros before it has seen
    anything.

    Parameters
    ----------
    economy, policy, roles, **options
        As for :class:`Parallel`.

    Raises
    ------
    ValueError
        If it is not said what the others do, or a value is out of range.

    Examples
    --------
    >>> from lectures_lib.economies import PostedPrice
    >>> env = Turns(PostedPrice(1), horizon=100)
    >>> env.reset(seed=0)
    >>> env.agent_selection, env.possible_agents
    ('firm_0', ['firm_0', 'household_0'])
    """

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode; ``options={"state": state}`` begins in a state of the economy."""
        self._begin(seed, options)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        self._seen = {
            agent: np.zeros(self.observation_spaces[agent].shape, np.float32)
            for agent in self.agents
        }
        self._skip_agent_selection = None
        self._enter(0)

    def _enter(self, stage: int) -> bool:
        """Go on to the next stage in which somebody of the game moves, if there is one."""
        while stage < len(self.stages) and not self.stages[stage]:
            self._move(stage, {})
            stage += 1
        if stage == len(self.stages):
            return False
        self._stage = stage
        self._chosen: dict[str, Any] = {}
        self._seen |= self._look(self.stages[stage])
        self._queue = [a for a, (name, _) in self.members.items() if name in self.stages[stage]]
        self.agent_selection = self._queue[0]
        return True

    def observe(self, agent: str) -> np.ndarray:
        """What an agent sees, or saw last if its turn has not come; float32 (features,)."""
        return self._seen[agent].copy()

    def step(self, action: Any) -> None:
        """What the agent does whose turn it is.

        Raises
        ------
        ValueError
            If it is no number, or not feasible; or no None of an agent whose episode is over.
        """
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        self._chosen[agent] = action
        following = self._queue.index(agent) + 1
        if following < len(self._queue):
            self.agent_selection = self._queue[following]
            return
        self._move(self._stage, self._chosen)
        if not self._enter(self._stage + 1):
            self.rewards = self._settle()
            self._accumulate_rewards()
            self.truncations = dict.fromkeys(self.agents, self._over)
            self._enter(0)
