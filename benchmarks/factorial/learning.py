"""Training in a cell with a setting, and how far it ends from the exact rule."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from benchmarks.harness import rounded, seconds_per_iteration, timed
from lectures_lib.agents import TrainingDiverged
from lectures_lib.evaluation import evaluate, initial_states
from lectures_lib.evaluation.distances import action_errors
from lectures_lib.evaluation.long_run import ergodic_states
from lectures_lib.evaluation.simulation import each_run

from .cells import LEARNERS, Cell, economy_of

#: A policy error in per cent that stands for a training that has failed.
FAILED = 1e6
#: Points of a learning curve, and economies simulated to judge a policy at its end.
POINTS, PATHS = 16, 256
#: Steps of all seeds of an iteration that a processor's cache holds well.
STEPS_AT_ONCE = 100_000


@cache
def visited(economy: str):
    """States that the exact rule visits in the long run."""
    model, solution = economy_of(economy)
    start = initial_states(solution.policy, model, 1024, seed=10)
    return ergodic_states(solution.policy, model, start, seed=11)


@torch.no_grad()
def policy_errors(policy, economy: str) -> list[float]:
    """Mean relative distance of each run's actions to the exact ones, in per cent."""
    model, solution = economy_of(economy)
    errors = action_errors(model, each_run(policy), solution.policy, visited(economy))
    (own,) = errors.values()
    return [100 * error.mean().nan_to_num(FAILED).item() for error in own]


def configured(cell: Cell, setting: dict, steps: int):
    """An agent's configuration, and its iterations in so many steps."""
    learner = LEARNERS[cell.learner]
    per_iteration = setting["groups"] * setting["replicates"] * setting["horizon"]
    iterations = max(1, steps // per_iteration)
    return learner.config(setting, cell, iterations), iterations


def learn(cell: Cell, setting: dict, seeds, steps: int, points: int = 1):
    """Train some seeds for so many steps each.

    Returns
    -------
    policies, curves
        A policy of a single run for each seed; and for each seed its policy error in per cent, from
        time to time and at the end, as a dictionary of `steps` and `error`.

    Raises
    ------
    TrainingDiverged
    """
    if LEARNERS[cell.learner].agent is None:
        from .rivals import learn_elsewhere

        found = [learn_elsewhere(cell, setting, seed, steps, points) for seed in seeds]
        return [policy for policy, _ in found], [curve for _, curve in found]
    config, iterations = configured(cell, setting, steps)
    economy, _ = economy_of(cell.economy)
    make, policies, curves = LEARNERS[cell.learner].agent, [], []
    at_once = max(1, STEPS_AT_ONCE // (steps // iterations))
    for first in range(0, len(seeds), at_once):
        some = seeds[first : first + at_once]
        agent = make(economy, seeds=some, config=config, device="cpu")
        history = agent.learn(
            iterations * agent.steps_per_iteration,
            callback=lambda agent: {"error": np.array(policy_errors(agent.policy, cell.economy))},
            callback_every=-(-iterations // points),
            show_progress=False,
        )
        policies += [agent.policy[i] for i in range(len(some))]
        errors = history["error"].T
        curves += [{"steps": list(history.steps), "error": rounded(own)} for own in errors]
    return policies, curves


def error_of(cell: Cell, setting: dict, seeds, steps: int) -> float:
    """The geometric mean over seeds of the policy error in per cent, after so many steps."""
    try:
        _, curves = learn(cell, setting, seeds, steps)
    except (TrainingDiverged, ValueError) as failure:
        print(f"  failed: {str(failure)[:100]}", flush=True)
        return FAILED
    return float(np.exp(np.mean([np.log(curve["error"][-1]) for curve in curves])))


def reported(cell: Cell, setting: dict, seeds, steps: int) -> list[dict]:
    """What is stored of each seed; distances in per cent.

    Seconds are those of one processor core, if the seed had it for itself.
    """
    economy, exact = economy_of(cell.economy)
    (policies, curves), took = timed(learn, cell, setting, seeds, steps, POINTS)
    seconds = took / len(seeds)
    if LEARNERS[cell.learner].agent is not None:
        config, iterations = configured(cell, setting, steps)
        alone = LEARNERS[cell.learner].agent(economy, seed=0, config=config, device="cpu")
        seconds = iterations * seconds_per_iteration(alone)
    rows = []
    for seed, policy, curve in zip(seeds, policies, curves, strict=True):
        report = evaluate(policy, economy, exact, seed=12345, paths=PATHS)
        rows.append(
            {
                "seed": seed,
                "policy_error": 100 * report.policy_error_mean,
                "euler_residual": 100 * report.euler_residual_mean,
                "loss": 100 * report.consumption_equivalent_loss,
                "loss_standard_error": 100 * report.loss_standard_error,
                "steps": curve["steps"][-1],
                "seconds": seconds,
                "curve": curve,
            }
        )
    return rows
