"""What solvers know of a trading post. Chapter *Sellers who learn*."""

from __future__ import annotations

import torch

from ..economies import TradingPost
from .capital import rest_with_markup
from .markov_perfect import VALUE_DEGREES, iterate_policy, markov_perfect, require_size
from .polynomials import Polynomials
from .productivity import JointChain
from .regimes import regimes_of, resolve_regime
from .sellers import MOST, SellersGame, SellersPolicy
from .solution import Solution
from .steady_state import steady_state
from .time_iteration import SMALLEST


@regimes_of.register(TradingPost)
def _(economy):
    return ("nash", "competitive")


def require_trade(economy: TradingPost) -> None:
    """Refuse a post at which there is trade in no equilibrium.

    Raises
    ------
    ValueError
        If there is a single buyer or a single seller.
    """
    for name in ("n_households", "n_firms"):
        if getattr(economy, name) == 1:
            raise ValueError(
                f"{name}=1: whoever is alone on one side of a trading post gets all of the other "
                "for any positive bid or offer, so that there is trade in no equilibrium."
            )


@steady_state.register(TradingPost)
def _(economy, regime, method):
    if resolve_regime(economy, regime) == "competitive":
        return rest_with_markup(economy, method, 1.0)
    require_trade(economy)
    markup = economy.n_firms / (economy.n_firms - 1)
    # A buyer knows that a higher bid makes the good dearer.
    return rest_with_markup(economy, method, markup, markup / (1 - 1 / economy.n_households))


class TradingPostGame(SellersGame):
    """What households bid and firms offer; firms' rows of a choice are their offers."""

    def bought(self, choice):
        """Investment (points, N, M) from all choices."""
        return self.economy.trade(*self.sides(choice))[0]

    def profits(self, choice):
        """What each firm earns now, shape (points, F)."""
        bids, offers = self.sides(choice)
        return self.economy.profits(offers, self.economy.trade(bids, offers)[1])

    def firms_scale(self, choice):
        """The price, at which a firm sells a unit more."""
        bids, offers = self.sides(choice)
        return self.economy.trade(bids, offers)[1].expand_as(offers)


@markov_perfect.register(TradingPost)
def _(economy, degree, tolerance, show_progress):
    stocks = require_size(economy)
    rest = steady_state(economy, "nash")
    low, high = SMALLEST * rest.capital, MOST * economy.efficient_capital
    box = Polynomials.on_cube(low, high, stocks, degree or VALUE_DEGREES[stocks])
    game = TradingPostGame(economy, JointChain(economy), box)
    firms = economy.n_firms

    def first(capital, index, income):
        """Everybody spends the same share, and firms answer as if there were no tomorrow."""
        bids = rest.saving_share / economy.n_goods * income.unsqueeze(-1)
        bids = bids.expand(*income.shape, economy.n_goods)
        revenue = (1 - 1 / firms) * bids.sum(-2, keepdim=True)
        offers = (revenue / economy.phi).sqrt() / firms
        return torch.cat([bids, offers.expand(-1, firms, -1)], -2)

    guess, iterations = iterate_policy(game, first, tolerance, show_progress)
    policy = SellersPolicy(game, guess)
    return Solution(economy, "markov perfect", policy, iterations, "policy iteration")
