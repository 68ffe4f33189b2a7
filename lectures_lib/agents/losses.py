"""Targets and losses as pure functions, each with its source.

Time is the first dimension; all others are free. Chapter *Learning when shocks are inputs*.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lambda_returns(rewards: Tensor, values: Tensor, discount: float, lam: float) -> Tensor:
    r"""Returns that mix all horizons (Sutton and Barto 2018, equation 12.18).

    .. math:: G_t = r_t + \gamma\bigl[(1-\lambda) V_{t+1} + \lambda G_{t+1}\bigr],
              \qquad G_T = V_T .

    Parameters
    ----------
    rewards : Tensor, shape (T, ...)
    values : Tensor, shape (T + 1, ...)
        Critic's values of the T + 1 states.
    discount, lam : float

    Returns
    -------
    Tensor, shape (T, ...)
    """
    _check_time(rewards, values)
    target, targets = values[-1], []
    for t in reversed(range(rewards.shape[0])):
        target = rewards[t] + discount * torch.lerp(values[t + 1], target, lam)
        targets.append(target)
    return torch.stack(targets[::-1])


def generalized_advantages(rewards: Tensor, values: Tensor, discount: float, lam: float) -> Tensor:
    r"""Generalised advantage estimates (Schulman et al. 2015, equation 16).

    .. math:: A_t = \sum_{l\ge0} (\gamma\lambda)^l
              \bigl(r_{t+l} + \gamma V_{t+l+1} - V_{t+l}\bigr),

    which is :func:`lambda_returns` less the critic's value. Shapes as there.
    """
    return lambda_returns(rewards, values, discount, lam) - values[:-1]


def demean(x: Tensor, dim: int) -> Tensor:
    """Differences from the group mean: what is left when luck is common to the group.

    Parameters
    ----------
    x : Tensor
    dim : int
        Dimension along which the replicates of a group lie.
    """
    return x - x.mean(dim, keepdim=True)


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    r"""PPO's objective, to be maximised (Schulman et al. 2017, equation 7).

    .. math:: \min\bigl(\rho A,\ \mathrm{clip}(\rho, 1-\epsilon, 1+\epsilon) A\bigr)

    Parameters
    ----------
    ratio : Tensor
        Probability of the action taken under the new policy over that under the old.
    advantage : Tensor, broadcastable to `ratio`
    clip : float
        The band's half-width epsilon.
    """
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def _check_time(rewards, values):
    if values.shape[0] != rewards.shape[0] + 1 or values.shape[1:] != rewards.shape[1:]:
        raise ValueError(
            f"values {tuple(values.shape)} must have one period more than rewards "
            f"{tuple(rewards.shape)} and otherwise the same shape."
        )
