"""Stable-baselines3's learners on our economies, with policies that our judge can read."""

from __future__ import annotations

import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from lectures_lib.interop import StableBaselines, policy_of

from .cells import Cell, economy_of
from .learning import policy_errors


class Relative(VecEnvWrapper):
    """Rewards are differences from the mean of a group of so many copies."""

    def __init__(self, venv: VecEnv, replicates: int):
        super().__init__(venv)
        self.replicates = replicates

    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        seen, rewards, over, infos = self.venv.step_wait()
        groups = torch.from_numpy(rewards).reshape(-1, self.replicates)
        return seen, (groups - groups.mean(1, keepdim=True)).flatten().numpy(), over, infos


def environment(
    economy, groups: int, replicates: int, *, common: bool, relative: bool, episode: int
) -> VecEnv:
    """Groups of replicates, that begin at ages of their own, so that not all end at once.

    Parameters
    ----------
    economy : Economy
    groups, replicates : int
    common : bool
        Whether the replicates of a group begin in the same state and receive the same shocks.
    relative : bool
        Whether rewards are differences from the group's mean.
    episode : int
        Periods after which an episode is cut.
    """
    env = StableBaselines(
        economy,
        groups * replicates,
        horizon=episode,
        stagger=groups,
        common=replicates if common else 1,
    )
    return Relative(env, replicates) if relative else env


class _Judge(BaseCallback):
    """Notes the policy error from time to time."""

    def __init__(self, judge, every):
        super().__init__()
        self.judge, self.every, self.curve = judge, every, {"steps": [], "error": []}

    def note(self):
        if self.curve["steps"][-1:] != [self.num_timesteps]:
            self.curve["steps"].append(self.num_timesteps)
            self.curve["error"].append(float(f"{self.judge():.4g}"))

    def _on_step(self):
        if self.num_timesteps >= (len(self.curve["steps"]) + 1) * self.every:
            self.note()
        return True


def model_of(kind: type, env: VecEnv, economy, setting: dict, seed: int):
    """A model of stable-baselines3, with the names that the search's settings have.

    Parameters
    ----------
    kind : type
        PPO or SAC.
    env : VecEnv
    economy : Economy
    setting : dict
        `normalise`, `decay`, `silu`, `width` and perhaps `log_std_init`, and what the kind takes.
    seed : int
    """
    s = dict(setting)
    if s.pop("normalise"):
        env = VecNormalize(env, gamma=economy.discount)
    if s.pop("decay"):
        rate = s["learning_rate"]
        s["learning_rate"] = lambda remaining: rate * max(0.01, remaining)
    network = {"net_arch": [s.pop("width")] * 2}
    if s.pop("silu"):
        network["activation_fn"] = torch.nn.SiLU
    if "log_std_init" in s:
        network["log_std_init"] = s.pop("log_std_init")
    # The discount factor is part of the problem and not a setting.
    return kind(
        "MlpPolicy",
        env,
        gamma=economy.discount,
        seed=seed,
        device="cpu",
        policy_kwargs=network,
        **s,
    )


def learn_elsewhere(cell: Cell, setting: dict, seed: int, steps: int, points: int = 1):
    """Train stable-baselines3's PPO or SAC for so many steps.

    Returns
    -------
    policy, curve
        The deterministic policy in the form that `evaluate` takes, and its errors on the way.
    """
    s, (economy, _) = dict(setting), economy_of(cell.economy)
    env = environment(
        economy,
        s.pop("groups"),
        s.pop("replicates"),
        common=cell.has("common", s),
        relative=s.pop("relative"),
        episode=s.pop("episode"),
    )
    model = model_of({"sb3_ppo": PPO, "sb3_sac": SAC}[cell.learner], env, economy, s, seed)
    policy = policy_of(model, economy)

    def judge():
        (error,) = policy_errors(policy, cell.economy)
        return error

    judged = _Judge(judge, steps / points)
    model.learn(steps, callback=judged)
    judged.note()
    return policy, judged.curve
