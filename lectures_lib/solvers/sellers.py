"""Games between households and those who sell to them. Chapter *Sellers who learn*."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from .stage_game import MarkovPerfectPolicy, StageGame

# The most that a household owns in the states for which games are solved, relative to the
# planner's steady state; the paper's initial distribution ends at 1.25.
MOST = 1.3


class SellersGame(StageGame):
    """What households spend and firms do at many states at once, given their value functions.

    Players are the N households and then the firms. The first N rows of a choice are what
    households spend on each good, and the others what firms do. Parameters are those of
    :class:`StageGame`.
    """

    economy: Any

    @property
    def discounts(self):
        """The households' discount factor, then the firms'."""
        e = self.economy
        each = [e.beta] * e.n_households + [e.discount_of("firm")] * e.n_sellers
        return torch.tensor(each, dtype=torch.float64)

    def scale(self, choice):
        """Choices themselves: what households and firms choose has different units."""
        return choice

    def sides(self, choice: Tensor) -> tuple[Tensor, Tensor]:
        """What households spend (points, N, M), and what firms do."""
        n = self.economy.n_households
        return choice[..., :n, :], choice[..., n:, :]

    def consumption(self, choice: Tensor, income: Tensor) -> Tensor:
        """Of each household, shape (points, N)."""
        return income - self.sides(choice)[0].sum(-1)

    @abstractmethod
    def profits(self, choice: Tensor) -> Tensor:
        """What each firm earns now, shape (points, firms)."""

    def rewards(self, choice, capital, income):
        """Utility and profit now, shape (points, players)."""
        utility = self.economy.utility(self.consumption(choice, income))
        return torch.cat([utility, self.profits(choice)], -1)

    def payoff(self, choice, capital, income, index, continuation=None):
        """Each player's reward now and discounted value of what comes after."""
        following = self.economy.next_capital(capital, self.bought(choice))
        later = (continuation or self.expected_value)(following, index)
        return self.rewards(choice, capital, income) + self.discounts * later

    @abstractmethod
    def firms_scale(self, choice: Tensor) -> Tensor:
        """Beside what firms' own gradients are small or large, of the shape of what they do."""

    def costs(self, choice, capital, income, index):
        """Utility of what a household spends, and what firms' gradients are measured by."""
        utility = self.consumption(choice, income).pow(-self.economy.risk_aversion)
        paid = -utility.unsqueeze(-1).expand_as(self.sides(choice)[0])
        return torch.cat([paid, self.firms_scale(choice)], -2).flatten(-2)


class SellersPolicy(MarkovPerfectPolicy):
    """What households spend and firms do in a Markov-perfect equilibrium.

    Parameters and attributes are those of
    :class:`~lectures_lib.solvers.stage_game.MarkovPerfectPolicy`.
    """

    game: SellersGame

    def __call__(self, state, moved=None):
        """Actions of households and firms; those of roles that have `moved` are kept."""
        exact = state._replace(capital=state.capital.double())
        spent, done = self.game.sides(self.choices(exact).to(state.capital.device))
        actions = {
            "household": spent / self.economy.income(exact).unsqueeze(-1),
            "firm": self.firms_actions(done),
        }
        return {n: a.to(state.capital.dtype) for n, a in actions.items()} | dict(moved or {})

    def firms_actions(self, done: Tensor) -> Tensor:
        """The firms' actions (*batch, firms, actions) by which they do that."""
        return done
