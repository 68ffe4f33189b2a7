"""Units of choices, of observations and of rewards: chapter *Spending or quantities*.

Five seeds learn at once. Settings are those of `benchmarks.market`, found there with spending
shares, and the same in all rows but for the size of exploration. That is chosen for each unit of
choice, learner and economy among three in half as many iterations on a seed that is not reported
(parts `quantities_noise`), and rows about observations and rewards take the one of shares.
Policy errors are those of the share of output that is spent, whatever is chosen. Seconds are those
of a processor core that all seeds have taken together, the time of measuring apart, divided by
their number.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from benchmarks.harness import rounded, solved, stored
from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import Market, Planner, Respecified, map_state
from lectures_lib.economies.respecified import UNITS
from lectures_lib.evaluation import evaluate, initial_states
from lectures_lib.evaluation.long_run import ergodic_states

LEARNERS = {
    "PPO": (PPO, PPOConfig(policy_rate=1e-2, horizon=16, groups=4, paired_starts=True)),
    "Probing": (Probing, ProbingConfig(policy_rate=2e-2, horizon=16, groups=4)),
}
ECONOMIES = {"planner": Planner(), "market": Market(2)}
#: Which game is played, by the unit of the choice.
GAMES = {"share": "spending", "level": "spending", "quantity": "quantity", "rate": "quantity"}
#: Multiples of a learner's own noise, of which each row has the best on `TUNING_SEED`.
NOISES, TUNING_SEED = (0.5, 1.0, 2.0), 100
SEEDS, ITERATIONS, SEARCHING, POINTS, PATHS = 5, 300, 150, 30, 32
#: Policy errors in per cent that learners are timed to.
MARKS = (3, 1)
REWARDS = {
    "as it is": {},
    "a hundredth": {"reward_scale": 0.01},
    "a hundred times": {"reward_scale": 100.0},
    "plus 10": {"reward_shift": 10.0},
    "plus 1000": {"reward_shift": 1000.0},
}
_LEVELS, _FROZEN = {"difference_critic": False}, {"frozen": ("reward_scale",)}
#: What may protect from units of rewards: values are fitted to differences within groups, and
#: normalised by the mean and the spread of rewards.
GUARDS: dict[str, dict] = {
    "both": {},
    "normalised": _LEVELS,
    "differences": _FROZEN,
    "neither": _LEVELS | _FROZEN,
}


@cache
def own_game(name: str, action: str):
    """The economy whose game is played if choices are so, in its own words, and its exact rule."""
    economy = ECONOMIES[name]
    if name == "planner":
        return economy, solved(economy)
    economy = replace(economy, action=GAMES[action])
    return economy, solved(economy, "markov perfect")


@cache
def visited(name: str, action: str):
    """States that the exact rule visits in the long run, and the shares that it spends there."""
    game, exact = own_game(name, action)
    start = initial_states(exact.policy, game, 256, seed=10)
    states = ergodic_states(exact.policy, game, start, seed=11)
    unit = "share" if GAMES[action] == "spending" or name == "planner" else "quantity"
    (shares,) = Respecified(ECONOMIES[name], action=unit).original(exact.policy)(states).values()
    return states, shares


@torch.no_grad()
def policy_errors(policy, economy: Respecified, name: str) -> list[float]:
    """Mean relative distance of each run's shares from the exact ones, in per cent."""
    states, exact = visited(name, economy.action)
    states = map_state(lambda x: x.expand(policy.runs, *x.shape), states)
    (shares,) = economy.original(policy)(states).values()
    return (100 * (shares / exact - 1).abs().flatten(1).mean(1)).tolist()


class Clock:
    """Processor seconds of learning at each record, the time of measuring apart."""

    def __init__(self, measure):
        self.measure, self.seconds, self.spent = measure, [], 0.0
        self.began = time.process_time()

    def __call__(self, agent):
        """What `Agent.learn` calls."""
        self.spent += time.process_time() - self.began
        self.seconds.append(self.spent)
        found = {"error": np.array(self.measure(agent.policy))}
        self.began = time.process_time()
        return found


def learn(name, learner, economy, noise, seeds, iterations, frozen=(), **changes):
    """Train; returns the agent, and records as steps, seconds per seed and errors (records, seeds).

    Parameters
    ----------
    name, learner : str
        Of the economy that is respecified, and of the learner.
    economy : Respecified
    noise : float
        A multiple of the learner's own.
    seeds : sequence of int
    iterations : int
    frozen : tuple of str
        Scales that learn nothing, so that nothing is standardised by them: `scale` of what is seen,
        `reward_scale` of values.
    **changes
        Of the configuration.
    """
    kind, config = LEARNERS[learner]
    config = replace(config, noise=tuple(noise * x for x in config.noise), **changes)
    agent = kind(economy, seeds=seeds, config=config, device="cpu")
    for scale in (getattr(x, which) for x in agent.learners.values() for which in frozen):
        scale.update = lambda *_: None
    clock = Clock(lambda policy: policy_errors(policy, economy, name))
    steps = iterations * agent.steps_per_iteration
    every = max(1, iterations // POINTS)
    agent.learn(steps, callback=clock, callback_every=every, show_progress=False)
    seconds = np.array(clock.seconds) / len(seeds)
    return agent, np.array(agent.history.steps), seconds, agent.history["error"]


def row(name, learner, economy, noise, seeds=SEEDS, iterations=ITERATIONS, **how) -> list[dict]:
    """What is stored of each seed; distances in per cent."""
    agent, steps, seconds, errors = learn(
        name, learner, economy, noise, range(seeds), iterations, **how
    )
    game, exact = own_game(name, economy.action)
    policy = replace(economy, economy=game).original(agent.policy)
    report = evaluate(policy, game, exact, seed=12345, paths=PATHS)
    capital = report.moments["mean of capital"]
    results = []
    for i, seed in enumerate(agent.seeds):
        found = {
            "policy_error": errors[-1, i],
            "worst_state": 100 * report.policy_error_max[i],
            "euler_residual": 100 * report.euler_residual_mean[i],
            "loss": 100 * report.consumption_equivalent_loss[i],
            "loss_standard_error": 100 * report.loss_standard_error[i],
            "capital": capital[i],
            "exact_capital": report.reference_moments["mean of capital"],
        }
        found = {key: float(x) for key, x in found.items() if np.isfinite(x)}
        for mark in MARKS:
            there = np.flatnonzero(errors[:, i] < mark)
            found[f"seconds_to_{mark}"] = float(seconds[there[0]]) if len(there) else None
        found |= {"seconds": float(seconds[-1]), "steps": int(steps[-1]), "noise": noise}
        curve = {"seconds": rounded(seconds), "error": rounded(errors[:, i])}
        results.append({"seed": seed} | found | {"curve": curve})
    return results


def best_noise(name: str, learner: str, action: str) -> float:
    """The multiple of the learner's noise that was best on the seed for tuning."""
    found = stored("design")
    parts = (rows for part, rows in found.items() if part.startswith("quantities_noise"))
    rows = {label: row for part in parts for label, row in part.items()}
    return rows[f"{name}, {learner}, {action}"]["best"]


def quantities_noise_planner(iterations=SEARCHING) -> Iterator:
    """How much to explore, by the unit of choice: the planner's errors on a seed for tuning."""
    for learner in LEARNERS:
        yield from _searches("planner", learner, iterations)


def quantities_noise_ppo(iterations=SEARCHING) -> Iterator:
    """The same of the market's buyers who learn by PPO."""
    yield from _searches("market", "PPO", iterations)


def quantities_noise_probing(iterations=SEARCHING) -> Iterator:
    """The same of the market's buyers who probe."""
    yield from _searches("market", "Probing", iterations)


def _searches(name, learner, iterations) -> Iterator:
    for action in UNITS:
        yield f"{name}, {learner}, {action}", _search(name, learner, action, iterations)


def _search(name, learner, action, iterations) -> dict:
    economy, errors = Respecified(ECONOMIES[name], action=action), {}
    for multiple in NOISES:
        curve = learn(name, learner, economy, multiple, [TUNING_SEED], iterations)[-1]
        errors[f"at {multiple:g}"] = float(curve[-1, 0])
    best = min(NOISES, key=lambda x: errors[f"at {x:g}"])
    return {"best": best} | errors


def _units(name, learner, actions=UNITS):
    """Rows of units of choice."""
    return {
        f"{name}, {learner}, {action}": (
            (
                name,
                learner,
                Respecified(ECONOMIES[name], action=action),
                best_noise(name, learner, action),
            ),
            {},
        )
        for action in actions
    }


def _seen(name, learner, kinds):
    """Rows of observations, shares being chosen."""
    best, cells = best_noise(name, learner, "share"), {}
    for label in kinds:
        economy = Respecified(ECONOMIES[name], sees=label.split(",")[0])
        how = {"frozen": ("scale",)} if label.endswith("as they are") else {}
        cells[f"{name}, {learner}, {label}"] = (name, learner, economy, best), how
    return cells


def _earned(name, learner, guards, rewards):
    """Rows of units of rewards, with guards of the critic, shares being chosen."""
    best, cells = best_noise(name, learner, "share"), {}
    for units_of in rewards:
        economy = Respecified(ECONOMIES[name], **REWARDS[units_of])
        given = name, learner, economy, best
        cells[f"{name}, {learner}, {guards}, {units_of}"] = given, GUARDS[guards]
    return cells


def _hundredth(name, learner):
    """Rows of a hundredth of rewards, with each pair of guards."""
    cells: dict = {}
    for guards in GUARDS:
        cells |= _earned(name, learner, guards, ("a hundredth",))
    return cells


def _part(about, cells, *given):
    """A part that makes the rows which a function of these arguments names."""

    def part(seeds=SEEDS, iterations=ITERATIONS) -> Iterator:
        for label, (arguments, how) in cells(*given).items():
            yield label, row(*arguments, seeds=seeds, iterations=iterations, **how)

    part.__doc__ = about
    return part


PARTS = {
    f.__name__: f
    for f in (quantities_noise_planner, quantities_noise_ppo, quantities_noise_probing)
}
for _learner in LEARNERS:
    _of = f"quantities_{_learner.lower()}"
    PARTS[f"{_of}_planner"] = _part(
        f"Shares, levels, quantities and rates: the planner, {_learner}.",
        _units,
        "planner",
        _learner,
    )
    for _game in ("spending", "quantity"):
        PARTS[f"{_of}_{_game}"] = _part(
            f"Both names of one game's choice in the market: {_learner}.",
            _units,
            "market",
            _learner,
            [action for action, game in GAMES.items() if game == _game],
        )
    PARTS[f"{_of}_seen"] = _part(
        f"The planner's observations, standardised and as they are: {_learner}.",
        _seen,
        "planner",
        _learner,
        ("raw", "log, as they are", "raw, as they are"),
    )
    PARTS[f"{_of}_relative"] = _part(
        f"The planner sees capital relative to output: {_learner}.",
        _seen,
        "planner",
        _learner,
        ("relative", "relative, as they are"),
    )
    PARTS[f"{_of}_hundredth"] = _part(
        f"A hundredth of the planner's rewards, by guards of the critic: {_learner}.",
        _hundredth,
        "planner",
        _learner,
    )
    # Both guards and rewards as they are: that is the row of shares.
    for _guards in GUARDS:
        PARTS[f"{_of}_{_guards}"] = _part(
            f"Units of the planner's rewards, guards of the critic: {_guards}; {_learner}.",
            _earned,
            "planner",
            _learner,
            _guards,
            ("a hundred times", "plus 10", "plus 1000" if _guards == "both" else "as it is"),
        )
PARTS["quantities_market_both"] = _part(
    "Buyers' rewards shifted, both guards on; Probing.",
    _earned,
    "market",
    "Probing",
    "both",
    ("plus 10",),
)
PARTS["quantities_market_neither"] = _part(
    "Buyers' rewards shifted, both guards off; Probing.",
    _earned,
    "market",
    "Probing",
    "neither",
    ("as it is", "plus 10"),
)
