"""What solvers know of a trading post. Chapter *Sellers who learn*."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

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

# Beyond so many households, without risk, equilibrium is found by symmetry.
MANY = 5
# How far apart, in logarithms, one household's capital may be from the mean then.
APART = 0.4


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


class ManyGame(TradingPostGame):
    """The same for many households without risk, each of which looks at itself and at the mean.

    The two stocks of a point are what one household owns and what all own on average; the others
    own the same, which is so wherever one household alone has left the rest. Rows of a choice are
    what the one bids, one of the others, and each of those that are left; and what one firm offers,
    and each of the others. A household's worth depends on the others through their mean, and not on
    how they are spread, so that equilibrium is exact where all are alike up to derivatives of
    the second order.
    """

    @property
    def discounts(self):
        """Of the household and of the firm whose value functions these are."""
        e = self.economy
        return torch.tensor([e.beta, e.discount_of("firm")], dtype=torch.float64)

    def points(self, stocks):
        """What the one and all on average own (points, 2, 1)."""
        return stocks.unsqueeze(-1)

    def income(self, capital, index):
        """What the one and one of the others can spend (points, 2)."""
        n = self.economy.n_households
        own, mean = capital.squeeze(-1).unbind(-1)
        each = torch.stack([own, (n * mean - own) / (n - 1)], -1)
        # There is no risk, and so one productivity.
        return self.chain.levels[0, 0] * each**self.economy.alpha

    def market(self, choice) -> tuple[Tensor, Tensor]:
        """All offers and all bids (points,)."""
        e = self.economy
        one, other, rest, firm, firms = choice.squeeze(-1).unbind(-1)
        return firm + (e.n_firms - 1) * firms, one + other + (e.n_households - 2) * rest

    def bought(self, choice):
        """What the one buys, and all on average, (points, 2, 1)."""
        offers, bids = self.market(choice)
        each = torch.stack([offers / bids * choice[:, 0, 0], offers / self.economy.n_households])
        return each.mT.unsqueeze(-1)

    def rewards(self, choice, capital, income):
        """Utility of the one and profit of a firm now, shape (points, 2)."""
        offers, bids = self.market(choice)
        utility = self.economy.utility(income[:, 0] - choice[:, 0, 0])
        price = (bids / offers)[:, None, None]
        return torch.stack([utility, self.economy.profits(choice[:, 3:4], price).squeeze(-1)], -1)

    def own_gradient(self, choice, capital, income, index, continuation=None):
        """Slopes of three payoffs in own choices; between them, that the rest do the same."""
        e, later = self.economy, continuation or self.expected_value
        offers, bids = self.market(choice)
        ahead = e.next_capital(capital, self.bought(choice))
        n = e.n_households
        own, mean = capital[:, 0, 0], capital[:, 1, 0]
        others = e.next_capital((n * mean - own) / (n - 1), offers / bids * choice[:, 1, 0])
        beside = torch.stack([others, ahead[:, 1, 0]], -1).unsqueeze(-1)
        payoff = self.rewards(choice, capital, income) + self.discounts * later(ahead, index)
        other = e.utility(income[:, 1] - choice[:, 1, 0]) + e.beta * later(beside, index)[:, 0]

        def slope(x, row):
            return torch.autograd.grad(x.sum(), choice, create_graph=True)[0][:, row, 0]

        same = choice[:, [1, 3], 0] - choice[:, [2, 4], 0]
        every = slope(payoff[:, 0], 0), slope(other, 1), same[:, 0], slope(payoff[:, 1], 3)
        return torch.stack([*every, same[:, 1]], -1)

    def costs(self, choice, capital, income, index):
        """Utility of what households spend; the price."""
        offers, bids = self.market(choice)
        sigma = self.economy.risk_aversion
        paid = (income - choice[:, :2, 0]).pow(-sigma)
        return torch.stack([-paid[:, 0], -paid[:, 1], bids, bids / offers, offers], -1)


class ManyPolicy(SellersPolicy):
    """Bids and offers of many; each household acts as if all others were alike."""

    game: ManyGame

    def choices(self, state):
        """Bids of all, then offers, (*batch, N + F, 1)."""
        capital = state.capital.double().cpu()
        self.domain.check(capital, self)
        mean = capital.mean(-2, keepdim=True).expand_as(capital)
        points = torch.cat([capital, mean], -1).flatten(0, -2).unsqueeze(-1)
        index = torch.zeros(len(points), dtype=torch.int64)
        choice = self.choose(points, index).reshape(*capital.shape[:-1], -1)
        offers = choice[..., 3:4].mean(-2, keepdim=True)
        offers = offers.expand(*capital.shape[:-2], self.economy.n_firms, 1)
        return torch.cat([choice[..., :1], offers], -2)

    def own_gradients(self, state):
        """As :meth:`MarkovPerfectPolicy.own_gradients`, of the mean household and a firm."""
        mean = state.capital.double().cpu().mean(-2).reshape(-1, 1, 1)
        points, index = mean.expand(-1, 2, 1), torch.zeros(len(mean), dtype=torch.int64)
        income = self.game.income(points, index)
        with torch.enable_grad():
            choice = self.choose(points, index).detach().requires_grad_(True)
            gain = self.game.own_gradient(choice, points, income, index, self._backup)
        relative = gain / self.game.costs(choice, points, income, index)
        return relative[:, [0, 3]].detach().reshape(*state.capital.shape[:-2], 2, 1)

    def _backup(self, capital, index):
        choice, income = self.choose(capital, index), self.game.income(capital, index)
        ahead = self.economy.next_capital(capital, self.game.bought(choice))
        later = self.game.discounts * self.game.expected_value(ahead, index)
        return self.game.rewards(choice, capital, income) + later


def _many(economy, degree, tolerance, show_progress) -> Solution:
    """For many households without risk, by their symmetry."""
    rest = steady_state(economy, "nash")
    low, high = SMALLEST * rest.capital, MOST * economy.efficient_capital
    cube = Polynomials.on_cube(low, high, 1, 1)
    # Axes are what all own on average, and how far the one is from it.
    axes = torch.tensor([[0, cube.axes.item()], [1 / APART, -1 / APART]]).double()
    box = Polynomials(cube.centre.expand(2), axes, degree or VALUE_DEGREES[2])
    one = JointChain(replace(economy, n_households=1))
    game, n, firms = ManyGame(economy, one, box), economy.n_households, economy.n_firms

    def first(capital, index, income):
        spent = rest.saving_share * income
        revenue = (1 - 1 / firms) * (spent[:, 0] + (n - 1) * spent[:, 1])
        offer = (revenue / economy.phi).sqrt() / firms
        rows = [spent[:, 0], spent[:, 1], spent[:, 1], offer, offer]
        return torch.stack(rows, -1).unsqueeze(-1)

    guess, iterations = iterate_policy(game, first, tolerance, show_progress)
    policy = ManyPolicy(game, guess)
    return Solution(economy, "markov perfect", policy, iterations, "policy iteration")


@markov_perfect.register(TradingPost)
def _(economy, degree, tolerance, show_progress):
    require_trade(economy)
    certain = JointChain.count(replace(economy, n_households=1)) == 1
    if economy.n_households > MANY and economy.n_goods == 1 and certain:
        return _many(economy, degree, tolerance, show_progress)
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
