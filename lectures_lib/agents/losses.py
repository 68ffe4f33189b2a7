"""Targets and losses as pure functions, each with its source.

Time is the first dimension; all others are free. Chapter *Learning when shocks are inputs*.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


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


def expected_returns(worth: Tensor, values: Tensor, discount: float, lam: float) -> Tensor:
    r"""Returns that mix all horizons, with the luck of next periods averaged out.

    .. math:: G_t = Q_t + \gamma\lambda (G_{t+1} - V_{t+1}), \qquad G_T = V_T,

    which is :func:`lambda_returns` if :math:`Q_t = r_t + \gamma V_{t+1}`, of the path's own luck.
    Where Q is the mean over luck, that of the path enters by how far the critic errs, and by
    nothing if it does not: values are control variates.

    Parameters
    ----------
    worth : Tensor, shape (T, ...)
        Reward and discounted value of what comes after, in expectation: the Q.
    values : Tensor, shape (T + 1, ...)
        Critic's values of the T + 1 states.
    discount, lam : float

    Returns
    -------
    Tensor, shape (T, ...)
    """
    _check_time(worth, values)
    target, targets = values[-1], []
    for t in reversed(range(worth.shape[0])):
        target = worth[t] + discount * lam * (target - values[t + 1])
        targets.append(target)
    return torch.stack(targets[::-1])


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    discount: float,
    lam: float,
) -> Tensor:
    r"""Generalised advantage estimates (Schulman et al. 2015, equation 16).

    .. math:: A_t = \sum_{l\ge0} (\gamma\lambda)^l
              \bigl(r_{t+l} + \gamma V_{t+l+1} - V_{t+l}\bigr),

    which is :func:`lambda_returns` less the critic's value. Shapes
    are as there.
    """
    return lambda_returns(rewards, values, discount, lam) - values[:-1]


def vtrace(
    rewards: Tensor,
    values: Tensor,
    ratio: Tensor,
    discount: float,
    lam: float,
    clip: float = 1.0,
    group: int | None = None,
) -> tuple[Tensor, Tensor]:
    r"""V-trace: returns and advantages of a policy that has not acted (Espeholt et al. 2018,
    equation 1, with remark 2's lambda).

    .. math:: v_t - V_t = \sum_{s \ge t} \gamma^{s-t} \Bigl(\prod_{i=t}^{s-1} \lambda w_i\Bigr)
              w_s \delta_s, \qquad
              \delta_s = r_s + \gamma V_{s+1} - V_s, \qquad w_s = \min(\rho_s, \bar\rho).

    Where the policy itself has acted all ratios are one, and these are :func:`lambda_returns` and
    :func:`generalized_advantages`. Chapter *The parallel framework*.

    Parameters
    ----------
    rewards : Tensor, shape (T, ...)
    values : Tensor, shape (T + 1, ...)
    ratio : Tensor, broadcastable to `rewards`
        Probability of what was done, under the policy over that of who has acted: the rho.
    discount, lam : float
    clip : float
        The bar on ratios. Lower ones are less noisy, and what they estimate lies further towards
        the value of the policy that has acted.
    group : int, optional
        Dimension of a group's replicates. The temporal differences are then differences from the
        group's mean, weighted by the ratios: otherwise luck that is common to the group would
        count by weights that are not.

    Returns
    -------
    targets, advantages : Tensor, shape (T, ...)
        For the critic, and for the policy, whose gradient weights the latter by the clipped ratio.
    """
    _check_time(rewards, values)
    weight = ratio.clamp(max=clip).expand_as(rewards)
    error = rewards + discount * values[1:] - values[:-1]
    if group is not None:
        error = error - weighted_mean(error, weight, group)
    correction = torch.zeros_like(error[-1])
    corrections, advantages = [], []
    for t in reversed(range(rewards.shape[0])):
        advantages.append(error[t] + discount * lam * correction)
        correction = weight[t] * advantages[-1]
        corrections.append(correction)
    targets = values[:-1] + torch.stack(corrections[::-1])
    return targets, torch.stack(advantages[::-1])


def weighted_mean(x: Tensor, weight: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Mean of `x` with weights, which need not add up to one; dimensions are kept."""
    total = weight.sum(dim, keepdim=True)
    return (weight * x).sum(dim, keepdim=True) / total.clamp_min(torch.finfo(x.dtype).tiny)


def demean(x: Tensor, dim: int) -> Tensor:
    """Differences from the group mean: what is left when luck is common to the group.

    Parameters
    ----------
    x : Tensor
    dim : int
        Dimension along which the replicates of a group lie.
    """
    return x - x.mean(dim, keepdim=True)


def clipped_surrogate(
    ratio: Tensor,
    advantage: Tensor,
    clip: float,
) -> Tensor:
    r"""PPO's objective, to be maximised (Schulman et al. 2017, equation 7).

    .. math:: \min\bigl(\rho A,\
              \mathrm{clip}(\rho, 1-\epsilon, 1+\epsilon) A\bigr)

    Parameters
    ----------
    ratio : Tensor
        Probability of the action taken, under the new policy over the old.
    advantage : Tensor, broadcastable to `ratio`
    clip : float
        The band's half-width epsilon.
    """
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return torch.minimum(ratio * advantage, clipped * advantage)


def squash(z: Tensor, bound: float) -> Tensor:
    """Any number to (-bound, bound), with slope one at zero: ``bound * tanh(z / bound)``."""
    return bound * torch.tanh(z / bound)


def squashed_log_prob(noise: Tensor, log_sd: Tensor, z: Tensor, bound: float) -> Tensor:
    r"""Log density of ``squash(z, bound)`` for Gaussian z (Haarnoja et al. 2018a, appendix C).

    .. math:: \log \pi(u) = \sum_i \Bigl[ -\tfrac12 \epsilon_i^2 - \log \sigma_i
              - \tfrac12 \log 2\pi - \log\bigl(1 - \tanh^2(z_i / B)\bigr) \Bigr]

    Parameters
    ----------
    noise : Tensor, shape (..., actions)
        Standard normal, with which ``z = mean + exp(log_sd) * noise`` was made.
    log_sd, z : Tensor, shape (..., actions)
    bound : float
        The B of the formula.

    Returns
    -------
    Tensor, shape (...)
    """
    gaussian = -0.5 * noise.square() - log_sd - 0.5 * math.log(2 * math.pi)
    # log(1 - tanh(x)^2) without the cancellation that a large |x| brings.
    x = z / bound
    slope = 2 * (math.log(2) - x - softplus(-2 * x))
    return (gaussian - slope).sum(-1)


def soft_targets(
    rewards: Tensor, values: Tensor, log_prob: Tensor, temperature: Tensor, discount: float
) -> Tensor:
    r"""One-step targets of a soft Q function (Haarnoja et al. 2018b, equations 2 and 3).

    .. math:: r + \gamma \bigl[ Q(s', u') - \alpha \log \pi(u' \mid s') \bigr]

    Parameters
    ----------
    rewards, values, log_prob : Tensor, shape (...)
        `values` and `log_prob` are of the next state's action, drawn from the policy.
    temperature : Tensor, broadcastable
    discount : float
    """
    return rewards + discount * (values - temperature * log_prob)


def twin_minimum(values: Tensor, dim: int, group: int | None = None) -> Tensor:
    """The smaller of two critics' values (Fujimoto et al. 2018, equation 10).

    Parameters
    ----------
    values : Tensor
        Both critics', along dimension `dim`.
    dim : int
    group : int, optional
        Dimension of a group's replicates. A critic that is fitted on differences has no level, so
        that each critic's own group mean is taken off before the two are compared.
    """
    if group is not None:
        values = values - values.mean(group, keepdim=True).detach()
    return values.amin(dim)


def temperature_loss(log_temperature: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    r"""Loss whose descent moves the temperature so that entropy meets its target.

    .. math:: -\log\alpha\, \bigl( \log \pi(u \mid s) + \bar H \bigr)

    Haarnoja et al. (2018b), equation 18, with the logarithm of the temperature in front, as in
    the authors' program: the temperature rises where entropy is below the target.

    Parameters
    ----------
    log_temperature : Tensor, broadcastable to `log_prob`
    log_prob : Tensor
        Taken as given.
    target_entropy : float
    """
    return -log_temperature * (log_prob.detach() + target_entropy)


def _check_time(rewards, values):
    if values.shape[0] != rewards.shape[0] + 1 or values.shape[1:] != rewards.shape[1:]:
        raise ValueError(
            f"values {tuple(values.shape)} must have one period more than rewards "
            f"{tuple(rewards.shape)} and otherwise the same shape."
        )


def q_target(
    rewards: Tensor,
    following: Tensor,
    discount: float,
    picked: Tensor | None = None,
) -> Tensor:
    r"""What a transition says that the value of its choice is (Watkins and Dayan 1992).

    .. math:: y = r + \gamma \max_{a'} Q(s', a'),

    or, in double Q-learning (van Hasselt et al. 2016, equation 4), with the value of a choice
    that another network has picked in place of the highest.

    Parameters
    ----------
    rewards : Tensor, shape (...)
        Of the transitions themselves.
    following : Tensor, shape (..., choices)
        Values of all choices in the next state.
    discount : float
    picked : Tensor of int64, shape (...), optional

    Returns
    -------
    Tensor, shape (...)
    """
    if following.shape[:-1] != rewards.shape:
        raise ValueError(
            f"following {tuple(following.shape)} must have the shape of "
            f"rewards {tuple(rewards.shape)} and one dimension more, for "
            "the choices."
        )
    if picked is None:
        return rewards + discount * following.amax(-1)
    value = following.gather(-1, picked.unsqueeze(-1)).squeeze(-1)
    return rewards + discount * value


def dueling_values(value: Tensor, advantages: Tensor) -> Tensor:
    r"""Values of choices from that of the state (Wang et al. 2016, equation 9).

    .. math:: Q(s, a) = V(s) + A(s, a) - \frac{1}{|A|} \sum_{a'} A(s, a')

    Parameters
    ----------
    value : Tensor, shape (..., 1)
    advantages : Tensor, shape (..., choices)
    """
    return value + advantages - advantages.mean(-1, keepdim=True)


def projection_weights(
    joint: Tensor, thought: Tensor, same: Tensor, weight: float, tie: Tensor | float = 0.0
) -> Tensor:
    r"""How much it matters that the agents' values fit a joint choice (Rashid et al. 2020, section
    5, central weighting).

    .. math:: w(s, u) = \begin{cases}
              1 & Q(s, u) > Q(s, \hat u) + \epsilon \text{ or } u = \hat u \\
              \alpha & \text{otherwise} \end{cases}

    for the agents' own best choices :math:`\hat u`. Where these are not the team's best, better
    ones weigh more and draw the agents' values to them; where they are, nothing but they count.
    The paper compares the target of one transition, which luck has a part in, with
    :math:`Q(s, \hat u)`; here it is the value of the joint choice.

    Parameters
    ----------
    joint : Tensor, shape (...)
        Q(s, u).
    thought : Tensor, shape (...)
        Of the agents' own best choices.
    same : Tensor of bool, shape (...)
        Whether these are what was chosen.
    weight : float
        The alpha, in (0, 1].
    tie : Tensor or float
        The epsilon: what is better by less is as good. The paper has none, and agents then waver
        between two joint choices that are equally good.
    """
    return torch.where(same | (joint > thought + tie), 1.0, weight)
