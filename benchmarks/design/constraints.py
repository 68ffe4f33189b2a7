"""How to impose constraints: ways to make actions feasible, where a limit binds and elsewhere.

Two economies. The saver of chapter *Bring your own economy*, made impatient so that the borrowing
limit binds in more than a quarter of all years; and the planner with two capital goods, whose
shares add up to less than one and are never at a corner. In each every way learns with the same
settings but for the size of the noise, which is the best of four for each row, by the policy error
of seeds that are not reported. One part has the noise given, so that two ways can be compared at
the same.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from scipy.stats import norm

from benchmarks.harness import rounded, seconds_per_iteration, swept
from lectures_book import written
from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import Constrained, Planner
from lectures_lib.evaluation import evaluate, initial_states
from lectures_lib.evaluation.long_run import ergodic_states
from lectures_lib.evaluation.simulation import each_run
from lectures_lib.solvers import solve

OWN = written("learning/bring_your_own_economy", until="solve.register")
ECONOMIES = {"saver": OWN.Saver(beta=0.9), "goods": Planner(1, 2)}
#: A unit of violation costs so many times what the limit costs where it binds, by the exact rule.
PENALTIES = (0.1, 1, 10, 100)
#: That is, per unit of the share eaten and on average where it binds; the chapter computes it.
MULTIPLIER = 0.24
ROWS = {
    "saver": {  # by name: the way and its penalty
        "squash": ("squash", 0.0),
        "stretch": ("stretch", 0.0),
        "clip": ("clip", 0.0),
        **{f"clip, penalty x{x:g}": ("clip", x * MULTIPLIER) for x in PENALTIES},
    },
    "goods": {
        "softmax": ("softmax", 0.0),
        "rescale": ("rescale", 0.0),
        "project": ("project", 0.0),
        "project, penalty 1": ("project", 1.0),
        "project, penalty 100": ("project", 100.0),
    },
}
FAST = {"horizon": 16, "critic_rate": 6e-3}
#: Settings, the noise that they are varied around, and iterations.
LEARNERS = {
    ("saver", "PPO"): (PPO, PPOConfig(policy_rate=1e-2, **FAST), 300),
    ("saver", "Probing"): (Probing, ProbingConfig(policy_rate=1.5e-2, **FAST), 400),
    ("goods", "PPO"): (PPO, PPOConfig(policy_rate=1e-2, **FAST), 200),
    ("goods", "Probing"): (Probing, ProbingConfig(policy_rate=1.5e-2, **FAST), 300),
}
#: Sizes of the noise that are tried, with half of the iterations, as multiples of the learner's
#: own. They cover the same sizes for both learners, as Probing's own are smaller.
SCALES = {"PPO": (0.25, 0.5, 1.0, 2.0), "Probing": (0.5, 1.0, 2.0, 4.0)}
TUNING = (100, 101)
FIRST_SEED = 10
POINTS, PATHS, STATES = 20, 128, 1024
#: Raw action from which those begin who stand beyond the limit.
BEYOND = 4.0


@cache
def reference(economy: str):
    """An economy, its exact solution, states of the long run, and where a limit binds there."""
    model = ECONOMIES[economy]
    exact = solve(model)
    start = initial_states(exact.policy, model, STATES, seed=10)
    states = ergodic_states(exact.policy, model, start, seed=11)
    (right,) = exact.policy(states).values()
    binds = right > 1 - 1e-9
    return model, exact, states, right, binds


@torch.no_grad()
def errors(policy, economy: str) -> dict[str, list[float]]:
    """Mean relative distances of actions to the exact ones, in per cent, for each run.

    Of all, of those for which a limit binds (NaN if there are none), and of the others.
    """
    _, _, states, right, binds = reference(economy)
    found: dict[str, list[float]] = {"error": [], "bound": [], "free": []}
    for one in each_run(policy):
        (own,) = one(states).values()
        off = 100 * (own / right - 1).abs()
        for name, those in (("error", off), ("bound", off[binds]), ("free", off[~binds])):
            found[name].append(those.mean().item())
    return found


def configured(economy: str, learner: str, scale: float):
    """An agent's class, its configuration with noise of another size, and its iterations."""
    make, config, iterations = LEARNERS[economy, learner]
    noise = tuple(scale * x for x in config.noise)
    return make, type(config)(**(vars(config) | {"noise": noise})), iterations


def learn(economy, learner, how, penalty, scale, seeds, start=0.0, points=1, part=1.0):
    """Train seeds at once, for a part of the iterations: the agent, its way and its history."""
    way = Constrained(ECONOMIES[economy], how, penalty, start)
    make, config, iterations = configured(economy, learner, scale)
    iterations = round(part * iterations)
    agent = make(way, seeds=seeds, config=config, device="cpu")
    history = agent.learn(
        iterations * agent.steps_per_iteration,
        callback=lambda a: errors(a.policy.on(way.obeyed), economy) if points > 1 else None,
        callback_every=-(-iterations // points),
        show_progress=False,
    )
    return agent, way, history


def tuned(economy, learner, how, penalty) -> tuple[float, dict[str, float]]:
    """The noise's best size, by the geometric mean of policy errors of two seeds; all of them."""
    found = {}
    for scale in SCALES[learner]:
        agent, way, _ = learn(economy, learner, how, penalty, scale, TUNING, part=0.5)
        error = errors(agent.policy.on(way.obeyed), economy)["error"]
        found[scale] = float(np.exp(np.mean(np.log(error))))
    return min(found, key=found.get), {f"x{x:g}": float(f"{e:.3g}") for x, e in found.items()}


@torch.no_grad()
def outside(policy, way, economy: str, sd: float) -> list[dict[str, float]]:
    """For each run, how many actions are cut in per cent, where a limit binds and elsewhere.

    Those without noise, and those with noise of standard deviation `sd`.
    """
    if way.how not in ("clip", "project"):
        return [{} for _ in each_run(policy)]
    _, _, states, _, binds = reference(economy)
    wishing = Constrained(way.economy, way.how, 1.0, way.start)
    (role,) = way.economy.roles.values()
    high, edge = role.high, 2e-5 if role.shares else 0.0
    (map_,) = (r.to_physical for r in wishing.roles.values())
    slope = (map_(torch.ones(1, role.n_actions)) - map_(torch.zeros(1, role.n_actions)))[0, 0]
    rows = []
    for one in each_run(policy.on(wishing)):
        (wish,) = one(states).values()
        distance = (wish - high).double() if not role.shares else edge - wish.double()
        chance = torch.from_numpy(norm.cdf((distance / (slope.double() * sd)).numpy()))
        row = {}
        for name, those in (("bound", binds), ("free", ~binds)):
            if those.any():
                row[f"cut_{name}"] = 100 * (distance[those] > 0).double().mean().item()
                row[f"noisy_cut_{name}"] = 100 * chance[those].mean().item()
        rows.append(row)
    return rows


def row_of(economy, learner, how, penalty, seeds, start=0.0, scale=None):
    """What is stored of a way: for each seed its distances, its curve, and seconds of a core."""
    chosen, tried = (scale, {}) if scale else tuned(economy, learner, how, penalty)
    seeds = list(seeds)
    agent, way, history = learn(economy, learner, how, penalty, chosen, seeds, start, POINTS)
    make, config, iterations = configured(economy, learner, chosen)
    alone = make(way, seeds=seeds[:1], config=config, device="cpu")
    seconds = iterations * seconds_per_iteration(alone)
    model, exact, *_ = reference(economy)
    policy = agent.policy.on(way.obeyed)
    report = evaluate(policy, model, exact, seed=12345, paths=PATHS)
    last = errors(policy, economy)
    cut = outside(policy, way, economy, config.noise[1])
    rows = []
    for i, seed in enumerate(seeds):
        row = {"seed": seed, "noise": chosen, "seconds": seconds, "steps": agent.steps}
        row |= {name: x[i] for name, x in last.items() if np.isfinite(x[i])}
        row |= {
            "euler_residual": 100 * report.euler_residual_mean[i],
            "loss": 100 * report.consumption_equivalent_loss[i],
            "loss_standard_error": 100 * report.loss_standard_error[i],
        }
        row |= cut[i] | ({"tried": tried} if tried else {})
        row["curve"] = {
            "seconds": rounded(np.array(history.steps) / agent.steps * seconds),
            **{n: rounded(history[n][:, i]) for n, x in last.items() if np.isfinite(x[i])},
        }
        rows.append(
            {n: x if isinstance(x, dict | int) else float(f"{x:.4g}") for n, x in row.items()}
        )
    return rows


def _part(economy, learner, seeds):
    cells = {
        name: {"economy": economy, "learner": learner, "how": how, "penalty": penalty}
        for name, (how, penalty) in ROWS[economy].items()
    }
    yield from swept(row_of, cells, [range(FIRST_SEED, FIRST_SEED + seeds)])


def limit_ppo(seeds=5):
    """PPO where a borrowing limit binds, every way at its best noise."""
    yield from _part("saver", "PPO", seeds)


def limit_probing(seeds=5):
    """Probing where a borrowing limit binds, every way at its best noise."""
    yield from _part("saver", "Probing", seeds)


def inside_ppo(seeds=5):
    """PPO where shares of two goods bind nowhere, every way at its best noise."""
    yield from _part("goods", "PPO", seeds)


def inside_probing(seeds=5):
    """Probing where shares of two goods bind nowhere, every way at its best noise."""
    yield from _part("goods", "Probing", seeds)


def beyond(seeds=5):
    """Who begins beyond the limit, with the learner's own noise: do they find the way back?"""
    few = (PENALTIES[0], PENALTIES[2])
    ways = ("squash", "stretch", "clip", *(f"clip, penalty x{x:g}" for x in few))
    cells = {
        f"{learner}, {name}": {
            **{"economy": "saver", "learner": learner, "start": BEYOND, "scale": 1.0},
            **dict(zip(("how", "penalty"), ROWS["saver"][name], strict=True)),
        }
        for learner in SCALES
        for name in ways
    }
    yield from swept(row_of, cells, [range(FIRST_SEED, FIRST_SEED + seeds)])


def same_noise(seeds=5):
    """PPO where a borrowing limit binds: squashing and clipping, each at the other's best noise."""
    cells = {
        f"{way}, noise x{scale:g}": {
            **{"economy": "saver", "learner": "PPO", "how": way, "penalty": 0.0},
            "scale": scale,
        }
        for way, scale in (("squash", 1.0), ("clip", 2.0))
    }
    yield from swept(row_of, cells, [range(FIRST_SEED, FIRST_SEED + seeds)])


PARTS = {
    f"constraints_{part.__name__}": part
    for part in (limit_ppo, limit_probing, inside_ppo, inside_probing, beyond, same_noise)
}
