"""Buyers who learn in a market: parts of `exercises.py` for chapter *Learning in a market*.

Three runs learn at once, one for each seed; `seconds` are a third of the processor seconds that all
of them took on one thread. Settings were found on seeds 100 to 102 with two households. That for a
hundred was found on the same seeds after another one had been seen to end a little too low on the
table's, so that its row is somewhat flattered. Capital is the ergodic mean under the shocks under
which the reference's is computed, in per cent of it.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import cache

import numpy as np
from exercises_market_2021 import along_given_path, reproduce
from record import FOLDER

from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import Market
from lectures_lib.evaluation import evaluate, exploitability
from lectures_lib.solvers import markov_perfect, solve

SEEDS = range(3)
OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}
PROBING = ProbingConfig(policy_rate=2e-2, horizon=16, groups=4)
COMMON = PPOConfig(policy_rate=1e-2, horizon=16, groups=4, paired_starts=True)
# As for a planner's hundred households: short paths, and smaller steps.
HUNDRED = replace(PROBING, replicates=4, horizon=8, policy_rate=1e-2)
ITERATIONS, PATHS = 1500, 64
# What the author reports: mean total capital with one to five households.
REPORTED = {1: 16.1, 2: 21.7, 3: 25.0, 4: 28.3, 5: 31.8}


@cache
def solved(economy: Market, regime: str):
    """A reference solution, once for all parts."""
    return markov_perfect(economy) if regime == "markov perfect" else solve(economy, regime)


def learn(make, economy, config, iterations, seeds=SEEDS, **kwargs):
    """Train; returns the agent and processor seconds per seed."""
    agent = make(economy, seeds=seeds, config=config, device="cpu")
    started = time.process_time()
    agent.learn(iterations * agent.steps_per_iteration, show_progress=False, **kwargs)
    return agent, (time.process_time() - started) / len(seeds)


@cache
def levels(economy: Market, regimes: tuple[str, ...], paths: int) -> dict[str, float]:
    """Ergodic mean capital in each regime under the same shocks."""
    nearest, found = solved(economy, regimes[0]), {}
    for regime in regimes[1:]:
        report = evaluate(solved(economy, regime), economy, nearest, paths=paths)
        found[regimes[0]] = report.reference_moments["mean of capital"]
        found[regime] = report.moments["mean of capital"]
    if economy == Market(5):
        # Its Markov-perfect rules take minutes to simulate; `solvers.py` has done so once.
        stored = json.loads((FOLDER / "solvers.json").read_text())["games"]["spending, N = 5"]
        found["markov perfect"] = found["nash"] * (1 + stored["feedback"])
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
    print(economy, agent.config.credit, results, flush=True)
    return results


# Regimes beside which a learner is put, the one that it should be nearest to first.
EQUILIBRIA = {
    2: ("markov perfect", "nash", "competitive"),
    3: ("markov perfect", "nash", "competitive"),
    5: ("nash", "competitive"),
    100: ("nash", "competitive"),
}


def market():
    """Strategic buyers with shared networks and own credit, N = 2, 5 and 100."""
    two, five = Market(2), Market(5)
    rows = {
        "N = 2, Probing": judged(*learn(Probing, two, PROBING, ITERATIONS), two, EQUILIBRIA[2]),
        "N = 2, PPO": judged(*learn(PPO, two, COMMON, ITERATIONS), two, EQUILIBRIA[2]),
        "N = 5, Probing": judged(*learn(Probing, five, PROBING, ITERATIONS), five, EQUILIBRIA[5]),
    }
    for n in (2, 3, 5):
        rows[f"N = {n}, references"] = references(Market(n), EQUILIBRIA[n], PATHS)
    return rows


def market_100():
    """The same with a hundred households."""
    many, regimes = Market(100), EQUILIBRIA[100]
    learned = learn(Probing, many, HUNDRED, ITERATIONS)
    return {
        "N = 100, Probing": judged(*learned, many, regimes, 8, 16),
        "N = 100, references": references(many, regimes, 16),
    }


def atomistic():
    """Massless buyers, who should find the competitive equilibrium at any N."""
    rows = {}
    for n in (1, 2, 3):
        economy = Market(n, atomistic=True)
        learned = learn(Probing, economy, PROBING, ITERATIONS)
        rows[f"N = {n}, atomistic"] = judged(*learned, economy, ("competitive",), exploit=0)
    return rows


def independent():
    """A network for each household; and critics that see everything."""
    rows = {}
    for n in (2, 5):
        economy, own = Market(n), replace(PROBING, shared=False)
        learned = learn(Probing, economy, own, ITERATIONS)
        rows[f"N = {n}, own networks"] = judged(*learned, economy, EQUILIBRIA[n])
    two, central = Market(2), replace(PROBING, central_critic=True)
    learned = learn(Probing, two, central, ITERATIONS)
    rows["N = 2, central critic"] = judged(*learned, two, EQUILIBRIA[2])
    return rows


class OwnRewardAllValues(Probing):
    """Judges a household's action by its own utility today and everybody's values tomorrow.

    Not an algorithm that anybody should want: it is what becomes of own credit if the critic has
    been fitted to the sum of all rewards.
    """

    def _worth(self, name, rollout, offset):
        _, _, actions = self._play(rollout.states, {name: offset})
        step = self.economy.step(rollout.states, actions, rollout.shocks)
        after = self._play(step.state, {}, look_only=True)[0]
        value = self._values(name, self._survey(step.state, after)[name])
        return step.rewards[name] + self.economy.discount * value.sum(-1, keepdim=True)


def collusion():
    """Ways to joint monopsony, on purpose: who finds the author's numbers?"""
    rows, team = {}, replace(PROBING, credit="team")
    for n in REPORTED:
        economy = Market(n)
        # The cartel's rule takes long to solve for; one or two households show what is needed.
        for regime in ("competitive", "nash", "monopsony") if n < 3 else ("competitive", "nash"):
            found = along_given_path(solved(economy, regime).policy, economy)
            row = {name: float(x[0]) for name, x in found.items()}
            rows.setdefault(f"exact, N = {n}", []).append({"seed": regime} | row)
        learned = learn(Probing, economy, team, ITERATIONS // 3)
        rows[f"team credit, N = {n}"] = on_given_path(*learned, economy)
    for n in (2, 5):
        learned = learn(Probing, Market(n), PROBING, ITERATIONS // 3)
        rows[f"own credit, N = {n}"] = on_given_path(*learned, Market(n))
    learned = learn(OwnRewardAllValues, Market(2), PROBING, ITERATIONS // 3)
    rows["critic of the sum, N = 2"] = on_given_path(*learned, Market(2))
    rows |= along_learning(2, PPO, PPOConfig.ordinary(), 300, "ordinary PPO")
    return rows | along_learning(2, Probing, PROBING, 300, "Probing")


def on_given_path(agent, seconds, economy) -> list[dict]:
    """Total capital and saving share on the author's path."""
    found = along_given_path(agent.policy, economy)
    results = [
        {"seed": seed, "steps": agent.steps, "seconds": seconds}
        | {name: float(values[i]) for name, values in found.items()}
        for i, seed in enumerate(agent.seeds)
    ]
    print(economy, agent.config.credit, results, flush=True)
    return results


def along_learning(n, make, config, iterations, label) -> dict[str, list[dict]]:
    """What a learner's policies are like on the way, and which of them its own reward prefers."""
    economy = Market(n)

    def record(agent):
        kept = along_given_path(agent.policy, economy)
        kept["judge"] = along_given_path(agent.policy, economy, reported=False)["reward"]
        return kept

    agent, seconds = learn(
        make, economy, config, iterations, callback=record, callback_every=iterations // 15
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
    print(label, n, [(r["capital"], r["last_capital"]) for r in results], flush=True)
    return {f"{label}, N = {n}": results}


def published():
    """The author's procedure, with one to five households."""
    return {f"N = {n}": reproduce(n, SEEDS) for n in REPORTED}


def market_calibration():
    """The same settings in another economy."""
    economy = Market(2, **OTHER)
    learned = learn(Probing, economy, PROBING, ITERATIONS)
    return {"N = 2, other calibration": judged(*learned, economy, ("markov perfect",))}


PARTS = {
    f.__name__: f
    for f in (market, market_100, atomistic, independent, collusion, published, market_calibration)
}
