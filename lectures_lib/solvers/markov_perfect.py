"""Markov-perfect equilibrium of the market with strategic households.

Chapter *Strategic buyers*. A household that knows that its capital today changes what the others
do tomorrow has first-order conditions with the slopes of their decision rules in them. Value
functions have those slopes built in, so the equilibrium is found by policy iteration: given
everybody's value function, find the equilibrium of each state's stage game; given everybody's
policy, find the value functions.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..economies import Market
from ..progress import progress_bar
from .domain import Domain, listed
from .piece import ConvergenceError
from .polynomials import Polynomials
from .productivity import JointChain
from .registry import require_kind
from .solution import Solution
from .time_iteration import DEGREES, LARGEST, SMALLEST, flatten_state, time_iteration

#: Degree of the value functions by the number of stocks.
VALUE_DEGREES = {1: 14, 2: 9, 3: 6, 4: 5, 5: 4}
MAX_ITERATIONS = 60
# Newton steps for a period's choices at most, and the last one's size, relative to what is bought,
# at which they are found.
MOST_STEPS, FOUND = 30, 1e-8
#: Numbers of households and goods for which there is a first guess, and degrees.
SIZES = tuple(size for size in DEGREES if math.prod(size) in VALUE_DEGREES)


class StageGame:
    """What households of a market choose at many states at once, given their value functions.

    A household's choice is what it spends on each good, or how much it orders.

    Parameters
    ----------
    economy : Market
    chain : JointChain
    polynomials : Polynomials
    """

    def __init__(self, economy: Market, chain: JointChain, polynomials: Polynomials):
        self.economy, self.chain, self.polynomials = economy, chain, polynomials
        #: Coefficients (combinations, coefficients, households).
        self.values: Tensor | None = None

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
        """Adopt value functions (combinations, coefficients, households)."""
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
            limit = choice.detach().sum(-2, keepdim=True) / 2
            step = torch.maximum(torch.minimum(step, limit), -limit)
            choice = choice.detach() - step
            left = (step.abs() / limit).flatten(1).amax(-1)
            if left.max() < 1e-11:
                break
        # Not a number is not found either.
        if steps is None and not (found := left < FOUND).all():
            worst = listed(capital.detach()[~found][0].flatten())
            raise ConvergenceError(
                f"no equilibrium of one period was found for capital {worst}, where value "
                f"functions hold from {self.polynomials.low:.4g} to {self.polynomials.high:.4g}: "
                "ask for states between them."
            )
        if capital.requires_grad:
            # A last step carries the derivatives in capital (implicit function theorem).
            choice = choice.requires_grad_(True)
            gradient = self.own_gradient(choice, capital, income, index)
            choice = choice.detach() - self._newton(gradient, choice, keep=True)
        return choice

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
        self.economy, self.game = game.economy, game
        self._guess = guess
        box = game.polynomials
        self.domain = Domain(box.low, box.high, "markov_perfect finds no more than that")

    def __repr__(self):
        return f"{type(self).__name__}({self.game.polynomials!r})"

    def investment(self, state) -> Tensor:
        """Investment (*batch, N, M) in float64, on the CPU."""
        capital, index = flatten_state(self.game.chain, state)
        self.domain.check(capital, self)
        choice = self.game.bought(self.choose(capital, index))
        return choice.clamp_min(0).reshape(state.capital.shape)

    def choose(self, capital, index) -> Tensor:
        """Equilibrium choices (points, N, M)."""
        basis = self.game.polynomials.basis(capital.detach().flatten(-2))
        every = (basis @ self._guess.movedim(0, 1).flatten(1)).unflatten(-1, (len(self._guess), -1))
        guess = every[torch.arange(len(index)), index].reshape(capital.shape)
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
        capital as the policy says, so that errors of the approximation show. Shape (*batch, N, M).
        """
        capital, index = flatten_state(self.game.chain, state)
        income = self.game.income(capital, index)
        with torch.enable_grad():
            choice = self.choose(capital, index).detach().requires_grad_(True)
            gain = self.game.own_gradient(choice, capital, income, index, self._backup)
            cost = self.game.own_gradient(
                choice, capital, income, index, lambda k, s: torch.zeros_like(k[..., 0])
            )
        return (gain / cost).detach().reshape(state.capital.shape)

    def _backup(self, capital, index):
        value = 0.0
        for s in range(len(self.game.chain)):
            at = torch.full_like(index, s)
            choice = self.choose(capital, at)
            reached = self.game.payoff(choice, capital, self.game.income(capital, at), at)
            value = value + self.game.chain.transition[index, s].unsqueeze(-1) * reached
        return value


def markov_perfect(
    economy: Market,
    degree: int | None = None,
    tolerance: float = 1e-9,
    show_progress=None,
) -> Solution:
    """The symmetric Markov-perfect equilibrium of a market with strategic households.

    Parameters
    ----------
    economy : Market
        With at most five stocks of capital, of one good or two, everybody informed and nobody
        massless.
    degree : int, optional
        Of the polynomials in log capital that are the value functions.
    tolerance : float
        Largest relative change of a choice at which to stop.
    show_progress : bool, optional
        By default one bar in a terminal or live notebook.

    Returns
    -------
    Solution
        Its regime is "markov perfect". It has no `residual`, because Euler equations are another
        game's; `policy.own_gradients` says how good it is.

    Raises
    ------
    TypeError
        If the economy is no Market: who is alone, or in a team, plays against nobody.
    ValueError
        If the economy has massless or uninformed households, or too many stocks.
    ConvergenceError
        If policy iteration has not converged.
    """
    require_kind(economy, "markov_perfect", (Market,))
    if economy.atomistic or economy.n_uninformed:
        raise ValueError(
            f"atomistic={economy.atomistic}, n_uninformed={economy.n_uninformed}: Markov-perfect "
            "equilibrium is found for households that move prices and see everything."
        )
    size = economy.n_households, economy.n_goods
    if size not in SIZES:
        raise ValueError(
            f"n_households={size[0]}, n_goods={size[1]}: Markov-perfect equilibrium is found for "
            f"up to {max(VALUE_DEGREES)} stocks of capital, of the sizes {SIZES}."
        )
    stocks = math.prod(size)
    chain, centre = JointChain(economy), economy.efficient_capital
    box = Polynomials.on_cube(
        SMALLEST * centre,
        LARGEST * centre,
        stocks,
        degree or VALUE_DEGREES[stocks],
    )
    game = StageGame(economy, chain, box)
    n = len(chain)
    # All nodes with each productivity in turn, as one list of points.
    capital = box.capital.unflatten(-1, (economy.n_households, -1))
    capital = capital.repeat(n, 1, 1)
    index = torch.arange(n).repeat_interleave(len(box.capital))
    income = game.income(capital, index)
    # Open-loop equilibrium is where the search starts.
    open_loop, _ = time_iteration(economy, "nash")
    choice = game.chosen(open_loop.pieces[0].invest(capital, index))
    start = None
    name = "Markov-perfect equilibrium"
    with progress_bar(MAX_ITERATIONS, name, show_progress) as bar:
        for iteration in range(1, MAX_ITERATIONS + 1):
            start = values_of(game, choice, capital, income, start)
            game.set_values(start)
            new = game.solve(choice, capital, income, index, steps=3)
            moved = (new - choice).abs() / new.sum(-2, keepdim=True)
            change = moved.max().item()
            choice = new
            bar.update(1)
            if change < tolerance:
                shape = (n, len(box.capital), stocks)
                guess = box.fit(choice.reshape(shape))
                policy = MarkovPerfectPolicy(game, guess)
                how = iteration, "policy iteration"
                return Solution(economy, "markov perfect", policy, *how)
    raise ConvergenceError(
        f"Markov-perfect equilibrium of {economy}: choices still change by {change:.0e} after "
        f"{MAX_ITERATIONS} policy iterations."
    )


@torch.no_grad()
def values_of(game, choice, capital, income, start=None):
    """Value functions of a policy: the solution of a linear system, by GMRES.

    Parameters
    ----------
    game : StageGame
    choice, capital : Tensor, shape (points, N, M)
        What is chosen at all nodes of the game's polynomials, with each productivity in turn.
    income : Tensor, shape (points, N)
    start : Tensor, optional
        Value functions to begin from.

    Returns
    -------
    Tensor, shape (combinations, coefficients, households)
        As :meth:`StageGame.set_values` takes them.

    Raises
    ------
    ConvergenceError
        If they are not found.
    """
    from scipy.sparse.linalg import LinearOperator, gmres  # where needed: it is slow to import

    n, e = len(game.chain), game.economy
    investment = game.bought(choice)
    following = e.next_capital(capital, investment)
    basis = game.polynomials.basis(following.flatten(-2)).unflatten(0, (n, -1))
    reward = game.polynomials.fit(game.reward(investment, income).unflatten(0, (n, -1)))
    moves = game.polynomials.fit(basis)  # (combinations, coefficients, coefficients)

    def residual(flat):
        values = torch.from_numpy(flat).reshape(n, -1)
        ahead = (game.chain.transition @ values).unsqueeze(-1)
        return (values - e.beta * (moves @ ahead).squeeze(-1)).flatten().numpy()

    size = n * moves.shape[-1]
    system = LinearOperator((size, size), residual, dtype=float)
    columns = []
    for i in range(e.n_households):
        right = reward[..., i].flatten().numpy()
        guess = None if start is None else start[..., i].flatten().numpy()
        found, failed = gmres(system, right, guess, rtol=1e-13, restart=150, maxiter=20)
        if failed and np.abs(residual(found) - right).max() > 1e-8:
            raise ConvergenceError("the value functions of a policy were not found.")
        columns.append(torch.from_numpy(found).reshape(n, -1))
    return torch.stack(columns, -1)
