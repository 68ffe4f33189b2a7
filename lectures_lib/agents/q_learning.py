"""Q-learning with a table (Watkins and Dayan 1992), many independent learners at once.

Chapter *Q-learning* explains each part of this file and of its loop (`q_loops.py`). A learner walks
through a finite economy, and after each step moves one entry of its table:

    Q(s, a)  <-  Q(s, a) + alpha_n [r + beta max_a' Q(s', a') - Q(s, a)]

where n counts the visits of the pair (s, a), this one included. The loop is compiled by numba and
runs over learners in parallel; each has its own random numbers, so that neighbours do not matter.

In a game every player has a table of its own, and all learn at the same time, each from its own
payoffs (chapter *Algorithmic collusion*).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..device import resolve_device
from ..economies.base import Economy
from ..economies.game_tables import GameTables
from ..memory import require_memory
from ..parameters import Parameters, entered, require
from .base import COPIES, Agent
from .config import geometric
from .q_loops import run_learners, run_players
from .table_policy import TablePolicy
from .watched import Watched

EXPLORATIONS = ("epsilon-greedy", "boltzmann", "optimistic")
STEP_SIZES = ("constant", "1/n", "polynomial")
# States from which the economy begins, drawn once and the same for all learners.
STARTS = 4096
# Step sizes are looked up in a table up to this many visits of a pair (32 MB), and computed beyond.
LARGEST_TABLE = 2**22
# Of choices that a player lacks beside others who have more: finite, as all that is remembered.
LACKING = -1e300
#: A first table in which others are expected to choose at random, for ever.
AT_RANDOM = "others at random"


@dataclass(frozen=True)
class QLearningConfig(Parameters):
    """Settings of :class:`QLearning`. Pairs are values at the start and at the end of learning."""

    steps: int = 1_000_000
    """Updates per learner that `learn` makes by default; each is one step in the economy."""
    updates: int = 1_000
    """Updates per iteration. Schedules move, and records can be made, from one to the next; threads
    wait for each other in between, so that thousands are faster when there are several."""
    exploration: str = "epsilon-greedy"
    """``"epsilon-greedy"``: mostly the action with the highest Q, sometimes any. ``"boltzmann"``:
    each with a probability proportional to exp(Q / temperature). ``"optimistic"``: always the
    highest Q, which at first is too high everywhere."""
    epsilon: tuple[float, float] = (0.5, 0.5)
    """Probability of an action at random; it moves linearly. For epsilon-greedy only."""
    temperature: tuple[float, float] = (0.1, 0.001)
    """In units of Q; it falls geometrically. For Boltzmann exploration only."""
    decay: float | None = None
    """Epsilon or temperature begins at its first value and is multiplied by exp(-decay) after every
    period (every iteration's periods, where there is one agent), however long learning is to take,
    until it has come down to its second value."""
    initial_value: float | str | None = None
    """All entries of the first table. None stands for zero, and with optimistic exploration for
    the value of the highest payoff for ever, which no plan can exceed. With ``"others at random"``
    they are each choice's mean payoff against others who choose at random, for ever."""
    stop_after: int | None = None
    """Periods without a change of any player's best choice in any state after which a run of a game
    is over, and learning when all are; None for as long as told."""
    step_size: str = "polynomial"
    """``"constant"``: alpha_n = rate. ``"1/n"``. ``"polynomial"``: alpha_n = n**-power."""
    rate: float = 0.1
    """The constant step size, in (0, 1]."""
    power: float = 0.8
    """The polynomial's power; Robbins and Monro's conditions hold if it is in (1/2, 1]."""
    restart: float = 1.0
    """Probability after each step that the economy begins anew. With one, each step is a trial of
    its own and all states are tried; with zero, the learner lives through one long path."""

    def __post_init__(self):
        for name in ("steps", "updates"):
            value = getattr(self, name)
            require(value >= 1, name, value, "a whole number of at least 1")
        for name, choices in (("exploration", EXPLORATIONS), ("step_size", STEP_SIZES)):
            value = getattr(self, name)
            require(value in choices, name, value, f"one of {choices}")
        good = len(self.epsilon) == 2 and all(0 <= x <= 1 for x in self.epsilon)
        require(good, "epsilon", self.epsilon, "two numbers in [0, 1], start and end")
        good = len(self.temperature) == 2 and all(0 < x < math.inf for x in self.temperature)
        require(good, "temperature", self.temperature, "two positive numbers, start and end")
        first = self.initial_value
        if not (first is None or isinstance(first, str)):
            first = entered("initial_value", first, float)
            object.__setattr__(self, "initial_value", first)
        good = first in (None, AT_RANDOM) or (isinstance(first, float) and math.isfinite(first))
        require(good, "initial_value", first, f"a finite number, {AT_RANDOM!r} or None")
        good = self.decay is None or 0 <= self.decay < math.inf
        require(good, "decay", self.decay, "a number of at least 0, or None")
        good = self.stop_after is None or self.stop_after >= 1
        require(good, "stop_after", self.stop_after, "a whole number of at least 1, or None")
        require(0 < self.rate <= 1, "rate", self.rate, "a number in (0, 1]")
        require(0 < self.power < math.inf, "power", self.power, "a positive number")
        require(0 <= self.restart <= 1, "restart", self.restart, "a number in [0, 1]")

    @classmethod
    def calvano(cls, rate: float = 0.15, decay: float = 4e-6, **settings) -> QLearningConfig:
        """Settings of Calvano, Calzolari, Denicolò and Pastorello (2020).

        The `rate` is the paper's alpha, and the `decay` its beta. Of several best choices the first
        is taken; all players choose, and learn, at the same time.
        """
        paper: dict[str, Any] = {
            "steps": 1_000_000_000,
            "updates": 100_000,
            "epsilon": (1.0, 0.0),
            "initial_value": AT_RANDOM,
            "stop_after": 100_000,
            "step_size": "constant",
            "restart": 0.0,
        }
        return cls(**(paper | {"rate": rate, "decay": decay} | settings))

    def alpha(self, n: np.ndarray) -> np.ndarray:
        """Step size at the n-th visit of a pair, n = 1, 2, ..."""
        n = np.asarray(n, dtype=float)
        if self.step_size == "constant":
            return np.full_like(n, self.rate)
        return n ** -(1.0 if self.step_size == "1/n" else self.power)


class _Arrays:
    """All that learning changes, as a part that can be saved."""

    def __init__(self, **arrays: np.ndarray):
        vars(self).update(arrays)

    def state_dict(self):
        # torch's files know no unsigned integers.
        return {
            name: torch.from_numpy(x.view(np.int64) if x.dtype == np.uint64 else x)
            for name, x in vars(self).items()
        }

    def load_state_dict(self, stored):
        for name, x in vars(self).items():
            x[...] = stored[name].cpu().numpy().view(x.dtype)


class QLearning(Agent):
    """Tabular Q-learning for an economy with finitely many states and actions.

    Parameters
    ----------
    economy : Economy
        With `tables()`, from which rewards and successors are drawn, and `index(state)`. In a game
        (:class:`~lectures_lib.economies.GameTables`) every player learns, with a table of its own.
    seed, seeds
        As for every :class:`Agent`; thousands of seeds learn at once, on all threads of numba.
    device : str or torch.device
        Accepted for the common interface; a table is always learned on the CPU.
    config : QLearningConfig, optional

    Raises
    ------
    TypeError
        If the economy is not finite.

    Notes
    -----
    Of several best actions the first is taken, when the learner acts as in its `policy`.

    There is no `shared` or `central_critic` to set: the state of a game says who has done what, so
    that players who share a table would have to be in the same place of it.

    Examples
    --------
    >>> from lectures_lib.economies import Monopolist
    >>> agent = QLearning(Monopolist(), seeds=range(3))
    >>> _ = agent.learn(10_000, show_progress=False)
    >>> agent.q_values.shape
    (3, 24, 11)
    """

    config_class = QLearningConfig

    def __init__(self, economy: Economy, *, device="auto", **options):
        resolve_device(device)
        super().__init__(economy, device="cpu", **options)

    def _build(self):
        missing = [n for n in ("tables", "index") if not hasattr(self.economy, n)]
        if missing:
            raise TypeError(
                f"{type(self.economy).__name__} has no {missing[0]}(): QLearning needs an economy "
                "with finitely many states and actions, such as Monopolist()."
            )
        tables = self.economy.tables()
        self._in_game = isinstance(tables, GameTables)
        sizes = tables.n_actions if self._in_game else (tables.n_actions,)
        shape = (len(self.seeds), *[len(sizes)] * self._in_game, tables.n_states, max(sizes))
        require_memory(
            # Values and visits, and the copies that learning can return to.
            COPIES * 16 * math.prod(shape),
            "cpu",
            f"tables of {len(self.seeds):,} learners, {tables.n_states:,} states and "
            f"{max(sizes):,} actions",
            "take fewer seeds at once, or a coarser economy",
        )
        self._starts = self._first_states(tables.n_states)

        def draw(high):
            return self.streams.stack(lambda _, g: torch.randint(high, (), generator=g)).numpy()

        arrays = {
            "q": np.empty(shape),
            "visits": np.zeros(shape, dtype=np.int64),
            "state": self._starts[draw(STARTS)],
            "random": draw(2**63 - 1).astype(np.uint64),
        }
        arrays["q"][:] = self._first_table(tables)
        if self._in_game:
            self._choices = tables.actions
            strides = np.cumprod((1, *sizes[:0:-1]))[::-1]
            self._world = (
                tables.payoffs,
                tables.successors,
                tables.probabilities.cumsum(-1),
                np.array(sizes),
                np.ascontiguousarray(strides),
                self._starts,
                np.array(tables.discounts),
            )
            arrays["best"] = arrays["q"].argmax(-1)
            arrays["unchanged"] = np.zeros(len(self.seeds), dtype=np.int64)
            arrays["periods"] = np.zeros(len(self.seeds), dtype=np.int64)
        else:
            self._choices = tables.actions
            outcomes = _outcomes(tables.transitions)
            self._world = (tables.payoffs, *outcomes, self._starts, tables.discount)
        self._arrays = _Arrays(**arrays)
        self._alphas = np.empty(0)

    def _first_states(self, n_states):
        """Rows of the tables in which the economy may begin."""
        generator = torch.Generator().manual_seed(0)
        # What is not finite has no place in tables, and would be given one.
        first_states = Watched(self.economy).reset((STARTS,), generator)
        starts = self.economy.index(first_states).numpy()
        # The compiled loop looks entries up without asking whether they are there.
        require(
            starts.min() >= 0 and starts.max() < n_states,
            f"{type(self.economy).__name__}.index(state)",
            (int(starts.min()), int(starts.max())),
            f"rows of its tables, from 0 to {n_states - 1}",
        )
        return starts

    def _first_table(self, tables):
        """Values, in a game (players, states, choices): choices that a player lacks come last."""
        c = self.config
        first = 0.0 if c.initial_value is None else c.initial_value
        if not self._in_game:
            for_ever = 1 / (1 - tables.discount)
            if c.initial_value is None and c.exploration == "optimistic":
                first = tables.payoffs.max() * for_ever
            return tables.payoffs * for_ever if first == AT_RANDOM else first
        sizes, n = tables.n_actions, tables.n_states
        table = np.full((len(sizes), n, max(sizes)), LACKING)
        for i, (size, discount) in enumerate(zip(sizes, tables.discounts, strict=True)):
            worth = first
            payoffs = tables.payoffs[..., i]
            if c.initial_value is None and c.exploration == "optimistic":
                worth = payoffs.max() / (1 - discount)
            elif first == AT_RANDOM:
                mean = (tables.probabilities * payoffs).sum(-1).reshape(n, *sizes)
                others = tuple(1 + j for j in range(len(sizes)) if j != i)
                worth = mean.mean(others) / (1 - discount)
            table[i, :, :size] = worth
        return table

    def _parts(self):
        return {"tables": self._arrays}

    @property
    def steps_per_iteration(self):
        """Updates of each learner in an iteration, one for each step in the economy."""
        return self.config.updates

    @property
    def finished(self) -> bool:
        """Whether no run has changed its mind for as long as the config's `stop_after`."""
        after = self.config.stop_after
        return self._in_game and after is not None and self._arrays.unchanged.min() >= after

    @property
    def q_values(self) -> np.ndarray:
        """The tables so far, in units of discounted reward.

        Of shape (runs, states, actions), in a game (runs, players, states, choices).
        """
        return self._arrays.q.copy()

    @property
    def visits(self) -> np.ndarray:
        """How often each pair has been visited, of the shape of `q_values`."""
        return self._arrays.visits.copy()

    @property
    def choices(self) -> np.ndarray:
        """In a game, each player's first best choice, shape (runs, states, players)."""
        return self._arrays.q.argmax(-1).swapaxes(1, 2)

    @property
    def states(self) -> np.ndarray:
        """The row of the tables in which each run is, shape (runs,)."""
        return self._arrays.state.copy()

    @property
    def periods(self) -> np.ndarray:
        """In a game, how many periods each run has learned until it was over, shape (runs,)."""
        return self._arrays.periods.copy()

    @property
    def policy(self):
        """The action with the highest Q, without exploration (a copy)."""
        if self._in_game:
            pairs = zip(self._choices, np.moveaxis(self.choices, -1, 0), strict=True)
            table = np.stack([np.array(actions)[chosen] for actions, chosen in pairs], -1)
        else:
            table = self._choices[self._arrays.q.argmax(-1)]
        return TablePolicy(self.economy, table[0] if self.runs is None else table)

    def iterate(self):
        c, x = self.config, self._arrays
        soft = c.exploration == "boltzmann"
        self._extend_table(x.visits.max() + c.updates + 1)
        power = {"constant": 0.0, "1/n": 1.0, "polynomial": c.power}[c.step_size]
        alphas = (self._alphas, power)
        first, factor, last = self._levels(soft)
        if self._in_game:
            arrays = (x.q, x.visits, x.best, x.state, x.random, x.unchanged)
            stop_after = 2**62 if c.stop_after is None else c.stop_after
            how = (c.updates, soft, (first, factor, last), c.restart, alphas, stop_after)
            rewards, taken = run_players(*arrays, self._world, *how)
            x.periods += taken
            return self._by_role(torch.from_numpy(rewards))
        arrays = (x.q, x.visits, x.state, x.random)
        rewards = run_learners(*arrays, self._world, c.updates, soft, first, c.restart, alphas)
        (name,) = self.economy.roles
        return {f"{name} reward": torch.from_numpy(rewards)}

    def _levels(self, soft):
        """Exploration in the next period, by what it is multiplied after each, and its least."""
        c = self.config
        if c.exploration == "optimistic":
            return 0.0, 1.0, 0.0
        first, last = c.temperature if soft else c.epsilon
        if c.decay is not None:
            return max(first * math.exp(-c.decay * self.steps), last), math.exp(-c.decay), last
        if soft:
            return geometric(c.temperature, self.progress), 1.0, 0.0
        return first + (last - first) * self.progress, 1.0, 0.0

    def _by_role(self, rewards):
        """Mean rewards of each role's agents, from those of all players (runs, players)."""
        found, begin = {}, 0
        for name, role in self.economy.roles.items():
            found[f"{name} reward"] = rewards[:, begin : begin + role.n_agents].mean(-1)
            begin += role.n_agents
        return found

    def _extend_table(self, needed):
        """Tabulate step sizes so far that `needed` visits find theirs, or as far as allowed."""
        c = self.config
        longest = 2 if c.step_size == "constant" else LARGEST_TABLE
        if len(self._alphas) < min(needed, longest):
            visits = np.arange(1, min(2 * needed, longest))
            self._alphas = np.concatenate([[np.nan], c.alpha(visits)])


def _outcomes(transitions):
    """Successors and their cumulative probabilities, (states, actions, largest number of them)."""
    most = (transitions > 0).sum(-1).max()
    # Sorting by "impossible" brings the possible successors to the front, in their order.
    successors = np.argsort(transitions <= 0, axis=-1, kind="stable")[..., :most]
    return successors, np.take_along_axis(transitions, successors, -1).cumsum(-1)
