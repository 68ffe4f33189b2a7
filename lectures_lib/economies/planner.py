"""The planner's economy of section 3.1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from .base import Actions, Role, Step
from .capital import CapitalEconomy, CapitalShocks, CapitalState, spending_shares


@dataclass(frozen=True)
class Planner(CapitalEconomy):
    r"""A planner who tells each household what share of its output to spend on each capital good.

    The planner maximises the mean over households of expected discounted utility,

    .. math:: \frac1N \sum_i E \sum_t \beta^t u(C_{it}), \qquad
              C_{it} = Y_{it}\Bigl(1 - \sum_j s_{ijt}\Bigr),

    where spending :math:`x_{ij} = s_{ij} Y_i` on good :math:`j` is used up in full,
    :math:`X_j = \sum_i x_{ij} = \phi I_j^2/2`, and output of the good is shared in proportion:

    .. math:: K_{ij}' = (1-\delta) K_{ij} + \frac{x_{ij}}{\sqrt{\phi X_j/2}}.

    There are no transfers: nobody's output feeds another's consumption. Chapter *The planner's
    formulation*. Parameters are those of :class:`~lectures_lib.economies.capital.CapitalEconomy`.

    Examples
    --------
    >>> import torch
    >>> economy, generator = Planner(), torch.Generator().manual_seed(0)
    >>> state = economy.reset((2,), generator)
    >>> shares = {"planner": torch.full((2, 1, 1), 0.1)}
    >>> step = economy.step(state, shares, economy.draw((2,), generator))
    >>> step.rewards["planner"].shape
    torch.Size([2, 1])
    """

    @cached_property
    def roles(self):
        """One role, the planner, a team of N households."""
        return {
            "planner": Role(
                n_agents=self.n_households,
                n_features=self.n_goods + 2,
                n_actions=self.n_goods,
                team=True,
                to_physical=spending_shares,
                alike_actions=self.n_goods > 1,
                low=0.0,
                high=1.0,
                shares=True,
            )
        }

    def observe(self, state, moved=None):
        """Each household's log capital (in units) and log productivities, (*batch, N, M + 2)."""
        return {"planner": self.own_features(state)}

    @property
    def cost_slope(self):
        r"""Half of :math:`\phi`: all that is spent is used up, as :math:`\phi I_j^2/2`."""
        return self.phi / 2

    def actions_for(self, state: CapitalState, investment: Tensor) -> dict[str, Tensor]:
        """The spending shares that make `investment` (*batch, N, M)."""
        cost = self.unit_cost(investment.sum(-2, keepdim=True))
        return {"planner": cost * investment / self.income(state).unsqueeze(-1)}

    def transition(
        self, state: CapitalState, actions: Actions, shocks: CapitalShocks
    ) -> Step[CapitalState]:
        """A period; `actions["planner"]` are spending shares (*batch, N, M)."""
        share = actions["planner"]
        output = self.output(state)
        income = self.income(state, output)
        spending = share * income.unsqueeze(-1)
        investment = spending / self.unit_cost_of(spending)
        saving_share = share.sum(-1)
        consumption = income * (1 - saving_share)
        next_state = CapitalState(
            self.next_capital(state.capital, investment),
            **self.move_chance(state, shocks),
        )
        info = {
            "capital": state.capital,
            "output": output,
            "consumption": consumption,
            "saving_share": saving_share,
            "investment": investment,
            "productivity": self.productivity(state),
        }
        return Step(next_state, {"planner": self.utility(consumption)}, info)
