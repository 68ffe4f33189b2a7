"""One household: the library's learners, for chapter *Learning by a planner: one household*.

Each run has one thread; its seconds are those of the core that it used, so that other work on
the machine does not shorten them. The parts `runs` and `steps` are timed by the wall clock.
"""

from __future__ import annotations

import time

import torch

from benchmarks.harness import CALIBRATIONS, swept, timed
from lectures_lib.agents import PPO, Analytic, Probing
from lectures_lib.economies import Planner
from lectures_lib.evaluation import best_fixed_action, evaluate
from lectures_lib.solvers import solve

#: The library's learners, with the settings that they come with, and for how many seconds.
LEARNERS = {"PPO": (PPO, 25), "Probing": (Probing, 25), "Analytic": (Analytic, 50)}


def run(name, economy, seed):
    """Train once and judge; the numbers of one row and seed."""
    policy, steps, took = learn_for(*LEARNERS[name], economy, seed)
    return judge(policy, economy) | {"seed": seed, "steps": steps, "seconds": took}


def learn_for(make, seconds: float, economy, seed: int):
    """Train a learner for about `seconds` of one processor core.

    Returns
    -------
    policy, steps, seconds
    """
    # Schedules follow steps, so a short trial run tells how many fit into the time. Its first
    # iterations only warm the critic up and are left out.
    trial = make(economy, seed=seed, device="cpu")
    warm = trial.steps_per_iteration * (trial.config.warm_up + 5)
    trial.learn(warm)
    _, took = timed(trial.learn, warm + 30 * trial.steps_per_iteration)
    agent = make(economy, seed=seed, device="cpu")
    _, took = timed(agent.learn, int(seconds / (took / 30)) * agent.steps_per_iteration)
    return agent.policy, agent.steps, took


def judge(policy, economy):
    """The distances of the table, in per cent of the exact rule."""
    report = evaluate(policy, economy, solve(economy), seed=12345)
    spread = report.moments["s.d. of capital"] / report.reference_moments["s.d. of capital"]
    return {
        "loss": 100 * report.consumption_equivalent_loss,
        "loss_standard_error": 100 * report.loss_standard_error,
        "policy_error": 100 * report.policy_error_mean,
        "euler_residual": 100 * report.euler_residual_mean,
        "capital_spread": 100 * spread,
    }


def steps():
    """Economy steps per second of Planner.step at a batch of 65,536."""
    economy, generator, batch = Planner(), torch.Generator().manual_seed(0), (65_536,)
    state, shocks = economy.reset(batch, generator), economy.draw(batch, generator)
    shares = {"planner": torch.full((*batch, 1, 1), 0.1)}
    with torch.no_grad():
        for _ in range(20):
            state = economy.step(state, shares, shocks).state
        started = time.perf_counter()
        for _ in range(500):
            state = economy.step(state, shares, shocks).state
    yield "steps_per_second", 500 * batch[0] / (time.perf_counter() - started)


def runs():
    """Seconds of an iteration of PPO with one run and with five."""
    seconds = {}
    for label, kwargs in (("one", {"seed": 0}), ("five", {"seeds": range(5)})):
        agent = PPO(Planner(), device="cpu", **kwargs)
        agent.learn(50 * agent.steps_per_iteration)
        before = agent.seconds
        agent.learn(250 * agent.steps_per_iteration)
        seconds[label] = (agent.seconds - before) / 200
        yield label, seconds[label]
    yield "ratio", seconds["five"] / seconds["one"]


def learners(seeds=5):
    """Between the best constant share and the exact rule."""
    yield from _ours(Planner(), seeds)
    yield "exact", [judge(solve(Planner()).policy, Planner())]


def calibration(seeds=5):
    """The same settings in another economy."""
    yield from _ours(Planner(**CALIBRATIONS["other"]), seeds)


def _ours(economy, seeds):
    yield "best constant share", [judge(best_fixed_action(economy), economy)]
    cells = {name: {"name": name, "economy": economy} for name in LEARNERS}
    yield from swept(run, cells, range(seeds))


PARTS = {f.__name__: f for f in (steps, runs, learners, calibration)}
