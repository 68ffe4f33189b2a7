"""Networks with a runs dimension, the scale of their inputs, and their random streams."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from lectures_lib.economies import Planner
from lectures_lib.networks import MLP, RunningScale, Streams

CPU = torch.device("cpu")


def test_each_run_is_an_ordinary_network_of_linear_layers():
    net = MLP((3, 8, 5, 2), Streams([0, 1, 2], CPU)).double()
    x = torch.randn(3, 4, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    out = net(x)
    assert out.shape == (3, 4, 6, 2)
    for run in range(3):
        layers = []
        for weight, bias in zip(net.weights, net.biases, strict=True):
            linear = nn.Linear(*weight.shape[1:]).double()
            linear.weight.data, linear.bias.data = weight[run].T, bias[run, 0]
            layers += [linear, nn.SiLU()]
        torch.testing.assert_close(out[run], nn.Sequential(*layers[:-1])(x[run]))


def test_runs_do_not_mix():
    net = MLP((3, 8, 2), Streams([0, 1], CPU))
    net(torch.ones(2, 5, 3))[0].sum().backward()
    for p in net.parameters():
        assert (p.grad[1] == 0).all() and (p.grad[0] != 0).any()


def test_initial_weights_are_uniform_on_the_stated_range_and_depend_on_the_seed_alone():
    net, other = MLP((9, 200, 1), Streams([7, 8], CPU)), MLP((9, 200, 1), Streams([8], CPU))
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(p[1], q[0])
    first = net.weights[0][0]
    assert not torch.equal(first, net.weights[0][1])
    assert first.abs().max() <= 1 / 3
    # Variance of a uniform law on [-1/3, 1/3], within 4.5 standard errors.
    assert abs(first.var().item() - 1 / 27) < 4.5 / 27 * math.sqrt(0.8 / first.numel())


def test_a_small_last_layer_begins_near_zero_for_any_input():
    net = MLP((4, 32, 3), Streams([0], CPU), last_scale=0.01)
    assert (net.biases[-1] == 0).all()
    x = 3 * torch.randn(1, 500, 4, generator=torch.Generator().manual_seed(0))
    assert 0 < net(x).abs().max() < 0.1
    assert MLP((4, 32, 3), Streams([0], CPU))(x).abs().max() > 0.1


# ---------------------------------------------------------------------- running scale
def test_the_running_scale_is_the_mean_and_deviation_of_all_that_was_seen():
    g = torch.Generator().manual_seed(0)
    scale = RunningScale(2, 3, CPU)
    batches = [
        100 + torch.randn(2, n, 2, 3, generator=g, dtype=torch.float64) * n for n in (1, 50, 7, 400)
    ]
    for batch in batches:
        scale.update(batch)
    seen = torch.cat([b.flatten(1, 2) for b in batches], 1).numpy()
    np.testing.assert_allclose(scale.mean, seen.mean(1), rtol=1e-12)
    np.testing.assert_allclose(scale.variance, seen.var(1), rtol=1e-12)
    x = batches[-1].numpy()
    expected = (x - seen.mean(1)[:, None, None]) / seen.std(1)[:, None, None]
    np.testing.assert_allclose(scale(batches[-1]), expected, rtol=1e-10)


def test_a_feature_that_never_moves_is_centred_and_left_unscaled():
    scale = RunningScale(1, 2, CPU)
    x = torch.tensor([[[5.0, 1.0], [5.0, 3.0]]])
    scale.update(x)
    torch.testing.assert_close(scale(x), torch.tensor([[[0.0, -1.0], [0.0, 1.0]]]))
    assert scale.spread.tolist() == [[1.0, 1.0]]
    scale.update(torch.tensor([[[5.0, 4.0], [5.0, 8.0]]]))
    assert scale.spread[0, 0] == 1.0 and scale.spread[0, 1] == scale.variance[0, 1].sqrt()


def test_second_moments_are_given_a_smaller_size():
    n, size = 3, 0.2
    x = torch.randn(1, 1000, 7, generator=torch.Generator().manual_seed(0))
    scale = RunningScale(1, 7, CPU, n, size)
    scale.update(x)
    spread = scale(x).std((0, 1), correction=0)
    torch.testing.assert_close(spread[:-n], torch.ones_like(spread[:-n]))
    expected = torch.full_like(spread[-n:], size)
    torch.testing.assert_close(spread[-n:], expected)
    # What was stored brings its size along.
    other = RunningScale(1, 7, CPU, n, 1.0)
    other.load_state_dict(scale.state_dict())
    assert torch.equal(other(x), scale(x))


def test_before_anything_is_seen_nothing_is_changed():
    x = torch.randn(2, 4, 3)
    assert torch.equal(RunningScale(2, 3, CPU)(x), x)


# ---------------------------------------------------------------------- streams
def uniform(_, g):
    return torch.rand(4, generator=g)


def test_a_stream_depends_on_its_own_seed_alone():
    many, one = Streams([1, 2, 3], CPU), Streams([3], CPU)
    for _ in range(3):
        assert torch.equal(many.stack(uniform)[2], one.stack(uniform)[0])
    drawn = many.stack(uniform)
    assert drawn.shape == (3, 4) and not torch.equal(drawn[0], drawn[1])


def test_streams_go_on_from_a_stored_position():
    streams = Streams([1, 2], CPU)
    streams.stack(uniform)
    stored = copy.deepcopy(streams.state_dict())
    expected = streams.stack(uniform)
    other = Streams([8, 9], CPU)
    other.load_state_dict(stored)
    assert torch.equal(other.stack(uniform), expected)


def test_states_are_stacked_field_by_field():
    economy = Planner()
    state = Streams([1, 2], CPU).stack(lambda _, g: economy.reset((5,), g))
    single = economy.reset((5,), torch.Generator().manual_seed(2))
    assert type(state) is type(single)
    for x, y in zip(state, single, strict=True):
        assert x.shape == (2, *y.shape) and torch.equal(x[1], y)


# ---------------------------------------------------------------------- networks of one's own
@pytest.mark.parametrize("actions", [(), (4,)])
def test_separate_networks_are_one_network_for_each_agent(actions):
    dim = -2 - len(actions)
    many = MLP((2, 8, 1), Streams([0, 1], CPU), separate=(3, dim))
    x = torch.randn(2, 7, 3, *actions, 2)
    y = many(x)
    assert y.shape == (2, 7, 3, *actions, 1)
    single = MLP((2, 8, 1), Streams([0, 1], CPU))
    for agent in range(3):
        for mine, all_ in zip(single.parameters(), many.parameters(), strict=True):
            mine.data = all_.data[:, agent]
        torch.testing.assert_close(single(x.select(dim, agent)), y.select(dim, agent))
    assert not torch.equal(many.weights[0][:, 0], many.weights[0][:, 1])
