"""What solvers know of posted prices. Chapter *Sellers who learn*."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..economies import Market, PostedPrice
from ..economies.capital import SMALLEST_SHARE
from .capital import rest_with_markup
from .commitment import require_commitment
from .domain import listed
from .markov_perfect import (
    MAX_ITERATIONS,
    VALUE_DEGREES,
    iterate_policy,
    markov_perfect,
)
from .piece import ConvergenceError
from .polynomials import Polynomials
from .productivity import JointChain
from .regimes import regimes_of, resolve_regime
from .sellers import MOST, SellersGame, SellersPolicy
from .solution import Solution
from .stage_game import FOUND
from .steady_state import steady_state
from .time_iteration import flatten_state, time_iteration

# Numbers of households and goods for which equilibrium is found.
SIZES = (1, 1), (2, 1), (1, 2), (2, 2)
# Patient sellers are found from less patient ones, by these discount factors in turn.
PATIENCE = (0.0, 0.5, 0.8, 0.9, 0.95)
ROUGHLY = 1e-5  # how well
# Least capital for which games are solved, relative to the planner's steady state.
LEAST = 0.32
# Two households with two goods each buy what makes their goods even, so that stocks are never far
# out of balance; and where they are, somebody would rather sell. Games are solved for the planner's
# steady state times numbers in this range, with the households' stocks and one household's goods
# apart by no more than so much, in logarithms, and by polynomials of this degree.
AROUND, HOUSEHOLDS_APART, GOODS_APART, PAIRS_DEGREE = (0.72, 1.2), 0.1, 0.04, 3
# Newton steps for households' answers to prices at most.
MOST_ANSWERS = 80
# Largest relative change of what its capital is worth to a massless household at which to stop.
WORTH_FOUND = 1e-8
# How far apart, in logarithms, a massless household's capital and the crowd's may be.
APART = 0.4
# A price relative to marginal cost with which the search begins.
FIRST_MARKUP = 1.3


@regimes_of.register(PostedPrice)
def _(economy):
    return ("constant price", "commitment", "competitive")


@steady_state.register(PostedPrice)
def _(economy, regime, method):
    regime = resolve_regime(economy, regime)
    if regime == "competitive":
        return rest_with_markup(economy, method, 1.0)
    if regime == "commitment":
        require_commitment(economy)
        # One over the share of output that price takers spend at rest.
        held = 1 - economy.beta * economy.survival
        markup = held / (economy.alpha * economy.beta * economy.delta)
        return rest_with_markup(economy, method, markup)
    # Demand for a good at rest has the elasticity 1 + alpha / (M (1 - alpha)) in its price.
    return rest_with_markup(
        economy, method, 1 + economy.n_goods * (1 - economy.alpha) / economy.alpha
    )


class PostedPriceGame(SellersGame):
    """Prices that firms post, and what households spend when they have seen them.

    The last row of a choice has the prices.
    """

    # Households' answers to prices depend on second derivatives of what capital is worth.
    orders = 2

    def bought(self, choice):
        """Investment (points, N, M) from all choices."""
        spent, price = self.sides(choice)
        return spent / price

    def profits(self, choice):
        """What each firm earns now, shape (points, M)."""
        spent, price = self.sides(choice)
        total = spent.sum(-2)
        return total - self.economy.production_cost(total / price.squeeze(-2))

    def firms_scale(self, choice):
        """What is sold: what a higher price would earn if nobody bought less."""
        return self.bought(choice).sum(-2, keepdim=True)

    def households_gradient(self, choice, capital, income, index, continuation=None):
        """Derivatives of households' payoffs in own spending, shape (points, N * M)."""
        n = self.economy.n_households
        payoff = self.payoff(choice, capital, income, index, continuation)[:, :n]
        return torch.cat([_slope(payoff[:, i], choice)[:, i] for i in range(n)], -1)

    def own_gradient(self, choice, capital, income, index, continuation=None):
        """Derivatives of payoffs in own choices; firms know how households answer to prices."""
        n, m = self.sides(choice)[0].shape[-2:]
        known = choice, capital, income, index, continuation
        households = self.households_gradient(*known)
        slopes = torch.stack([_slope(column, choice) for column in households.unbind(-1)], 1)
        spent, price = slopes.flatten(-2).split([n * m, m], -1)
        answers = -torch.linalg.solve_ex(spent, price)[0]
        firms = []
        for j, profit in enumerate(self.payoff(*known)[:, -m:].unbind(-1)):
            slope = _slope(profit, choice).flatten(-2)
            firms.append(slope[:, n * m + j] + (slope[:, : n * m] * answers[..., j]).sum(-1))
        return torch.cat([households, torch.stack(firms, -1)], -1)

    @torch.enable_grad()
    def answer(self, choice, capital, income, index, continuation=None) -> Tensor:
        """What households spend (points, N, M) when they see the prices in `choice`.

        By Newton's method from what they spend in `choice`. Who would rather sell capital spends
        next to nothing.

        Raises
        ------
        ConvergenceError
            If nothing is found that households would not depart from.
        """
        spent, price = (x.detach() for x in self.sides(choice))
        least = (SMALLEST_SHARE * income)[..., None]
        known = capital.detach(), income.detach(), index, continuation
        for _ in range(MOST_ANSWERS):
            choice = torch.cat([spent, price], -2).requires_grad_()
            gradient = self.households_gradient(choice, *known)
            rows = [_slope(column, choice) for column in gradient.unbind(-1)]
            slopes = torch.stack([self.sides(row)[0].flatten(-2) for row in rows], 1).detach()
            step = torch.linalg.solve_ex(slopes, gradient.detach())[0].reshape(spent.shape)
            left = (income - spent.sum(-1))[..., None] / spent.shape[-1]
            step = torch.maximum(torch.minimum(step, spent / 2), -torch.minimum(spent, left) / 2)
            new = torch.maximum(spent - step, least)
            moved = ((new - spent).abs() / spent).flatten(1).amax(-1)
            spent = new
            if moved.max() < FOUND:
                return spent
        worst = moved.nan_to_num(torch.inf).argmax()
        raise ConvergenceError(
            f"no answer of households with capital {listed(capital[worst].flatten())} was found to "
            f"prices {listed(price[worst].flatten())}."
        )


def _slope(x: Tensor, choice: Tensor) -> Tensor:
    """Derivatives of x (points,) in all choices, of their shape, with derivatives of their own."""
    return torch.autograd.grad(x.sum(), choice, create_graph=True)[0]


class PriceTakersGame(PostedPriceGame):
    """The same with one massless household, to whom future prices are given.

    In place of a value function it has the utility that a unit of each good is worth to it,
    which is a marginal product today and what is left of the unit tomorrow.
    """

    @property
    def discounts(self):
        """Of what is left of a unit of each good; of profits."""
        e = self.economy
        each = [e.beta * e.survival] * e.n_goods + [e.discount_of("firm")] * e.n_goods
        return torch.tensor(each, dtype=torch.float64)

    def rewards(self, choice, capital, income):
        """Utility of each good's marginal product, and profits, shape (points, 2 M)."""
        e = self.economy
        utility = self.consumption(choice, income).pow(-e.risk_aversion)
        product = e.marginal_product(income, capital).squeeze(-2)
        return torch.cat([utility * product, self.profits(choice)], -1)

    def households_gradient(self, choice, capital, income, index, continuation=None):
        """What a unit more of spending is worth, less the utility that it costs."""
        following = self.economy.next_capital(capital, self.bought(choice))
        worth = (continuation or self.expected_value)(following, index)
        worth = worth[:, : self.economy.n_goods]
        utility = self.consumption(choice, income).pow(-self.economy.risk_aversion)
        return self.economy.beta * worth / self.sides(choice)[1].squeeze(-2) - utility


class PostedPricePolicy(SellersPolicy):
    """Prices and spending in a Markov-perfect equilibrium.

    Households know what to spend at any prices, those that are posted in equilibrium or others.
    Parameters and attributes are those of
    :class:`~lectures_lib.solvers.stage_game.MarkovPerfectPolicy`.
    """

    game: PostedPriceGame

    def __call__(self, state, moved=None):
        """Prices, and what households spend on seeing them or those of firms that have `moved`."""
        exact = state._replace(**{n: getattr(state, n).double() for n in self._stocks})
        given = (moved or {}).get("firm")
        if given is not None:
            batch = torch.broadcast_shapes(state.aggregate.shape, given.shape[:-2])
            shapes = self.economy.fields.shapes
            exact = exact._replace(
                **{n: getattr(exact, n).expand(*batch, *shapes[n]) for n in exact._fields}
            )
            given = given.double().expand(*batch, *given.shape[-2:]).mT
        actions = self._actions(exact, given)
        like = state.capital
        return {n: a.to(like.device, like.dtype) for n, a in actions.items()} | dict(moved or {})

    @property
    def _stocks(self):
        return self.economy.fields.moved_by("choice")

    def _actions(self, state, given):
        """Actions of all roles, at prices (*batch, 1, M) that may be given."""
        _, _, choice = self._answered(state, given)
        batch = state.aggregate.shape
        spent, price = (x.reshape(*batch, *x.shape[-2:]) for x in self.game.sides(choice))
        share = spent / self.economy.income(state).unsqueeze(-1)
        return {"household": share, "firm": price.mT}

    def _answered(self, state, given):
        """Capital, the combination of productivities and choices, one point for each state."""
        capital, index = flatten_state(self.game.chain, state)
        choice = self.choices(state).flatten(0, -3)
        if given is not None:
            spent = self.game.sides(choice)[0]
            choice = torch.cat([spent, given.reshape(len(spent), 1, -1).to(spent)], -2)
            income = self.game.income(capital, index)
            spent = self.game.answer(choice, capital, income, index)
            choice = torch.cat([spent, self.game.sides(choice)[1]], -2)
        return capital, index, choice


class PriceTakersPolicy(PostedPricePolicy):
    """The same with a massless household, whose capital may be other than the crowd's.

    Parameters
    ----------
    game : PriceTakersGame
    guess : Tensor
        As for :class:`PostedPricePolicy`; both are about the crowd.
    economy : PostedPrice
        Of the massless household.
    """

    game: PriceTakersGame

    def __init__(self, game: PriceTakersGame, guess: Tensor, economy: PostedPrice):
        super().__init__(game, guess)
        self.economy = economy
        box = game.polynomials
        # Axes are what the crowd owns, and how far the household is from it.
        axes = torch.tensor([[0, box.axes.item()], [1 / APART, -1 / APART]]).double()
        self._box = Polynomials(box.centre.expand(2), axes, VALUE_DEGREES[2])
        self._worth = self._solve()

    def choices(self, state):
        """What the crowd spends, and its price."""
        return super().choices(self.economy.crowd(state))

    def _actions(self, state, given):
        crowd, game = self.economy.crowd(state), self.game
        capital, index, choice = self._answered(crowd, given)
        own = state.capital.reshape(capital.shape).to(capital)
        ahead = self.economy.next_capital(capital, game.bought(choice))
        income = game.income(own, index)
        spent = game.answer(choice, own, income, index, self._ahead(ahead, self._worth))
        batch = state.aggregate.shape

        def share(x, who):
            return x.reshape(*batch, 1, 1) / self.economy.income(who).unsqueeze(-1)

        theirs, price = game.sides(choice)
        return {
            "firm": price.reshape(*batch, 1, 1),
            "household": share(spent, state),
            "household_crowd": share(theirs, crowd),
        }

    def _ahead(self, crowd, worth):
        """What own capital (points, 1, 1) is expected to be worth beside a crowd that owns that."""
        expected = torch.einsum("st,tc->sc", self.game.chain.transition, worth)

        def worth_of(capital, index):
            basis = self._box.basis(torch.cat([capital, crowd], -1).squeeze(-2))
            return (basis * expected[index]).sum(-1, keepdim=True)

        return worth_of

    def _solve(self) -> Tensor:
        """Worth of own capital (combinations, coefficients), a polynomial in it and the crowd's.

        By policy iteration, given what firms and the crowd do.
        """
        game, box, n = self.game, self._box, len(self.game.chain)
        own, capital = (x.repeat(n)[:, None, None] for x in box.capital.unbind(-1))
        index = torch.arange(n).repeat_interleave(len(box.capital))
        choice = self.choose(capital, index)
        ahead = self.economy.next_capital(capital, game.bought(choice))
        income, price = game.income(own, index), game.sides(choice)[1]
        # As much as the crowd's capital, less where there is more, before anything is known.
        known = game.values
        assert known is not None  # policy iteration has set them
        values = game.polynomials.basis(capital.flatten(-2)) @ known[..., 0].T
        values = values[torch.arange(len(index)), index] * (capital / own).flatten().sqrt()
        worth = box.fit(values.reshape(n, -1, 1)).squeeze(-1)
        for _ in range(MAX_ITERATIONS):
            spent = game.answer(choice, own, income, index, self._ahead(ahead, worth))
            mine = torch.cat([spent, price], -2)
            following = self.economy.next_capital(own, game.bought(mine))
            basis = box.basis(torch.cat([following, ahead], -1).squeeze(-2))
            reward = game.rewards(mine, own, income)[:, :1].unflatten(0, (n, -1))
            moves = box.fit(basis.unflatten(0, (n, -1)))
            every = (
                torch.einsum("st,sab->satb", game.chain.transition, moves).flatten(2).flatten(0, 1)
            )
            system = torch.eye(len(every), dtype=every.dtype) - game.discounts[0] * every
            new = torch.linalg.solve(system, box.fit(reward).flatten()).reshape(n, -1)
            change = ((new - worth) @ box.at_nodes.T).abs() / (new @ box.at_nodes.T).abs()
            worth = new
            if change.max() < WORTH_FOUND:
                return worth
        raise ConvergenceError(
            f"what a massless household's capital is worth was not found in {self.economy}."
        )


@markov_perfect.register(PostedPrice)
def _(economy, degree, tolerance, show_progress):
    size = economy.n_households, economy.n_goods
    if size not in (SIZES[:1] if economy.atomistic else SIZES):
        raise ValueError(
            f"n_households={size[0]}, n_goods={size[1]}, atomistic={economy.atomistic}: "
            f"Markov-perfect prices are found for the sizes {SIZES}, and with massless households "
            f"for {SIZES[0]}."
        )
    chain, kind = JointChain(economy), PriceTakersGame if economy.atomistic else PostedPriceGame
    if math.prod(size) == 4:
        if len(chain) > 1:
            raise ValueError(
                f"{economy}: Markov-perfect prices of two households with two goods are found "
                "without risk, as in markov_perfect(without_risk(economy))."
            )
        box, begin = _near_balance(economy, degree or PAIRS_DEGREE), _as_halves
    else:
        low, high = (x * economy.efficient_capital for x in (LEAST, MOST))
        box = Polynomials.on_cube(
            low, high, math.prod(size), degree or VALUE_DEGREES[math.prod(size)]
        )
        begin = _as_in_a_market
    # The crowd plays the game; who has no mass comes later.
    crowd = replace(economy, atomistic=False)
    guess, iterations = None, 0
    patience = economy.discount_of("firm")
    for d in (*(d for d in PATIENCE if d < patience), patience):
        game = kind(replace(crowd, seller_discount=d), chain, box)

        def first(capital, index, income, guess=guess):
            if guess is not None:
                return (box.at_nodes @ guess).reshape(len(index), -1, economy.n_goods)
            return begin(crowd, capital, index)

        enough = tolerance if d == patience else max(tolerance, ROUGHLY)
        guess, count = iterate_policy(game, first, enough, show_progress)
        iterations += count
    policy: PostedPricePolicy
    if economy.atomistic:
        policy = PriceTakersPolicy(game, guess, economy)
    else:
        policy = PostedPricePolicy(game, guess)
    return Solution(economy, "markov perfect", policy, iterations, "policy iteration")


def _as_in_a_market(economy, capital, index):
    """What households would spend in a market with a given markup, and that price."""
    names = ("n_households", "n_goods", "alpha", "beta", "delta", "risk_aversion")
    chains = {"idiosyncratic": economy.idiosyncratic, "aggregate": economy.aggregate}
    slope = FIRST_MARKUP * economy.phi
    market = Market(phi=slope, **{n: getattr(economy, n) for n in names}, **chains)
    investment = time_iteration(market, "competitive")[0].pieces[0].invest(capital, index)
    price = market.unit_cost(investment.sum(-2, keepdim=True))
    return torch.cat([price * investment, price], -2)


def _near_balance(economy, degree) -> Polynomials:
    """Stocks of two households with two goods that are not far out of balance."""
    low, high = (math.log(x * economy.efficient_capital) for x in AROUND)
    households, goods = HOUSEHOLDS_APART / 2, GOODS_APART / 2
    # How far each stock is from the middle at the end of an axis; households, then their goods.
    half = torch.tensor([(high - low) / 2, goods, households, goods / 2], dtype=torch.float64)
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]).double()
    centre = torch.full((4,), (low + high) / 2, dtype=torch.float64)
    return Polynomials(centre, signs / 4 / half[:, None], degree)


def _as_halves(economy, capital, index):
    """Two households with two goods: as one with two, and as two with one, with myopic sellers.

    Each household's goods are to be as even as those of one household would be, and households as
    far apart as with one good.
    """
    # As much of each good costs a household as much as if there were two, or one for two goods.
    half = replace(economy, phi=2 * economy.phi, seller_discount=0.0)
    alone = markov_perfect(replace(half, n_households=1)).policy
    both = markov_perfect(replace(half, n_goods=1)).policy
    logs = capital.log()

    def next_logs(policy, stocks):
        choice = policy.choose(stocks, index)
        after = economy.next_capital(stocks, policy.game.bought(choice))
        return after.log(), policy.game.sides(choice)[1]

    goods, price = next_logs(alone, logs.mean(-2, keepdim=True).exp())
    households, _ = next_logs(both, logs.mean(-1, keepdim=True).exp())
    target = goods + households - households.mean(-2, keepdim=True)
    bought = target.exp() - economy.survival * capital
    return torch.cat([price * bought, price], -2)
