"""Who is out of work: households' luck when the share of the unemployed is known.

In Krusell and Smith's economy the unemployed are a share of a continuum, which depends on the
aggregate state alone. A sample of households keeps to this share, up to rounding, if its luck is
drawn by *systematic sampling* (Madow 1949): put households in random order, those without work
first, add up their chances of being without work next period, and let one common uniform draw
decide at which sums the unemployed stand, exactly one apart. Each household keeps its own chance.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import torch
from torch import Tensor


def chances_of_unemployment(
    rates: tuple[float, ...], spells: tuple[float, ...], turns: tuple[float, float]
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


def next_employment(
    chance: Tensor, employed: Tensor, order: Tensor, offset: Tensor
) -> Tensor:
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


def every_employment(
    stay: Tensor, lose: Tensor, employed: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
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
    ways = [_log_choose(of, taken) for of, taken in zip(many, left, strict=True)]
    probability = (high - low).clamp_min(0) * (-sum(ways)).exp()
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
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
