"""Finite Markov chains: how productivity moves in every economy of the book.

QuantEcon is imported where a chain asks it something: it brings Numba, Sympy and SciPy along, which
take longer to import than the economies that only name a chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from .parameters import Parameters, entered, require


@dataclass(frozen=True)
class MarkovChain(Parameters):
    r"""A finite Markov chain whose randomness is handed in as uniform draws.

    The chain is at index :math:`i` and moves to :math:`j` with probability :math:`P_{ij}`. Given a
    uniform draw :math:`u`, it moves to the smallest :math:`j` with :math:`u < P_{i1} + \dots +
    P_{ij}`, so that the same draw means the same luck for everybody who receives it.

    Parameters
    ----------
    values : tuple of float
        The level that goes with each index, in increasing order.
    transition : tuple of tuple of float
        Row-stochastic matrix :math:`P`.

    Raises
    ------
    ValueError
        If the values do not increase or the matrix is not a stochastic matrix of the same size.
    """

    values: tuple[float, ...]
    transition: tuple[tuple[float, ...], ...]

    def __post_init__(self):
        values, transition = self.values, self.transition
        n = len(values)
        if n == 0 or not np.all(np.isfinite(values)) or not np.all(np.diff(values) > 0):
            raise ValueError(f"values={values} must be finite numbers in increasing order.")
        if len(transition) != n or any(len(row) != n for row in transition):
            raise ValueError(f"transition must have {n} rows of {n} probabilities: {transition}.")
        for i, row in enumerate(transition):
            if not min(row) >= 0 or abs(sum(row) - 1) > 1e-9:
                raise ValueError(
                    f"transition row {i} is {row}, with sum {sum(row)!r}: probabilities must be "
                    ">= 0 and sum to one."
                )

    @classmethod
    def symmetric(cls, values, stay: float) -> MarkovChain:
        """A chain that stays where it is with probability `stay` and else goes anywhere equally.

        Parameters
        ----------
        values : sequence of float
            At least two levels.
        stay : float
            Probability of no change, in [0, 1].
        """
        values = entered("values", values, tuple[float, ...])
        stay = entered("stay", stay, float)
        n = len(values)
        if n < 2 or not 0 <= stay <= 1:
            raise ValueError(
                f"a symmetric chain needs two values or more and stay in [0, 1]; got "
                f"values={values}, stay={stay}."
            )
        move = (1 - stay) / (n - 1)
        return cls(
            values,
            tuple(tuple(stay if i == j else move for j in range(n)) for i in range(n)),
        )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def low(self) -> int:
        """Index of the lowest level."""
        return 0

    @property
    def high(self) -> int:
        """Index of the highest level."""
        return len(self) - 1

    @cached_property
    def is_ergodic(self) -> bool:
        """Whether there is one stationary distribution, to which every beginning leads."""
        return len(self._quantecon().recurrent_classes) == 1

    @cached_property
    def stationary(self) -> np.ndarray:
        """Stationary distribution, shape (n,), from quantecon.

        Raises
        ------
        ValueError
            If the chain has more than one recurrent class.
        """
        distributions = self._quantecon().stationary_distributions
        if len(distributions) != 1:
            raise ValueError(
                f"transition={self.transition} has {len(distributions)} stationary distributions; "
                "let every state be reached from every other."
            )
        return distributions[0]

    def _quantecon(self):
        import quantecon

        return quantecon.MarkovChain(np.array(self.transition))

    @cached_property
    def mean(self) -> float:
        """Mean of the level under the stationary distribution."""
        return float(self.stationary @ np.array(self.values))

    def level(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Levels at `index`: same shape, the given floating dtype."""
        return _tensors(self, index.device, dtype)[0][index]

    def initial(self, uniform: Tensor) -> Tensor:
        """Indices drawn from the stationary distribution, one for each uniform draw."""
        bounds = _tensors(self, uniform.device, uniform.dtype)[2]
        return torch.searchsorted(bounds, uniform, right=True)

    def next(self, index: Tensor, uniform: Tensor) -> Tensor:
        """Next period's indices, given uniform draws in [0, 1) that broadcast against `index`."""
        bounds = _tensors(self, index.device, uniform.dtype)[1]
        return (uniform.unsqueeze(-1) >= bounds[index]).sum(-1)

    def outcomes(self, index: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Every next index from `index`, written as uniform draws that lead there.

        Parameters
        ----------
        index : Tensor of int64, shape (*batch,)
        dtype : torch.dtype

        Returns
        -------
        uniform, probability : Tensor, shape (n, *batch)
            ``next(index, uniform[j])`` is ``j`` wherever ``probability[j] > 0``.
        """
        rows = torch.tensor(self.transition, dtype=dtype, device=index.device)
        middle = rows.cumsum(-1) - rows / 2
        return middle[index].movedim(-1, 0), rows[index].movedim(-1, 0)


def require_positive_chain(name: str, chain) -> None:
    """Refuse what is no chain with positive values; the message names the parameter.

    Raises
    ------
    ValueError
    """
    good = isinstance(chain, MarkovChain) and min(chain.values) > 0
    expected = "a MarkovChain with positive values"
    if hasattr(chain, "state_values"):  # one of quantecon's
        expected += " of lectures_lib, such as MarkovChain(chain.state_values, chain.P) makes"
    require(good, name, chain, expected)


@lru_cache(maxsize=64)
def _tensors(chain: MarkovChain, device: torch.device, dtype: torch.dtype):
    """Levels (n,), inner cumulative probabilities (n, n-1) and of the stationary law (n-1,)."""
    as_tensor = lambda x: torch.tensor(np.asarray(x), dtype=dtype, device=device)  # noqa: E731
    cumulative = np.cumsum(np.array(chain.transition), axis=1)[:, :-1]
    return (
        as_tensor(chain.values),
        as_tensor(cumulative),
        as_tensor(np.cumsum(chain.stationary)[:-1]),
    )
