"""A squashed Gaussian policy and a pair of critics. Chapter *Soft actor-critic*."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ..networks import MLP, Streams
from .losses import squash, squashed_log_prob

#: Between these the logarithm of the policy's standard deviation stays.
LOG_SD_RANGE = (-6.0, 1.0)


class GaussianActor(MLP):
    """A squashed Gaussian policy, one for each run.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of units of each hidden layer, of actions.
    streams : Streams
        Where the initial weights come from.
    bound : float
        Raw actions lie between minus and plus this number.
    first_sd : float
        Standard deviation before squashing that the first policy has nearly everywhere.
    """

    def __init__(self, sizes: Sequence[int], streams: Streams, bound: float, first_sd: float):
        *before, actions = sizes
        # A last layer near zero makes the first policy neutral: the middle of what is feasible.
        super().__init__((*before, 2 * actions), streams, last_scale=0.01)
        self.bound, self.first = bound, math.log(first_sd)

    def gaussian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation before squashing, (runs, *any, actions)."""
        mean, log_sd = super().forward(x).chunk(2, -1)
        return mean, (self.first + log_sd).clamp(*LOG_SD_RANGE)

    def forward(self, x: Tensor) -> Tensor:
        """The raw action without noise."""
        return squash(self.gaussian(x)[0], self.bound)

    def sample(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The raw action that standard normal `noise` leads to, and its log density."""
        mean, log_sd = self.gaussian(x)
        z = mean + log_sd.exp() * noise
        return squash(z, self.bound), squashed_log_prob(noise, log_sd, z, self.bound)


class TwinCritics(nn.Module):
    """Two critics of a state and an action for each run, evaluated in one batched product.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs (features and actions), of units of each hidden layer, and one.
    streams : Streams
        Where the initial weights come from.
    """

    def __init__(self, sizes: Sequence[int], streams: Streams):
        super().__init__()
        # A last layer near zero: slopes that nobody has seen would mislead the first policy.
        pair = [MLP(sizes, streams, last_scale=0.01) for _ in range(2)]
        self.weights, self.biases = (
            nn.ParameterList(torch.stack(both, 1) for both in zip(*lists, strict=True))
            for lists in ([p.weights for p in pair], [p.biases for p in pair])
        )

    def forward(self, x: Tensor, action: Tensor) -> Tensor:
        """From (runs, *any, features) and (runs, *any, actions) to (runs, 2, *any)."""
        x = torch.cat([x, action], -1)
        runs, *middle, inputs = x.shape
        h = x.reshape(runs, 1, -1, inputs).expand(-1, 2, -1, -1).flatten(0, 1)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias.flatten(0, 1), h, weight.flatten(0, 1))
            if i < len(self.weights) - 1:
                h = silu(h)
        return h.reshape(runs, 2, *middle)
