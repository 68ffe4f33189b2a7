"""A network so small that second-order methods can train it. Chapter *Global solution*."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..markov import MarkovChain


def standardised(chain: MarkovChain, index: Tensor, like: Tensor) -> Tensor:
    """Levels of a chain in standard deviations from their mean, of the dtype of `like`."""
    mean, level = chain.mean, chain.level(index, like.dtype)
    spread = float(chain.stationary @ (np.array(chain.values) - mean) ** 2)
    return (level - mean) / max(spread**0.5, 1e-12)


class SmallNetwork:
    """Two layers of tanh units beside a linear term, its weights in one vector.

    Parameters
    ----------
    inputs, width : int
    generator : torch.Generator
        Of the first weights; outputs start at zero.
    """

    def __init__(self, inputs: int, width: int, generator: torch.Generator):
        self.inputs, self.width = inputs, width
        # Last layer and linear term start at zero, and so do the first outputs.
        drawn = []
        for n in (inputs, width):
            drawn.append(_normal((n * width,), generator) / n**0.5)
            drawn.append(0.3 * _normal((width,), generator))
        drawn.append(torch.zeros(width + 1 + inputs, dtype=torch.float64))
        self.weights = torch.cat(drawn)

    def __repr__(self):
        return f"{self.width} units"

    def _layers(self, x):
        n, w = self.inputs, self.width
        first, b1, second, b2, last, bias, linear = self.weights.to(x).split(
            [n * w, w, w * w, w, w, 1, n]
        )
        second = second.reshape(w, w)
        h1 = torch.tanh(x @ first.reshape(n, w) + b1)
        h2 = torch.tanh(h1 @ second + b2)
        return h1, h2, second, last, h2 @ last + bias + x @ linear

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (*batch,) from inputs (*batch, inputs)."""
        return self._layers(x)[-1]

    def slopes(self, x: Tensor) -> Tensor:
        """Derivatives (*batch, weights) of the outputs in the weights."""
        h1, h2, second, last, _ = self._layers(x)
        back2 = last * (1 - h2.square())
        back1 = (back2 @ second.T) * (1 - h1.square())
        outer = lambda a, b: (a.unsqueeze(-1) * b.unsqueeze(-2)).flatten(-2)  # noqa: E731
        one = torch.ones_like(x[..., :1])
        return torch.cat([outer(x, back1), back1, outer(h1, back2), back2, h2, one, x], -1)


def _normal(shape, generator):
    return torch.randn(shape, generator=generator, dtype=torch.float64)
