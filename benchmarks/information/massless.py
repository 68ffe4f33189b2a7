"""The value of information to a household without mass, found in two ways.

Both take the price as the population that has learned makes it. The first way is the library's
(:func:`~lectures_lib.evaluation.value_of_information`): Newton's method on simulated paths. The
second shares nothing with it but the paths and the shape of rules: it parameterises expectations.
A household that does not move prices spends until

.. math:: u'(C_t) = E[\\beta W_{t+1}/p_t], \\qquad
          W_t = u'(C_t)\\,\\alpha Y_t/k_t + \\beta(1-\\delta) W_{t+1},

with :math:`E` given what it sees. Realised :math:`\\beta W_{t+1}/p_t` along its own paths is
regressed on what it sees, consumption follows, and so do new paths, until nothing changes. The
value is what the uninformed rule loses, state by state, to the informed one: by what it consumes
(`from consumption`), and because a machine is worth less to who has more, for which the slope of
the estimated marginal value is taken numerically.
"""

from __future__ import annotations

import torch

from benchmarks.harness import timed
from lectures_lib.economies import Market
from lectures_lib.evaluation import initial_states, simulate, value_of_information
from lectures_lib.evaluation.best_response import Look
from lectures_lib.evaluation.views import HouseholdView, OwnView

from .cells import learn

PATHS, PERIODS, ROUNDS, DAMPING = 384, 260, 14, 0.5
#: Periods at the end whose later marginal values are not on the paths.
LAST = 60


class Expectations:
    """Rules of a massless household whose expectations are regressions, by parameterised paths.

    Parameters
    ----------
    policy : callable
        What the population does, in `economy`, whose households are massless.
    economy : Market
    seed : int
    household : int
    """

    def __init__(self, policy, economy, seed, household=5):
        self.economy, self.household = economy, household
        start = initial_states(policy, economy, PATHS, seed)
        state = simulate(policy, economy, start, 301, seed + 1, first=300).states[0]
        self.states, price = [], []
        generator = torch.Generator().manual_seed(seed + 2)
        for _ in range(PERIODS):
            actions = {name: a.double() for name, a in policy(state).items()}
            shocks = economy.draw((PATHS,), generator, torch.float64)
            step = economy.step(state, actions, shocks)
            self.states.append(state)
            price.append(step.info["price"].squeeze(-1))
            state = step.state
        self.price = torch.stack(price)
        self.looks = {
            "informed": self.look(HouseholdView(economy, household)),
            "uninformed": self.look(OwnView(economy, "uninformed", 0)),
        }

    def look(self, view):
        flat = type(self.states[0])(*(torch.cat(x) for x in zip(*self.states, strict=True)))
        return Look(view, flat)

    def at(self, t, capital):
        """The state of period t if the household owns this (paths,)."""
        all_of_it = self.states[t].capital.clone()
        all_of_it[:, self.household, 0] = capital
        return self.states[t]._replace(capital=all_of_it)

    def paths(self, look, rule):
        """Features, capital, output and consumption under a rule; (periods, paths, ...)."""
        e, found = self.economy, []
        capital = self.states[0].capital[:, self.household, 0]
        for t in range(PERIODS):
            state = self.at(t, capital)
            features, output = look(state), e.output(state)[:, self.household]
            wanted = (features @ rule).exp()
            consumption = torch.minimum(wanted, 0.999 * output)
            found.append((features, capital, output, consumption))
            capital = e.next_capital(capital, (output - consumption) / self.price[t])
        return [torch.stack(x) for x in zip(*found, strict=True)]

    def worth(self, capital, output, consumption):
        """Realised marginal values of capital (periods, paths)."""
        e = self.economy
        now = e.alpha * output / (capital * consumption)
        later = now[-1] / (1 - e.beta * e.survival)
        found = []
        for t in reversed(range(PERIODS)):
            later = now[t] + e.beta * e.survival * later
            found.append(later)
        return torch.stack(found[::-1])

    def solve(self, who):
        """The rule of who sees so much, and by how much its last round has changed log
        consumption."""
        look, used = self.looks[who], slice(0, PERIODS - LAST)
        first = torch.stack([look(s) for s in self.states]).flatten(0, 1)
        output = torch.stack([self.economy.output(s)[:, self.household] for s in self.states])
        rule = _fit(first, (0.8 * output).flatten())
        for _ in range(ROUNDS):
            features, capital, output, consumption = self.paths(look, rule)
            value = self.worth(capital, output, consumption)
            marginal = self.economy.beta * value[1:] / self.price[:-1]
            x = features[used].flatten(0, 1)
            new = -_fit(x, marginal[used].flatten())
            change = (x @ (new - rule)).square().mean().sqrt().item()
            rule = rule + DAMPING * (new - rule)
        return rule, change

    def value(self) -> dict:
        """What the uninformed rule loses, as a share of consumption, and why."""
        rules = {who: self.solve(who) for who in self.looks}
        features, capital, output, consumption = self.paths(
            self.looks["uninformed"], rules["uninformed"][0]
        )
        e, look = self.economy, self.looks["informed"]
        seen = torch.stack([look(self.at(t, capital[t])) for t in range(PERIODS)])
        better = torch.minimum((seen @ rules["informed"][0]).exp(), 0.999 * output)
        d = (consumption / better).log()
        # How the marginal value of capital falls in capital: along the informed rule's own paths.
        features, own, output, eaten = self.paths(look, rules["informed"][0])
        used = slice(0, PERIODS - LAST)
        worth = _fit(features[used].flatten(0, 1), self.worth(own, output, eaten)[used].flatten())
        more = torch.stack([look(self.at(t, 1.01 * capital[t])) for t in range(PERIODS)])
        value = (seen @ worth).exp()
        slope = (value - (more @ worth).exp()) / (0.01 * capital)
        lost = d.expm1() - d
        bent = e.beta * slope * ((consumption - better) / self.price).square() / 2
        return {
            "value": 100 * (lost + bent)[used].mean().item(),
            "from consumption": 100 * lost[used].mean().item(),
            "gap": d[used].std().item(),
            "last change": max(change for _, change in rules.values()),
        }


def _fit(features, y):
    """Weights with which exp(features @ weights) is the conditional mean of y."""
    weights = torch.linalg.lstsq(features, y.log().unsqueeze(-1)).solution[:, 0]
    for _ in range(3):
        mean = (features @ weights).exp()
        scaled = features * mean.sqrt().unsqueeze(-1)
        right = (y - mean) / mean.sqrt()
        weights = weights + torch.linalg.lstsq(scaled, right.unsqueeze(-1)).solution[:, 0]
    return weights


def massless(seeds=3, first=0):
    """A household without mass in the populations of the paper's calibration, in two ways."""
    agent, _ = learn(Market(10, n_uninformed=5), range(first, first + seeds))
    economy = Market(10, n_uninformed=5, atomistic=True)
    for i, seed in enumerate(agent.seeds):
        policy = agent.policy[i].on(economy)
        newton, seconds = timed(value_of_information, policy, economy, paths=32)
        rows = {
            "value": 100 * newton.ergodic_value,
            "value_error": 100 * newton.ergodic_standard_error,
            "seconds": seconds,
        }
        yield f"Newton, seed {seed}", {k: float(f"{x:.4g}") for k, x in rows.items()}
        found, seconds = timed(Expectations(policy, economy, 11 + seed).value)
        rows = found | {"seconds": seconds}
        yield f"expectations, seed {seed}", {k: float(f"{x:.4g}") for k, x in rows.items()}


PARTS = {"massless": massless}
