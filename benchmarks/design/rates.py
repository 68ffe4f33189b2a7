"""What a factor of three costs: the tables of *Learning rates and algorithms*.

One setting at a time is tripled or divided by three, everything else stays at the library's
defaults. All rows of an economy and a learner have as many simulated steps. Where the batch
changes (groups, replicates, horizon), iterations change so that steps stay, and what is counted in
iterations, the warm-up and the memory of averaged weights, keeps its length in steps.
`policy_error` is the mean relative distance of actions to the exact ones on states that the exact
rule visits, in per cent, mean over roles; `loss` is in per cent of consumption. `seconds` are
processor seconds of one thread that all seeds took at once, divided by their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from benchmarks.harness import solved, swept, timed
from lectures_lib.agents import (
    PPO,
    PPOConfig,
    Probing,
    ProbingConfig,
    TrainingDiverged,
)
from lectures_lib.economies import BrockMirman, Market, Planner, TradingPost
from lectures_lib.evaluation import evaluate, initial_states
from lectures_lib.evaluation.distances import action_errors
from lectures_lib.evaluation.long_run import ergodic_states
from lectures_lib.evaluation.simulation import each_run

THREE = 3.0
#: Economies simulated for welfare.
PATHS = 256
ECONOMIES = {
    "planner": (Planner(), None),
    "brock_mirman": (BrockMirman(), None),
    "market": (Market(2), "markov perfect"),
    "post": (TradingPost(n_households=2, n_firms=2), "markov perfect"),
}
#: Simulated steps of every seed, probes counted.
STEPS = {
    "planner": {PPO: 600_000, Probing: 1_800_000},
    "market": {PPO: 480_000, Probing: 1_800_000},
    "post": {PPO: 160_000},
}


# ---------------------------------------------------------------------- how far from exact
@cache
def problem(name: str):
    """An economy, its exact solution, and states that the exact rule visits in the long run."""
    economy, regime = ECONOMIES[name]
    exact = solved(economy, regime)
    start = initial_states(exact.policy, economy, 1024, seed=10)
    return economy, exact, ergodic_states(exact.policy, economy, start, seed=11)


@torch.no_grad()
def errors(policy, name: str) -> np.ndarray:
    """Mean relative distance of each run's actions to the exact ones, in per cent."""
    economy, exact, visited = problem(name)
    found = action_errors(economy, each_run(policy), exact.policy, visited)
    return 100 * np.mean([[x.mean().item() for x in own] for own in found.values()], 0)


def judged(agent, name: str, seconds: float) -> list[dict]:
    """A dictionary of results for each seed."""
    economy, exact, _ = problem(name)
    report = evaluate(agent.policy, economy, exact, seed=12345, paths=PATHS)
    loss = 100 * np.asarray(report.consumption_equivalent_loss)
    if report.roles:
        loss = 100 * np.asarray(report.roles["household"].loss)
    return [
        {"seed": seed, "policy_error": error, "loss": own, "steps": agent.steps, "seconds": seconds}
        for seed, error, own in zip(
            agent.seeds, errors(agent.policy, name).tolist(), loss.tolist(), strict=True
        )
    ]


def trained(kind, name: str, config, seeds, steps: int, economy=None, **how):
    """Train all seeds for so many steps; returns the agent and seconds of a seed."""
    agent = kind(economy or ECONOMIES[name][0], seeds=seeds, device="cpu", config=config)
    iterations = max(1, round(steps / agent.steps_per_iteration))
    taken = iterations * agent.steps_per_iteration
    _, seconds = timed(agent.learn, taken, show_progress=False, **how)
    return agent, seconds / len(seeds)


def row(kind, name: str, config, seeds, steps: int, economy=None):
    """Learn, and judge; a training that fails says so."""
    try:
        agent, seconds = trained(kind, name, config, seeds, steps, economy)
    except TrainingDiverged as failure:
        print(f"  failed: {str(failure)[:100]}", flush=True)
        return [{"seed": seed, "failed": 1} for seed in seeds]
    return judged(agent, name, seconds)


# ---------------------------------------------------------------------- one setting at a time
def rest(x: float, factor: float) -> float:
    """A share near one, whose distance from one is multiplied."""
    return 1 - (1 - x) * factor


def count(x: int, factor: float) -> int:
    """A number of something, at least one."""
    return max(1, round(x * factor))


#: Settings that are numbers: what becomes of a configuration's value.
NUMBERS: dict[str, tuple[str, Callable]] = {
    "policy rate": ("policy_rate", float.__mul__),
    "critic rate": ("critic_rate", float.__mul__),
    "policy epochs": ("policy_epochs", count),
    "critic epochs": ("critic_epochs", count),
    "groups": ("groups", count),
    "horizon": ("horizon", count),
    "1 - lambda": ("lam", rest),
    "1 - average": ("average", rest),
    "last noise": ("noise", lambda x, f: (x[0], x[1] * f)),
    "clip": ("clip", float.__mul__),
    "jitter": ("jitter", float.__mul__),
    "hidden": ("hidden", lambda x, f: tuple(count(n, f) for n in x)),
}
BATCH = ("groups", "replicates", "horizon")
#: Settings that are switched, and to what.
SWITCHES: dict[str, dict] = {
    "common shocks, comparisons off": {
        "common_shocks": False,
        "difference_critic": False,
        "group_advantage": False,
    },
    "difference critic off": {"difference_critic": False},
    "pairs off": {"antithetic": False},
    "scattering off": {"jitter": 0.0},
    "schedule off": {"final_rate": 1.0},
}


def batched(config, **sizes):
    """Another batch; what is counted in iterations keeps its length in steps."""
    size = math.prod(sizes.get(x, getattr(config, x)) for x in BATCH)
    factor = size / math.prod(getattr(config, x) for x in BATCH)
    return replace(
        config,
        **sizes,
        warm_up=round(config.warm_up / factor),
        average=config.average**factor,
    )


def changed(config, setting: str, factor: float):
    """A configuration with one setting multiplied, or None where it has no such setting."""
    name, change = NUMBERS[setting]
    if not hasattr(config, name):
        return None
    value = change(getattr(config, name), factor)
    if value == getattr(config, name):
        return None
    if setting in BATCH:
        return batched(config, **{name: value})
    return replace(config, **{name: value})


def switched(config, switch: str):
    """A configuration with one switch the other way, or None where it has none."""
    there = {n: x for n, x in SWITCHES[switch].items() if hasattr(config, n)}
    if not there:
        return None
    return replace(config, **there)


def neighbours(config, only) -> dict:
    """Configurations that differ from a first one in one setting, by name."""
    found = {"default": config}
    for setting in NUMBERS:
        for sign, factor in (("x 3", THREE), ("/ 3", 1 / THREE)):
            found[f"{setting} {sign}"] = changed(config, setting, factor)
    found |= {switch: switched(config, switch) for switch in SWITCHES}
    chosen = ("default", *only)
    return {n: c for n, c in found.items() if c is not None and n.startswith(chosen)}


#: Where only a few settings are changed.
FEW = ("policy rate", "1 - lambda")
OFF = ("common shocks, comparisons off", "difference critic off", "scattering off")


def sensitivity(kind, name, *only):
    """The part of an economy and a learner."""

    def part(seeds=5):
        yield from _swept(
            kind, name, neighbours(kind.default_config(ECONOMIES[name][0]), only), seeds
        )

    part.__doc__ = f"What a factor of three costs {kind.__name__}: {name}."
    return part


def _swept(kind, name, configs, seeds, steps=None):
    fixed = {"kind": kind, "name": name, "steps": steps or STEPS[name][kind]}
    return swept(
        row, {label: {"config": c, **fixed} for label, c in configs.items()}, [range(seeds)]
    )


def planner_ppo_rate_and_batch(seeds=5):
    """PPO, planner: rate and groups changed together, the corners of a grid of nine."""
    yield from _swept(PPO, "planner", rates_and_batches(PPOConfig()), seeds)


def planner_ppo_longer(seeds=5):
    """PPO, planner: some of the settings with three times the steps."""
    some = ("default", "policy rate / 3", "policy rate x 3", "groups x 3")
    configs = neighbours(PPOConfig(), ("policy rate", "groups"))
    longer = round(THREE) * STEPS["planner"][PPO]
    yield from _swept(PPO, "planner", {x: configs[x] for x in some}, seeds, longer)


def planner_ppo_critic(seeds=5):
    """PPO, planner: large steps with less weight on the critic's word, and what is saved."""
    large, cells = neighbours(PPOConfig(), ("policy rate", "groups")), {}
    for label in ("policy rate x 3", "groups / 3"):
        cells[label] = large[label]
        cells[f"{label}, 1 - lambda / 3"] = changed(large[label], "1 - lambda", 1 / THREE)
    fixed = {"kind": PPO, "name": "planner", "steps": STEPS["planner"][PPO]}
    yield from swept(saving, {x: {"config": c, **fixed} for x, c in cells.items()}, [range(seeds)])


def rates_and_batches(config) -> dict:
    """Both changed, by name."""
    return {
        f"groups {a}, policy rate {b}": changed(changed(config, "groups", x), "policy rate", y)
        for a, x in (("x 3", THREE), ("/ 3", 1 / THREE))
        for b, y in (("x 3", THREE), ("/ 3", 1 / THREE))
    }


def post_corners(seeds=5):
    """PPO at a trading post with luck: shocks in common, and restarts scattered, or not."""
    shared = PPOConfig.sellers()
    own = replace(
        shared,
        common_shocks=False,
        difference_critic=False,
        group_advantage=False,
        antithetic=False,
    )
    configs = {
        "none": replace(own, jitter=0.0),
        "scattered": own,
        "common": replace(shared, jitter=0.0),
        "common, scattered": shared,
    }
    yield from _swept(PPO, "post", configs, seeds)


# ---------------------------------------------------------------------- where time ends
class Ends:
    """Takes the end of an iteration for the end of the world: what comes after is worth nothing."""

    ahead = False

    def values(self, name, survey):
        """Values, none of them after the last period."""
        values = super().values(name, survey)
        if self.ahead or survey.shape[1] > self.config.horizon:
            values = torch.cat([values[:, :-1], 0 * values[:, -1:]], 1)
        return values

    def worth(self, *what):
        """What probes are worth; they look one period ahead."""
        self.ahead = True
        try:
            return super().worth(*what)
        finally:
            self.ahead = False


class EndingPPO(Ends, PPO):
    """PPO that is told that episodes end."""


class EndingProbing(Ends, Probing):
    """Probing that is told that episodes end."""


#: By economy: periods of an episode, with the groups that make iterations as large, and steps.
EPISODES = {
    "brock_mirman": ({8: 8, 32: 2}, {PPO: 300_000, Probing: 600_000}),
    "planner": ({50: 4}, {PPO: 600_000, Probing: 1_800_000}),
}


@torch.no_grad()
def shares(policy, name: str) -> list[float]:
    """Mean saving share of each run on states that the exact rule visits."""
    economy, _, visited = problem(name)
    luck, found = economy.no_luck(visited), []
    for one in each_run(policy):
        step = economy.step(visited, one(visited), luck)
        found.append(step.info["saving_share"].mean().item())
    return found


def episodic(kind, name, periods, groups, steps, jitter=0.0):
    """Settings of a learner whose economies all begin anew after so many periods."""
    return {
        "kind": kind,
        "name": name,
        "config": kind.config_class(
            groups=groups, replicates=16, horizon=periods, restart=1.0, jitter=jitter
        ),
        "steps": steps,
    }


def saving(kind, name, config, seeds, steps):
    """Learn, and judge the saving share, too."""
    agent, seconds = trained(kind, name, config, seeds, steps)
    rows = judged(agent, name, seconds)
    return [x | {"share": y} for x, y in zip(rows, shares(agent.policy, name), strict=True)]


def time_limits(seeds=5):
    """Episodes of so many periods, whose end is taken for a cut or for the end of the world."""
    cells = {}
    for name, (lengths, steps) in EPISODES.items():
        for periods, groups in lengths.items():
            for kind, ending in ((PPO, EndingPPO), (Probing, EndingProbing)):
                if kind is Probing and periods > 8 and name == "brock_mirman":
                    continue
                label = f"{name}, {kind.__name__}, {periods}"
                how = (name, periods, groups, steps[kind])
                cells[f"{label}, cut"] = episodic(kind, *how)
                cells[f"{label}, end"] = episodic(ending, *how)
    yield from swept(saving, cells, [range(seeds)])


def time_limits_scattered(seeds=5):
    """The same for Probing, whose episodes begin at states that are scattered as usual."""
    cells, jitter = {}, ProbingConfig().jitter
    for name, periods in (("brock_mirman", 8), ("planner", 50)):
        lengths, steps = EPISODES[name]
        how = (name, periods, lengths[periods], steps[Probing], jitter)
        for kind, what in ((Probing, "cut"), (EndingProbing, "end")):
            cells[f"{name}, Probing, {periods}, {what}"] = episodic(kind, *how)
    yield from swept(saving, cells, [range(seeds)])


def patience(seeds=5):
    """PPO with and without its privileges, planner, learning with a discount factor of its own."""
    cells = {}
    for label, config in (("PPO", PPOConfig()), ("ordinary PPO", PPOConfig.ordinary())):
        for beta in (0.97, 0.98):
            economy = Planner(beta=beta)
            if economy == Planner() and label == "PPO":
                continue  # which is a row of `rates_planner_ppo`
            cells[f"{label}, {beta}"] = {
                "kind": PPO,
                "name": "planner",
                "config": config,
                "steps": STEPS["planner"][PPO],
                "economy": economy,
            }
    yield from swept(row, cells, [range(seeds)])


PARTS = {
    "planner_ppo": sensitivity(PPO, "planner", *NUMBERS),
    "planner_ppo_switches": sensitivity(PPO, "planner", *SWITCHES),
    "planner_probing": sensitivity(Probing, "planner", *FEW, "groups", *OFF[:2]),
    "market_ppo": sensitivity(PPO, "market", *FEW, "last noise", *OFF[::2]),
    "market_probing": sensitivity(Probing, "market", "policy rate", OFF[0]),
}
PARTS |= {
    f.__name__: f
    for f in (
        planner_ppo_rate_and_batch,
        planner_ppo_longer,
        planner_ppo_critic,
        post_corners,
        time_limits,
        time_limits_scattered,
        patience,
    )
}
PARTS = {f"rates_{name}": part for name, part in PARTS.items()}
