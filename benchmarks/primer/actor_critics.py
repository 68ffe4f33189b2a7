"""PPO and SAC, plain and with common shocks.

Every method gets the same search: each candidate below is trained with two seeds that are not
reported, on Brock and Mirman's model, and the one with the smallest mean policy error is the
method's *best*, which the monopolist gets without a search of its own.
"""

from __future__ import annotations

import time

import numpy as np
from scipy.stats import bootstrap, trim_mean

from lectures_lib.agents import PPO, SAC, PPOConfig, SACConfig
from lectures_lib.economies import BrockMirman, Monopolist
from lectures_lib.evaluation import evaluate
from lectures_lib.solvers import solve

SEARCH_SEEDS = (100, 101)
RECORDS = 8
STEPS = {"PPO": 1_200_000, "SAC": 400_000}
# Wide restarts without common shocks: a plain learner may be given varied states, too.
SCATTERED = {"jitter": 0.35, "restart": 0.3}
CANDIDATES = {
    "PPO": {
        "default": {},
        "noise to 0.02": {"noise": (0.37, 0.02)},
        "noise to 0.02, 8 periods": {"noise": (0.37, 0.02), "horizon": 8},
        "noise to 0.1, 8 periods": {"noise": (0.37, 0.1), "horizon": 8},
        "noise to 0.02, scattered states": {"noise": (0.37, 0.02)} | SCATTERED,
    },
    "SAC": {
        "default": {},
        "noise to 0.15": {"noise": (0.4, 0.15)},
        "policy rate 0.006": {"policy_rate": 6e-3},
        "batch 1024": {"batch": 1024},
        "scattered states, noise to 0.15": {"noise": (0.4, 0.15)} | SCATTERED,
    },
}
KINDS = {"PPO": (PPO, PPOConfig), "SAC": (SAC, SACConfig)}


def config_of(method: str, common: bool, changes: dict):
    """A method's configuration, with or without common shocks."""
    kind = KINDS[method][1]
    return kind(**changes) if common else kind.ordinary(**changes)


def train(kind: type, config, economy, seeds, steps: int):
    """Train an agent and judge it now and then.

    Returns
    -------
    history, seconds, iterations
        Errors in the history have shape (records, seeds); processor seconds of each record are
        those of all seeds, without the judging.
    """
    exact = solve(economy)
    agent = kind(economy, seeds=seeds, config=config, device="cpu")
    judging, seconds = 0.0, []
    started = time.process_time()

    def judge(agent):
        nonlocal judging
        paused = time.process_time()
        seconds.append(paused - started - judging)
        report = evaluate(agent.policy, economy, exact, paths=128)
        judging += time.process_time() - paused
        return {
            "error": report.policy_error_mean,
            "residual": report.euler_residual_mean,
            "loss": report.consumption_equivalent_loss,
            "standard error": report.loss_standard_error,
        }

    iterations = steps // agent.steps_per_iteration
    history = agent.learn(
        iterations * agent.steps_per_iteration,
        callback=judge,
        callback_every=max(1, iterations // RECORDS),
        show_progress=False,
    )
    return history, seconds, iterations


def interquartile(x: np.ndarray) -> tuple[float, float, float]:
    """Interquartile mean over seeds and its 95% bootstrap interval (Agarwal et al. 2021)."""

    def statistic(sample, axis):
        return trim_mean(sample, 0.25, axis=axis)

    interval = bootstrap(
        (x,), statistic, n_resamples=2000, method="percentile", rng=0
    ).confidence_interval
    return float(trim_mean(x, 0.25)), float(interval.low), float(interval.high)


def search(method: str, common: bool) -> dict[str, float]:
    """Mean policy error of each candidate after training, over the search's seeds."""
    errors = {}
    for label, changes in CANDIDATES[method].items():
        config = config_of(method, common, changes)
        history, _, _ = train(KINDS[method][0], config, BrockMirman(), SEARCH_SEEDS, STEPS[method])
        errors[label] = float(history["error"][-1].mean())
        print(f"  {method} common={common} {label}: {100 * errors[label]:.2f}%", flush=True)
    return errors


def row(method, common, economy, label, seeds) -> dict:
    """What is stored of a method on an economy."""
    config = config_of(method, common, CANDIDATES[method][label])
    history, seconds, _ = train(KINDS[method][0], config, economy, seeds, STEPS[method])
    error, low, high = interquartile(history["error"][-1])
    loss, loss_low, loss_high = interquartile(history["loss"][-1])
    return {
        "error_percent": 100 * error,
        "error_low": 100 * low,
        "error_high": 100 * high,
        "loss_percent": 100 * loss,
        "loss_low": 100 * loss_low,
        "loss_high": 100 * loss_high,
        "mean_error_percent": 100 * float(history["error"][-1].mean()),
        "loss_standard_error_percent": 100 * float(history["standard error"][-1].mean()),
        "steps": history.steps[-1],
        "seconds": seconds[-1],
        "seconds_per_seed": seconds[-1] / len(seeds),
        "seeds": list(seeds),
        "settings": label,
        "curve": {
            "steps": history.steps,
            "seconds": seconds,
            "error_percent": (100 * history["error"]).tolist(),
            "loss_percent": (100 * history["loss"]).tolist(),
        },
    }


def actor_critics(seeds=5):
    """PPO and SAC, plain and with common shocks, on Brock and Mirman's model and the monopolist."""
    for method in KINDS:
        for common in (True, False):
            name = f"{method}, {'common shocks' if common else 'plain'}"
            errors = search(method, common)
            best = min(errors, key=errors.get)
            reached = lambda *x, m=method, c=common: row(m, c, *x, range(seeds))  # noqa: E731
            found = reached(BrockMirman(), best)
            yield f"Brock-Mirman: {name}, best", found | {"search": errors}
            if best != "default":
                yield f"Brock-Mirman: {name}, default", reached(BrockMirman(), "default")
            yield f"Monopolist: {name}, best", reached(Monopolist(), best)


PARTS = {"actor_critics": actor_critics}
