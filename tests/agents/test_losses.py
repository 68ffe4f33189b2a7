"""Targets and losses against sums written out by hand."""

import itertools

import pytest
import torch

from lectures_lib.agents.losses import (
    clipped_surrogate,
    demean,
    generalized_advantages,
    lambda_returns,
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
