"""One household, to the limit: what bounds the precision of a learned rule, one thing at a time.

Each row of `limit` differs from `PRECISE` in the one setting that it is named after, but for that
of Adam: with the optimiser go five more settings, which are the library's own, and its rates were
not tuned again for these short paths. What the last two rows are told no learner could know.
Settings were chosen on seeds from 100 on.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import torch
from scipy.interpolate import CubicSpline

from benchmarks.harness import CALIBRATIONS, solved, swept
from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import Planner
from lectures_lib.economies.capital import SMALLEST_SHARE

from .many import judged
from .one import learn_for

PRECISE = ProbingConfig.precise()
#: How Adam moves weights in the library's own settings: what its row is called, and what it sets.
USUAL_ADAM = "Adam, at its usual rates"
ADAM = {
    name: getattr(ProbingConfig(), name)
    for name in "optimizer policy_rate critic_rate final_rate critic_epochs average".split()
}
#: Processor seconds of a seed, and of one of the rows that differ in one thing.
SECONDS, SHORT = 25, 8
#: Paths on which rules are judged.
PATHS = 256


class Independent(Probing):
    """Whose draws of luck are independent of each other."""

    def collect(self, state):
        rollout = super().collect(state)
        self._ahead = self.world.draw(self.economy, self.config.draws * self.config.horizon)
        return rollout


class ToldTheValue(Probing):
    """Whose critic is the exact value of capital, up to what depends on productivity alone.

    By the envelope theorem a unit of capital is worth what it produces and what is left of it, at
    the cost of making a unit, in units of marginal utility.
    """

    @cached_property
    def worth_of_capital(self):
        economy, exact = self.economy, solved(self.economy)
        grid = torch.linspace(0.5, 4.5, 2001, dtype=torch.float64)
        splines = {}
        for own, z in enumerate(economy.idiosyncratic.values):
            for common, big in enumerate(economy.aggregate.values):
                index = torch.full(grid.shape, own), torch.full(grid.shape, common)
                state = economy.State(grid.exp()[:, None, None], index[0][:, None], index[1])
                info = economy.step(state, exact.policy(state), economy.no_luck(state)).info
                marginal = economy.phi * info["investment"].flatten()
                product = economy.alpha * info["output"].flatten()
                kept = (1 - economy.delta) * grid.exp() * marginal
                utility = info["consumption"].flatten() ** -economy.risk_aversion
                slope = CubicSpline(grid.numpy(), ((product + kept) * utility).numpy())
                splines[z, big] = slope.antiderivative()
        return splines

    def fit_critic(self, rollout):
        """There is nothing to fit."""

    def relative_values(self, name, survey):
        mean, scale = self._critic_standard[name]
        log = (survey.double() / scale + mean).squeeze(-2)
        found = torch.zeros(log.shape[:-1], dtype=torch.float64)
        for (z, big), spline in self.worth_of_capital.items():
            here = (log[..., 1].exp() - z).abs() + (log[..., 2].exp() - big).abs() < 1e-3
            found[here] = torch.from_numpy(spline(log[..., 0][here].numpy()))
        return found.unsqueeze(-1)


class ToldTheRule(Probing):
    """Whose policy is fitted to the exact rule where it goes: what its network can hold."""

    def fit_critic(self, rollout):
        """There is nothing to fit."""

    def _moves(self, name, rollout):
        observations = rollout.observations[name][:, :-1]
        share = solved(self.economy).policy(rollout.states)[name]
        raw = torch.logit((share - SMALLEST_SHARE) / (1 - 2 * SMALLEST_SHARE))
        return observations, raw - self.act(name, observations)


#: What the rows of `limit` change.
CHANGES = {
    "as PRECISE": (Probing, {}),
    "scales that never settle": (Probing, {"settled": 1.0}),
    "luck of the path only": (Probing, {"draws": 0}),
    "5 draws of luck": (Probing, {"draws": 5}),
    "20 independent draws": (Independent, {}),
    USUAL_ADAM: (Probing, ADAM),
    "rates that do not fall": (Probing, {"final_rate": 1.0}),
    "probes of .15 to .03": (Probing, {"noise": (0.15, 0.03)}),
    "lambda of zero": (Probing, {"lam": 0.0}),
    "networks of 24 units a layer": (Probing, {"hidden": (24, 24)}),
    "networks of 96 units a layer": (Probing, {"hidden": (96, 96)}),
    "told the exact value": (ToldTheValue, {}),
    "told the exact rule": (ToldTheRule, {}),
}
#: Learners as they come (see `learners`), but for scales that settle.
SETTLED = {
    "Probing": (Probing, ProbingConfig(settled=PRECISE.settled)),
    "PPO": (PPO, PPOConfig(settled=PRECISE.settled)),
}


def run(make, config, economy, seconds, seed):
    """Train once and judge."""

    def configured(*arguments, **keywords):
        return make(*arguments, config=config, **keywords)

    policy, steps, took = learn_for(configured, seconds, economy, seed)
    done = {"seed": seed, "steps": steps, "seconds": took}
    return judged(policy, economy, PATHS, **done)[0]


def _cells(rows, economy, seconds):
    common = {"economy": economy, "seconds": seconds}
    return {
        name: {"make": make, "config": config} | common for name, (make, config) in rows.items()
    }


def precise(seeds=5):
    """One household with `PRECISE` settings, in two calibrations."""
    economies = {name: Planner(**CALIBRATIONS[name]) for name in ("paper", "other")}
    for name, economy in economies.items():
        cells = _cells({name: (Probing, PRECISE)}, economy, SECONDS)
        yield from swept(run, cells, range(seeds))


def settled(seeds=5):
    """The same seconds for the learners of `learners`, with scales that settle."""
    yield from swept(run, _cells(SETTLED, Planner(), SECONDS), range(seeds))


def limit(seeds=3):
    """What each part of `PRECISE` does for it, in runs of a third of the length."""
    rows = {name: (make, replace(PRECISE, **changes)) for name, (make, changes) in CHANGES.items()}
    yield from swept(run, _cells(rows, Planner(), SHORT), range(seeds))


PARTS = {f.__name__: f for f in (precise, settled, limit)}
