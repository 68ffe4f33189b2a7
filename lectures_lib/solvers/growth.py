"""Brock and Mirman's closed form: what solvers know of the growth model."""

from __future__ import annotations

import torch
from torch import Tensor

from ..economies import BrockMirman
from .regimes import regimes_of, resolve_regime
from .solution import Solution, require_no_choice, solve
from .steady_state import SteadyState, find, steady_state


class GrowthRule:
    r"""Consume the share :math:`1 - \alpha\beta` of output, whatever the state.

    Parameters
    ----------
    economy : BrockMirman
    """

    def __init__(self, economy: BrockMirman):
        self.economy = economy

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """The planner's consumption or saving share (*batch, 1, 1)."""
        output, saved = self.economy.output(state), self.economy.alpha * self.economy.beta
        if self.economy.action == "share":
            return {"planner": torch.full_like(output, saved).unsqueeze(-1)}
        return {"planner": ((1 - saved) * output).unsqueeze(-1)}


@regimes_of.register(BrockMirman)
def _(economy):
    return ("planner",)


@solve.register(BrockMirman)
def _(economy, regime, method, domain):
    require_no_choice(economy, method, domain)
    return Solution(economy, resolve_regime(economy, regime), GrowthRule(economy))


@steady_state.register(BrockMirman)
def _(economy, regime, method):
    def at(capital):
        output = economy.aggregate.mean * (capital / economy.efficient_capital) ** economy.alpha
        return SteadyState(capital, capital, output, output - capital, capital / output, 1.0)

    regime = resolve_regime(economy, regime)
    capital = find(economy, regime, method, economy.efficient_capital, lambda k: at(k).consumption)
    return at(capital)
