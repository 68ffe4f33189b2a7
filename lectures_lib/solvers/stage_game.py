"""One period of a game between those who know what capital is worth to all tomorrow.

Chapters *Strategic buyers* and *Sellers who learn*.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .domain import Domain, listed
from .piece import ConvergenceError
from .polynomials import Polynomials
from .productivity import JointChain
from .time_iteration import flatten_state

# Newton steps for a period's choices at most, and the last one's size, relative to their scale, at
# which they are found: the error that it leaves is about its square.
MOST_STEPS, FOUND = 30, 1e-7


class StageGame:
    """What households of a market choose at many states at once, given their value functions.

    A household's choice is what it spends on each good, or how much it orders.

    Parameters
    ----------
    economy : CapitalEconomy
    chain : JointChain
    polynomials : Polynomials
    """

    #: How many derivatives of choices in capital are needed.
    orders = 1

    def __init__(self, economy: Any, chain: JointChain, polynomials: Polynomials):
        self.economy, self.chain, self.polynomials = economy, chain, polynomials
        #: Coefficients (combinations, coefficients, players).
        self.values: Tensor | None = None

    @property
    def discounts(self) -> Tensor:
        """The discount factor of each player, shape (players,)."""
        e = self.economy
        return torch.full((e.n_households,), e.beta, dtype=torch.float64)

    def scale(self, choice: Tensor) -> Tensor:
        """What changes of choices are small or large beside; here, all that is bought."""
        return choice.sum(-2, keepdim=True)

    def points(self, stocks: Tensor) -> Tensor:
        """Capital (points, N, M) from stocks (points, stocks)."""
        return stocks.unflatten(-1, (self.economy.n_households, -1))

    def bought(self, choice: Tensor) -> Tensor:
        """Investment (points, N, M) from all choices."""
        if self.economy.action == "quantity":
            return choice
        return choice / self.economy.unit_cost_of(choice)

    def chosen(self, investment: Tensor) -> Tensor:
        """The choices that buy `investment`."""
        if self.economy.action == "quantity":
            return investment
        return self.economy.unit_cost(investment.sum(-2, keepdim=True)) * investment

    def income(self, capital: Tensor, index: Tensor) -> Tensor:
        """What households can spend (points, N) at `capital`, with productivities `index`."""
        return self.economy.income(self.chain.state(capital, index))

    def reward(self, investment: Tensor, income: Tensor) -> Tensor:
        """Utility (points, N) of what is left of income and of rebated profit."""
        return self.economy.utility(self.economy.accounts(income, investment).consumption)

    def rewards(self, choice: Tensor, capital: Tensor, income: Tensor) -> Tensor:
        """What each player earns now, shape (points, players)."""
        return self.reward(self.bought(choice), income)

    def payoff(
        self,
        choice,
        capital,
        income,
        index,
        continuation=None,
    ) -> Tensor:
        """Each household's utility now and later, shape (points, N)."""
        investment = self.bought(choice)
        following = self.economy.next_capital(capital, investment)
        later = (continuation or self.expected_value)(following, index)
        return self.reward(investment, income) + self.economy.beta * later

    def expected_value(self, capital: Tensor, index: Tensor) -> Tensor:
        """Values (points, N) of starting next period with `capital`, coming from `index`."""
        basis = self.polynomials.basis(capital.flatten(-2))
        return torch.einsum("pc,pcn->pn", basis, self._expected[index])

    def set_values(self, values: Tensor) -> None:
        """Adopt value functions (combinations, coefficients, players)."""
        self.values = values
        self._expected = torch.einsum("st,tcn->scn", self.chain.transition, values)

    def own_gradient(
        self,
        choice,
        capital,
        income,
        index,
        continuation=None,
    ) -> Tensor:
        """Derivative of each payoff in own choices, shape (points, N * M)."""
        payoff = self.payoff(choice, capital, income, index, continuation)
        columns = [
            torch.autograd.grad(total, choice, create_graph=True)[0][:, i]
            for i, total in enumerate(payoff.sum(0))
        ]
        return torch.cat(columns, -1)

    @torch.enable_grad()
    def solve(self, choice, capital, income, index, steps=None) -> Tensor:
        """Choices from which nobody wants to depart, by Newton's method from a first guess.

        Parameters
        ----------
        choice, capital : Tensor, shape (points, N, M)
        income : Tensor, shape (points, N)
        index : Tensor of int64, shape (points,)
        steps : int, optional
            By default as many as it takes.

        Raises
        ------
        ConvergenceError
            If it takes more than 30.
        """
        for _ in range(steps or MOST_STEPS):
            choice = choice.detach().requires_grad_(True)
            gradient = self.own_gradient(choice, capital.detach(), income.detach(), index)
            step = self._newton(gradient, choice)
            # A step may not take more than half of what is bought of a good.
            limit = self.scale(choice.detach()) / 2
            step = torch.maximum(torch.minimum(step, limit), -limit)
            choice = choice.detach() - step
            left = (step.abs() / limit).flatten(1).amax(-1)
            if left.max() < FOUND:
                break
        # Not a number is not found either.
        if steps is None and not (found := left < FOUND).all():
            worst = listed(capital.detach()[~found][0].flatten())
            raise ConvergenceError(
                f"no equilibrium of one period was found for capital {worst}, where value "
                f"functions hold from {self.polynomials.low:.4g} to {self.polynomials.high:.4g}: "
                "ask for states between them."
            )
        # A last step carries the derivatives in capital (implicit function theorem), another one
        # the second derivatives, and so on.
        choice = choice.detach().requires_grad_(capital.requires_grad)
        for _ in range(self.orders if capital.requires_grad else 0):
            gradient = self.own_gradient(choice, capital, income, index)
            choice = choice - self._newton(gradient, choice, keep=True)
        return choice

    def costs(self, choice, capital, income, index) -> Tensor:
        """Beside what own gradients are small or large: what a unit more costs today."""
        return self.own_gradient(
            choice, capital, income, index, lambda k, s: torch.zeros_like(k[..., :1, 0])
        )

    @staticmethod
    def _newton(gradient, choice, keep=False):
        rows = [
            torch.autograd.grad(column.sum(), choice, retain_graph=True)[0].flatten(-2)
            for column in gradient.unbind(-1)
        ]
        jacobian = torch.stack(rows, -2)
        gradient = gradient if keep else gradient.detach()
        # Where there is no solution the step is no number, which stops nobody else's.
        return torch.linalg.solve_ex(jacobian, gradient)[0].reshape(choice.shape)


class MarkovPerfectPolicy:
    """The actions of a Markov-perfect equilibrium.

    Parameters
    ----------
    game : StageGame
    guess : Tensor, shape (combinations, coefficients, stocks)
        Polynomials of the choices, from which Newton's method starts.

    Attributes
    ----------
    domain : Domain
        For which capital the rule holds. Not far outside there is nothing that Newton's method
        finds, and a ConvergenceError says so.
    """

    def __init__(self, game: StageGame, guess: Tensor):
        self.economy: Any = game.economy
        self.game = game
        self._guess = guess
        box = game.polynomials
        self.domain = Domain(box.low, box.high, "markov_perfect finds no more than that")

    def __repr__(self):
        return f"{type(self).__name__}({self.game.polynomials!r})"

    def investment(self, state) -> Tensor:
        """Investment (*batch, N, M) in float64, on the CPU."""
        choice = self.choices(state)
        bought = self.game.bought(choice.flatten(0, -3))
        return bought.clamp_min(0).reshape(state.capital.shape)

    def choices(self, state) -> Tensor:
        """What everybody chooses (*batch, players, M), in float64, on the CPU."""
        capital, index = flatten_state(self.game.chain, state)
        self.domain.check(capital, self)
        choice = self.choose(capital, index)
        return choice.reshape(*state.capital.shape[:-2], *choice.shape[1:])

    def choose(self, capital, index) -> Tensor:
        """Equilibrium choices (points, players, M)."""
        basis = self.game.polynomials.basis(capital.detach().flatten(-2))
        every = (basis @ self._guess.movedim(0, 1).flatten(1)).unflatten(-1, (len(self._guess), -1))
        guess = every[torch.arange(len(index)), index]
        guess = guess.reshape(len(index), -1, capital.shape[-1])
        return self.game.solve(guess, capital, self.game.income(capital, index), index)

    def __call__(self, state, moved=None):
        """Actions of every household."""
        investment = self.investment(state).to(state.capital.device)
        exact = state._replace(capital=state.capital.double())
        actions = self.economy.actions_for(exact, investment)
        return {name: action.to(state.capital.dtype) for name, action in actions.items()}

    def own_gradients(self, state) -> Tensor:
        """By how much the marginal gain of a choice exceeds its marginal cost, relative to it.

        The gain is computed by the value functions' one-step backups, in which everybody reacts to
        capital as the policy says, so that errors of the approximation show. Shape
        (*batch, players, M).
        """
        capital, index = flatten_state(self.game.chain, state)
        income = self.game.income(capital, index)
        with torch.enable_grad():
            choice = self.choose(capital, index).detach().requires_grad_(True)
            gain = self.game.own_gradient(choice, capital, income, index, self._backup)
            cost = self.game.costs(choice, capital, income, index)
        shape = (*state.capital.shape[:-2], *choice.shape[1:])
        return (gain / cost).detach().reshape(shape)

    def _backup(self, capital, index):
        value = 0.0
        for s in range(len(self.game.chain)):
            at = torch.full_like(index, s)
            choice = self.choose(capital, at)
            reached = self.game.payoff(choice, capital, self.game.income(capital, at), at)
            value = value + self.game.chain.transition[index, s].unsqueeze(-1) * reached
        return value
