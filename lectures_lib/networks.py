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

from .parameters import seeded

#: Size that a population's second moments are given, beside one for all other inputs. What agents
#: do depends on them far less than on means (Krusell and Smith 1998), and in a large population
#: they move by chance alone. At full size a hundred households learn worse (chapter *Learning by a
#: planner: many households*).
SECOND_MOMENT_SIZE = 0.1


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


def pooled_features(x: Tensor) -> Tensor:
    """Own distances from everybody's mean, and everybody's moments: any network is equivariant.

    Appends to the centred features their means over agents and those of their squares and
    products: permuting the agents permutes the outputs of a network that is applied to each
    agent's row, and the same weights serve any number of agents. Distances and not levels, because
    networks learn much faster from inputs that do not repeat each other. A single agent's features
    are left alone. The last columns are the :func:`n_second_moments` second moments.

    Parameters
    ----------
    x : Tensor, shape (*batch, agents, features)

    Returns
    -------
    Tensor, shape (*batch, agents, n_pooled_features(agents, features))
    """
    if x.shape[-2] == 1:
        return x
    mean = x.mean(-2, keepdim=True)
    centred = x - mean
    second = centred.transpose(-1, -2) @ centred / x.shape[-2]
    rows, columns = torch.triu_indices(x.shape[-1], x.shape[-1], device=x.device)
    moments = torch.cat([mean, second[..., rows, columns].unsqueeze(-2)], -1)
    return torch.cat([centred, moments.expand(*x.shape[:-1], moments.shape[-1])], -1)


def n_pooled_features(agents: int, features: int) -> int:
    """Number of columns that :func:`pooled_features` returns."""
    return features if agents == 1 else 2 * features + n_second_moments(agents, features)


def n_second_moments(agents: int, features: int) -> int:
    """How many of the columns that :func:`pooled_features` returns are second moments."""
    return 0 if agents == 1 else features * (features + 1) // 2


def action_features(x: Tensor, actions: int) -> Tensor:
    """Features of each action of each agent, if the first features belong to one action each.

    Goods are treated alike, as agents are by :func:`pooled_features`: permuting the goods permutes
    the outputs of a network that is applied to each row, and the same weights serve any number.
    A row holds the pooled features of the agents' means over goods; how far the action's own
    feature is from the agent's mean, and the mean over agents of this distance; and how far the
    agent's goods are spread, and the mean over agents of this spread. Second moments, of which
    spreads are two, come last.

    Parameters
    ----------
    x : Tensor, shape (*batch, agents, actions + others)
    actions : int

    Returns
    -------
    Tensor, shape (*batch, agents, actions, n_action_features(agents, actions + others, actions))
    """
    own = x[..., :actions]
    mean = own.mean(-1, keepdim=True)
    distance = own - mean
    spread = distance.square().mean(-1, keepdim=True)
    agent = torch.cat([mean, x[..., actions:]], -1)
    first = n_pooled_features(*agent.shape[-2:]) - n_second_moments(*agent.shape[-2:])
    agent = pooled_features(agent).unsqueeze(-2)
    agent = agent.expand(*own.shape, agent.shape[-1])

    def columns(y):
        pair = [y, y.mean(-2, keepdim=True)] if y.shape[-2] > 1 else [y]
        return torch.stack([z.expand_as(own) for z in pair], -1)

    parts = [agent[..., :first], columns(distance), agent[..., first:], columns(spread)]
    return torch.cat(parts, -1)


def n_action_features(agents: int, features: int, actions: int) -> int:
    """Number of columns that :func:`action_features` returns."""
    return n_pooled_features(agents, features - actions + 1) + (2 if agents == 1 else 4)


def n_action_second_moments(agents: int, features: int, actions: int) -> int:
    """How many of the columns that :func:`action_features` returns are second moments."""
    return n_second_moments(agents, features - actions + 1) + (1 if agents == 1 else 2)


class RunningScale(nn.Module):
    """Mean and standard deviation of everything seen so far, for each run and feature.

    Observations are standardised by the states that a learner has visited, never by a steady
    state that it could not know.

    Parameters
    ----------
    runs, features : int
    device : torch.device
    second_moments : int
        How many of the last features are a population's second moments, which are scaled to
        `SECOND_MOMENT_SIZE` and not to one.
    """

    def __init__(self, runs: int, features: int, device: torch.device, second_moments: int = 0):
        super().__init__()
        self.second_moments = second_moments
        # float64, because a sum over millions of observations outgrows float32.
        shape, kwargs = (runs, features), {"device": device, "dtype": torch.float64}
        self.register_buffer("count", torch.zeros((), **kwargs))
        self.register_buffer("mean", torch.zeros(shape, **kwargs))
        self.register_buffer("variance", torch.ones(shape, **kwargs))

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Take in observations (runs, *any, features)."""
        x = x.reshape(x.shape[0], -1, x.shape[-1]).double()
        n = x.shape[1]
        variance, mean = torch.var_mean(x, dim=1, correction=0)
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

    def moments(self, dims: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Mean and what to multiply by, shaped to act on (runs, *any, features).

        Parameters
        ----------
        dims : int
            Number of dimensions of the tensor to be standardised.
        dtype : torch.dtype
        """
        shape = (self.mean.shape[0],) + (1,) * (dims - 2) + (self.mean.shape[1],)
        # A feature that never moves (a chain with one value) is centred and left unscaled.
        scale = torch.where(self.variance > 1e-10, self.variance, 1.0).rsqrt()
        first = scale.shape[-1] - self.second_moments
        scale[:, first:] *= SECOND_MOMENT_SIZE
        return self.mean.to(dtype).reshape(shape), scale.to(dtype).reshape(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise (runs, *any, features)."""
        mean, scale = self.moments(x.dim(), x.dtype)
        return (x - mean) * scale
