"""Targets and losses against sums written out by hand."""

import itertools

import pytest
import torch

from lectures_lib.agents.losses import (
    clipped_surrogate,
    demean,
    expected_returns,
    generalized_advantages,
    lambda_returns,
    vtrace,
    weighted_mean,
)

T, GAMMA = 6, 0.9


def path(seed=0, shape=(3, 2)):
    g = torch.Generator().manual_seed(seed)
    rewards = torch.randn(T, *shape, generator=g, dtype=torch.float64)
    return rewards, torch.randn(T + 1, *shape, generator=g, dtype=torch.float64)


def n_step_return(rewards, values, t, n):
    return sum(GAMMA**i * rewards[t + i] for i in range(n)) + GAMMA**n * values[t + n]


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.95, 1.0])
def test_returns_are_the_geometric_mixture_of_all_horizons(lam):
    # Sutton and Barto (2018), equation 12.3, with the rest of the weight on the whole path.
    rewards, values = path()
    targets = lambda_returns(rewards, values, GAMMA, lam)
    for t in range(T):
        left = T - t
        mixture = lam ** (left - 1) * n_step_return(rewards, values, t, left)
        for n in range(1, left):
            mixture += (1 - lam) * lam ** (n - 1) * n_step_return(rewards, values, t, n)
        torch.testing.assert_close(targets[t], mixture, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.95, 1.0])
def test_advantages_are_discounted_sums_of_temporal_difference_errors(lam):
    rewards, values = path()
    errors = rewards + GAMMA * values[1:] - values[:-1]
    advantages = generalized_advantages(rewards, values, GAMMA, lam)
    for t in range(T):
        expected = sum((GAMMA * lam) ** i * errors[t + i] for i in range(T - t))
        torch.testing.assert_close(advantages[t], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_returns_in_expectation_are_those_of_the_path_where_there_is_no_luck(lam):
    rewards, values = path()
    found = expected_returns(rewards + GAMMA * values[1:], values, GAMMA, lam)
    torch.testing.assert_close(found, lambda_returns(rewards, values, GAMMA, lam))


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_a_critic_that_is_right_has_returns_without_luck(lam):
    _, values = path()
    found = expected_returns(values[:-1], values, GAMMA, lam)
    torch.testing.assert_close(found, values[:-1])


def test_lambda_one_is_monte_carlo_and_ends_in_the_last_value():
    targets = lambda_returns(torch.tensor([1.0, 2.0]), torch.tensor([9.0, 9.0, 4.0]), 0.5, 1.0)
    assert targets.tolist() == [1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4]


def test_lambda_zero_looks_one_step_ahead():
    targets = lambda_returns(torch.tensor([1.0, 2.0]), torch.tensor([9.0, 8.0, 4.0]), 0.5, 0.0)
    assert targets.tolist() == [1 + 0.5 * 8, 2 + 0.5 * 4]


def test_exact_values_leave_no_advantage():
    rewards, values = path()
    values = [values[-1]]
    for reward in reversed(rewards):
        values.insert(0, reward + GAMMA * values[0])
    advantages = generalized_advantages(rewards, torch.stack(values), GAMMA, 0.7)
    assert advantages.abs().max() < 1e-14


@pytest.mark.parametrize("lam", [0.0, 0.7, 1.0])
def test_vtrace_of_who_has_acted_is_what_returns_and_advantages_are(lam):
    rewards, values = path()
    targets, advantages = vtrace(rewards, values, torch.ones_like(rewards), GAMMA, lam)
    expected = lambda_returns(rewards, values, GAMMA, lam), values[:-1]
    torch.testing.assert_close(targets, expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(advantages, expected[0] - expected[1], rtol=1e-12, atol=1e-12)


def test_vtrace_is_the_sum_of_weighted_temporal_differences():
    # Espeholt et al. (2018), equation 1, with lambda in the product.
    rewards, values = path()
    ratio = torch.linspace(0.2, 1.9, T, dtype=torch.float64)[:, None, None]
    lam, clip = 0.8, 1.3
    targets, advantages = vtrace(rewards, values, ratio, GAMMA, lam, clip)
    weight = ratio.clamp(max=clip)
    errors = rewards + GAMMA * values[1:] - values[:-1]

    def corrected(t):
        total = torch.zeros_like(errors[0])
        for s in range(t, T):
            through = torch.prod(lam * weight[t:s])
            total += GAMMA ** (s - t) * through * weight[s] * errors[s]
        return total

    for t in range(T):
        torch.testing.assert_close(targets[t], values[t] + corrected(t), rtol=1e-12, atol=1e-12)
        follows = corrected(t + 1) if t + 1 < T else 0.0
        expected = errors[t] + GAMMA * lam * follows
        torch.testing.assert_close(advantages[t], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("clip", [1.0, 0.7, 100.0])
def test_vtrace_leaves_the_value_of_the_clipped_policy_where_it_is(clip):
    # Theorem 1: its fixed point is the value of min(clip mu, pi), made to add up to one.
    g = torch.Generator().manual_seed(1)
    draw = dict(generator=g, dtype=torch.float64)
    states, actions = 4, 3
    mu, pi = (torch.rand(states, actions, **draw).softmax(1) for _ in range(2))
    reward = torch.randn(states, actions, **draw)
    goes = torch.randn(states, actions, states, **draw).softmax(2)
    clipped = torch.minimum(clip * mu, pi)
    clipped = clipped / clipped.sum(1, keepdim=True)
    flow = torch.einsum("sa,sat->st", clipped, goes)
    value = torch.linalg.solve(
        torch.eye(4, dtype=torch.float64) - GAMMA * flow, (clipped * reward).sum(1)
    )
    # All paths of two periods, each with its probability under mu.
    move = torch.zeros(states, dtype=torch.float64)
    for s, a, t, b, u in itertools.product(range(4), range(3), range(4), range(3), range(4)):
        chance = mu[s, a] * goes[s, a, t] * mu[t, b] * goes[t, b, u]
        rewards = torch.stack([reward[s, a], reward[t, b]])
        ratio = torch.stack([pi[s, a] / mu[s, a], pi[t, b] / mu[t, b]])
        targets, _ = vtrace(rewards, value[[s, t, u]], ratio, GAMMA, 0.9, clip)
        move[s] += chance * (targets[0] - value[s])
    assert move.abs().max() < 1e-14


def test_luck_that_a_group_shares_leaves_vtraces_differences_as_they_are():
    rewards, values = path(shape=(5, 4))
    ratio = torch.rand(T, 5, 4, generator=torch.Generator().manual_seed(3)).double() + 0.3
    luck = torch.randn(T, 5, 1, generator=torch.Generator().manual_seed(2)).double()
    plain, lucky = (
        vtrace(r, values, ratio, GAMMA, 0.95, group=2) for r in (rewards, rewards + luck)
    )
    for a, b in zip(plain, lucky, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    published = vtrace(rewards + luck, values, ratio, GAMMA, 0.95)[1]
    assert (
        demean(published, 2) - demean(vtrace(rewards, values, ratio, GAMMA, 0.95)[1], 2)
    ).abs().max() > 0.1


def test_weighted_means():
    x, weight = torch.tensor([[1.0, 4.0]]), torch.tensor([[1.0, 0.5]])
    assert weighted_mean(x, weight, 1).tolist() == [[2.0]]
    assert weighted_mean(x, torch.zeros(1, 2), 1).tolist() == [[0.0]]


@pytest.mark.parametrize("shape", [(T, 3), (T + 2, 3), (T + 1, 4)])
def test_values_that_do_not_fit_rewards_are_refused(shape):
    with pytest.raises(ValueError, match=r"values .* one period more than rewards \(6, 3\)"):
        lambda_returns(torch.zeros(T, 3), torch.zeros(shape), GAMMA, 0.9)


def test_demeaned_groups_have_mean_zero_and_keep_their_differences():
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = demean(x, dim=1)
    assert out.mean(1).abs().max() < 1e-15
    torch.testing.assert_close(out.diff(dim=1), x.diff(dim=1))


# ratio, advantage, objective, its slope in the ratio; clip 0.2
CASES = [
    (1.0, 2.0, 2.0, 2.0),
    (1.1, 2.0, 2.2, 2.0),
    (1.5, 2.0, 2.4, 0.0),  # good and already much likelier: nothing more to gain
    (0.5, 2.0, 1.0, 2.0),  # good and now unlikely: pulled back
    (1.5, -2.0, -3.0, -2.0),  # bad and now likelier: pulled back
    (0.5, -2.0, -1.6, 0.0),  # bad and already unlikely: nothing more to gain
    (0.9, -2.0, -1.8, -2.0),
    (1.5, 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("ratio", "advantage", "objective", "slope"), CASES)
def test_the_clipped_surrogate_and_its_slope(ratio, advantage, objective, slope):
    r = torch.tensor(ratio, dtype=torch.float64, requires_grad=True)
    out = clipped_surrogate(r, torch.tensor(advantage, dtype=torch.float64), 0.2)
    assert out.item() == pytest.approx(objective)
    # The middle of the band touches both branches at once; off it the slope is unambiguous.
    assert torch.autograd.grad(out, r)[0].item() == pytest.approx(slope)


def test_the_clipped_surrogate_never_exceeds_the_plain_one():
    for ratio, advantage in itertools.product([0.0, 0.7, 1.0, 1.3, 9.0], [-3.0, 0.5]):
        r, a = torch.tensor(ratio), torch.tensor(advantage)
        assert clipped_surrogate(r, a, 0.2) <= r * a
