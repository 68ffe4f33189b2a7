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
    separate : tuple of int, optional
        As for :class:`~lectures_lib.networks.MLP`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        streams: Streams,
        bound: float,
        first_sd: float,
        separate: tuple[int, int] | None = None,
    ):
        *before, actions = sizes
        # A last layer near zero makes the first policy neutral: the middle of what is feasible.
        super().__init__((*before, 2 * actions), streams, 0.01, separate)
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
    separate : tuple of int, optional
        As for :class:`~lectures_lib.networks.MLP`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        streams: Streams,
        separate: tuple[int, int] | None = None,
    ):
        super().__init__()
        self.separate = separate
        # A last layer near zero: slopes that nobody has seen would mislead the first policy.
        pair = [MLP(sizes, streams, 0.01, separate) for _ in range(2)]
        self.weights, self.biases = (
            nn.ParameterList(torch.stack(both, 1) for both in zip(*lists, strict=True))
            for lists in ([p.weights for p in pair], [p.biases for p in pair])
        )

    def forward(self, x: Tensor, action: Tensor) -> Tensor:
        """From (runs, *any, features) and (runs, *any, actions) to (runs, 2, *any)."""
        x = torch.cat([x, action], -1)
        if self.separate is not None:
            x = x.movedim(self.separate[1], 1)
        # A pair of networks for each run, or for each run and agent.
        networks = self.weights[0].shape[:-2]
        middle = x.shape[len(networks) - 1 : -1]
        h = x.reshape(len(x), 1, *networks[2:], -1, x.shape[-1])
        h = h.expand(-1, 2, *h.shape[2:]).flatten(0, len(networks) - 1)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias.flatten(0, -3), h, weight.flatten(0, -3))
            if i < len(self.weights) - 1:
                h = silu(h)
        h = h.reshape(*networks, *middle)
        # One number for each pair of inputs, in the place of their features.
        return h if self.separate is None else h.movedim(2, self.separate[1] + 1)
