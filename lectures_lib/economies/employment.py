"""Who is out of work: households' luck when the share of the unemployed is known.

In Krusell and Smith's economy the unemployed are a share of a continuum, which depends on the
aggregate state alone. A sample of households keeps to this share, up to rounding, if its luck is
drawn by *systematic sampling* (Madow 1949): put households in random order, those without work
first, add up their chances of being without work next period, and let one common uniform draw
decide at which sums the unemployed stand, exactly one apart. Each household keeps its own chance.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from ..markov import MarkovChain, require_positive_chain
from ..parameters import require
from .base import MAX_OUTCOMES, Economy, TooManyOutcomes
from .capital import CapitalState

# What a chance may miss a bound by.
ROUNDING = 1e-12


class EmploymentShocks(NamedTuple):
    """A period's luck, uniform draws.

    Attributes
    ----------
    idiosyncratic : Tensor, shape (*batch, households)
        The order in which households stand in line for work.
    aggregate : Tensor, shape (*batch,)
        Moves productivity.
    rounding : Tensor, shape (*batch,)
        Decides where in line the unemployed stand (:func:`next_employment`).
    """

    idiosyncratic: Tensor
    aggregate: Tensor
    rounding: Tensor


def chances_of_unemployment(
    rates: tuple[float, ...], spells: tuple[float, ...], turns: tuple[float, ...]
) -> tuple[tuple[tuple[float, float], ...], ...]:
    r"""The chance to be unemployed next period, by aggregate state, next one, and own employment.

    The unemployed of state :math:`z` stay so for `spells` periods on average while it lasts, and
    the chance to stay is `turns` times as large where productivity rises or falls. The chance to
    lose work follows from the shares of unemployed,

    .. math:: u_{z'} = u_z\, p_{uu}(z, z') + (1 - u_z)\, p_{eu}(z, z') .

    Parameters
    ----------
    rates, spells : tuple of float
        Share of the unemployed, and mean spell, in each aggregate state.
    turns : tuple of float
        Factors where the aggregate state has risen, and where it has fallen.

    Returns
    -------
    tuple of tuple of tuple of float
        ``chances[z][following] == (stay unemployed, lose work)``; they may lie outside of [0, 1].
    """
    rises, falls = turns

    def pair(z, following):
        factor = rises if following > z else falls if following < z else 1.0
        stay = factor * (1 - 1 / spells[following])
        return stay, (rates[following] - rates[z] * stay) / (1 - rates[z])

    states = range(len(rates))
    return tuple(tuple(pair(z, following) for following in states) for z in states)


@lru_cache(maxsize=64)
def table(values: tuple, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Numbers of a parameter as a tensor that is made once."""
    return torch.tensor(values, dtype=dtype, device=device)


def next_employment(chance: Tensor, employed: Tensor, order: Tensor, offset: Tensor) -> Tensor:
    """Who has work next period, drawn by systematic sampling.

    Parameters
    ----------
    chance : Tensor, shape (*batch, households)
        Of being without work.
    employed : Tensor of int64, shape (*batch, households)
        Who has work now: 1, and who has not: 0.
    order : Tensor, shape (*batch, households)
        Uniform draws, by which households stand in line.
    offset : Tensor, shape (*batch,)
        A uniform draw.

    Returns
    -------
    Tensor of int64, shape (*batch, households)
        The number of zeros in each row is the sum of chances, rounded up or down.
    """
    line, chance = torch.broadcast_tensors(employed + order, chance)
    places = line.argsort(-1)
    sums = chance.gather(-1, places).cumsum(-1) + offset.unsqueeze(-1)
    marks = sums.floor()
    before = torch.cat([torch.zeros_like(marks[..., :1]), marks[..., :-1]], -1)
    keeps = (marks == before).long()
    return torch.zeros_like(keeps).scatter(-1, places, keeps)


def every_employment(stay: Tensor, lose: Tensor, employed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All that next period's employment may be, as draws that lead there.

    Parameters
    ----------
    stay, lose : Tensor, shape (*batch,)
        Chances of the unemployed and of the employed to be without work.
    employed : Tensor of int64, shape (*batch, households)

    Returns
    -------
    order : Tensor, shape (2**households, *batch, households)
    offset, probability : Tensor, shape (2**households, *batch)
        What :func:`next_employment` takes, and how likely each outcome is; one that cannot happen
        has probability zero, and its draws lead elsewhere.
    """
    n = employed.shape[-1]
    every = torch.tensor([*itertools.product((0, 1), repeat=n)], device=employed.device)
    following = every.reshape(len(every), *[1] * (employed.dim() - 1), n)
    # Of those without work now, and of the others, so many will be without.
    idle = 1 - employed
    many = idle.sum(-1).to(stay.dtype), employed.sum(-1).to(stay.dtype)
    left = ((1 - following) * idle).sum(-1), ((1 - following) * employed).sum(-1)
    first, last = many[0] * stay, many[0] * stay + many[1] * lose
    # Which common draws give these numbers.
    low = torch.maximum(left[0] - first, left[0] + left[1] - last).clamp_min(0)
    high = torch.minimum(left[0] + 1 - first, left[0] + left[1] + 1 - last).clamp_max(1)
    offset = (low + high) / 2
    ways = _log_choose(many[0], left[0]) + _log_choose(many[1], left[1])
    probability = (high - low).clamp_min(0) * (-ways).exp()
    # Where in line those stand who will be without work, given the common draw.
    place = torch.arange(n, device=employed.device)
    second = place >= many[0].unsqueeze(-1)
    chance = torch.where(second, lose.unsqueeze(-1), stay.unsqueeze(-1))
    marks = (chance.cumsum(-1) + offset.unsqueeze(-1)).floor()
    taken = marks != torch.cat([torch.zeros_like(marks[..., :1]), marks[..., :-1]], -1)
    places = (2 * second + ~taken).argsort(dim=-1, stable=True)
    members = (2 * employed + following).argsort(dim=-1, stable=True)
    order = torch.zeros_like(places).scatter(-1, members, places)
    return (order.to(stay.dtype) + 0.5) / n, offset.expand(probability.shape), probability


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    k = k.to(n.dtype)
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)


@dataclass(frozen=True)
class LuckAtWork(Economy[CapitalState, EmploymentShocks]):
    """An economy whose households have work or not, more of them in booms than in recessions.

    Its state has the fields `idiosyncratic` (1 who has work) and `aggregate`.

    Parameters
    ----------
    n_households : int
    aggregate : MarkovChain
        Productivity :math:`z`.
    unemployment : tuple of float
        Share :math:`u_z` of the unemployed in each aggregate state, below one.
    spell : tuple of float
        Mean duration of unemployment in each aggregate state, in periods, at least one.
    turns : tuple of float
        By which factor the chance to stay unemployed differs in a period in which productivity
        rises, and in one in which it falls.

    Raises
    ------
    ValueError
        If a parameter is outside its range, or there are no such chances; the message names it.
    """

    n_households: int = 1
    aggregate: MarkovChain = field(
        default_factory=lambda: MarkovChain.symmetric((0.99, 1.01), stay=0.875)
    )
    unemployment: tuple[float, ...] = (0.1, 0.04)
    spell: tuple[float, ...] = (2.5, 1.5)
    turns: tuple[float, ...] = (0.75, 1.25)

    Shocks = EmploymentShocks

    def __post_init__(self):
        require(self.n_households >= 1, "n_households", self.n_households, "at least 1")
        require_positive_chain("aggregate", self.aggregate)
        states = len(self.aggregate)
        for name, low, high in (("unemployment", 0, 1), ("spell", 1, math.inf)):
            value = getattr(self, name)
            good = len(value) == states and all(low <= x < high for x in value)
            each = f"a number in [{low}, {high}) for each of {states} aggregate states"
            if states == 1 < len(value):
                each += "; economy.without_aggregate_shocks() has means"
            require(good, name, value, each)
        good = len(self.turns) == 2 and all(0 <= x < math.inf for x in self.turns)
        require(good, "turns", self.turns, "two factors that are not negative")
        every = [x for row in self.chances for pair in row for x in pair]
        expected = (
            "rates, spells and turns for which each chance to be unemployed lies in [0, 1]; they "
            f"go from {min(every):.3g} to {max(every):.3g}"
        )
        good = min(every) >= -ROUNDING and max(every) <= 1 + ROUNDING
        require(good, "unemployment", self.unemployment, expected)

    @cached_property
    def chances(self):
        """``chances[z][following]``: of the unemployed to stay so, and of others to lose work."""
        return chances_of_unemployment(self.unemployment, self.spell, self.turns)

    @property
    def shock_shapes(self) -> dict[str, tuple[int, ...]]:
        """A draw for each household, one for productivity and one for rounding."""
        return {"idiosyncratic": (self.n_households,), "aggregate": (), "rounding": ()}

    def _chances(self, aggregate, following, dtype):
        """Of the unemployed to stay so and of others to lose work, shape (*batch,) each."""
        chances = table(self.chances, following.device, dtype)[aggregate, following]
        return chances.unbind(-1)

    def move_chance(self, state, shocks) -> dict[str, Tensor]:
        """Next period's productivity, and who has work then."""
        aggregate = self.aggregate.next(state.aggregate, shocks.aggregate)
        stay, lose = self._chances(state.aggregate, aggregate, shocks.idiosyncratic.dtype)
        employed = state.idiosyncratic
        chance = torch.where(employed == 1, lose.unsqueeze(-1), stay.unsqueeze(-1))
        luck = shocks.idiosyncratic, shocks.rounding
        return {"idiosyncratic": next_employment(chance, employed, *luck), "aggregate": aggregate}

    def outcomes(self, state):
        """All of next period's shocks with their probabilities, for a few households."""
        n, states = self.n_households, len(self.aggregate)
        if (count := states * 2**n) > MAX_OUTCOMES:
            raise TooManyOutcomes(
                f"{type(self).__name__} has {count:,} combinations of next shocks, more than "
                f"{MAX_OUTCOMES:,}: use draws (economy.draw, or economy.sampled_outcomes) instead."
            )
        zero = self.zeros(state)
        index = state.aggregate.expand(zero.shape)
        employed = state.idiosyncratic.expand(*zero.shape, n)
        moves, chance = self.aggregate.outcomes(index, zero.dtype)
        found = []
        for j in range(states):
            stay, lose = self._chances(index, torch.full_like(index, j), zero.dtype)
            order, offset, probability = every_employment(stay, lose, employed)
            shocks = EmploymentShocks(order, moves[j].expand(offset.shape), offset)
            found.append((*shocks, probability * chance[j]))
        *luck, probability = (torch.cat(x) for x in zip(*found, strict=True))
        return EmploymentShocks(*luck), probability

    def sampled_outcomes(self, state, draws: int, generator) -> tuple[EmploymentShocks, Tensor]:
        """Next shocks where `outcomes` are too many to list.

        Every productivity meets households in one random order, and common draws in equal
        distances: at least `draws`, and as many as let each household meet whatever it may meet.
        Weights are such that the chances of its own employment are exact.

        Parameters
        ----------
        state : State, shape (*batch, ...)
        draws : int
        generator : torch.Generator

        Returns
        -------
        shocks : EmploymentShocks, shape (outcomes, *batch, ...)
        weight : Tensor, shape (outcomes, *batch, households)
            Sums to one over the first dimension, for every household.
        """
        zero, n = self.zeros(state), self.n_households
        every = [x for row in self.chances for pair in row for p in pair for x in (p, 1 - p)]
        draws = max(draws, math.ceil(1 / min(x for x in every if x > 1e-6)))
        order = torch.rand((*zero.shape, n), generator=generator, device=zero.device)
        order = order.to(zero.dtype).expand(draws, *zero.shape, n)
        offset = (torch.arange(draws, device=zero.device, dtype=zero.dtype) + 0.5) / draws
        offset = offset.reshape(-1, *[1] * zero.dim()).expand(draws, *zero.shape)
        moves, chance = self.aggregate.outcomes(state.aggregate.expand(zero.shape), zero.dtype)
        found = []
        for j in range(len(self.aggregate)):
            shocks = EmploymentShocks(order, moves[j].expand(offset.shape), offset)
            following = self.move_chance(state, shocks)
            stay, lose = self._chances(state.aggregate, following["aggregate"], zero.dtype)
            own = torch.where(state.idiosyncratic == 1, lose.unsqueeze(-1), stay.unsqueeze(-1))
            works = following["idiosyncratic"] == 1
            share = works.to(zero.dtype).mean(0)
            ratio = torch.where(works, (1 - own) / share, own / (1 - share)) / draws
            found.append((*shocks, ratio * chance[j].unsqueeze(-1)))
        *luck, weight = (torch.cat(x) for x in zip(*found, strict=True))
        return EmploymentShocks(*luck), weight
