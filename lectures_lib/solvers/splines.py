"""Cubic splines on a grid of capital stocks, for what has kinks. Chapter *Global solution*."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from .productivity import JointChain

# Points that are evaluated at once: more need more memory and save no time.
POINTS_AT_ONCE = 8192


class Splines:
    r"""Products of cubic B-splines in the log of each household's capital.

    A polynomial pays for a kink everywhere, a spline only next to it. Households are alike, so
    that the functions are found at nodes where each owns at least as much as the one before, and
    are everywhere else what they are there with other names. At the ends of the grid a spline's
    third derivative does not jump, and beyond them it is linear.

    Parameters
    ----------
    low, high : float
        Every household's capital lies between them.
    nodes : int
        In each household's capital, at equal distances in logs.
    chain : JointChain
        Of an economy with one capital good.
    """

    def __init__(self, low: float, high: float, nodes: int, chain: JointChain):
        self.low, self.high, self.nodes = low, high, nodes
        self.stocks = chain.levels.shape[-1]
        logs = torch.linspace(np.log(low), np.log(high), nodes, dtype=torch.float64)
        self._spacing = float(logs[1] - logs[0])
        ordered = torch.combinations(torch.arange(nodes), self.stocks, with_replacement=True)
        self.capital = logs[ordered].exp()
        self._renamed = _everywhere(ordered, nodes, chain)
        self._to_coefficients = _interpolation(nodes)

    def __repr__(self):
        return f"cubic splines on {self.nodes} nodes for each household"

    def inside(self, capital: Tensor) -> Tensor:
        """Whether all stocks (..., stocks) lie on the grid."""
        return ((capital >= self.low) & (capital <= self.high)).all(-1)

    def fit(self, values: Tensor) -> Tensor:
        """Coefficients (combinations, coefficients, stocks) from values at the nodes."""
        full = values.reshape(-1)[self._renamed]
        shape = (len(full), *[self.nodes] * self.stocks, self.stocks)
        full = full.reshape(shape)
        for axis in range(1, 1 + self.stocks):
            full = torch.tensordot(self._to_coefficients, full, ([1], [axis])).movedim(0, axis)
        return full.flatten(1, -2)

    def prepare(self, coefficients: Tensor) -> Tensor:
        """What :meth:`evaluate` needs: the coefficients themselves."""
        return coefficients

    def evaluate(self, coefficients: Tensor, capital: Tensor, index: Tensor):
        """Values and slopes of the functions.

        Parameters
        ----------
        coefficients : Tensor, shape (combinations, coefficients, stocks)
        capital : Tensor, shape (points, stocks)
        index : Tensor of int64, shape (points,)
            The combination of productivities at each point.

        Returns
        -------
        value : Tensor, shape (points, stocks)
        slope : Tensor, shape (points, stocks, stocks)
            Of each function (first) in each log stock (second).
        """
        parts = zip(capital.split(POINTS_AT_ONCE), index.split(POINTS_AT_ONCE), strict=True)
        found = [self._evaluate(coefficients, *part) for part in parts]
        return tuple(torch.cat(column) for column in zip(*found, strict=True))

    def _evaluate(self, coefficients, capital, index):
        where, weights, slopes, beyond = self._locate(capital)
        near = coefficients[index.unsqueeze(-1), where]
        slope = slopes @ near
        value = (weights.unsqueeze(-2) @ near).squeeze(-2)
        return value + (beyond.unsqueeze(-2) @ slope).squeeze(-2), slope.mT

    def linear(self, capital: Tensor, index: Tensor):
        """The function from coefficients to values (points, stocks) at these points."""
        where, weights, slopes, beyond = self._locate(capital)
        weights = weights + (beyond.unsqueeze(-2) @ slopes).squeeze(-2)

        def values(coefficients):
            near = coefficients[index.unsqueeze(-1), where]
            return (weights.unsqueeze(-2) @ near).squeeze(-2)

        return values

    def _locate(self, capital):
        """Coefficients next to each point, their weights in values and slopes; steps outside."""
        position = (capital.log() - np.log(self.low)) / self._spacing
        nearest = position.clamp(0, self.nodes - 1)
        # What is not a number lies somewhere, and makes values that are not.
        cell = nearest.detach().nan_to_num(0.0).floor().clamp(0, self.nodes - 2)
        t = nearest - cell
        left = 1 - t
        basis = torch.stack(
            [left**3, 4 - 6 * t**2 + 3 * t**3, 4 - 6 * left**2 + 3 * left**3, t**3], -1
        )
        slope = torch.stack([-(left**2), t * (3 * t - 4), left * (4 - 3 * left), t**2], -1) * (
            3 / self._spacing
        )
        basis, slope = basis / 6, slope / 6
        each = cell.long().unsqueeze(-1) + torch.arange(4)
        width, where = self.nodes + 2, torch.zeros_like(each[..., 0, :1])
        for k in range(self.stocks):
            where = (where.unsqueeze(-1) * width + each[..., k, None, :]).flatten(-2)
        products = []
        for j in range(1 + self.stocks):  # the values, then the slope in each stock
            product = torch.ones_like(basis[..., 0, :1])
            for k in range(self.stocks):
                factor = slope if k == j - 1 else basis
                product = (product.unsqueeze(-1) * factor[..., k, None, :]).flatten(-2)
            products.append(product)
        slopes = torch.stack(products[1:], -2)
        return where, products[0], slopes, (position - nearest) * self._spacing


def _everywhere(ordered, nodes, chain):
    """Where on the ordered nodes each value of the full grid stands: (combinations, grid, stocks).

    The second poorest household of a state is the second in its ordered twin, with the same
    productivity.
    """
    n = ordered.shape[-1]
    grid = torch.cartesian_prod(*[torch.arange(nodes)] * n).reshape(-1, n)
    ranked, who = grid.sort(dim=-1, stable=True)
    base = nodes ** torch.arange(n - 1, -1, -1)
    number = torch.empty(nodes**n, dtype=torch.int64)
    number[(ordered * base).sum(-1)] = torch.arange(len(ordered))
    node = number[(ranked * base).sum(-1)]
    n_own, n_common = chain.n_own, len(chain) // chain.n_own**n
    combinations = torch.tensor(
        list(itertools.product(range(n_common), *[range(n_own)] * n)), dtype=torch.int64
    )
    own = combinations[:, 1:][:, who]  # (combinations, grid, households), poorest first
    place = n_own ** torch.arange(n - 1, -1, -1)
    combination = combinations[:, :1] * n_own**n + (own * place).sum(-1)
    rank = who.argsort(-1)
    return (combination * len(ordered) + node).unsqueeze(-1) * n + rank


def _interpolation(nodes):
    """Matrix (nodes + 2, nodes) from values at equidistant nodes to coefficients of B-splines."""
    rows = np.zeros((nodes + 2, nodes + 2))
    for k in range(nodes):
        rows[k, k : k + 3] = np.array([1, 4, 1]) / 6
    rows[nodes, :5] = rows[nodes + 1, -5:] = [1, -4, 6, -4, 1]
    return torch.as_tensor(np.linalg.inv(rows)[:, :nodes])
