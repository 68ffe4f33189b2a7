"""Teams that learn together and act apart: small games, and the planner's households.

Chapter *Centralised training*. Among learners of values, rows differ in the mixer alone. All seeds
of a row train at once, and its seconds are the processor seconds of all, divided by their number.

Settings of games are those of `tests/agents/test_mixers.py`. For households each mixer has its best
of the same list, tried with two households on seed 100 (part `tuning`), which is not reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch

from benchmarks.harness import solved, stored, swept, timed
from benchmarks.planner.many import BY_PPO
from lectures_lib.agents import DQN, PPO, DQNConfig
from lectures_lib.economies import Discretised, Matrix, Planner, TwoStep
from lectures_lib.economies.base import Sight
from lectures_lib.evaluation import evaluate

#: Mixers, by the names that the chapter gives to learners.
MIXERS = {"DQN": None, "VDN": "sum", "QMIX": "monotonic", "free": "free"}

# ---------------------------------------------------------------------- games
#: All choices are at random, so that every joint choice is seen equally often.
SMALL = DQNConfig(
    groups=16,
    hidden=(16,),
    batch=32,
    updates=4,
    warm_up=4,
    capacity=4000,
    epsilon=(1.0, 1.0),
    rate=1e-2,
    target_rate=0.05,
)
#: Each game with its periods, its rounds of learning, and the most that a team can earn.
GAMES = {
    "two steps": (TwoStep(), 2, 400, 8.0),
    "climbing": (Matrix.climbing(), 1, 300, 11.0),
    "precipice": (Matrix.precipice(), 1, 300, 8.0),
    "penalty": (Matrix.penalty(), 1, 300, 10.0),
}


def team(game, mixer, rounds, seeds, **changes) -> DQN:
    """Seeds that have learned a game for so many rounds."""
    config = replace(SMALL, mixer=mixer, **changes)
    agent = DQN(game, seeds=seeds, config=config, device="cpu")
    agent.learn(rounds * agent.steps_per_iteration, show_progress=False)
    return agent


def earned(game, agent, periods) -> torch.Tensor:
    """What each seed's greedy team earns in so many periods, shape (seeds,)."""
    luck = torch.Generator()
    state, total = game.reset((len(agent.seeds),), luck), 0.0
    for _ in range(periods):
        step = game.step(state, agent.policy(state), game.draw((len(agent.seeds),), luck))
        state, total = step.state, total + step.rewards["player"].mean(-1)
    return total


def played(name, mixer, seeds):
    """What greedy teams earn in a game that they have learned with a mixer."""
    game, periods, rounds, best = GAMES[name]
    agent, seconds = timed(team, game, mixer, rounds, seeds)
    found = earned(game, agent, periods)
    amounts, counts = found.unique(return_counts=True)
    return {
        "seeds": len(seeds),
        "best": int((found == best).sum()),
        "earned": amounts.tolist(),
        "times": counts.tolist(),
        "steps": agent.steps,
        "seconds": seconds / len(seeds),
    }


def games(seeds=50):
    """What greedy teams earn in four games, by mixer."""
    cells = {
        f"{name}, {label}": {"name": name, "mixer": mixer}
        for name in GAMES
        for label, mixer in MIXERS.items()
    }
    yield from swept(played, cells, [range(seeds)])


# ---------------------------------------------------------------------- households
#: From which households choose; the exact rule's shares lie between, but for some at the start.
SHARES = tuple(round(0.02 * k, 2) for k in range(1, 12))
#: Economies of a group have the same luck, without which choices can hardly be told apart.
HOUSEHOLDS = DQNConfig(
    groups=64, replicates=8, common_shocks=True, capacity=100_000, target_rate=0.1
)
#: What is tried, for every mixer.
LIST = {
    f"rate {rate:g}, batch {batch}": {"rate": rate, "batch": batch}
    for rate in (1e-3, 3e-3)
    for batch in (256, 1024)
}
ROUNDS, TUNING_ROUNDS, PPO_ROUNDS = 300, 150, 1000
PATHS = 48


@dataclass(frozen=True)
class Secluded(Planner):
    """A planner's households who see only their own capital and luck; a critic sees all of them."""

    @cached_property
    def roles(self):
        """The planner's, with less information."""
        return {name: replace(r, full_information=False) for name, r in super().roles.items()}

    def observe_centrally(self, state, moved=None):
        """What the planner of the same economy sees."""
        return {name: Sight(x, x) for name, x in self.observe(state, moved).items()}


def nearest_share(economy, shares=SHARES):
    """The exact rule, each share of which is rounded to the nearest in the list."""
    rule = solved(economy).policy

    def choose(state, moved=None):
        exact = rule(state)["planner"]
        listed = torch.tensor(shares, dtype=exact.dtype)
        nearest = (exact.unsqueeze(-1) - listed).abs().argmin(-1)
        return {"planner": listed[nearest]}

    return choose


def judged(policy, n, paths=PATHS, seeds=None, **more):
    """Distances from the exact rule of n households in per cent, a row for each seed."""
    report = evaluate(policy, Planner(n), solved(Planner(n)), paths=paths)
    columns = {
        "policy_error": report.policy_error_mean,
        "euler_residual": report.euler_residual_mean,
        "loss": report.consumption_equivalent_loss,
    }
    return [
        {"seed": seed, **more}
        | {k: 100 * float(x[i] if hasattr(x, "__len__") else x) for k, x in columns.items()}
        for i, seed in enumerate(seeds or [0])
    ]


def learned(kind, economy, config, rounds, seeds, paths=PATHS):
    """Train all seeds at once, and judge each of them by the exact rule of the planner."""
    agent = kind(economy, seeds=seeds, config=config, device="cpu")
    _, seconds = timed(agent.learn, rounds * agent.steps_per_iteration, show_progress=False)
    more = {"steps": agent.steps, "seconds": seconds / len(seeds)}
    return judged(agent.policy, economy.n_households, paths, agent.seeds, **more)


def with_shares(kind, n):
    """n households, with the list of shares."""
    return _Listed(kind(n), SHARES)


class _Listed(Discretised):
    """A list of choices that still knows how many choose."""

    @property
    def n_households(self):
        return self.economy.n_households


def by_dqn(economy, config, rounds, **more) -> dict:
    """A cell of households with a list of shares."""
    return {"kind": DQN, "economy": economy, "config": config, "rounds": rounds} | more


def by_ppo(economy, rounds, **changes) -> dict:
    """A cell of households without one."""
    config = replace(BY_PPO, **changes)
    return {"kind": PPO, "economy": economy, "config": config, "rounds": rounds}


def tuning():
    """For each mixer a few settings, with two households and seed 100."""
    two, paths = with_shares(Planner, 2), {"paths": 24}
    cells = {
        f"{label}, {name}": by_dqn(
            two, replace(HOUSEHOLDS, mixer=mixer, **changes), TUNING_ROUNDS, **paths
        )
        for label, mixer in MIXERS.items()
        for name, changes in LIST.items()
    }
    yield from swept(learned, cells, [[100]])


def chosen(label) -> DQNConfig:
    """The settings with which a mixer's households lost least."""
    tried = stored("marl")["tuning"]
    best = min(LIST, key=lambda name: tried[f"{label}, {name}"][0]["loss"])
    return replace(HOUSEHOLDS, mixer=MIXERS[label], **LIST[best])


def _households(n, seeds, labels):
    yield f"{n} households, nearest share", judged(nearest_share(Planner(n)), n)
    listed = with_shares(Planner, n)
    cells = {f"{n} households, {x}": by_dqn(listed, chosen(x), ROUNDS) for x in labels}
    cells[f"{n} households, PPO"] = by_ppo(Planner(n), PPO_ROUNDS)
    yield from swept(learned, cells, [range(seeds)])


def pair(seeds=3):
    """Two households with a list of shares, and PPO without one."""
    yield from _households(2, seeds, MIXERS)


def trio(seeds=3):
    """Three households."""
    yield from _households(3, seeds, MIXERS)


def quintet(seeds=3):
    """Five households, whose joint choices are too many for a free mixer to have seen."""
    yield from _households(5, seeds, ("DQN", "VDN", "QMIX"))


def longer(seeds=3):
    """Two households who learn four times as long, or twice with PPO."""
    listed = with_shares(Planner, 2)
    cells = {
        f"2 households, {label}, four times as long": by_dqn(listed, chosen(label), 4 * ROUNDS)
        for label in ("VDN", "QMIX")
    }
    cells["2 households, PPO, twice as long"] = by_ppo(Planner(2), 2 * PPO_ROUNDS)
    yield from swept(learned, cells, [range(seeds)])


def secluded(seeds=3):
    """Two households who see themselves only, and what a critic or a mixer adds that sees both."""
    cells = {
        f"PPO, {label}": by_ppo(Secluded(2), PPO_ROUNDS // 2, central_critic=central)
        for label, central in (("own critic", False), ("central critic", True))
    }
    listed = with_shares(Secluded, 2)
    cells |= {label: by_dqn(listed, chosen(label), ROUNDS) for label in ("VDN", "QMIX")}
    yield from swept(learned, cells, [range(seeds)])


PARTS = {f.__name__: f for f in (games, tuning, pair, longer, trio, quintet, secluded)}
