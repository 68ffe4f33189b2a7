"""Exercises of the planner: 1, 4 and 100 households; whose credit; many goods.

Parts of `exercises.py`. Three seeds train at once. The seconds of a row are the processor seconds
that one of them needs by itself: its iterations, times the seconds of an iteration of a single run
(the fastest of five blocks, because a busy machine makes a processor slower). Settings were tuned
on the paper's calibration, on another seed than those of the table.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from unittest.mock import patch

from record import seconds_per_iteration

from lectures_lib import networks
from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import Market, Planner
from lectures_lib.evaluation import evaluate
from lectures_lib.solvers import markov_perfect, solve

SEEDS = (0, 1, 2)
OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}
#: Paths on which policies are judged; fewer where a path has a hundred stocks, or a game is solved.
PATHS, FEW_PATHS, GAME_PATHS = 192, 48, 24

BY_PPO = PPOConfig(
    policy_rate=1.5e-2,
    policy_epochs=2,
    horizon=16,
    noise=(0.37, 0.07),
    average=0.99,
    paired_starts=True,
)
BY_PROBING = ProbingConfig(policy_rate=2e-2, horizon=16, noise=(0.3, 0.08), average=0.99)
# Fewer returns to the initial distribution, more time where decisions are made in the long run.
FOUR = replace(BY_PROBING, restart=0.1)
# A state with a hundred households holds a hundred examples of a household, but only one of what
# all should do together. Hence short paths from many states, and smaller steps.
HUNDRED = replace(BY_PROBING, replicates=4, horizon=8, policy_rate=1e-2)
# For rules that need less precision, few states.
CROWDED = replace(BY_PROBING, groups=2, replicates=4, horizon=24)
#: Iterations of each row.
PPO_4, PROBING_4, PROBING_100 = 1300, 2000, 1000
OWN_4, OWN_100 = 600, 400


class Translated:
    """A policy for one way of writing an economy down, used in another."""

    def __init__(self, policy, state=lambda s: s, actions=lambda a: a):
        self.policy, self.state, self.actions = policy, state, actions
        self.runs = getattr(policy, "runs", None)

    def __getitem__(self, run):
        return Translated(self.policy[run], self.state, self.actions)

    def __call__(self, state, moved=None):
        return self.actions(self.policy(self.state(state)))


def train(kind, economy, config, iterations, seeds=SEEDS):
    """All seeds at once; the agent, and the processor seconds that a single seed needs."""
    each = seconds_per_iteration(kind(economy, seeds=seeds[:1], device="cpu", config=config))
    agent = kind(economy, seeds=seeds, device="cpu", config=config)
    agent.learn(iterations * agent.steps_per_iteration)
    return agent, iterations * each


def rows(policy, economy, seeds=SEEDS, paths=PATHS, exact=None, start="initial", **more):
    """What a table says of each seed; distances in per cent of the reference."""
    report = evaluate(policy, economy, exact or reference(economy), paths=paths, start=start)
    ratios = {
        name: report.moments[moment] / report.reference_moments[moment]
        for name, moment in (("spread", "s.d. of capital"), ("mean", "mean of capital"))
    }
    columns = {
        "loss": 100 * report.consumption_equivalent_loss,
        "policy_error": 100 * report.policy_error_mean,
        **ratios,
        "euler_residual": 100 * report.euler_residual_mean,
    }
    found = []
    for i, seed in enumerate(seeds):
        numbers = {k: float(x[i]) if hasattr(x, "__len__") else x for k, x in columns.items()}
        found.append({"seed": seed, **more, **numbers})
    return found


@cache
def reference(economy):
    """The exact solution: polynomials for up to three households, else a network."""
    return solve(economy)


def accuracy(economy, paths=PATHS):
    """The reference judged like a learner: its own Euler residuals are what counts."""
    return rows(reference(economy).policy, economy, (0,), paths)


def learned(kind, economy, config, iterations, paths=PATHS, start="initial"):
    """Train and judge."""
    agent, seconds = train(kind, economy, config, iterations)
    done = {"steps": iterations * agent.steps_per_iteration, "seconds": seconds}
    return rows(agent.policy, economy, paths=paths, start=start, **done)


def at_full_size(make, *arguments):
    """What `make` finds if second moments are inputs of the same size as all others."""
    with patch.object(networks, "SECOND_MOMENT_SIZE", 1.0):
        return make(*arguments)


# ---------------------------------------------------------------------- 1, 4 and 100 households
LEARNERS_4 = {
    "PPO, common shocks": (PPO, BY_PPO, PPO_4),
    "Probing": (Probing, FOUR, PROBING_4),
}


@cache
def learned_with_four():
    """The policy of Probing with four households, and its seconds."""
    agent, seconds = train(Probing, Planner(4), FOUR, PROBING_4)
    return agent.policy, PROBING_4 * agent.steps_per_iteration, seconds


def four_households():
    """PPO and Probing with four households."""
    economy = Planner(4)
    policy, steps, seconds = learned_with_four()
    return {
        "PPO, common shocks": learned(PPO, economy, BY_PPO, PPO_4),
        "Probing": rows(policy, economy, steps=steps, seconds=seconds),
        "the same, second moments at full size": at_full_size(
            learned, Probing, economy, FOUR, PROBING_4
        ),
        "reference": accuracy(economy),
    }


def hundred_households():
    """Probing with a hundred households, and what it learned with four, unchanged."""
    economy = Planner(100)
    policy, steps, seconds = learned_with_four()
    return {
        "Probing, from scratch": learned(Probing, economy, HUNDRED, PROBING_100, FEW_PATHS),
        "the same, second moments at full size": at_full_size(
            learned, Probing, economy, HUNDRED, PROBING_100, FEW_PATHS
        ),
        "Probing with 4, unchanged": rows(
            policy.on(economy), economy, paths=FEW_PATHS, steps=steps, seconds=seconds
        ),
        "reference": accuracy(economy, FEW_PATHS),
    }


def calibration():
    """Four households in another economy, with the same settings."""
    economy = Planner(4, **OTHER)
    found = {name: learned(kind, economy, c, n) for name, (kind, c, n) in LEARNERS_4.items()}
    return found | {"reference": accuracy(economy)}


# ---------------------------------------------------------------------- whose credit?
def credit():
    """Own credit, beside the game that it should find.

    Losses are those of somebody who begins in the planner's long run: the game's solution is not
    meant for the little capital with which the planner's households begin.
    """
    found = {}
    for n, config, iterations in ((4, BY_PROBING, OWN_4), (100, CROWDED, OWN_100)):
        economy = Planner(n)
        # With own credit the planner's technology is a market with half the phi.
        market = Market(n, phi=economy.phi / 2)
        if n == 4:
            label, game = "Markov-perfect", markov_perfect(market)
        else:
            label, game = "open-loop Nash", solve(market, "nash")
        as_planner = Translated(game.policy, actions=lambda a: {"planner": a["household"]})
        found[f"{n} households, {label}"] = rows(
            as_planner, economy, (0,), GAME_PATHS, start="ergodic"
        )
        own = replace(config, credit="own")
        found[f"{n} households, own credit"] = learned(
            Probing, economy, own, iterations, GAME_PATHS, "ergodic"
        )
    return found


# ---------------------------------------------------------------------- households x goods
GOODS = {
    (1, 1): (ProbingConfig(policy_rate=2e-2, horizon=16, average=0.99), 400),
    (2, 2): (replace(BY_PROBING, groups=4), 1000),
    (10, 10): (replace(HUNDRED, noise=(0.3, 0.1)), 1600),
}


def balanced_rule(economy):
    """The exact rule where everybody owns the same of each good, as everybody does before long.

    Then an economy with M goods is one with a single good, in other units, and spending is divided
    equally among the goods.
    """
    alone = replace(economy, n_goods=1)
    exact = reference(alone).policy
    units = alone.capital_unit / economy.capital_unit

    def rule(state, moved=None):
        capital = units * state.capital.log().mean(-1, keepdim=True).exp()
        share = exact(state._replace(capital=capital))["planner"] / economy.n_goods
        return {"planner": share.expand_as(state.capital)}

    return rule


def goods():
    """One, two and ten households with as many goods, judged where goods are in balance.

    `rebalancing` is what the learned rule gains over the balanced one, in per cent of consumption,
    when initial capital is out of balance.
    """
    found = {}
    for (n, m), (config, iterations) in GOODS.items():
        economy = Planner(n, m)
        agent, seconds = train(Probing, economy, config, iterations)
        paths = PATHS if n < 10 else FEW_PATHS
        rule = balanced_rule(economy)
        steps = iterations * agent.steps_per_iteration
        row = rows(agent.policy, economy, SEEDS, paths, rule, "ergodic", steps=steps)
        start = evaluate(agent.policy, economy, rule, paths=paths).consumption_equivalent_loss
        for result, loss in zip(row, start, strict=True):
            result |= {"rebalancing": -100 * float(loss), "seconds": seconds}
        found[f"{n} x {m}"] = row
    return found


PARTS = {
    "planner_4": four_households,
    "planner_100": hundred_households,
    "credit": credit,
    "planner_calibration": calibration,
    "goods": goods,
}
