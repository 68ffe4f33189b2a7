"""Networks for several training runs at once, and the scale of their inputs.

Every weight carries a leading *runs* dimension, so that five seeds train in one batched matrix
product and never see each other. Chapter *Learning when shocks are inputs*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from .distributed import ALONE, Processes
from .parameters import seeded


class Streams:
    """One random stream for each run, so that a seed's result does not depend on its neighbours.

    Parameters
    ----------
    seeds : sequence of int
    device : torch.device
    """

    def __init__(self, seeds: Sequence[int], device: torch.device):
        self.generators = [seeded(seed, device) for seed in seeds]

    def stack(self, draw: Callable[[int, torch.Generator], Any]) -> Any:
        """Call `draw(run, generator)` for each run and stack the results along a new dimension.

        `draw` returns a tensor or a NamedTuple of tensors.
        """
        drawn = [draw(run, generator) for run, generator in enumerate(self.generators)]
        if isinstance(drawn[0], Tensor):
            return torch.stack(drawn)
        return type(drawn[0])(*(torch.stack(field) for field in zip(*drawn, strict=True)))

    def state_dict(self) -> dict[str, Tensor]:
        """The position of every stream."""
        return {str(i): g.get_state() for i, g in enumerate(self.generators)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Return to stored positions (on the kind of device on which they were stored)."""
        for i, generator in enumerate(self.generators):
            generator.set_state(state[str(i)].cpu())


class MLP(nn.Module):
    """Fully connected networks with SiLU activations, one for each run.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of units of each hidden layer, of outputs.
    streams : Streams
        Where the initial weights come from, uniform on :math:`\\pm 1/\\sqrt{\\text{inputs}}`.
    last_scale : float
        The last layer's weights are drawn this much smaller and its biases start at zero: a small
        value makes the initial output nearly zero whatever the input.
    separate : tuple of int, optional
        Number of agents, and the dimension along which they lie in the inputs (negative), if each
        has a network of its own.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        streams: Streams,
        last_scale: float = 1.0,
        separate: tuple[int, int] | None = None,
    ):
        super().__init__()
        self.separate = separate
        agents = () if separate is None else separate[:1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        layers = list(pairwise(sizes))
        for i, (inputs, outputs) in enumerate(layers):
            last = i == len(layers) - 1
            bound = 1 / math.sqrt(inputs)

            def uniform(run, generator, shape=(*agents, inputs + 1, outputs), bound=bound):
                draw = torch.rand(shape, generator=generator, device=generator.device)
                return bound * (2 * draw - 1)

            drawn = streams.stack(uniform)
            scale, keep = (last_scale, 0.0) if last else (1.0, 1.0)
            self.weights.append(nn.Parameter(scale * drawn[..., :-1, :]))
            self.biases.append(nn.Parameter(keep * drawn[..., -1:, :]))

    def forward(self, x: Tensor) -> Tensor:
        """Map (runs, *any, inputs) to (runs, *any, outputs)."""
        if self.separate is not None:
            x = x.movedim(self.separate[1], 1)
        # One network for each run, or for each run and agent.
        networks = self.weights[0].shape[:-2]
        middle = x.shape[len(networks) : -1]
        h = x.reshape(networks.numel(), -1, x.shape[-1])
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias.flatten(0, -3), h, weight.flatten(0, -3))
            if i < len(self.weights) - 1:
                h = silu(h)
        h = h.reshape(*networks, *middle, -1)
        return h if self.separate is None else h.movedim(1, self.separate[1])


class RunningScale(nn.Module):
    """Mean and standard deviation of everything seen so far, for each run and feature.

    Observations are standardised by the states that a learner has visited, never by a steady
    state that it could not know.

    Parameters
    ----------
    runs, features : int
    device : torch.device
    second_moments : int
        How many of the last features are a population's second moments.
    second_moment_size : float
        What these are scaled to, where all others have a standard deviation of one. It is stored
        with the scale.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor
    second_moment_size: Tensor

    def __init__(
        self,
        runs: int,
        features: int,
        device: torch.device,
        second_moments: int = 0,
        second_moment_size: float = 1.0,
    ):
        super().__init__()
        self.second_moments = second_moments
        # float64, because a sum over millions of observations outgrows float32.
        kwargs: dict[str, Any] = {"device": device, "dtype": torch.float64}
        shape = (runs, features)
        self.register_buffer("count", torch.zeros((), **kwargs))
        self.register_buffer("mean", torch.zeros(shape, **kwargs))
        self.register_buffer("variance", torch.ones(shape, **kwargs))
        self.register_buffer("second_moment_size", torch.tensor(second_moment_size, **kwargs))

    @torch.no_grad()
    def update(self, x: Tensor, processes: Processes = ALONE) -> None:
        """Take in observations (runs, *any, features), each process as many of its own."""
        x = x.reshape(x.shape[0], -1, x.shape[-1]).double()
        n = x.shape[1] * processes.count
        variance, mean = torch.var_mean(x, dim=1, correction=0)
        mean, variance = processes.moments(mean, variance)
        weight = n / (self.count + n)
        change = mean - self.mean
        self.variance.copy_(
            torch.where(
                self.count == 0,
                variance,
                (1 - weight) * self.variance
                + weight * variance
                + weight * (1 - weight) * change.square(),
            )
        )
        self.mean.add_(weight * change)
        self.count.add_(n)

    @property
    def _variance(self) -> Tensor:
        """What is divided by; one for what never moves, such as a chain with one value."""
        return torch.where(self.variance > 1e-10, self.variance, 1.0)

    @property
    def spread(self) -> Tensor:
        """Standard deviations (runs, features); one for what never moves, which has no scale."""
        return self._variance.sqrt()

    def moments(self, dims: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Mean and what to multiply by, shaped to act on (runs, *any, features).

        Parameters
        ----------
        dims : int
            Number of dimensions of the tensor to be standardised.
        dtype : torch.dtype
        """
        shape = (self.mean.shape[0],) + (1,) * (dims - 2) + (self.mean.shape[1],)
        scale = self._variance.rsqrt()
        first = scale.shape[-1] - self.second_moments
        scale[:, first:] *= self.second_moment_size
        return self.mean.to(dtype).reshape(shape), scale.to(dtype).reshape(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise (runs, *any, features)."""
        mean, scale = self.moments(x.dim(), x.dtype)
        return (x - mean) * scale
