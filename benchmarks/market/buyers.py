"""Buyers who learn: the tables of chapter *Learning in a market*.

All seeds learn at once; `seconds` are the processor seconds that they took on one thread, divided
by their number. Settings were found on seeds 100 to 102 with two households. That for a
hundred was found on the same seeds after another one had been seen to end a little too low on the
table's, so that its row is somewhat flattered. Capital is the ergodic mean under the shocks under
which the reference's is computed, in per cent of it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from benchmarks.harness import CALIBRATIONS, rounded, solved, stored, timed
from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import Market
from lectures_lib.evaluation import evaluate, exploitability, initial_states, simulate

from .published import HOUSEHOLDS, along_given_path

PROBING = ProbingConfig(policy_rate=2e-2, horizon=16, groups=4)
COMMON = PPOConfig(policy_rate=1e-2, horizon=16, groups=4, paired_starts=True)
# As for a planner's hundred households: short paths, and smaller steps.
HUNDRED = replace(PROBING, replicates=4, horizon=8, policy_rate=1e-2)
#: On the author's path, where less precision will do, a third of the iterations.
ITERATIONS, FEW_ITERATIONS, PATHS = 1500, 500, 64
# Regimes beside which a learner is put, the one that it should be nearest to first.
EQUILIBRIA = {
    1: ("nash", "competitive"),
    2: ("markov perfect", "nash", "competitive"),
    3: ("markov perfect", "nash", "competitive"),
    5: ("nash", "competitive"),
    100: ("nash", "competitive"),
}


def learn(make, economy, config, seeds, iterations, **kwargs):
    """Train; returns the agent and processor seconds per seed."""
    agent = make(economy, seeds=range(seeds), config=config, device="cpu")
    steps = iterations * agent.steps_per_iteration
    _, seconds = timed(agent.learn, steps, show_progress=False, **kwargs)
    return agent, seconds / seeds


@cache
def levels(economy: Market, regimes: tuple[str, ...], paths: int) -> dict[str, float]:
    """Ergodic mean capital in each regime under the same shocks."""
    nearest, found = solved(economy, regimes[0]), {}
    for regime in regimes[1:]:
        report = evaluate(solved(economy, regime), economy, nearest, paths=paths)
        found[regimes[0]] = report.reference_moments["mean of capital"]
        found[regime] = report.moments["mean of capital"]
    if economy == Market(5):
        # Its Markov-perfect rules take minutes to simulate; `benchmarks.solvers` has done so once.
        game = stored("solvers")["games"]["spending, N = 5"]
        found["markov perfect"] = found["nash"] * (1 + game["feedback"])
    return found


def references(economy: Market, regimes: tuple[str, ...], paths: int) -> list[dict]:
    """A row of results for each regime in the place of a seed."""
    found = levels(economy, regimes, paths)
    return [
        {"seed": regime, "capital": x, "to competitive": 100 * (x / found["competitive"] - 1)}
        for regime, x in found.items()
    ]


def judged(agent, seconds, economy, regimes, exploit=32, paths=PATHS) -> list[dict]:
    """One dictionary of results for each seed, beside references, the first of which is nearest.

    Parameters
    ----------
    agent, seconds
        What `learn` returns.
    economy : Market
    regimes : tuple of str
    exploit : int
        Simulated economies for exploitability, which is left out if zero.
    paths : int
        Of all other simulations.
    """
    report = evaluate(agent.policy, economy, solved(economy, regimes[0]), paths=paths)
    reference, capital = report.reference_moments, report.moments["mean of capital"]
    beside = {regimes[0]: reference["mean of capital"]} | levels(economy, regimes, paths)
    results = []
    for i, seed in enumerate(agent.seeds):
        row = {"seconds": seconds, "capital": capital[i]}
        row |= {f"to {name}": 100 * (capital[i] / x - 1) for name, x in beside.items()}
        row["policy_error"] = 100 * report.policy_error_mean[i]
        row["spread"] = report.moments["s.d. of capital"][i] / reference["s.d. of capital"]
        row["share"] = report.moments["mean of saving share"][i]
        if exploit:
            gain = exploitability(agent.policy[i], economy, paths=exploit)
            row |= {"exploitability": 100 * gain.gain, "its_error": 100 * gain.standard_error}
        numbers = {name: float(x) for name, x in row.items()}
        results.append({"seed": seed, "steps": agent.steps} | numbers)
    return results


def market(seeds=3, iterations=ITERATIONS):
    """Strategic buyers with shared networks and own credit, N = 2, 5 and 100."""
    for n, kind, config in ((2, Probing, PROBING), (2, PPO, COMMON), (5, Probing, PROBING)):
        economy = Market(n)
        agent = learn(kind, economy, config, seeds, iterations)
        yield f"N = {n}, {kind.__name__}", judged(*agent, economy, EQUILIBRIA[n])
    for n in (2, 3, 5):
        yield f"N = {n}, references", references(Market(n), EQUILIBRIA[n], PATHS)


def bounds(policy, economy, paths) -> dict[str, float]:
    """Between what and what a departure gains, in per cent of consumption."""
    gain, seconds = timed(exploitability, policy, economy, paths=paths, interval=True)
    low, high = gain.interval
    found = {
        "gain": gain.gain,
        "its_error": gain.standard_error,
        "upper": gain.upper,
        "upper_error": gain.upper_standard_error,
        "low": low,
        "high": high,
        "ergodic_low": gain.ergodic_interval[0],
        "ergodic_high": gain.ergodic_interval[1],
    }
    return {name: 100 * x for name, x in found.items()} | {"bounded_in": seconds}


def _certified(n, regimes, seeds, iterations, paths):
    economy = Market(n)
    for regime in regimes:
        rule = solved(economy, regime).policy
        yield f"N = {n}, {regime}", [{"seed": regime} | bounds(rule, economy, paths)]
    agent, seconds = learn(Probing, economy, PROBING, seeds, iterations)
    how = {"steps": agent.steps, "seconds": seconds}
    rows = [how | bounds(agent.policy[i], economy, paths) for i in range(seeds)]
    yield f"N = {n}, Probing", [{"seed": i} | row for i, row in enumerate(rows)]


def certified(seeds=5, iterations=ITERATIONS):
    """Intervals of exploitability, two households: of solvers' rules and of learned ones."""
    yield from _certified(2, ("markov perfect", "nash"), seeds, iterations, PATHS)


def certified_5(seeds=5, iterations=ITERATIONS):
    """The same for five, whose Markov-perfect rule takes minutes to simulate."""
    yield from _certified(5, ("nash",), seeds, iterations, PATHS // 2)


def market_100(seeds=3, iterations=ITERATIONS):
    """The same with a hundred households."""
    many, regimes = Market(100), EQUILIBRIA[100]
    agent = learn(Probing, many, HUNDRED, seeds, iterations)
    yield "N = 100, Probing", judged(*agent, many, regimes, 8, 16)
    yield "N = 100, references", references(many, regimes, 16)


def atomistic(seeds=3, iterations=ITERATIONS):
    """Massless buyers, who should find the competitive equilibrium at any N."""
    for n in (1, 2, 3):
        economy = Market(n, atomistic=True)
        agent = learn(Probing, economy, PROBING, seeds, iterations)
        yield f"N = {n}, atomistic", judged(*agent, economy, ("competitive",), exploit=0)


def independent(seeds=3, iterations=ITERATIONS):
    """A network for each household; and critics that see everything."""
    own, central = replace(PROBING, shared=False), replace(PROBING, central_critic=True)
    rows = ((2, own, "own networks"), (5, own, "own networks"), (2, central, "central critic"))
    for n, config, label in rows:
        economy = Market(n)
        agent = learn(Probing, economy, config, seeds, iterations)
        yield f"N = {n}, {label}", judged(*agent, economy, EQUILIBRIA[n])


def alone(seeds=3, iterations=ITERATIONS):
    """A sole buyer, for whom own and team credit are one."""
    economy = Market(1)
    agent = learn(Probing, economy, PROBING, seeds, iterations)
    yield "N = 1, Probing", judged(*agent, economy, EQUILIBRIA[1])
    yield "N = 1, references", references(economy, EQUILIBRIA[1], PATHS)


class FromUnequal(Probing):
    """Two households with networks of their own; one begins by saving far less than the other.

    What the networks return is shifted, so that shares of a half become 8% and 73%.
    """

    def __init__(self, economy, **options):
        super().__init__(economy, **options)
        shift = torch.tensor([-2.5, 1.0])[:, None, None]
        weights = self.learners.state_dict()
        for network in ("actor", "average"):
            weights[f"household.{network}.biases.2"] += shift
        self.learners.load_state_dict(weights)


def unequal(seeds=3, iterations=ITERATIONS):
    """Do two households come to the same rest if they begin far apart?"""
    economy, config = Market(2), replace(PROBING, shared=False)
    start = FromUnequal(economy, seeds=range(seeds), config=config, device="cpu")
    agent, seconds = learn(FromUnequal, economy, config, seeds, iterations)
    rows = judged(agent, seconds, economy, EQUILIBRIA[2])
    for name, policy in (("first", start.policy), ("last", agent.policy)):
        for row, stocks in zip(rows, _stocks(policy, economy), strict=True):
            row[f"{name}_stocks"] = rounded(stocks)
    yield "N = 2, unequal beginnings", rows


def _stocks(policy, economy, periods=400, paths=PATHS):
    """Each seed's mean capital of each household, (seeds, households), long after the beginning."""
    state = initial_states(policy[0], economy, paths, 0)
    runs = [simulate(policy[i], economy, state, periods, 0).states[-1] for i in range(policy.runs)]
    return torch.stack([x.capital.mean((0, 2)) for x in runs]).tolist()


def market_calibration(seeds=3, iterations=ITERATIONS):
    """The same settings in another economy."""
    economy = Market(2, **CALIBRATIONS["other"])
    agent = learn(Probing, economy, PROBING, seeds, iterations)
    yield "N = 2, other calibration", judged(*agent, economy, ("markov perfect",))


class OwnRewardAllValues(Probing):
    """Judges a household's action by its own utility today and everybody's values tomorrow.

    Not an algorithm that anybody should want: it is what becomes of own credit if the critic has
    been fitted to the sum of all rewards.
    """

    def worth(self, name, rollout, offset):
        """Reward and everybody's discounted value after a probe."""
        decided = self.decide(rollout.states, {name: offset})
        step = self.economy.step(rollout.states, decided.actions, rollout.shocks)
        after = self.decide(step.state, {}, look_only=True).surveyed[name]
        value = self.values(name, self.standardise_survey(name, after))
        return step.rewards[name] + self.economy.discount * value.sum(-1, keepdim=True)


def collusion(seeds=3, iterations=FEW_ITERATIONS):
    """Ways to joint monopsony, on purpose: who finds the author's numbers?"""

    def learned(n, make, config):
        return on_given_path(*learn(make, Market(n), config, seeds, iterations), Market(n))

    for n in HOUSEHOLDS:
        yield f"exact, N = {n}", exact_on_given_path(Market(n))
        cartel = replace(PROBING, cartel=("household",))
        yield f"team credit, N = {n}", learned(n, Probing, cartel)
    for n in (2, 5):
        yield f"own credit, N = {n}", learned(n, Probing, PROBING)
    yield "critic of the sum, N = 2", learned(2, OwnRewardAllValues, PROBING)
    yield "ordinary PPO, N = 2", along_learning(2, PPO, PPOConfig.ordinary(), seeds)
    yield "Probing, N = 2", along_learning(2, Probing, PROBING, seeds)


def exact_on_given_path(economy) -> list[dict]:
    """The same numbers of exact rules, whose regimes stand in the place of seeds."""
    # The cartel's rule takes long to solve for; one or two households show what is needed.
    cartel = ("monopsony",) if economy.n_households < 3 else ()
    results = []
    for regime in ("competitive", "nash", *cartel):
        found = along_given_path(solved(economy, regime).policy, economy)
        results.append({"seed": regime} | {name: float(x[0]) for name, x in found.items()})
    return results


def on_given_path(agent, seconds, economy) -> list[dict]:
    """Total capital and saving share on the author's path."""
    found = along_given_path(agent.policy, economy)
    return [
        {"seed": seed, "steps": agent.steps, "seconds": seconds}
        | {name: float(values[i]) for name, values in found.items()}
        for i, seed in enumerate(agent.seeds)
    ]


def along_learning(n, make, config, seeds, iterations=300) -> list[dict]:
    """What a learner's policies are like on the way, and which of them its own reward prefers."""
    economy = Market(n)

    def record(agent):
        kept = along_given_path(agent.policy, economy)
        kept["judge"] = along_given_path(agent.policy, economy, reported=False)["reward"]
        return kept

    agent, seconds = learn(
        make, economy, config, seeds, iterations, callback=record, callback_every=iterations // 15
    )
    history, results = agent.history, []
    for i, seed in enumerate(agent.seeds):
        best = int(np.argmax(history["judge"][:, i]))
        row = {"seed": seed, "steps": agent.steps, "seconds": seconds}
        for name in ("capital", "share", "judge"):
            row[name] = float(history[name][best, i])
            row[f"last_{name}"] = float(history[name][-1, i])
            row[f"path_of_{name}"] = [float(f"{x:.5g}") for x in history[name][:, i]]
        results.append(row | {"kept": best})
    return results


PARTS = {
    f.__name__: f
    for f in (
        market,
        certified,
        certified_5,
        market_100,
        alone,
        atomistic,
        independent,
        unequal,
        collusion,
        market_calibration,
    )
}
