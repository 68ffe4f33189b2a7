"""Complete Chebyshev polynomials on a box of capital stocks. Chapter *Global solution*."""

from __future__ import annotations

import itertools
from functools import cached_property, reduce

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

# More nodes than coefficients: least squares is steadier than interpolation in many dimensions.
NODES_PER_COEFFICIENT = 1.7
# Next period's capital may lie a little outside the box, where polynomials still extrapolate well.
FURTHEST = 1.25
# Room between a sample and the faces of the box around it.
MARGIN = 0.15


class Polynomials:
    r"""All products of Chebyshev polynomials whose degrees sum to at most `degree`.

    The arguments are :math:`u = A (\log K - c)`, which lie in :math:`[-1, 1]^d` inside the box.

    Parameters
    ----------
    centre : Tensor, shape (stocks,)
        The box's centre, in logs.
    axes : Tensor, shape (stocks, stocks)
        The matrix A, one row for each axis of the box.
    degree : int
    """

    def __init__(self, centre: Tensor, axes: Tensor, degree: int):
        self.centre, self.axes, self.degree = centre, axes, degree
        d = len(centre)
        every = itertools.product(range(degree + 1), repeat=d)
        powers = sorted((p for p in every if sum(p) <= degree), key=lambda p: (sum(p), p))
        self.powers = torch.tensor(powers)
        if d == 1:
            nodes = chebyshev.chebpts1(degree + 1)[:, None]
        else:
            from scipy.stats import qmc  # where needed: it is slow to import

            # As Chebyshev's nodes do, these crowd towards the faces of the box.
            halton = qmc.Halton(d, rng=0).random(int(NODES_PER_COEFFICIENT * len(powers)))
            nodes = np.cos(np.pi * halton)
        self.at_nodes = self._products(torch.as_tensor(nodes))
        self.capital = (torch.as_tensor(nodes) @ torch.linalg.inv(axes).T + centre).exp()
        self._to_coefficients = torch.linalg.pinv(self.at_nodes)

    @classmethod
    def on_cube(cls, low: float, high: float, stocks: int, degree: int) -> Polynomials:
        """Every stock between `low` and `high`."""
        low, high = np.log(low), np.log(high)
        centre = torch.full((stocks,), (low + high) / 2, dtype=torch.float64)
        return cls(centre, torch.eye(stocks, dtype=torch.float64) * 2 / (high - low), degree)

    @classmethod
    def around(
        cls, capital: Tensor, degree: int, thinnest: float = 0.1, goods: int = 1
    ) -> Polynomials:
        """The box along the principal axes of a sample (states, stocks) that contains it.

        With several `goods`, each stock of the sample stands for as much of each of them. How much
        a household has of one rather than another is then an axis of its own, on which the box has
        its least half-width, `thinnest`.
        """
        logs = capital.log()
        mean = logs.mean(0)
        principal = torch.linalg.svd(logs - mean, full_matrices=False).Vh.contiguous()
        # Either sign is right, and rounding must not choose one.
        weights = 0.5 ** torch.arange(len(mean), dtype=logs.dtype)
        principal = principal * (principal @ weights).sign()[:, None]
        each = torch.eye(len(mean), dtype=logs.dtype)
        balance, *contrasts = _contrasts(goods)
        directions = torch.cat(
            [torch.kron(principal, balance), *(torch.kron(each, good) for good in contrasts)]
        )
        mean = mean.repeat_interleave(goods)
        scores = (logs.repeat_interleave(goods, -1) - mean) @ directions.T
        low, high = scores.amin(0), scores.amax(0)
        half = ((1 + MARGIN) * (high - low) / 2).clamp_min(thinnest)
        centre = mean + (low + high) / 2 @ directions
        return cls(centre, directions / half[:, None], degree)

    def __repr__(self):
        return f"polynomials of degree {self.degree}"

    @property
    def stocks(self) -> int:
        """Number of capital stocks."""
        return len(self.centre)

    def coordinates(self, capital: Tensor) -> Tensor:
        """Position (..., stocks) relative to the box: inside it, all lie in [-1, 1]."""
        return (capital.log() - self.centre) @ self.axes.T

    def basis(self, capital: Tensor) -> Tensor:
        """Values (..., coefficients) of all products; far outside the box, of a point nearer."""
        return self._products(self.coordinates(capital).clamp(-FURTHEST, FURTHEST))

    def _products(self, x: Tensor) -> Tensor:
        terms = torch.stack((torch.ones_like(x), x), -1)
        while (n := terms.shape[-1] - 1) < self.degree:
            # T_{n+j} = 2 T_n T_j - T_{n-j} doubles their number at once.
            more = 2 * terms[..., n:] * terms[..., 1:] - terms[..., :n].flip(-1)
            terms = torch.cat((terms, more), -1)
        each = zip(terms.unbind(-2), self.powers.unbind(-1), strict=True)
        return reduce(torch.mul, [single.index_select(-1, powers) for single, powers in each])

    def inside(self, capital: Tensor) -> Tensor:
        """Whether stocks (..., stocks) lie in the box."""
        return (self.coordinates(capital).abs() <= 1 + 1e-9).all(-1)

    @property
    def low(self) -> float:
        """The smallest stock in the box."""
        return self._corners.amin().item()

    @property
    def high(self) -> float:
        """The largest stock in the box."""
        return self._corners.amax().item()

    @cached_property
    def _corners(self):
        ends = torch.tensor([-1.0, 1.0], dtype=self.axes.dtype)
        corners = torch.cartesian_prod(*[ends] * self.stocks).reshape(-1, self.stocks)
        return (corners @ torch.linalg.inv(self.axes).T + self.centre).exp()

    def fit(self, values: Tensor) -> Tensor:
        """Coefficients (..., coefficients, functions) from values at the nodes."""
        return self._to_coefficients @ values

    def prepare(self, coefficients: Tensor) -> Tensor:
        """What :meth:`evaluate` needs: coefficients of the functions and their derivatives."""
        return self.with_gradient(coefficients)

    def evaluate(self, prepared: Tensor, capital: Tensor, index: Tensor):
        """Values (points, functions) and slopes (points, functions, stocks) of the functions.

        Parameters
        ----------
        prepared : Tensor, from :meth:`prepare`, of coefficients (combinations, ..., functions)
        capital : Tensor, shape (points, stocks)
        index : Tensor of int64, shape (points,)
            The combination at each point.
        """
        found = _by_index(self.basis(capital), prepared, index)
        found = found.unflatten(-1, (1 + self.stocks, -1))
        return found[..., 0, :], found[..., 1:, :].mT

    def linear(self, capital: Tensor, index: Tensor):
        """The function from coefficients to values (points, functions) at these points."""
        basis = self.basis(capital)
        return lambda coefficients: _by_index(basis, coefficients, index)

    def with_gradient(self, coefficients: Tensor) -> Tensor:
        """Coefficients of the functions and of their derivatives in log capital.

        A polynomial's derivative is a polynomial, so that one product with the basis gives both.

        Parameters
        ----------
        coefficients : Tensor, shape (..., coefficients, functions)

        Returns
        -------
        Tensor, shape (..., coefficients, functions * (1 + stocks))
            The functions, then the derivatives of all functions in the first log stock, and so on.
        """
        # (stocks, coefficients, coefficients) @ (..., 1, coefficients, functions)
        slopes = self._derivative @ coefficients.unsqueeze(-3)
        every = torch.cat([coefficients.unsqueeze(-3), slopes], -3)
        return every.movedim(-3, -2).flatten(-2)

    @cached_property
    def _derivative(self) -> Tensor:
        n, d = self.powers.shape
        slopes = np.zeros((self.degree + 1, self.degree + 1))
        for k in range(1, self.degree + 1):
            slope = chebyshev.chebder(np.eye(self.degree + 1)[k])
            slopes[: len(slope), k] = slope
        one = torch.as_tensor(slopes)
        in_box = torch.zeros(d, n, n, dtype=torch.float64)
        for j in range(d):
            others = [k for k in range(d) if k != j]
            rest = self.powers[:, others]
            same = (rest[:, None] == rest[None]).all(-1)
            in_box[j] = same * one[self.powers[:, j][:, None], self.powers[:, j][None]]
        return torch.einsum("jk,jab->kab", self.axes, in_box)


def _by_index(basis, coefficients, index):
    """Products (points, functions) of each point's basis and its combination's coefficients."""
    order = index.argsort(stable=True)
    counts = index.bincount(minlength=len(coefficients)).tolist()
    parts = zip(basis[order].split(counts), coefficients, strict=True)
    return torch.cat([rows @ own for rows, own in parts])[order.argsort()]


def _contrasts(n) -> Tensor:
    """Orthonormal directions (n, 1, n): the mean, then the first k against the one after them."""
    rows = [torch.ones(n, dtype=torch.float64)]
    for k in range(1, n):
        rows.append(torch.tensor([1.0] * k + [-float(k)] + [0.0] * (n - k - 1)).double())
    return torch.stack([row / row.norm() for row in rows]).unsqueeze(1)
