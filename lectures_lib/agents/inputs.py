"""From what agents see to what networks are given: a population as its moments.

Any network of such inputs is equivariant: when agents trade places, so do its outputs, and the same
weights serve any number of agents. Chapters *Learning by a planner: many households* and *many
goods*.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..economies.base import Economy, Sight
from ..economies.play import neutral, play
from ..economies.role import Role


def pooled_features(own: Tensor, population: Tensor | None) -> Tensor:
    """Own distances from everybody's mean, and everybody's moments.

    Appends to the distances the population's means and those of squares and products of its
    members' distances. Distances and not levels, because networks learn much faster from inputs
    that do not repeat each other. Who sees nobody else is given own features as they are. The last
    columns are the :func:`n_second_moments` second moments.

    Parameters
    ----------
    own : Tensor, shape (*batch, agents, features)
    population : Tensor, shape (*batch, members, features), optional
        With the agents themselves among its members, or massless agents' crowd.

    Returns
    -------
    Tensor, shape (*batch, agents, inputs)
    """
    if population is None:
        return own
    members, features = population.shape[-2:]
    mean = population.mean(-2, keepdim=True)
    moments = mean
    if members > 1:
        centred = population - mean
        second = centred.transpose(-1, -2) @ centred / members
        half = torch.triu_indices(features, features, device=own.device)
        second = second[..., half[0], half[1]].unsqueeze(-2)
        moments = torch.cat([mean, second], -1)
    moments = moments.expand(*own.shape[:-1], moments.shape[-1])
    return torch.cat([own - mean, moments], -1)


def n_second_moments(population: Tensor | None) -> int:
    """How many of the columns that :func:`pooled_features` returns are second moments."""
    if population is None or population.shape[-2] == 1:
        return 0
    return population.shape[-1] * (population.shape[-1] + 1) // 2


def action_features(
    own: Tensor,
    population: Tensor | None,
    actions: int,
    per_action: int = 1,
) -> Tensor:
    """Features of each action of each agent, if the first features belong to one action each.

    Goods are treated alike, as agents are by :func:`pooled_features`: permuting the goods permutes
    the outputs of a network that is applied to each row, and the same weights serve any number.
    A row holds the pooled features of the agents' means over goods; how far the action's own
    features are from the agent's mean, and the means over agents of these distances; and how far
    the agent's goods are spread, and the means over agents of these spreads. Second moments, of
    which spreads are some, come last.

    Parameters
    ----------
    own : Tensor, shape (*batch, agents, per_action * actions + others)
        The first feature of each action, then the second of each, and so on.
    population : Tensor, shape (*batch, members, per_action * actions + others), optional
    actions, per_action : int

    Returns
    -------
    Tensor, shape (*batch, agents, actions, inputs)
    """

    last = per_action * actions

    def over_goods(x):
        """Means over goods beside the rest, distances, and their spread."""
        goods = x[..., :last].unflatten(-1, (per_action, actions)).mT
        mean = goods.mean(-2)
        distance = goods - mean.unsqueeze(-2)
        spread = distance.square().mean(-2, keepdim=True)
        return torch.cat([mean, x[..., last:]], -1), distance, spread

    mine = over_goods(own)
    theirs = (None, None, None)
    if population is not None:
        theirs = over_goods(population)
    shape = mine[1].shape
    pooled = pooled_features(mine[0], theirs[0]).unsqueeze(-2)
    pooled = pooled.expand(*shape[:-1], pooled.shape[-1])
    first = pooled.shape[-1] - n_second_moments(theirs[0])

    def columns(x, others):
        pair = [x] if others is None else [x, others.mean(-3, keepdim=True)]
        return torch.cat([y.expand(shape) for y in pair], -1)

    pairs = zip(mine[1:], theirs[1:], strict=True)
    distances, spreads = (columns(x, others) for x, others in pairs)
    means, seconds = pooled[..., :first], pooled[..., first:]
    return torch.cat([means, distances, seconds, spreads], -1)


def n_action_second_moments(population: Tensor | None, actions: int, per_action: int = 1) -> int:
    """How many of the columns that :func:`action_features` returns are second moments."""
    if population is None:
        return per_action
    return n_second_moments(population[..., per_action * (actions - 1) :]) + 2 * per_action


class InputSizes(NamedTuple):
    """How many inputs a network has, and how many of the last are second moments."""

    inputs: int
    second_moments: int


def network_inputs(role: Role, sight: Sight, by_action: bool) -> Tensor:
    """Inputs of a role's network.

    Parameters
    ----------
    role : Role
    sight : Sight
    by_action : bool
        Whether the network is applied to each action, where the role's actions are alike.

    Returns
    -------
    Tensor, shape (*batch, agents, inputs) or (*batch, agents, actions, inputs)
    """
    if by_action and role.alike_actions:
        return action_features(*sight, role.n_actions, role.per_action)
    return pooled_features(*sight)


def _sizes(role, sight, by_action) -> InputSizes:
    each = by_action and role.alike_actions
    population = sight.population
    known = role.n_actions, role.per_action
    second = n_action_second_moments(population, *known) if each else None
    return InputSizes(
        network_inputs(role, sight, by_action).shape[-1],
        n_second_moments(population) if second is None else second,
    )


def input_sizes(
    economy: Economy, by_action: bool = False, survey: bool = False
) -> dict[str, InputSizes]:
    """The size of each role's network, or of its critic's, found by playing a period.

    Parameters
    ----------
    economy : Economy
    by_action : bool
        As for :func:`network_inputs`.
    survey : bool
        Whether of critics that see what `Economy.observe_centrally` shows.
    """
    state = economy.reset((), torch.Generator().manual_seed(0))
    played = play(economy, state, neutral(economy), survey=survey)
    sights = played.surveyed if survey else played.seen
    each = by_action and not survey
    return {name: _sizes(economy.roles[name], sight, each) for name, sight in sights.items()}
