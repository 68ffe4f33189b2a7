"""Many households: 4 and 100 of them, and what 4 teach for 100; whose credit; many goods.

All seeds train at once. The seconds of a row are the processor seconds that one of them needs by
itself. Settings were tuned on the paper's calibration, on another seed than those of the table.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from benchmarks.harness import CALIBRATIONS, solved, train
from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import Market, Planner
from lectures_lib.evaluation import evaluate

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


def judged(policy, economy, paths=PATHS, exact=None, start="initial", **more):
    """What a table says of each seed; distances in per cent of the reference."""
    report = evaluate(policy, economy, exact or solved(economy), paths=paths, start=start)
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
    for seed in range(getattr(policy, "runs", None) or 1):
        numbers = {k: float(x[seed]) if hasattr(x, "__len__") else x for k, x in columns.items()}
        found.append({"seed": seed, **more, **numbers})
    return found


def accuracy(economy, paths=PATHS):
    """The reference judged like a learner: its own Euler residuals are what counts."""
    return judged(solved(economy).policy, economy, paths)


def learned(kind, economy, config, iterations, seeds, paths=PATHS, start="initial"):
    """Train and judge."""
    agent, seconds = train(kind, economy, config, range(seeds), iterations=iterations)
    done = {"steps": agent.steps, "seconds": seconds}
    return judged(agent.policy, economy, paths, start=start, **done)


def at_full_size(config):
    """Settings by which second moments are inputs of the same size as all others."""
    return replace(config, second_moment_size=1.0)


# ---------------------------------------------------------------------- 1, 4 and 100 households
LEARNERS_4 = {
    "PPO": (PPO, BY_PPO, PPO_4),
    "Probing": (Probing, FOUR, PROBING_4),
}


@cache
def learned_with_four(seeds):
    """The policy of Probing with four households, its steps and its seconds."""
    agent, seconds = train(Probing, Planner(4), FOUR, range(seeds), iterations=PROBING_4)
    return agent.policy, {"steps": agent.steps, "seconds": seconds}


def planner_4(seeds=3):
    """PPO and Probing with four households."""
    economy = Planner(4)
    policy, done = learned_with_four(seeds)
    yield "PPO", learned(PPO, economy, BY_PPO, PPO_4, seeds)
    yield "Probing", judged(policy, economy, **done)
    full = learned(Probing, economy, at_full_size(FOUR), PROBING_4, seeds)
    yield "the same, second moments at full size", full
    yield "reference", accuracy(economy)


def planner_100(seeds=3):
    """Probing with a hundred households, and what it learned with four, unchanged."""
    economy, arguments = Planner(100), (HUNDRED, PROBING_100, seeds, FEW_PATHS)
    policy, done = learned_with_four(seeds)
    yield "Probing, from scratch", learned(Probing, economy, *arguments)
    full = learned(Probing, economy, at_full_size(HUNDRED), *arguments[1:])
    yield "the same, second moments at full size", full
    unchanged = judged(policy.on(economy), economy, FEW_PATHS, **done)
    yield "Probing with 4, unchanged", unchanged
    yield "reference", accuracy(economy, FEW_PATHS)


def planner_calibration(seeds=3):
    """Four households in another economy, with the same settings."""
    economy = Planner(4, **CALIBRATIONS["other"])
    for name, (kind, config, iterations) in LEARNERS_4.items():
        yield name, learned(kind, economy, config, iterations, seeds)
    yield "reference", accuracy(economy)


# ---------------------------------------------------------------------- whose credit?
def as_planners(policy):
    """A market's rule where the planner decides."""
    return lambda state, moved=None: {"planner": policy(state)["household"]}


def credit(seeds=3):
    """Own credit, beside the game that it should find.

    Losses are those of somebody who begins in the planner's long run: the game's solution is not
    meant for the little capital with which the planner's households begin.
    """
    for n, config, iterations in ((4, BY_PROBING, OWN_4), (100, CROWDED, OWN_100)):
        economy = Planner(n)
        # With own credit the planner's technology is a market with half the phi.
        market = Market(n, phi=economy.phi / 2)
        if n == 4:
            label, game = "Markov-perfect", solved(market, "markov perfect")
        else:
            label, game = "open-loop Nash", solved(market, "nash")
        found = judged(as_planners(game.policy), economy, GAME_PATHS, start="ergodic")
        yield f"{n} households, {label}", found
        own = replace(config, credit="own")
        found = learned(Probing, economy, own, iterations, seeds, GAME_PATHS, "ergodic")
        yield f"{n} households, own credit", found


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
    exact = solved(alone).policy
    units = alone.capital_unit / economy.capital_unit

    def rule(state, moved=None):
        capital = units * state.capital.log().mean(-1, keepdim=True).exp()
        share = exact(state._replace(capital=capital))["planner"] / economy.n_goods
        return {"planner": share.expand_as(state.capital)}

    return rule


def goods(seeds=3):
    """One, two and ten households with as many goods, judged where goods are in balance.

    `rebalancing` is what the learned rule gains over the balanced one, in per cent of consumption,
    when initial capital is out of balance.
    """
    for (n, m), (config, iterations) in GOODS.items():
        economy = Planner(n, m)
        agent, seconds = train(Probing, economy, config, range(seeds), iterations=iterations)
        paths = PATHS if n < 10 else FEW_PATHS
        rule = balanced_rule(economy)
        row = judged(agent.policy, economy, paths, rule, "ergodic", steps=agent.steps)
        start = evaluate(agent.policy, economy, rule, paths=paths).consumption_equivalent_loss
        for result, loss in zip(row, start, strict=True):
            result |= {"rebalancing": -100 * float(loss), "seconds": seconds}
        yield f"{n} x {m}", row


def goods_network(seeds=3):
    """Ten households with ten goods, judged against the network on Euler residuals.

    Where that network's rule leads in the long run; beside the rules that `goods` has learned
    stands the balanced one.
    """
    (n, m), (config, iterations) = list(GOODS.items())[-1]
    economy = Planner(n, m)
    agent, seconds = train(Probing, economy, config, range(seeds), iterations=iterations)
    done = {"steps": agent.steps, "seconds": seconds}
    yield "learned", judged(agent.policy, economy, FEW_PATHS, start="ergodic", **done)
    yield "balanced", judged(balanced_rule(economy), economy, FEW_PATHS, start="ergodic")


def network_rebalancing(largest=10):
    """What the network on Euler residuals gains over the balanced rule, out of balance and in it.

    In per cent of consumption, on the paths of `goods`. In balance the rule is exact, or nearly so
    for ten households, and the network should gain nothing. Its residuals out of balance say how
    far it is a reference there.
    """
    for size in (2, largest):
        economy, paths = Planner(size, size), PATHS if size < 10 else FEW_PATHS
        best, rule = solved(economy), balanced_rule(economy)
        row = {f"residual, {where}": x.mean for where, x in best.residual.items()}
        for name, start in (("out of balance", "initial"), ("in balance", "ergodic")):
            report = evaluate(best, economy, rule, paths=paths, start=start)
            row[name] = -100 * float(report.consumption_equivalent_loss)
        yield f"{size} x {size}", row


PARTS = {
    f.__name__: f
    for f in (
        planner_4,
        planner_100,
        planner_calibration,
        credit,
        goods,
        goods_network,
        network_rebalancing,
    )
}
