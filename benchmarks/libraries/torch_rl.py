"""PPO made of TorchRL's pieces, as its own example for continuous actions puts them together."""

from __future__ import annotations

import logging

import torch
from tensordict.nn import AddStateIndependentNormalScale, TensorDictModule
from torch import nn
from torchrl import torchrl_logger
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, SamplerWithoutReplacement, TensorDictReplayBuffer
from torchrl.envs import GymWrapper
from torchrl.modules import MLP, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from lectures_lib.interop import policy_of

from .environments import as_seen, single_or_vector

VALUE_WEIGHT, LARGEST_GRADIENT, EPSILON = 0.25, 0.5, 1e-5


def _networks(n_features: int, n_actions: int, setting: dict):
    shape = {
        "num_cells": [setting["width"]] * 2,
        "activation_class": nn.SiLU if setting["silu"] else nn.Tanh,
    }
    mean = MLP(n_features, n_actions, **shape)
    critic = MLP(n_features, 1, **shape)
    for network, last in ((mean, 0.01), (critic, 1.0)):
        layers = [layer for layer in network if isinstance(layer, nn.Linear)]
        for layer in layers:
            nn.init.orthogonal_(layer.weight, last if layer is layers[-1] else 2**0.5)
            nn.init.zeros_(layer.bias)
    spread = AddStateIndependentNormalScale(n_actions, scale_lb=1e-8, init_value=setting["log_std"])
    actor = ProbabilisticActor(
        TensorDictModule(nn.Sequential(mean, spread), ["observation"], ["loc", "scale"]),
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": -1.0, "high": 1.0, "tanh_loc": False},
        return_log_prob=True,
    )
    return mean, actor, ValueOperator(critic, in_keys=["observation"])


def wrapped(env) -> GymWrapper:
    """A Gymnasium environment as TorchRL's, which looks at what it tells and says so."""
    torchrl_logger.setLevel(logging.WARNING)
    return GymWrapper(env)


def simulated(economy, setting: dict):
    """A function that lives for some periods by chance, and the number of its steps."""
    env, periods = wrapped(single_or_vector(economy, setting, single=setting["copies"] == 1)), 100

    def live():
        env.rollout(periods, break_when_any_done=False)

    return live, periods * setting["copies"]


def learn(economy, setting: dict, seed: int, steps: int, watch) -> None:
    """Learn for so many steps; `watch(steps, policy)` is called before it and after each batch."""
    torch.manual_seed(seed)
    inner = single_or_vector(economy, setting, single=setting["copies"] == 1)
    env = wrapped(inner)
    env.set_seed(seed)
    n_features, n_actions = (
        space.shape[0] for space in (inner.single_observation_space, inner.single_action_space)
    )
    mean, actor, critic = _networks(n_features, n_actions, setting)
    size = setting["batch"] // setting["copies"] * setting["copies"]
    batches = max(1, steps // size)
    collector = Collector(env, actor, frames_per_batch=size, total_frames=batches * size)
    advantage = GAE(gamma=economy.discount, lmbda=setting["lam"], value_network=critic)
    loss = ClipPPOLoss(
        actor,
        critic,
        clip_epsilon=setting["clip"],
        loss_critic_type="l2",
        entropy_coeff=0.0,
        critic_coeff=VALUE_WEIGHT,
        normalize_advantage=True,
    )
    optimizer = torch.optim.Adam(loss.parameters(), lr=setting["rate"], eps=EPSILON)
    memory = TensorDictReplayBuffer(
        storage=LazyTensorStorage(size),
        sampler=SamplerWithoutReplacement(),
        batch_size=min(setting["minibatch"], size),
    )

    def policy():
        scaled = as_seen(inner)
        return policy_of(lambda x: mean(torch.as_tensor(scaled(x))).tanh().detach(), economy)

    done = 0
    watch(done, policy)
    for number, batch in enumerate(collector):
        if setting["decay"]:
            optimizer.param_groups[0]["lr"] = setting["rate"] * (1 - number / batches)
        with torch.no_grad():
            batch = advantage(batch)
        memory.extend(batch.reshape(-1))
        for _ in range(setting["epochs"]):
            for some in memory:
                losses = loss(some)
                total = losses["loss_objective"] + losses["loss_entropy"] + losses["loss_critic"]
                optimizer.zero_grad()
                total.backward()
                nn.utils.clip_grad_norm_(loss.parameters(), LARGEST_GRADIENT)
                optimizer.step()
        done += size
        watch(done, policy)
    watch.note(policy)
    collector.shutdown()
