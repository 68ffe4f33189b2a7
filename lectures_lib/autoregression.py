"""Productivity whose logarithm is an autoregression, where a finite Markov chain will not do.

It has the methods of :class:`~lectures_lib.markov.MarkovChain`, so that an economy may take either:
a period's randomness is handed in as uniform draws, and expectations are sums over a few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .markov import require_positive_chain
from .parameters import Parameters, require

# Quantiles of zero and of one are infinite. A float32 draw may be zero, and is then taken for half
# of the smallest other draw; the largest float32 below one is the largest draw, and `1 - SMALLEST`
# would be one. With more nodes than eleven the outermost would be outside of these two.
SMALLEST, LARGEST = 2.0**-25, 1 - 2.0**-24
MOST_NODES = 11


@dataclass(frozen=True)
class AutoRegression(Parameters):
    r"""Levels :math:`e^{x}` with :math:`x' = \rho x + \sigma\varepsilon`, standard normal.

    Given a uniform draw :math:`u`, the innovation is :math:`\varepsilon = \Phi^{-1}(u)`, so that
    the same draw means the same luck for everybody who receives it. Where a chain has an index, it
    has the real number :math:`x`. Expectations are those of Gauss and Hermite, which are exact for
    polynomials in the innovation of degree below twice the number of nodes.

    Parameters
    ----------
    persistence : float
        :math:`\rho`, in (-1, 1).
    deviation : float
        :math:`\sigma`, the standard deviation of the innovation, positive.
    nodes : int
        Of the rule for expectations, from 2 to 11.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.
    """

    persistence: float
    deviation: float
    nodes: int = 5

    def __post_init__(self):
        inside = -1 < self.persistence < 1
        require(inside, "persistence", self.persistence, "a number strictly between -1 and 1")
        finite = 0 < self.deviation < np.inf
        require(finite, "deviation", self.deviation, "a positive number")
        require(
            2 <= self.nodes <= MOST_NODES,
            "nodes",
            self.nodes,
            f"a whole number from 2 to {MOST_NODES}",
        )

    def __len__(self) -> int:
        """How many outcomes expectations are sums over."""
        return self.nodes

    @property
    def spread(self) -> float:
        """Standard deviation of x under the stationary distribution."""
        return self.deviation / (1 - self.persistence**2) ** 0.5

    @property
    def low(self) -> float:
        """A low x, two standard deviations below the middle."""
        return -2 * self.spread

    @property
    def high(self) -> float:
        """A high x, two standard deviations above the middle."""
        return 2 * self.spread

    @property
    def mean(self) -> float:
        """Mean of the level under the stationary distribution."""
        return float(np.exp(self.spread**2 / 2))

    def level(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Levels: same shape, the given floating dtype."""
        return x.to(dtype).exp()

    def initial(self, uniform: Tensor) -> Tensor:
        """Draws of x from the stationary distribution, one for each uniform draw."""
        return self.spread * _normal(uniform)

    def next(self, x: Tensor, uniform: Tensor) -> Tensor:
        """Next period's x, given uniform draws in [0, 1) that broadcast against it."""
        return self.persistence * x + self.deviation * _normal(uniform)

    def outcomes(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Uniform draws over which expectations are sums.

        Parameters
        ----------
        x : Tensor, shape (*batch,)
        dtype : torch.dtype

        Returns
        -------
        uniform, probability : Tensor, shape (nodes, *batch)
        """
        ones = (slice(None), *[None] * x.dim())
        uniform, weight = (
            torch.tensor(y, dtype=dtype, device=x.device)[ones].expand(-1, *x.shape)
            for y in _rule(self.nodes)
        )
        return uniform, weight


@lru_cache
def _rule(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Uniform draws and weights of the Gauss-Hermite rule for a standard normal."""
    from scipy.stats import norm  # where needed: it is slow to import

    at, weight = np.polynomial.hermite_e.hermegauss(nodes)
    return norm.cdf(at), weight / weight.sum()


def _normal(uniform: Tensor) -> Tensor:
    return torch.special.ndtri(uniform.clamp(SMALLEST, LARGEST))


def require_productivity(name: str, process) -> None:
    """Refuse what is neither an autoregression nor a chain with positive values.

    Raises
    ------
    ValueError
        The message names the parameter.
    """
    if not isinstance(process, AutoRegression):
        require_positive_chain(name, process)
