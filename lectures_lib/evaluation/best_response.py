"""A policy from which one agent departs. Chapter *The market's formulation*."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..economies.base import Economy
from ..economies.capital import SMALLEST_SHARE
from ..economies.play import in_actions
from ..economies.role import Role

# Features are those of the nearest state in the sample's range, widened by this share of it, so
# that a quadratic is never asked about places that no path has come near.
MARGIN = 0.2


class Look:
    """What a departure may depend on: a quadratic in a view of the whole state.

    A view's numbers are standardised, multiplied with each other and then made orthonormal on a
    sample of states.

    Parameters
    ----------
    view : HouseholdView or WholeView
    states : State, shape (sample, ...)
    """

    def __init__(self, view, states):
        self.view = view
        seen = view(states)
        self._mean, deviation = seen.mean(0), seen.std(0)
        self._scale = torch.where(deviation > 1e-8, 1 / deviation, 0.0)
        low, high = torch.aminmax(seen, dim=0)
        self._low, self._high = low - MARGIN * (high - low), high + MARGIN * (high - low)
        products = self._products(seen)
        variance, directions = torch.linalg.eigh(products.T @ products / len(products))
        kept = variance > 1e-6 * variance[-1]
        self._basis = directions[:, kept] / variance[kept].sqrt()

    def __call__(self, state) -> Tensor:
        """Features (*batch, features)."""
        return self._products(self.view(state)) @ self._basis

    def expected(self, state, shocks) -> Tensor:
        """Mean features next period, if all but what chance moves is as in `state`.

        Parameters
        ----------
        state : State, shape (*batch, ...)
            What chance moves as it is today, and all the rest as it is next period.
        shocks : iterable of (Shocks, Tensor)
            The shocks that there may be, with their probabilities (*batch,).
        """
        mean = torch.zeros((), dtype=torch.float64)
        for shock, probability in shocks:
            following = state._replace(**self.view.economy.move_chance(state, shock))
            mean = mean + probability.unsqueeze(-1) * self._products(self.view(following))
        return mean @ self._basis

    def _products(self, seen):
        x = (seen.clamp(self._low, self._high) - self._mean) * self._scale
        x = torch.cat([torch.ones_like(x[..., :1]), x], -1)
        rows, columns = torch.triu_indices(x.shape[-1], x.shape[-1])
        return x[..., rows] * x[..., columns]


class BestResponse:
    r"""A policy from which one agent departs.

    An action :math:`a` that is positive becomes :math:`a e^{w^\top f(s)}`, with features :math:`f`
    of the state. Where an action has two ends, its odds are multiplied by this, and where it has
    none, :math:`w^\top f(s)` is added, so that all stay feasible.

    Parameters
    ----------
    base : callable
        The policy.
    economy : Economy
    role : str
    agent : int
        Which one of the role.
    look : Look, optional
    weights : Tensor, shape (features, actions), optional
        Without them, nobody departs.
    """

    def __init__(self, base, economy: Economy, role: str, agent: int = 0, look=None, weights=None):
        self.base, self.economy, self.role, self.agent = base, economy, role, agent
        self.look, self.weights = look, weights
        stages = economy.stages
        now = next(k for k, stage in enumerate(stages) if role in stage)
        self._up_to_now = [name for stage in stages[: now + 1] for name in stage]

    def __call__(self, state, moved=None):
        """Actions of every role; those of roles that have `moved` are taken as given."""
        actions = self.base(state, moved) if moved else self.base(state)
        return actions if moved and self.role in moved else self.depart(state, actions)

    def depart(self, state, actions, push: Tensor | None = None) -> dict[str, Tensor]:
        """Actions with the agent's replaced; `push` (*batch, actions) is added to its departure."""
        before, own, after = actions[self.role].tensor_split([self.agent, self.agent + 1], dim=-2)
        push = own.new_zeros(own.shape[-1]) if push is None else push
        if self.weights is not None:
            push = push + (self.look(state) @ self.weights).to(own)
        new = departed(self.economy.roles[self.role], own, push.unsqueeze(-2))
        batch = new.shape[:-2]
        others = [x.expand(*batch, *x.shape[-2:]) for x in (before, after)]
        actions = dict(actions) | {self.role: torch.cat([others[0], new, others[1]], -2)}
        if len(self._up_to_now) < len(self.economy.roles):
            # Those who move later see the departure.
            given = {name: actions[name] for name in self._up_to_now}
            later = in_actions(self.economy, self.base(state, given))
            actions = {name: action.to(new) for name, action in later.items()} | given
        return actions


def departed(role: Role, action: Tensor, push: Tensor) -> Tensor:
    """Feasible actions (*batch, agents, actions), pushed away from `action`.

    What is at the edge of the feasible range could not be pushed away from it, and is taken as
    next to it.
    """
    low, high = role.low, role.high
    if role.shares:
        own = action.clamp(SMALLEST_SHARE, 1 - SMALLEST_SHARE)
        new = own * push.exp()
        return new / (1 + (new - own).sum(-1, keepdim=True))
    if math.isfinite(low) and math.isfinite(high):
        place = ((action - low) / (high - low)).clamp(SMALLEST_SHARE, 1 - SMALLEST_SHARE)
        new = place * push.exp()
        return low + (high - low) * new / (1 + new - place)
    if math.isfinite(low):
        return low + (action - low).clamp_min(SMALLEST_SHARE) * push.exp()
    if math.isfinite(high):
        return high - (high - action).clamp_min(SMALLEST_SHARE) * (-push).exp()
    return action + push
