"""Many small societies that learn at once, each from its own beginning and in its own way.

A cell of a map is a capital stock from which all economies of a run begin, and to which they now
and then return, with a size of exploration, a step size and a first rule. All cells and
seeds of a map are the *runs* of one learner. Runs do not share weights, data or statistics. Their
luck comes from one generator, because four thousand generators take longer to ask than a small
network takes to learn.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from lectures_lib.agents import PPO, Probing
from lectures_lib.agents.world import World, _choose, _first_of_pair
from lectures_lib.economies.base import map_state


class Cells(NamedTuple):
    """What differs between runs, each an array (runs,).

    Attributes
    ----------
    capital : ndarray
        Where economies begin; where it is no number, wherever the economy itself does.
    noise : ndarray
        Multiples of the learner's noise in actions.
    scatter : ndarray
        How far from where economies are they are scattered, half-width in logarithms.
    rate : ndarray
        Multiples of the step that the policy takes.
    guess : ndarray
        Capital that is maintained by what everybody orders before anything is learned.
    seed : ndarray
    """

    capital: np.ndarray
    noise: np.ndarray
    scatter: np.ndarray
    rate: np.ndarray
    guess: np.ndarray
    seed: np.ndarray

    @classmethod
    def grid(cls, capital, seeds, noise=(1.0,), scatter=(0.05,), rate=(1.0,), guess=None) -> Cells:
        """All combinations, seeds fastest; the first guess is the capital that there is."""
        axes = (capital, noise, scatter, rate, (0.0,) if guess is None else guess, seeds)
        every = cls(*(x.ravel() for x in np.meshgrid(*axes, indexing="ij")))
        return every if guess is not None else every._replace(guess=every.capital)


class Beginnings(World):
    """A world whose runs begin in different states."""

    capital: torch.Tensor
    scatter: torch.Tensor
    generator: torch.Generator

    def begin(self, economy, cells, seed) -> None:
        """Begin anew, each run from its own capital."""
        self.capital = torch.as_tensor(cells.capital, dtype=torch.float32)
        scatter = torch.as_tensor(cells.scatter, dtype=torch.float32)
        self.scatter = scatter.reshape(-1, 1, 1, 1, 1)
        self.generator = torch.Generator().manual_seed(seed)
        self.state = self._fresh(economy)

    def draw(self, economy, periods):
        """Shocks of some periods, shape (runs, periods, groups, replicates or 1, ...)."""
        shape = (len(self.capital), periods, self.groups, self._own_luck)
        return economy.draw(shape, self.generator)

    def _fresh(self, economy):
        if not hasattr(self, "capital"):
            return super()._fresh(economy)
        runs = len(self.capital)
        state = economy.reset((runs, self.groups, self._own_luck), self.generator)
        capital = self.capital.reshape(-1, 1, 1, 1, 1).expand_as(state.capital)
        capital = torch.where(capital.isnan(), state.capital, capital)
        return self._expand(state._replace(capital=capital, crowd=capital))

    def restart(self, economy):
        """As in every world, for all runs at once."""
        runs, shape = len(self.capital), (self.groups, self._own_luck)
        state = self.state
        if self.jitter > 0:
            chosen = torch.randint(
                self.replicates, (runs, self.groups, 1), generator=self.generator
            )
            run, group = torch.arange(runs)[:, None, None], torch.arange(self.groups)[:, None]
            state = self._expand(map_state(lambda x: x[run, group, chosen], state))
        new = torch.rand((runs, *shape), generator=self.generator) < self.probability
        state = _choose(new, self._fresh(economy), state)
        if self.jitter > 0:
            state = economy.perturb(state, self.generator, self.scatter)
        return map_state(_first_of_pair, state) if self.paired else state


class InCells:
    """Makes of an actor-critic one whose runs are cells."""

    cells: Cells

    @classmethod
    def on(cls, economy, cells: Cells, config, luck=0):
        """An agent with a run for each cell."""
        agent = cls(economy, seeds=[int(s) for s in cells.seed], device="cpu", config=config)
        agent.cells = cells
        world = agent.world
        world.__class__ = Beginnings
        world.begin(economy, cells, luck)
        agent.shape = (-1, 1, 1, 1, 1, 1)
        agent.multiple = torch.as_tensor(cells.noise, dtype=torch.float32).reshape(agent.shape)
        agent.step_size = torch.as_tensor(cells.rate, dtype=torch.float32)
        unit = economy.roles["household"].to_physical(torch.zeros(())).item() / math.log(2)
        order = economy.delta * cells.guess / unit
        raw = torch.as_tensor(np.log(np.expm1(order)), dtype=torch.float32)
        for learner in agent._each():
            for network in (learner.actor, learner.average):
                network.biases[-1].data += raw.reshape(-1, 1, 1)
        return agent

    def _before(self):
        return [p.detach().clone() for x in self._each() for p in x.actor.parameters()]

    def _scaled_steps(self, before):
        """Steps of the policy in multiples of each run."""
        with torch.no_grad():
            after = [p for x in self._each() for p in x.actor.parameters()]
            for old, new in zip(before, after, strict=True):
                size = self.step_size.reshape(-1, *[1] * (new.dim() - 1))
                new.copy_(old + size * (new - old))

    def improve(self, rollout):
        """As always, with each run's own step size."""
        if (self.step_size == 1).all():
            return super().improve(rollout)
        before = self._before()
        super().improve(rollout)
        self._scaled_steps(before)
        return None


class ProbingCells(InCells, Probing):
    """Probing, where runs are cells."""

    def noise_of(self, name):
        """Size of the probe of each run."""
        return super().noise_of(name) * self.multiple

    def _drawn(self, name, rollout, draw):
        shape = (*rollout.rewards[name].shape[2:], self.economy.roles[name].n_actions)
        full = (len(self.seeds), self.config.horizon, *shape)
        return draw(full, generator=self.world.generator, device=self.device)


class PPOCells(InCells, PPO):
    """PPO, where runs are cells."""

    def noise_of(self, name):
        """Standard deviation of exploration of each run."""
        return super().noise_of(name) * self.multiple

    def _normal(self, shape):
        return torch.randn((len(self.seeds), *shape), generator=self.world.generator)

    def collect(self, state):
        # `collect` multiplies a period's noise, which lacks the dimension of periods.
        whole, self.multiple = self.multiple, self.multiple[:, 0]
        try:
            return super().collect(state)
        finally:
            self.multiple = whole


def motion(policy, economy, grid):
    """Capital after a period if all own the same, (runs, grid)."""
    runs, n = policy.runs, len(grid)
    state = economy.reset((runs, n), torch.Generator().manual_seed(0))
    capital = torch.as_tensor(grid, dtype=torch.float32).reshape(1, n, 1, 1)
    capital = capital.expand_as(state.capital)
    state = state._replace(capital=capital, crowd=capital)
    with torch.no_grad():
        step = economy.step(state, policy(state), economy.no_luck(state))
    return step.state.crowd.squeeze(-1).squeeze(-1).double().numpy()


#: Capital at which a rule is looked up, and periods after which fates are read.
GRID, PERIODS = np.linspace(5.0, 100.0, 381), 1000


def fates(rules, capital, periods=PERIODS):
    """Capital after a while from each run's own beginning, (runs,), by its rule (runs, grid)."""
    step, rows = GRID[1] - GRID[0], np.arange(len(rules))
    capital = np.array(capital, dtype=float)
    for _ in range(periods):
        at = ((capital - GRID[0]) / step).clip(0, len(GRID) - 1.000001)
        place = at.astype(int)
        part = at - place
        capital = (1 - part) * rules[rows, place] + part * rules[rows, place + 1]
    return capital
