"""Every learner of the comparison behind one function: train for so many seconds.

Seconds are those of one processor core, which other work on the machine does not shorten.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness import timed
from lectures_lib.agents import PPO, Analytic, AnalyticConfig, PPOConfig, Probing, ProbingConfig


@dataclass(frozen=True)
class Learner:
    """How a learner is made and for how long it trains."""

    agent: type | None
    config: object
    seconds: float
    tuning_seconds: float


LEARNERS = {
    "PPO, common shocks": Learner(PPO, PPOConfig, 25, 20),
    "Probing": Learner(Probing, ProbingConfig, 25, 20),
    "Analytic": Learner(Analytic, AnalyticConfig, 50, 30),
    "PPO, ordinary": Learner(PPO, PPOConfig.ordinary, 120, 40),
    "SB3 PPO": Learner(None, None, 120, 60),
    "SB3 SAC": Learner(None, None, 120, 60),
}


def learn_for(name: str, economy, seed: int, seconds: float, setting: dict):
    """Train a learner for about `seconds` of processor time on one thread.

    Returns
    -------
    policy, steps, seconds
    """
    learner = LEARNERS[name]
    if learner.agent is None:
        from .rivals import train

        kind = name.removeprefix("SB3 ")
        (policy, steps), took = timed(train, kind, economy, seed, seconds, _nest(setting))
        return policy, steps, took
    config = learner.config(**setting)
    # Our schedules follow steps, so a short trial run tells how many fit into the time. Its first
    # iterations only warm the critic up and are left out.
    trial = learner.agent(economy, seed=seed, device="cpu", config=config)
    warm = trial.steps_per_iteration * (config.warm_up + 5)
    trial.learn(warm)
    _, took = timed(trial.learn, warm + 30 * trial.steps_per_iteration)
    iterations = int(seconds / (took / 30))
    agent = learner.agent(economy, seed=seed, device="cpu", config=config)
    _, took = timed(agent.learn, iterations * agent.steps_per_iteration)
    return agent.policy, agent.steps, took


def _nest(setting):
    """Settings of the network go into stable-baselines3's policy_kwargs."""
    setting = dict(setting)
    network = {}
    if "silu" in setting:
        network["silu"] = setting.pop("silu")
    if "log_std" in setting:
        network["log_std_init"] = setting.pop("log_std")
    return setting | ({"policy_kwargs": network} if network else {})
