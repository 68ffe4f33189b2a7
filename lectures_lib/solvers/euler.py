"""Euler residuals of any policy, from the derivatives of the economy's own code.

Chapter *Global solution*. Nothing here repeats an economy's formulas: automatic differentiation of
:meth:`Economy.step` gives them, so that a formula and the code that simulates cannot disagree.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..economies import Market
from ..economies.base import Economy, TooManyOutcomes, map_state

# Backward passes that are taken at once: more need more memory and save no time.
ROWS_AT_ONCE = 16
# States that are taken at once, in units of stocks.
STOCKS_AT_ONCE = 20_000
# Exact expectations beyond this many outcomes cost more than draws, which are as precise there.
EXACT_OUTCOMES = 256


def in_regime(economy: Economy, regime: str | None) -> tuple[Economy, bool]:
    """The economy in which a regime's choices are made, and whether they are made jointly.

    Parameters
    ----------
    economy : Economy
    regime : {"planner", "competitive", "nash", "monopsony"}, optional
        By default the economy's own game: a team decides jointly, others each for themselves.

    Returns
    -------
    economy : Economy
        A market whose households are massless if they take prices as given.
    joint : bool
        Whether the agents maximise the mean of their rewards.

    Raises
    ------
    ValueError
        If the economy does not have the regime.
    """
    teams = {role.team for role in economy.roles.values()}
    if isinstance(economy, Market):
        if regime is None:
            return economy, False
        if regime in ("competitive", "nash", "monopsony"):
            atomistic = regime == "competitive"
            return replace(economy, atomistic=atomistic), regime == "monopsony"
    elif regime in (None, "planner") and teams == {True}:
        return economy, True
    raise ValueError(f"regime={regime!r}: {type(economy).__name__} has no such regime.")


def in_state(economy: Economy, state):
    """The same state for an economy whose households are massless, or are not."""
    if hasattr(state, "crowd") == ("crowd" in economy.state_shapes):
        return state
    if hasattr(state, "crowd"):
        return economy.State(state.crowd, state.idiosyncratic, state.aggregate)
    return economy.with_crowd(state)


def in_actions(economy: Economy, actions) -> dict[str, Tensor]:
    """Actions for all roles of `economy`, crowds doing what those they follow do."""
    following = {
        name: actions[role.follows]
        for name, role in economy.roles.items()
        if role.follows in actions
    }
    return following | dict(actions)


def marginal_values(
    economy: Economy, policy, state, regime: str | None = None
) -> tuple[Tensor, Tensor]:
    r"""What a policy implies that capital is worth, tomorrow's and today's.

    With reward :math:`r(k, a)` and next capital :math:`k' = g(k, a)`, the first-order condition
    :math:`r_a + g_a^\top \lambda = 0` gives the worth :math:`\lambda` of a unit of :math:`k'`, and
    the envelope theorem that of :math:`k`: :math:`r_k + g_k^\top\lambda`. Agents who decide
    jointly look at the mean reward and at all stocks; otherwise each looks at its own, and takes
    as given what the others spend or order (the open-loop conditions of a game).

    Parameters
    ----------
    economy : Economy
        With as many actions as capital stocks.
    policy : callable
    state : State, shape (*batch, ...)
    regime : str, optional
        See :func:`~.euler.in_regime`.

    Returns
    -------
    costate, value : Tensor of float64, shape (*batch, stocks)
        In units of the agents' own utility (of N times the mean, if they decide jointly).
    """
    economy, joint = in_regime(economy, regime)
    state = in_state(economy, _in_double(economy, state))
    return _marginal_values(economy, joint, state, in_actions(economy, policy(state)))


def _in_double(economy, state):
    fields = {name: getattr(state, name).double() for name in state._fields if name in ENDOGENOUS}
    return state._replace(**fields)


#: Fields of a state that are real numbers.
ENDOGENOUS = ("capital", "crowd")


def _marginal_values(economy, joint, state, actions):
    learned = [name for name, role in economy.roles.items() if role.follows is None]
    capital = state.capital.detach()
    shape = economy.state_shapes["capital"]
    batch = capital.shape[: capital.dim() - len(shape)]
    sizes = [economy.roles[name].n_agents for name in learned]
    chosen = torch.cat([actions[name].detach().double() for name in learned], -2)
    # Flat copies make the Jacobian's rows and columns simple to name.
    k = capital.reshape(*batch, -1).requires_grad_(True)
    a = chosen.reshape(*batch, -1).requires_grad_(True)
    if k.shape[-1] != a.shape[-1]:
        raise ValueError(
            f"{a.shape[-1]} actions cannot be matched with {k.shape[-1]} capital stocks."
        )
    no_luck = economy.Shocks(*(k.new_zeros((*batch, *s)) for s in economy.shock_shapes.values()))
    with torch.enable_grad():
        moves = dict(zip(learned, a.reshape(chosen.shape).split(sizes, -2), strict=True))
        others = {n: x.detach().double() for n, x in actions.items() if n not in moves}
        step = economy.step(
            state._replace(capital=k.reshape(capital.shape)), moves | others, no_luck
        )
        reward = torch.cat([step.rewards[name] for name in learned], -1)
        if joint:
            reward = reward.sum(-1, keepdim=True)
        following = step.state.capital.reshape(*batch, -1)
        r_k, r_a = jacobians(reward, k, a)
        g_k, g_a = jacobians(following, k, a)
    if joint:
        r_k, r_a = r_k.squeeze(-2), r_a.squeeze(-2)
        costate = -torch.linalg.solve(g_a.mT, r_a)
        return costate, r_k + (g_k.mT @ costate.unsqueeze(-1)).squeeze(-1)
    # Each agent's own block: its reward and its stocks in its actions and its stocks.
    n = reward.shape[-1]
    own = torch.arange(n)
    blocks = [x.unflatten(-1, (n, -1)) for x in (r_k, r_a)]
    r_k, r_a = (x[..., own, own, :] for x in blocks)
    blocks = [x.unflatten(-1, (n, -1)).unflatten(-3, (n, -1)) for x in (g_k, g_a)]
    g_k, g_a = (x.movedim(-3, -2)[..., own, own, :, :] for x in blocks)
    costate = -torch.linalg.solve(g_a.mT, r_a)
    value = r_k + (g_k.mT @ costate.unsqueeze(-1)).squeeze(-1)
    return costate.flatten(-2), value.flatten(-2)


def jacobians(outputs, *inputs):
    """Derivatives (*batch, outputs, inputs) of each state's outputs in each state's inputs."""
    n = outputs.shape[-1]
    rows = torch.eye(n, dtype=outputs.dtype, device=outputs.device)
    rows = rows.reshape(n, *[1] * (outputs.dim() - 1), n).expand(n, *outputs.shape)
    parts = [
        torch.autograd.grad(
            outputs, inputs, part, retain_graph=True, is_grads_batched=True, materialize_grads=True
        )
        for part in rows.split(ROWS_AT_ONCE)
    ]
    return [torch.cat(column).movedim(0, -2) for column in zip(*parts, strict=True)]


def euler_residuals(
    economy: Economy, policy, state, regime: str | None = None, *, draws: int = 40
) -> Tensor:
    r"""Unit-free Euler residuals.

    .. math:: \epsilon = 1 - \left(\frac{\beta E[r_k' + g_k'^\top\lambda']}{\lambda}
              \right)^{-1/\sigma},

    the share by which consumption would have to change for today's condition to hold exactly
    (Judd 1992; :math:`\sigma` is relative risk aversion). Expectations are exact up to 256
    combinations of next shocks. Beyond, they are exact in aggregate productivity and in a
    household's own, and the others' is drawn
    (:meth:`~lectures_lib.economies.capital.CapitalEconomy.sampled_outcomes`).

    Parameters
    ----------
    economy : Economy
    policy : callable
        Any policy without a runs dimension.
    state : State, shape (*batch, ...)
    regime : str, optional
        Whose conditions: "planner", "competitive", "nash" or "monopsony"; by default those of the
        economy's own game.
    draws : int
        Number of draws where expectations are not exact.

    Returns
    -------
    Tensor of float64, shape (*batch, stocks)
        Where a household would like to sell capital, which it cannot, its residual is no measure
        of error.
    """
    economy, joint = in_regime(economy, regime)
    state = in_state(economy, _in_double(economy, state))
    trailing = economy.state_shapes
    batch = state.capital.shape[: state.capital.dim() - len(trailing["capital"])]
    flat = type(state)(
        *(
            getattr(state, n).expand((*batch, *trailing[n])).reshape(-1, *trailing[n])
            for n in state._fields
        )
    )
    stocks = state.capital[(0,) * len(batch)].numel()
    size = max(1, STOCKS_AT_ONCE // stocks)
    parts = zip(*(getattr(flat, n).split(size) for n in state._fields), strict=True)
    found = [_residuals(economy, joint, policy, type(state)(*p), draws) for p in parts]
    return torch.cat(found).reshape(*batch, stocks)


def _residuals(economy, joint, policy, state, draws):
    actions = in_actions(economy, policy(state))
    costate, _ = _marginal_values(economy, joint, state, actions)
    shocks, probability = _next_shocks(economy, state, draws)
    expected = torch.zeros_like(costate)
    for j in range(probability.shape[0]):
        following = economy.step(state, actions, map_state(lambda x: x[j], shocks)).state  # noqa: B023
        theirs = in_actions(economy, policy(following))
        value = _marginal_values(economy, joint, following, theirs)[1]
        weight = probability[j]
        if weight.dim() > 1:  # one for each household, and so for its stocks
            weight = weight.repeat_interleave(value.shape[-1] // weight.shape[-1], -1)
        else:
            weight = weight.unsqueeze(-1)
        expected += weight * value
    return 1 - (economy.discount * expected / costate) ** (-1 / economy.risk_aversion)


def _next_shocks(economy, state, draws):
    """Next shocks, with probabilities for all or, where they are drawn, for each household."""
    try:
        shocks, probability = economy.outcomes(state)
        if len(probability) <= EXACT_OUTCOMES:
            return shocks, probability
    except TooManyOutcomes:
        pass
    generator = torch.Generator(state.capital.device).manual_seed(0)
    return economy.sampled_outcomes(state, draws, generator)
