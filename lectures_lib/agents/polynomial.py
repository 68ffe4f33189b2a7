r"""A critic without gradient descent: a polynomial, fitted by least squares.

Chapter *Learning by a planner: many households*. A network learns values in small steps, and what
actions are judged by, the slope of the value in what each household owns, comes last: it is off by
tenths of a per cent for as long as one can wait. A value that is linear in its weights,
:math:`V(s)=w^\top\phi(s)`, needs no steps. The weights for which it equals, on average, what is
earned and what comes after solve linear equations (least-squares temporal differences, Bradtke and
Barto 1996),

.. math:: \sum_t\tilde\phi_t\,\bigl(\tilde\phi_t-\gamma\tilde\phi_{t+1}\bigr)^\top w
          =\sum_t\tilde\phi_t\,\tilde r_t,

where a tilde says that the mean over a group's replicates, which shared the luck, has been taken
off. Here :math:`\phi` are all products of up to three of the inputs.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor, nn

from ..distributed import ALONE, Processes

#: Degree of the polynomial; a second moment counts as a product of two.
DEGREE = 3
# What is added to the sums' diagonal, relative to its mean.
RIDGE = 1e-6
# What has been seen when there was a part x of today's experience weighs x to this power: a policy
# moves ever less, so that an ever longer past tells of it.
FADING = 5
#: Agents of a role whose experience of a state enters the sums at most: those of a large
#: population, drawn anew each time, teach the same.
AGENTS = 16


class PolynomialCritic(nn.Module):
    """Values that are polynomials in a network's inputs, one for each run.

    It has no intercept, and is fitted to differences only. An agent that starts from another's
    networks keeps its sums, too, which fade as new ones come.

    Parameters
    ----------
    runs, inputs : int
    device : torch.device
    second_moments : int
        How many of the last inputs are a population's second moments.
    """

    varies: Tensor
    fits: Tensor
    left: Tensor
    right: Tensor

    def __init__(self, runs: int, inputs: int, device: torch.device, second_moments: int = 0):
        super().__init__()
        simple = inputs - second_moments
        self.terms = [
            term
            for n in range(1, DEGREE + 1)
            for term in combinations_with_replacement(range(inputs), n)
            if sum(1 if i < simple else 2 for i in term) <= DEGREE
        ]
        n = len(self.terms)
        # A parameter, so that it is stored and copied as a network's weights are.
        self.weights = nn.Parameter(torch.zeros(runs, n, device=device))
        # float64, because the equations are nearly singular: inputs move together.
        double: dict[str, Any] = {"device": device, "dtype": torch.float64}
        self.register_buffer("left", torch.zeros(runs, n, n, **double))
        self.register_buffer("right", torch.zeros(runs, n, **double))
        #: How often it has been fitted.
        self.register_buffer("fits", torch.zeros((), **double))
        #: Inputs that have ever moved; products with others are zero.
        self.register_buffer("varies", torch.zeros(inputs, dtype=torch.bool, device=device))
        self._plan: tuple = ()

    def plan(self) -> tuple:
        """Which inputs vary, which terms are made of them, and how to multiply these up."""
        varies = tuple(self.varies.nonzero().flatten().tolist())
        if not self._plan or self._plan[0] != varies:
            place = {i: k for k, i in enumerate(varies)}
            used = [j for j, term in enumerate(self.terms) if place.keys() >= set(term)]
            terms = [tuple(place[i] for i in self.terms[j]) for j in used]
            known = {term: k for k, term in enumerate(terms)}
            products = []
            for n in range(2, DEGREE + 1):
                longer = [t for t in terms if len(t) == n]
                if longer:
                    pairs = [[known[t[:-1]] for t in longer], [t[-1] for t in longer]]
                    products.append(torch.tensor(pairs, device=self.varies.device))
            index = [torch.tensor(x, device=self.varies.device).long() for x in (varies, used)]
            self._plan = (varies, *index, products)
        return self._plan[1:]

    def features(self, x: Tensor) -> Tensor:
        """All products of inputs (*batch, inputs) that vary, (*batch, terms)."""
        varies, _, products = self.plan()
        x = x[..., varies]
        found = x
        for shorter, factor in products:
            found = torch.cat([found, found[..., shorter] * x[..., factor]], -1)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Map (runs, *any, inputs) to (runs, *any, 1)."""
        features, used = self.features(x), self.plan()[1]
        values = features.flatten(1, -2) @ self.weights[:, used].unsqueeze(-1)
        return values.reshape(*features.shape[:-1], 1)

    @torch.no_grad()
    def fit(self, now: Tensor, later: Tensor, earned: Tensor, processes: Processes = ALONE):
        """Take in what has been seen, and solve for the weights.

        Parameters
        ----------
        now : Tensor, shape (runs, observations, terms)
            Features, less their mean over replicates.
        later : Tensor, shape (runs, observations, terms)
            The same of the next period's, discounted.
        earned : Tensor, shape (runs, observations)
            Rewards, less their mean over replicates.
        processes : Processes
            Each takes in as many of its own.
        """
        used = self.plan()[1]
        both = torch.cat([(now - later), earned.unsqueeze(-1)], -1)
        sums = processes.mean(now.double().mT @ both.double() / now.shape[1])
        past = self.fits / (self.fits + FADING)
        self.fits += 1
        self.left.mul_(past)
        self.right.mul_(past)
        self.left[:, used[:, None], used] += sums[..., :-1]
        self.right[:, used] += sums[..., -1]
        left, right = self.left[:, used[:, None], used], self.right[:, used]
        size = left.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(1e-30)
        ridge = (
            RIDGE * size[:, None, None] * torch.eye(len(used), dtype=left.dtype, device=left.device)
        )
        self.weights[:, used] = torch.linalg.solve(left + ridge, right).to(self.weights)
