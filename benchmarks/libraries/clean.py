"""PPO in one file and in plain torch, with the structure and the settings that CleanRL publishes.

Huang et al. (2022), "The 37 implementation details of proximal policy optimization", those for
continuous actions. Two of them matter here. The value after an episode's last period is taken to be
zero, though economies go on; and the scales of observations go on moving while a batch is learned
from.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lectures_lib.interop import policy_of

from .environments import as_seen, single_or_vector

VALUE_WEIGHT, LARGEST_GRADIENT, EPSILON = 0.5, 0.5, 1e-5


def _layer(n_in: int, n_out: int, size: float = 2**0.5) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    nn.init.orthogonal_(layer.weight, size)
    nn.init.zeros_(layer.bias)
    return layer


class ActorCritic(nn.Module):
    """Two networks apart, and a log deviation that no state moves."""

    def __init__(self, n_features: int, n_actions: int, setting: dict):
        super().__init__()
        width, kind = setting["width"], nn.SiLU if setting["silu"] else nn.Tanh

        def network(n_out, size):
            return nn.Sequential(
                _layer(n_features, width), kind(), _layer(width, width), kind(),
                _layer(width, n_out, size),
            )  # fmt: skip

        self.mean, self.critic = network(n_actions, 0.01), network(1, 1.0)
        self.log_std = nn.Parameter(torch.full((n_actions,), setting["log_std"]))

    def distribution(self, seen: Tensor) -> Normal:
        """Of actions, before they are cut."""
        return Normal(self.mean(seen), self.log_std.exp())

    def value(self, seen: Tensor) -> Tensor:
        return self.critic(seen).squeeze(-1)


def simulated(economy, setting: dict, *, single: bool):
    """A function that lives for a period, and the number of its steps."""
    env = single_or_vector(economy, setting, single=single)
    env.reset(seed=0)
    actions = np.zeros(env.action_space.shape, np.float32)
    return lambda: env.step(actions), setting["copies"]


def learn(economy, setting: dict, seed: int, steps: int, watch, *, single: bool) -> None:
    """Learn for so many steps; `watch(steps, policy)` is called before it and after each batch."""
    torch.manual_seed(seed)
    env = single_or_vector(economy, setting, single=single)
    copies, periods = setting["copies"], setting["batch"] // setting["copies"]
    n_features, n_actions = (
        space.shape[0] for space in (env.single_observation_space, env.single_action_space)
    )
    agent = ActorCritic(n_features, n_actions, setting)
    optimizer = torch.optim.Adam(agent.parameters(), lr=setting["rate"], eps=EPSILON)
    seen, _ = env.reset(seed=seed)
    seen, done = torch.as_tensor(seen), 0
    batches = max(1, steps // (copies * periods))

    def policy():
        scaled = as_seen(env)
        return policy_of(lambda x: agent.mean(torch.as_tensor(scaled(x))).detach(), economy)

    watch(0, policy)
    for number in range(batches):
        if setting["decay"]:
            optimizer.param_groups[0]["lr"] = setting["rate"] * (1 - number / batches)
        rollout = [torch.zeros(periods, copies) for _ in range(4)]
        likelihood, rewards, values, over = rollout
        observations = torch.zeros(periods, copies, n_features)
        actions = torch.zeros(periods, copies, n_actions)
        for t in range(periods):
            with torch.no_grad():
                distribution = agent.distribution(seen)
                action = distribution.sample()
                values[t] = agent.value(seen)
            observations[t], actions[t] = seen, action
            likelihood[t] = distribution.log_prob(action).sum(-1)
            new, reward, ended, cut, _ = env.step(action.numpy())
            rewards[t] = torch.as_tensor(reward)
            over[t] = torch.as_tensor(ended | cut)
            seen = torch.as_tensor(new)
        with torch.no_grad():
            last = agent.value(seen)
        advantages = _advantages(rewards, values, over, last, economy.discount, setting["lam"])
        batch = (observations, actions, likelihood, values, advantages)
        _improve(agent, optimizer, setting, *(x.flatten(0, 1) for x in batch))
        done += copies * periods
        watch(done, policy)
    watch.note(policy)


def _advantages(rewards, values, over, last, discount, lam) -> Tensor:
    """Generalised advantages (periods, copies), worth nothing after the end of an episode."""
    found, following, value = torch.zeros_like(rewards), torch.zeros_like(last), last
    for t in reversed(range(len(rewards))):
        goes_on = 1 - over[t]
        surprise = rewards[t] + discount * goes_on * value - values[t]
        following = surprise + discount * lam * goes_on * following
        found[t], value = following, values[t]
    return found


def _improve(agent, optimizer, setting, seen, actions, likelihood, values, advantages) -> None:
    returns, clip = advantages + values, setting["clip"]
    for _ in range(setting["epochs"]):
        for i in torch.randperm(len(seen)).split(setting["minibatch"]):
            advantage = advantages[i]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            distribution = agent.distribution(seen[i])
            ratio = (distribution.log_prob(actions[i]).sum(-1) - likelihood[i]).exp()
            surrogate = torch.min(
                ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage
            ).mean()
            value = agent.value(seen[i])
            near = values[i] + (value - values[i]).clamp(-clip, clip)
            error = torch.max((value - returns[i]) ** 2, (near - returns[i]) ** 2).mean() / 2
            optimizer.zero_grad()
            (VALUE_WEIGHT * error - surrogate).backward()
            nn.utils.clip_grad_norm_(agent.parameters(), LARGEST_GRADIENT)
            optimizer.step()
