"""Euler residuals of any policy, from the derivatives of the economy's own code.

Chapter *How exact is it?* Nothing here repeats an economy's formulas: automatic differentiation of
:meth:`Economy.step` gives them, so that a formula and the code that simulates cannot disagree.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from ..economies.base import Economy, TooManyOutcomes, map_state
from ..economies.play import Policy, in_actions

# Backward passes that are taken at once: more need more memory and save no time.
ROWS_AT_ONCE = 16
# States that are taken at once, in units of stocks.
STOCKS_AT_ONCE = 20_000
# Exact expectations beyond this many outcomes cost more than draws, which are as precise there.
EXACT_OUTCOMES = 256
# A uniform draw far from zero: what differs between the two depends on the period's shocks.
ANOTHER_LUCK = 0.999


class NoEulerEquation(TypeError):
    """An economy lacks something that an Euler equation needs; the message says what."""


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
    NoEulerEquation
        If some of its agents decide jointly and others do not, or in another team.
    """
    _require_economy(economy)
    teams = [name for name in _learned(economy) if economy.roles[name].team]
    if teams and len(_learned(economy)) > 1:
        raise NoEulerEquation(
            f"{type(economy).__name__} has the roles {_learned(economy)}, and {teams} decide as "
            "teams: Euler equations are those of one team or of agents who decide each for "
            "themselves."
        )
    return game_in(economy, regime)


@singledispatch
def game_in(economy: Economy, regime: str | None) -> tuple[Economy, bool]:
    """What :func:`~.euler.in_regime` says: of any economy, its own game.

    A kind of economy that has several regimes registers what they are.
    """
    learned = [economy.roles[name] for name in _learned(economy)]
    is_team = all(role.team for role in learned)
    if regime is None or (regime == "planner" and is_team):
        # Who is alone decides for everybody.
        return economy, is_team or sum(role.n_agents for role in learned) == 1
    raise ValueError(f"regime={regime!r}: {type(economy).__name__} has no such regime.")


def _learned(economy):
    return [name for name, role in economy.roles.items() if role.follows is None]


def _require_economy(economy) -> None:
    if not isinstance(economy, Economy):
        raise TypeError(f"economy={economy!r}: expected an Economy, such as Planner().")


def stock(economy: Economy) -> str:
    """The field of the state that agents' actions move and Euler equations are about.

    Raises
    ------
    NoEulerEquation
        If there is none, or more than one.
    """
    _require_economy(economy)
    # What a crowd owns is moved by nobody.
    fields = economy.fields.stocks
    if len(fields) != 1:
        raise NoEulerEquation(
            f"{type(economy).__name__}.fields has the stocks {fields}: an Euler "
            "equation needs one field of the state that the agents' actions move."
        )
    return fields[0]


def in_state(economy: Any, state):
    """The same state for an economy whose households are massless, or are not."""
    if hasattr(state, "crowd") == ("crowd" in economy.fields):
        return state
    if hasattr(state, "crowd"):
        return economy.State(state.crowd, state.idiosyncratic, state.aggregate)
    return economy.with_crowd(state)


def marginal_values(
    economy: Economy, policy: Policy, state, regime: str | None = None
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
        With as many actions as stocks in the one field of its state that choices move; capital, for
        example.
    policy : callable
    state : State, shape (*batch, ...)
    regime : str, optional
        See :func:`~.euler.in_regime`.

    Returns
    -------
    costate, value : Tensor of float64, shape (*batch, stocks)
        In units of the agents' own utility (of N times the mean, if they decide jointly).

    Raises
    ------
    NoEulerEquation
        If the economy has no such stocks, or the period's shocks decide what a unit of action
        adds to them, so that the worth of a unit tomorrow is no number that is known today.
    ValueError
        If the economy does not have the regime.
    """
    stock(economy)
    economy, joint = in_regime(economy, regime)
    state = in_state(economy, _in_double(state))
    actions = in_actions(economy, policy(state))
    costate, value, varies = _worths(economy, joint, state, actions)
    if varies:
        raise NoEulerEquation(
            f"{type(economy).__name__}: the period's shocks decide what an action adds to "
            f"{stock(economy)!r}, so that its worth tomorrow is not known today; euler_residuals "
            "takes the expectation."
        )
    return costate, value


def _in_double(state):
    fields = {n: x.double() for n, x in state._asdict().items() if x.is_floating_point()}
    return state._replace(**fields)


def _worths(economy, joint, state, actions):
    """Costates, values, and whether costates depend on the period's shocks."""
    luck = economy.no_luck(state)
    costate, value = _marginal_values(economy, joint, state, actions, luck)
    if len(luck) == 0:
        return costate, value, False
    luck = map_state(lambda x: x + ANOTHER_LUCK, luck)
    other, same = _marginal_values(economy, joint, state, actions, luck)
    if not torch.allclose(value, same, rtol=1e-9, atol=0, equal_nan=True):
        raise NoEulerEquation(
            f"{type(economy).__name__}: what a unit of {stock(economy)!r} is worth depends on the "
            "period's own shocks, which Euler equations cannot have. Let the state hold what is "
            "known when agents act, and let shocks decide the next state only."
        )
    return costate, value, not torch.allclose(costate, other, rtol=1e-9, atol=0, equal_nan=True)


def _marginal_values(economy, joint, state, actions, shocks):
    learned = _learned(economy)
    name = stock(economy)
    capital = getattr(state, name).detach()
    shape = economy.fields[name].shape
    batch = capital.shape[: capital.dim() - len(shape)]
    sizes = [economy.roles[name].n_agents for name in learned]
    chosen = torch.cat([actions[name].detach().double() for name in learned], -2)
    # Flat copies make the Jacobian's rows and columns simple to name.
    k = capital.reshape(*batch, -1).requires_grad_(True)
    a = chosen.reshape(*batch, -1).requires_grad_(True)
    if k.shape[-1] != a.shape[-1]:
        raise NoEulerEquation(
            f"{type(economy).__name__} has {a.shape[-1]} actions and {k.shape[-1]} stocks of "
            f"{name!r}: an Euler equation needs one action for each stock."
        )
    with torch.enable_grad():
        moves = dict(zip(learned, a.reshape(chosen.shape).split(sizes, -2), strict=True))
        others = {n: x.detach().double() for n, x in actions.items() if n not in moves}
        moved = state._replace(**{name: k.reshape(capital.shape)})
        step = economy.step(moved, moves | others, shocks)
        reward = torch.cat([step.rewards[role] for role in learned], -1)
        if joint:
            reward = reward.sum(-1, keepdim=True)
        following = getattr(step.state, name).reshape(*batch, -1)
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
    economy: Economy, policy: Policy, state, regime: str | None = None, *, draws: int = 40
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

    Raises
    ------
    NoEulerEquation
        If the economy lacks what an Euler equation needs: one field that choices move, with an
        action for each of its entries, and `risk_aversion`; or if agents who decide jointly have
        different discount factors.
    ValueError
        If the economy does not have the regime.
    """
    name = stock(economy)
    if not hasattr(economy, "risk_aversion"):
        raise NoEulerEquation(
            f"{type(economy).__name__} has no risk_aversion, which turns an Euler residual into a "
            "share of consumption; marginal_values does without."
        )
    economy, joint = in_regime(economy, regime)
    state = in_state(economy, _in_double(state))
    trailing = economy.fields.shapes
    batch = economy.zeros(state).shape
    flat = type(state)(
        *(
            getattr(state, n).expand((*batch, *trailing[n])).reshape(-1, *trailing[n])
            for n in state._fields
        )
    )
    stocks = math.prod(trailing[name])
    size = max(1, STOCKS_AT_ONCE // stocks)
    parts = zip(*(getattr(flat, n).split(size) for n in state._fields), strict=True)
    found = [_residuals(economy, joint, policy, type(state)(*p), draws) for p in parts]
    return torch.cat(found).reshape(*batch, stocks)


def _residuals(economy, joint, policy, state, draws):
    actions = in_actions(economy, policy(state))
    costate, _, varies = _worths(economy, joint, state, actions)
    shocks, probability = _next_shocks(economy, state, draws)
    ratio = torch.zeros_like(costate)
    for j in range(probability.shape[0]):
        luck = map_state(lambda x: x[j], shocks)  # noqa: B023
        following = economy.step(state, actions, luck).state
        theirs = in_actions(economy, policy(following))
        no_luck = economy.no_luck(following)
        value = _marginal_values(economy, joint, following, theirs, no_luck)[1]
        if varies:
            costate, _ = _marginal_values(economy, joint, state, actions, luck)
        weight = probability[j]
        if weight.dim() > 1:  # one for each household, and so for its stocks
            weight = weight.repeat_interleave(value.shape[-1] // weight.shape[-1], -1)
        else:
            weight = weight.unsqueeze(-1)
        ratio += weight * value / costate
    discounts = _discounts(economy, joint, ratio)
    return 1 - (discounts * ratio) ** (-1 / economy.risk_aversion)


def _discounts(economy, joint, stocks):
    """The discount factor of each stock's owner, shape (stocks,), for `stocks` (*batch, stocks)."""
    own = {name: economy.discount_of(name) for name in _learned(economy)}
    if joint and len(set(own.values())) > 1:
        raise NoEulerEquation(
            f"{type(economy).__name__} has roles with the discount factors {own}: who decide "
            "jointly need one."
        )
    every = [x for name, x in own.items() for _ in range(economy.roles[name].n_agents)]
    return stocks.new_tensor(every).repeat_interleave(stocks.shape[-1] // len(every))


def _next_shocks(economy, state, draws):
    """Next shocks, with probabilities for all or, where they are drawn, for each household."""
    can_draw = hasattr(economy, "sampled_outcomes")
    try:
        shocks, probability = economy.outcomes(state)
        if len(probability) <= EXACT_OUTCOMES or not can_draw:
            return shocks, probability
    except TooManyOutcomes as error:
        if not can_draw:
            raise NoEulerEquation(
                f"{type(economy).__name__} has too many outcomes for exact expectations and no "
                "sampled_outcomes(state, draws, generator) to draw them."
            ) from error
    generator = torch.Generator(economy.zeros(state).device).manual_seed(0)
    return economy.sampled_outcomes(state, draws, generator)
