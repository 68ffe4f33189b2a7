"""Q-learning with a table (Watkins and Dayan 1992), many independent learners at once.

Chapter *Q-learning* explains each part of this file. A learner walks through a finite economy,
and after each step moves one entry of its table:

    Q(s, a)  <-  Q(s, a) + alpha_n [r + beta max_a' Q(s', a') - Q(s, a)]

where n counts the visits of the pair (s, a), this one included. The loop is compiled by numba and
runs over learners in parallel; each has its own random numbers, so that neighbours do not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from ..device import resolve_device
from ..economies.base import Economy, require_economy
from ..memory import require_memory
from ..parameters import Parameters, require
from .base import COPIES, Agent
from .config import geometric
from .policy import which_run
from .watched import Watched

EXPLORATIONS = ("epsilon-greedy", "boltzmann", "optimistic")
STEP_SIZES = ("constant", "1/n", "polynomial")
# States from which the economy begins, drawn once and the same for all learners.
STARTS = 4096
# Step sizes are looked up in a table up to this many visits of a pair (32 MB), and computed beyond.
LARGEST_TABLE = 2**22
# Constants of splitmix64 (Steele, Lea and Flood 2014).
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_1, SHIFT_2, SHIFT_3, SHIFT_4 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


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
    initial_value: float | None = None
    """All entries of the first table. None stands for zero, and with optimistic exploration for
    the value of the highest payoff for ever, which no plan can exceed."""
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
        good = self.initial_value is None or math.isfinite(self.initial_value)
        require(good, "initial_value", self.initial_value, "a finite number or None")
        require(0 < self.rate <= 1, "rate", self.rate, "a number in (0, 1]")
        require(0 < self.power < math.inf, "power", self.power, "a positive number")
        require(0 <= self.restart <= 1, "restart", self.restart, "a number in [0, 1]")

    def alpha(self, n: np.ndarray) -> np.ndarray:
        """Step size at the n-th visit of a pair, n = 1, 2, ..."""
        n = np.asarray(n, dtype=float)
        if self.step_size == "constant":
            return np.full_like(n, self.rate)
        return n ** -(1.0 if self.step_size == "1/n" else self.power)


# ---------------------------------------------------------------------- the compiled loop
# Functions take a table and a row, not the row itself: a view of an array is slow to make.
@njit(cache=True)
def uniform(stream):
    """The next number in [0, 1): splitmix64, whose state is one integer."""
    stream[0] += GOLDEN
    z = stream[0]
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return ((z ^ (z >> SHIFT_3)) >> SHIFT_4) * 2.0**-53


@njit(cache=True)
def greedy(q, s):
    """The action with the highest Q in state s, the first of several."""
    best = 0
    top = q[s, 0]
    for a in range(1, q.shape[1]):
        if q[s, a] > top:
            best, top = a, q[s, a]
    return best


@njit(cache=True)
def highest(q, s):
    """The highest Q in state s."""
    top = q[s, 0]
    for a in range(1, q.shape[1]):
        top = max(top, q[s, a])
    return top


@njit(cache=True)
def epsilon_greedy(q, s, epsilon, stream):
    """Any action with probability epsilon, otherwise the best."""
    if uniform(stream) < epsilon:
        return int(uniform(stream) * q.shape[1])
    return greedy(q, s)


@njit(cache=True)
def boltzmann(q, s, temperature, stream, weights):
    """Each action with a probability proportional to exp(Q / temperature)."""
    top, total = highest(q, s), 0.0
    for a in range(q.shape[1]):
        weights[a] = math.exp((q[s, a] - top) / temperature)
        total += weights[a]
    left = uniform(stream) * total
    for a in range(q.shape[1] - 1):
        left -= weights[a]
        if left < 0:
            return a
    return q.shape[1] - 1


@njit(cache=True)
def step_size(alphas, n):
    """The step size at the n-th visit of a pair.

    `alphas` are a table, with the n-th in place n, and a power: beyond the table, step sizes are
    n**-power, or those of its last place if the power is zero.
    """
    table, power = alphas
    if n < len(table):
        return table[n]
    return table[-1] if power == 0.0 else float(n) ** -power


@njit(cache=True)
def outcome(cumulative, s, a, u):
    """How many of the cumulative probabilities, the last apart, u has passed."""
    k = 0
    for j in range(cumulative.shape[2] - 1):
        k += u >= cumulative[s, a, j]
    return k


@njit(cache=True, parallel=True)
def run_learners(
    q,
    visits,
    state,
    random,
    world,
    updates,
    soft,
    level,
    restart,
    alphas,
):
    """Make updates in place.

    Parameters
    ----------
    q, visits : ndarray, shape (runs, states, actions)
    state, random : ndarray, shape (runs,)
        Where each learner is, and the state of its random numbers.
    world : tuple
        Payoffs (states, actions); successors and their cumulative probabilities (states, actions,
        outcomes); states from which the economy begins; discount factor.
    updates : int
    soft : bool
        Boltzmann exploration with temperature `level`, otherwise epsilon-greedy with epsilon
        `level`.
    level, restart : float
    alphas : tuple
        What :func:`step_size` needs.

    Returns
    -------
    ndarray, shape (runs,)
        Each learner's mean reward.
    """
    payoffs, successors, cumulative, starts, discount = world
    rewards = np.zeros(len(q))
    for i in prange(len(q)):
        table, count, stream = q[i], visits[i], random[i : i + 1]
        weights = np.empty(table.shape[1])
        s, total = state[i], 0.0
        for _ in range(updates):
            if soft:
                a = boltzmann(table, s, level, stream, weights)
            else:
                a = epsilon_greedy(table, s, level, stream)
            r = payoffs[s, a]
            drawn = outcome(cumulative, s, a, uniform(stream))
            following = successors[s, a, drawn]
            count[s, a] += 1
            target = r + discount * highest(table, following)
            step = step_size(alphas, count[s, a])
            table[s, a] += step * (target - table[s, a])
            total += r
            s = following
            if uniform(stream) < restart:
                s = starts[int(uniform(stream) * len(starts))]
        state[i], rewards[i] = s, total / updates
    return rewards


# ---------------------------------------------------------------------- the agent
class TablePolicy:
    """A rule for a finite economy: what to do in the table's state nearest to a state.

    Parameters
    ----------
    economy : Economy
        With `index(state)`, which finds the nearest state.
    table : ndarray, shape (runs, states) or (states,)
        Actions in physical units; without runs, states of any batch shape are taken.
    """

    def __init__(self, economy: Economy, table: np.ndarray):
        require_economy(economy)
        self.economy: Any = economy  # one that numbers its states: `index`
        self.table = np.array(table, dtype=float)
        if self.table.ndim not in (1, 2):
            raise ValueError(
                f"table has shape {self.table.shape}: expected (states,) or (runs, states)."
            )
        self.runs = len(self.table) if self.table.ndim == 2 else None

    def __getitem__(self, run: int) -> TablePolicy:
        """The policy of one run."""
        return TablePolicy(self.economy, self.table[which_run(run, self.runs)])

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """The role's action (*batch, 1, 1), of the type and on the device of the state."""
        actions = dict(moved or {})
        (name,) = self.economy.roles
        if name in actions:
            return actions
        self.economy.check_form(state)
        table = torch.from_numpy(self.table).to(self.economy.zeros(state))
        index = self.economy.index(state)
        if index.numel() and index.max() >= table.shape[-1]:
            raise ValueError(
                f"the table has {table.shape[-1]} states, and this is number {index.max()} of "
                f"{self.economy!r}, counted from 0: a table has an action for each state."
            )
        if self.runs is None:
            chosen = table[index]
        elif index.dim() == 0 or len(index) != self.runs:
            raise ValueError(
                f"this policy has {self.runs} runs, so states need a first dimension of "
                f"{self.runs}; got {tuple(index.shape)}. Take policy[i] for a single run."
            )
        else:
            chosen = table.gather(1, index.reshape(self.runs, -1)).reshape(index.shape)
        actions[name] = chosen[..., None, None]
        return actions


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
        With `tables()`, from which rewards and successors are drawn, and `index(state)`.
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

    A finite economy with `tables()` is one agent's problem, so that there is no `shared` or
    `central_critic` to set: nobody is there to share a table with, and the table knows the state.

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
        c, tables = self.config, self.economy.tables()
        entries = len(self.seeds) * tables.n_states * tables.n_actions
        require_memory(
            # Values and visits, and the copies that learning can return to.
            COPIES * 16 * entries,
            "cpu",
            f"tables of {len(self.seeds):,} learners, {tables.n_states:,} states and "
            f"{tables.n_actions:,} actions",
            "take fewer seeds at once, or a coarser economy",
        )
        generator = torch.Generator().manual_seed(0)
        # What is not finite has no place in tables, and would be given one.
        first_states = Watched(self.economy).reset((STARTS,), generator)
        starts = self.economy.index(first_states).numpy()
        # The compiled loop looks entries up without asking whether they are there.
        require(
            starts.min() >= 0 and starts.max() < tables.n_states,
            f"{type(self.economy).__name__}.index(state)",
            (int(starts.min()), int(starts.max())),
            f"rows of its tables, from 0 to {tables.n_states - 1}",
        )
        self._choices = tables.actions
        self._world = (tables.payoffs, *_outcomes(tables.transitions), starts, tables.discount)
        first = 0.0 if c.initial_value is None else c.initial_value
        if c.initial_value is None and c.exploration == "optimistic":
            first = tables.payoffs.max() / (1 - tables.discount)
        shape = (len(self.seeds), tables.n_states, tables.n_actions)

        def draw(high):
            return self.streams.stack(lambda _, g: torch.randint(high, (), generator=g)).numpy()

        self._arrays = _Arrays(
            q=np.full(shape, first, dtype=float),
            visits=np.zeros(shape, dtype=np.int64),
            state=starts[draw(STARTS)],
            random=draw(2**63 - 1).astype(np.uint64),
        )
        self._alphas = np.empty(0)

    def _parts(self):
        return {"tables": self._arrays}

    @property
    def steps_per_iteration(self):
        """Updates of each learner in an iteration, one for each step in the economy."""
        return self.config.updates

    @property
    def q_values(self) -> np.ndarray:
        """The tables so far, shape (runs, states, actions), in units of discounted reward."""
        return self._arrays.q.copy()

    @property
    def visits(self) -> np.ndarray:
        """How often each pair has been visited, shape (runs, states, actions)."""
        return self._arrays.visits.copy()

    @property
    def policy(self):
        """The action with the highest Q, without exploration (a copy)."""
        table = self._choices[self._arrays.q.argmax(-1)]
        return TablePolicy(self.economy, table[0] if self.runs is None else table)

    def iterate(self):
        c, x = self.config, self._arrays
        soft = c.exploration == "boltzmann"
        level = 0.0
        if soft:
            level = geometric(c.temperature, self.progress)
        elif c.exploration == "epsilon-greedy":
            first, last = c.epsilon
            level = first + (last - first) * self.progress
        self._extend_table(x.visits.max() + c.updates + 1)
        power = {"constant": 0.0, "1/n": 1.0, "polynomial": c.power}[c.step_size]
        alphas = (self._alphas, power)
        arrays = (x.q, x.visits, x.state, x.random)
        rewards = run_learners(*arrays, self._world, c.updates, soft, level, c.restart, alphas)
        (name,) = self.economy.roles
        return {f"{name} reward": torch.from_numpy(rewards)}

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
