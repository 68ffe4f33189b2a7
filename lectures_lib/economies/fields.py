"""What the state of an economy consists of: each field declared once, and read everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..autoregression import AutoRegression
from ..markov import MarkovChain
from ..parameters import require

DOMAINS = ("positive", "nonnegative", "real", "index")
MOVERS = ("choice", "chance", "memory")


@dataclass(frozen=True)
class Field:
    r"""A field of an economy's state.

    Checks, restarts, neighbouring states, impulse responses and moments read it, so that an economy
    says once what its state is.

    Parameters
    ----------
    shape : tuple of int
        Trailing shape, after the batch dimensions.
    domain : {"positive", "nonnegative", "real", "index"}
        Which values there are: positive numbers, such as capital; numbers that may be zero as
        well, such as what households own that may not borrow; any finite numbers, such as assets
        of households that may; or indices 0, 1, ... of type int64.
    moved_by : {"choice", "chance", "memory"}
        What moves it: agents' choices, such as capital; chance alone, such as productivity; or it
        is a record of what has happened, such as last period's price.
    chain : MarkovChain or AutoRegression, optional
        Whose index, or whose real number, it is, if it follows one.
    size : int, optional
        Number of values of an index that follows no chain.
    unit : float
        Of a real field: a little of it. What :meth:`~lectures_lib.economies.Economy.perturb`
        and measures of distance take for one, where logarithms do it for a positive field. Where
        values are not negative it is added before the logarithm is taken.
    copies : str, optional
        The field of the same shape of which this one is a crowd's copy.

    Raises
    ------
    ValueError
        If a value is none of these, or they do not fit together.
    """

    shape: tuple[int, ...] = ()
    domain: str = "positive"
    moved_by: str = "choice"
    chain: MarkovChain | AutoRegression | None = None
    size: int | None = None
    unit: float = 1.0
    copies: str | None = None

    def __post_init__(self):
        expected = "a tuple of positive integers, such as () or (3,)"
        whole = isinstance(self.shape, tuple) and all(
            isinstance(n, int) and n >= 1 for n in self.shape
        )
        require(whole, "shape", self.shape, expected)
        require(self.domain in DOMAINS, "domain", self.domain, f"one of {DOMAINS}")
        require(self.moved_by in MOVERS, "moved_by", self.moved_by, f"one of {MOVERS}")
        require(0 < self.unit < math.inf, "unit", self.unit, "a positive number")
        if self.domain == "index":
            regression = isinstance(self.chain, AutoRegression)
            require(not regression, "domain", self.domain, "'real' where an AutoRegression moves")
            known = (self.chain is None) != (self.size is None)
            require(known, "size", self.size, "either a chain or the number of an index's values")
            require(self.size is None or self.size >= 1, "size", self.size, "at least 1")
            moved = self.chain is None or self.moved_by != "choice"
            require(moved, "moved_by", self.moved_by, "chance or memory, as it follows a chain")
        else:
            regression = isinstance(self.chain, AutoRegression) and self.domain == "real"
            known = self.chain is None or (regression and self.moved_by != "choice")
            expected = "None but for an index, or an AutoRegression that moves a real field"
            require(known, "chain", self.chain, expected)
            require(self.size is None, "size", self.size, "None but for an index")

    @classmethod
    def of(cls, chain: MarkovChain | AutoRegression, shape: tuple[int, ...] = ()) -> Field:
        """The index of a chain, or of several independent ones, that chance moves."""
        if isinstance(chain, AutoRegression):
            return cls(shape, "real", "chance", chain, unit=chain.spread)
        return cls(shape, "index", "chance", chain)

    @property
    def values(self) -> int | None:
        """Number of values of an index."""
        return self.size if not isinstance(self.chain, MarkovChain) else len(self.chain)

    # ------------------------------------------------------------------ checks
    def check_type(self, x: Tensor, name: str) -> None:
        """Refuse a tensor of a type that has not this field's values.

        Raises
        ------
        ValueError
        """
        if self.domain == "index":
            good, expected = x.dtype == torch.int64, "indices of type torch.int64, such as x.long()"
        else:
            good, expected = x.is_floating_point(), "floating-point numbers, such as x.float()"
        if not good:
            raise ValueError(f"{name} is {x.dtype}: expected {expected} gives.")

    def check_values(self, x: Tensor, name: str) -> None:
        """Refuse values that are not in the domain; a GPU waits for the answer.

        Raises
        ------
        ValueError
        """
        if self.domain == "index":
            values = self.values
            assert values is not None  # an index has a number of them
            if x.numel() and not ((x >= 0) & (x < values)).all():
                owner = "the chain has" if self.chain is not None else "there are"
                raise ValueError(
                    f"{name} holds indices from {x.min().item()} to {x.max().item()}; {owner} "
                    f"{values} values, so they must lie in 0..{values - 1}."
                )
            return
        if not torch.isfinite(x).all():
            raise ValueError(f"{name} has entries that are not finite numbers.")
        if self.domain == "positive" and not (x > 0).all():
            raise ValueError(
                f"{name} must be positive everywhere; its smallest entry is {x.min().item():g}."
            )
        if self.domain == "nonnegative" and not (x >= 0).all():
            raise ValueError(
                f"{name} must not be negative; its smallest entry is {x.min().item():g}."
            )

    # ------------------------------------------------------------------ distances
    def position(self, x: Tensor) -> Tensor:
        """Where values lie on a line on which distances count: logarithms, units or values."""
        if self.domain == "positive":
            return x.log()
        if self.domain == "nonnegative":
            return (x / self.unit).log1p()
        return x / self.unit if self.domain == "real" else x.double()

    def shifted(self, x: Tensor, shift: Tensor) -> Tensor:
        """Values that lie so much further, or at the end of the line."""
        if self.domain == "nonnegative":
            return ((x + self.unit) * shift.exp() - self.unit).clamp_min(0)
        return x * shift.exp() if self.domain == "positive" else x + self.unit * shift

    def nearby(self, x: Tensor, generator: torch.Generator, scale: float, shuffle: bool) -> Tensor:
        r"""Values around values, by uniform shifts of up to `scale` each way.

        The shift common to all entries is stratified over the last batch dimension, so that the
        replicates of a group cover the range evenly. Where there are several households, each also
        gets a shift of its own, and so does each of several goods.

        Parameters
        ----------
        x : Tensor, shape (*batch, *shape)
        generator : torch.Generator
        scale : float
            In logarithms of a field that is positive or not negative, in units of a real one.
        shuffle : bool
            Whether strata are in random order: a second field does not move along with the first.
        """

        def draw(shape):
            return torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)

        batch = x.shape[: x.dim() - len(self.shape)]
        n = batch[-1] if batch else 1
        # Draw number i of n lies in the i-th of n equal strata of [0, 1].
        order = torch.arange(n, device=x.device)
        if shuffle:
            order = draw(batch).argsort(-1)
        strata = (order + draw(batch)) / n
        shift = (2 * strata - 1).reshape(batch + (1,) * len(self.shape))
        for depth, entries in enumerate(self.shape, 1):
            if entries > 1:
                own = draw(batch + self.shape[:depth] + (1,) * (len(self.shape) - depth))
                shift = shift + 2 * own - 1
        return self.shifted(x, scale * shift)


class Fields(Mapping):
    """The fields of a state, by name, in order.

    Parameters
    ----------
    **fields : Field
    """

    def __init__(self, **fields: Field):
        self._fields = fields
        for name, field in fields.items():
            copied = field.copies is None or field.copies in fields
            require(copied, f"{name}.copies", field.copies, f"one of {tuple(fields)}")

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Fields({', '.join(f'{name}={field!r}' for name, field in self.items())})"

    def moved_by(self, *movers: str) -> tuple[str, ...]:
        """Names of the fields that one of these moves."""
        return tuple(name for name, field in self.items() if field.moved_by in movers)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Trailing shapes by name."""
        return {name: field.shape for name, field in self.items()}

    @cached_property
    def chains(self) -> dict[str, MarkovChain | AutoRegression]:
        """What chance follows, by the name of the field that holds its index or real number."""
        return {
            name: field.chain
            for name, field in self.items()
            if field.chain is not None and field.moved_by == "chance"
        }

    @property
    def stocks(self) -> tuple[str, ...]:
        """Names of what agents themselves own and move, a crowd's copies apart."""
        return tuple(name for name in self.moved_by("choice") if self[name].copies is None)
