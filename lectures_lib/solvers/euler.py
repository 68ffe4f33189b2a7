"""Euler residuals of any policy, from the derivatives of the economy's own code.

Chapter *Global solution*. Nothing here repeats an economy's formulas: automatic differentiation of
:meth:`Economy.step` gives them, so that a formula and the code that simulates cannot disagree.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..economies.base import Economy, map_state


def marginal_values(economy: Economy, policy, state) -> tuple[Tensor, Tensor]:
    r"""What a policy implies that capital is worth, tomorrow's and today's.

    With reward :math:`r(k, a)` (a team's mean) and next capital :math:`k' = g(k, a)`, the
    first-order condition :math:`r_a + g_a^\top \lambda = 0` gives the worth :math:`\lambda` of a
    unit of :math:`k'`, and the envelope theorem that of :math:`k`: :math:`r_k + g_k^\top\lambda`.

    Parameters
    ----------
    economy : Economy
        With one role, a team, and as many actions as capital stocks.
    policy : callable
    state : State, shape (*batch, ...)

    Returns
    -------
    costate, value : Tensor, shape (*batch, stocks)
        In units of the agents' mean utility.
    """
    ((name, role),) = economy.roles.items()
    if not role.team:
        raise ValueError(
            f"role {name!r} is not a team: its agents have no common first-order condition."
        )
    field = economy.endogenous[0]
    shape = economy.state_shapes[field]
    capital = getattr(state, field).detach().double()
    batch = capital.shape[: capital.dim() - len(shape)]
    state = state._replace(**{field: capital})
    action = policy(state)[name].detach().double()
    # Flat copies make the Jacobian's rows and columns simple to name.
    k = capital.reshape(*batch, -1).requires_grad_(True)
    a = action.reshape(*batch, -1).requires_grad_(True)
    if k.shape[-1] != a.shape[-1]:
        raise ValueError(
            f"{a.shape[-1]} actions cannot be matched with {k.shape[-1]} capital stocks."
        )
    no_luck = economy.Shocks(*(k.new_zeros((*batch, *s)) for s in economy.shock_shapes.values()))
    with torch.enable_grad():
        step = economy.step(
            state._replace(**{field: k.reshape(capital.shape)}),
            {name: a.reshape(action.shape)},
            no_luck,
        )
        reward = step.rewards[name].mean(-1)
        following = getattr(step.state, field).reshape(*batch, -1)
        r_k, r_a = torch.autograd.grad(reward.sum(), (k, a), retain_graph=True)
        rows = [
            torch.autograd.grad(following[..., j].sum(), (k, a), retain_graph=True)
            for j in range(following.shape[-1])
        ]
    g_k = torch.stack([row[0] for row in rows], -2)
    g_a = torch.stack([row[1] for row in rows], -2)
    costate = -torch.linalg.solve(g_a.mT, r_a.unsqueeze(-1)).squeeze(-1)
    return costate, r_k + (g_k.mT @ costate.unsqueeze(-1)).squeeze(-1)


def euler_residuals(economy: Economy, policy, state) -> Tensor:
    r"""Unit-free Euler residuals, with exact expectations over next period's shocks.

    .. math:: \epsilon = 1 - \left(\frac{\beta E[r_k' + g_k'^\top\lambda']}{\lambda}
              \right)^{-1/\sigma},

    the share by which consumption would have to change for today's condition to hold exactly
    (Judd 1992; :math:`\sigma` is relative risk aversion).

    Parameters
    ----------
    economy : Economy
    policy : callable
        Any policy without a runs dimension.
    state : State, shape (*batch, ...)

    Returns
    -------
    Tensor of float64, shape (*batch, stocks)
    """
    field = economy.endogenous[0]
    state = state._replace(**{field: getattr(state, field).double()})
    costate, _ = marginal_values(economy, policy, state)
    shocks, probability = economy.outcomes(state)
    actions = policy(state)
    expected = torch.zeros_like(costate)
    for j in range(probability.shape[0]):
        following = economy.step(state, actions, map_state(lambda x: x[j], shocks)).state  # noqa: B023
        expected += probability[j].unsqueeze(-1) * marginal_values(economy, policy, following)[1]
    return 1 - (economy.discount * expected / costate) ** (-1 / economy.risk_aversion)
