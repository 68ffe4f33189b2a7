"""From what agents see to what networks are given."""

import numpy as np
import pytest
import torch

from lectures_lib.agents.inputs import (
    InputSizes,
    action_features,
    input_sizes,
    n_action_second_moments,
    n_second_moments,
    pooled_features,
)
from lectures_lib.economies import Market, Planner, PostedPrice
from lectures_lib.networks import MLP, Streams

CPU = torch.device("cpu")


# ---------------------------------------------------------------------- pooled features
def pool_by_hand(x):
    """Own centred features, means, means of centred products, for one set of agents (n, f)."""
    mean = x.mean(0)
    products = [
        ((x[:, i] - mean[i]) * (x[:, j] - mean[j])).mean()
        for i in range(x.shape[1])
        for j in range(i, x.shape[1])
    ]
    return np.concatenate([x - mean, np.tile(np.concatenate([mean, products]), (len(x), 1))], 1)


def test_pooled_features_are_own_distances_beside_everybodys_moments():
    x = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pooled = pooled_features(x, x)
    assert pooled.shape == (2, 4, 3 + 3 + 6) and n_second_moments(x) == 6
    for b in range(2):
        np.testing.assert_allclose(pooled[b], pool_by_hand(x[b].numpy()), atol=1e-14)


def test_permuting_agents_permutes_pooled_features():
    x = torch.randn(5, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(pooled_features(x[:, order], x), pooled_features(x, x)[:, order])


def test_who_sees_nobody_else_is_given_own_features():
    x = torch.randn(5, 1, 3)
    assert torch.equal(pooled_features(x, None), x) and n_second_moments(None) == 0
    # A single other has a level, and no spread.
    pooled = pooled_features(x, 2 * x)
    torch.testing.assert_close(pooled, torch.cat([-x, 2 * x], -1))
    assert n_second_moments(x) == 0


@pytest.mark.parametrize("agents", [2, 5])
def test_one_set_of_weights_serves_any_number_of_agents(agents):
    net = MLP((2 + 2 + 3, 8, 1), Streams([0], CPU))
    x = torch.randn(1, 7, agents, 2)
    assert net(pooled_features(x, x)).shape == (1, 7, agents, 1)


# ---------------------------------------------------------------------- features of each action
@pytest.mark.parametrize("agents", [1, 4])
def test_permuting_actions_and_agents_permutes_action_features(agents):
    x = torch.randn(
        5, agents, 3 + 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    everybody = x if agents > 1 else None
    features = action_features(x, everybody, 3)
    assert features.shape == (5, agents, 3, 16 if agents > 1 else 5)
    goods = torch.tensor([2, 0, 1])
    swapped = torch.cat([x[..., goods], x[..., 3:]], -1)
    others = swapped if agents > 1 else None
    torch.testing.assert_close(action_features(swapped, others, 3), features[:, :, goods])
    order = torch.randperm(agents, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(action_features(x[:, order], everybody, 3), features[:, order])


def test_action_features_by_hand():
    # Two agents, two goods and nothing else: logs 1 and 3, 2 and 6.
    x = torch.tensor([[1.0, 3.0], [2.0, 6.0]])
    features = action_features(x, x, 2)
    # Means 2 and 4: distance from everybody's mean 3, that mean, variance 1.
    agent = torch.tensor([[-1.0, 3.0, 1.0], [1.0, 3.0, 1.0]])
    assert torch.equal(features[..., [0, 1, 4]], agent[:, None].expand(2, 2, 3))
    # Distances from own mean -1, 1 and -2, 2, and their means over agents.
    distance = torch.tensor([[[-1.0, -1.5], [1.0, 1.5]], [[-2.0, -1.5], [2.0, 1.5]]])
    assert torch.equal(features[..., 2:4], distance)
    # Second moments come last: the variance, spreads 1 and 4, and their mean over agents.
    spread = torch.tensor([[1.0, 2.5], [4.0, 2.5]])
    assert torch.equal(features[..., 5:], spread[:, None].expand(2, 2, 2))
    assert n_action_second_moments(x, 2) == 3 and n_action_second_moments(None, 2) == 1


@pytest.mark.parametrize("agents", [1, 4])
def test_several_features_of_each_action_are_treated_like_one(agents):
    # A stock and a price of each of three goods, and one feature more.
    g = torch.Generator().manual_seed(0)
    x = torch.randn(5, agents, 2 * 3 + 1, dtype=torch.float64, generator=g)
    everybody = x if agents > 1 else None
    features = action_features(x, everybody, 3, 2)
    n = n_action_second_moments(everybody, 3, 2)
    assert features.shape == (5, agents, 3, 3 + 2 + 2 if agents == 1 else 3 + 3 + 4 + 6 + 4)
    assert n == (2 if agents == 1 else 6 + 4)
    goods = torch.tensor([2, 0, 1])
    swapped = torch.cat([x[..., goods], x[..., 3 + goods], x[..., 6:]], -1)
    others = swapped if agents > 1 else None
    torch.testing.assert_close(action_features(swapped, others, 3, 2), features[:, :, goods])
    alone = action_features(x[..., [0, 1, 2, 6]], None, 3)
    if agents == 1:  # the stock's columns are what they are without prices
        torch.testing.assert_close(features[..., [0, 2, 3, 5]], alone)


# ---------------------------------------------------------------------- sizes
def test_sizes_by_hand():
    assert input_sizes(Planner()) == {"planner": InputSizes(3, 0)}
    # Own distances, means, and six second moments of three features.
    assert input_sizes(Planner(4)) == {"planner": InputSizes(12, 6)}
    # The same of means over goods, and distances and spreads, own and everybody's.
    assert input_sizes(Planner(4, 2), by_action=True) == {"planner": InputSizes(16, 8)}
    # A single household sees stocks and prices of two goods and two productivities.
    sizes = input_sizes(PostedPrice(1, 2), by_action=True)
    assert sizes["household"] == InputSizes(4 + 2 + 2, 2)
    some = Market(3, n_uninformed=1)
    seen = {"informed": InputSizes(12, 6), "uninformed": InputSizes(4, 0)}
    assert input_sizes(some) == seen
    assert set(input_sizes(some, survey=True).values()) == {InputSizes(12, 6)}
