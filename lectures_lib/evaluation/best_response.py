"""A policy from which one agent departs. Chapter *The market's formulation*."""

from __future__ import annotations

import torch
from torch import Tensor

from ..economies.base import Economy
from ..economies.capital import SMALLEST_SHARE, CapitalEconomy

# Features are those of the nearest state in the sample's range, widened by this share of it, so
# that a quadratic is never asked about places that no path has come near.
MARGIN = 0.2


class Look:
    """What a departure may depend on: a quadratic in a household's view of the whole state.

    Of the others, mean log capital, its variance and mean log productivity; how far own log capital
    is from that mean, and own log productivity; aggregate productivity. Standardised, multiplied
    with each other and then made orthonormal on a sample of states.

    Parameters
    ----------
    economy : CapitalEconomy
    household : int
        Whose view it is.
    states : State, shape (sample, ...)
    """

    def __init__(self, economy: CapitalEconomy, household: int, states):
        self.economy, self.household = economy, household
        view = self._view(states)
        self._mean, deviation = view.mean(0), view.std(0)
        self._scale = torch.where(deviation > 1e-8, 1 / deviation, 0.0)
        low, high = torch.aminmax(view, dim=0)
        self._low, self._high = low - MARGIN * (high - low), high + MARGIN * (high - low)
        products = self._products(view)
        variance, directions = torch.linalg.eigh(products.T @ products / len(products))
        kept = variance > 1e-6 * variance[-1]
        self._basis = directions[:, kept] / variance[kept].sqrt()

    def __call__(self, state) -> Tensor:
        """Features (*batch, features)."""
        return self._products(self._view(state)) @ self._basis

    def expected(self, state, shocks) -> Tensor:
        """Mean features next period, when capital is `state.capital` and productivity moves on.

        Parameters
        ----------
        state : State, shape (*batch, ...)
            Today's productivity with next period's capital.
        shocks : iterable of (Shocks, Tensor)
            The shocks that there may be, with their probabilities (*batch,).
        """
        capital, mean = self._capital(state), 0.0
        for shock, probability in shocks:
            view = torch.cat(
                [capital, self._productivity(**self.economy.move_chance(state, shock))], -1
            )
            mean = mean + probability.unsqueeze(-1) * self._products(view)
        return mean @ self._basis

    def _view(self, state):
        productivity = self._productivity(state.idiosyncratic, state.aggregate)
        return torch.cat([self._capital(state), productivity], -1)

    def _capital(self, state):
        i, own = self.household, state.capital.log()
        others = state.crowd.log() if hasattr(state, "crowd") else _without(own, i, -2)
        if others.shape[-2] == 0:
            return own[..., i, :]
        variance, mean = torch.var_mean(others, -2, correction=0)
        return torch.cat([own[..., i, :] - mean, mean, variance], -1)

    def _productivity(self, idiosyncratic, aggregate):
        own, common = (
            chain.level(torch.arange(len(chain)), torch.float64).log()
            for chain in (self.economy.idiosyncratic, self.economy.aggregate)
        )
        levels = own[idiosyncratic]
        others = _without(levels, self.household, -1)
        seen = [levels[..., self.household], common[aggregate]]
        return torch.stack([*seen, others.mean(-1)] if others.shape[-1] else seen, -1)

    def _products(self, view):
        x = (view.clamp(self._low, self._high) - self._mean) * self._scale
        x = torch.cat([torch.ones_like(x[..., :1]), x], -1)
        rows, columns = torch.triu_indices(x.shape[-1], x.shape[-1])
        return x[..., rows] * x[..., columns]


def _without(x, i, dim):
    """A tensor without entry i of a dimension."""
    return torch.cat([x.narrow(dim, 0, i), x.narrow(dim, i + 1, x.shape[dim] - i - 1)], dim)


class BestResponse:
    r"""A policy from which the first agent of one role departs.

    Its action :math:`a` becomes :math:`a e^{w^\top f(s)}`, with features :math:`f` of the state;
    shares of output become odds times this, so that they stay feasible.

    Parameters
    ----------
    base : callable
        The policy.
    economy : Economy
    role : str
    look : Look, optional
    weights : Tensor, shape (features, actions), optional
        Without them, nobody departs.
    """

    def __init__(self, base, economy: Economy, role: str, look=None, weights=None):
        self.base, self.economy, self.role = base, economy, role
        self.look, self.weights = look, weights
        self._shares = economy.roles[role].shares
        stages = economy.stages
        now = next(k for k, stage in enumerate(stages) if role in stage)
        self._up_to_now = [name for stage in stages[: now + 1] for name in stage]

    def __call__(self, state, moved=None):
        """Actions of every role; those of roles that have `moved` are taken as given."""
        actions = self.base(state, moved) if moved else self.base(state)
        return actions if moved and self.role in moved else self.depart(state, actions)

    def depart(self, state, actions, push=0.0) -> dict[str, Tensor]:
        """Actions with the agent's replaced; `push` (*batch, actions) is added to its departure."""
        own, others = actions[self.role].tensor_split([1], dim=-2)
        if self.weights is not None:
            push = push + (self.look(state) @ self.weights).to(own)
        # What is at the edge of the feasible range could not be multiplied away from it.
        own = own.clamp(SMALLEST_SHARE, 1 - SMALLEST_SHARE if self._shares else None)
        new = own * torch.as_tensor(push).exp().unsqueeze(-2)
        if self._shares:
            new = new / (1 + (new - own).sum(-1, keepdim=True))
        actions = dict(actions) | {self.role: torch.cat([new, others], -2)}
        if len(self._up_to_now) < len(self.economy.roles):
            # Those who move later see the departure.
            actions = dict(self.base(state, {name: actions[name] for name in self._up_to_now}))
        return actions
