"""Markov-perfect equilibrium of the market with strategic households, and what others share.

Chapter *Strategic buyers*. A household that knows that its capital today changes what the others
do tomorrow has first-order conditions with the slopes of their decision rules in them. Value
functions have those slopes built in, so the equilibrium is found by policy iteration: given
everybody's value function, find the equilibrium of each state's stage game; given everybody's
policy, find the value functions.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..economies import Economy, Market
from ..economies.capital import CapitalEconomy
from ..progress import progress_bar
from .piece import ConvergenceError
from .polynomials import Polynomials
from .productivity import JointChain
from .registry import by_kind, refuse_kind
from .solution import Solution
from .stage_game import MarkovPerfectPolicy, StageGame
from .time_iteration import DEGREES, LARGEST, SMALLEST, time_iteration

#: Degree of the value functions by the number of stocks.
VALUE_DEGREES = {1: 14, 2: 9, 3: 6, 4: 5, 5: 4}
MAX_ITERATIONS = 100
# Unknowns of value functions from which on these are found by GMRES.
LARGE = 500
#: Numbers of households and goods for which there is a first guess, and degrees.
SIZES = tuple(size for size in DEGREES if math.prod(size) in VALUE_DEGREES)


@by_kind
def markov_perfect(
    economy: Economy,
    degree: int | None = None,
    tolerance: float = 1e-9,
    show_progress=None,
) -> Solution:
    """The symmetric Markov-perfect equilibrium of a market.

    Parameters
    ----------
    economy : Market, TradingPost or PostedPrice
        With few stocks of capital, and everybody informed. In a market and at a trading post, at
        most five stocks of one good or two, and nobody massless; at a trading post of one good
        without risk, any number of households, by symmetry; where prices are posted, one household
        with a good or two, two households with a good, a massless household with a good, or,
        without risk, two households with two goods whose sellers are impatient (a discount factor
        of 0.9 at most). Or another that has registered its solver
        (``markov_perfect.register``).
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
        If the economy is none of these: who is alone, or in a team, plays against nobody.
    ValueError
        If it has massless or uninformed households where it may not, or too many stocks.
    ConvergenceError
        If policy iteration has not converged.
    """
    refuse_kind(economy, "markov_perfect", markov_perfect.registry)


@markov_perfect.register(Market)
def _(economy, degree, tolerance, show_progress):
    if economy.atomistic or economy.n_uninformed:
        raise ValueError(
            f"atomistic={economy.atomistic}, n_uninformed={economy.n_uninformed}: Markov-perfect "
            "equilibrium is found for households that move prices and see everything."
        )
    stocks = require_size(economy)
    centre = economy.efficient_capital
    box = Polynomials.on_cube(
        SMALLEST * centre, LARGEST * centre, stocks, degree or VALUE_DEGREES[stocks]
    )
    game = StageGame(economy, JointChain(economy), box)
    # Open-loop equilibrium is where the search starts.
    open_loop, _ = time_iteration(economy, "nash")

    def first(capital, index, income):
        return game.chosen(open_loop.pieces[0].invest(capital, index))

    guess, iterations = iterate_policy(game, first, tolerance, show_progress)
    policy = MarkovPerfectPolicy(game, guess)
    return Solution(economy, "markov perfect", policy, iterations, "policy iteration")


def require_size(economy: CapitalEconomy) -> int:
    """How many stocks of capital there are.

    Raises
    ------
    ValueError
        If there are too many.
    """
    size = economy.n_households, economy.n_goods
    if size not in SIZES:
        raise ValueError(
            f"n_households={size[0]}, n_goods={size[1]}: Markov-perfect equilibrium is found for "
            f"up to {max(VALUE_DEGREES)} stocks of capital, of the sizes {SIZES}."
        )
    return math.prod(size)


def iterate_policy(
    game: StageGame, first, tolerance: float, show_progress=None
) -> tuple[Tensor, int]:
    """Policy iteration: values of everybody's choices, and equilibrium choices for these values.

    Parameters
    ----------
    game : StageGame
        It is left with the value functions that are found.
    first : callable
        ``first(capital, index, income)``: choices (points, players, M) to begin with.
    tolerance : float
        Largest relative change of a choice at which to stop.
    show_progress : bool, optional

    Returns
    -------
    guess : Tensor, shape (combinations, coefficients, players * M)
        Polynomials of the choices.
    iterations : int

    Raises
    ------
    ConvergenceError
        If choices do not come to rest.
    """
    box, n = game.polynomials, len(game.chain)
    # All nodes with each productivity in turn, as one list of points.
    capital = game.points(box.capital).repeat(n, 1, 1)
    index = torch.arange(n).repeat_interleave(len(box.capital))
    income = game.income(capital, index)
    choice, start = first(capital, index, income), None
    name = "Markov-perfect equilibrium"
    with progress_bar(MAX_ITERATIONS, name, show_progress) as bar:
        for iteration in range(1, MAX_ITERATIONS + 1):
            start = values_of(game, choice, capital, income, start)
            game.set_values(start)
            new = game.solve(choice, capital, income, index, steps=3)
            change = ((new - choice).abs() / game.scale(new)).max().item()
            choice = new
            bar.update(1)
            if change < tolerance:
                shape = n, len(box.capital), -1
                return box.fit(choice.reshape(shape)), iteration
    raise ConvergenceError(
        f"Markov-perfect equilibrium of {game.economy}: choices still change by {change:.0e} "
        f"after {MAX_ITERATIONS} policy iterations."
    )


@torch.no_grad()
def values_of(game, choice, capital, income, start=None):
    """Value functions of a policy: the solution of a linear system, by GMRES if it is large.

    Parameters
    ----------
    game : StageGame
    choice : Tensor, shape (points, players, M)
        What is chosen at all nodes of the game's polynomials, with each productivity in turn.
    capital : Tensor, shape (points, N, M)
    income : Tensor, shape (points, N)
    start : Tensor, optional
        Value functions to begin from.

    Returns
    -------
    Tensor, shape (combinations, coefficients, players)
        As :meth:`StageGame.set_values` takes them.

    Raises
    ------
    ConvergenceError
        If they are not found.
    """
    from scipy.sparse.linalg import LinearOperator, gmres  # where needed: it is slow to import

    n, e = len(game.chain), game.economy
    following = e.next_capital(capital, game.bought(choice))
    basis = game.polynomials.basis(following.flatten(-2)).unflatten(0, (n, -1))
    reward = game.polynomials.fit(game.rewards(choice, capital, income).unflatten(0, (n, -1)))
    moves = game.polynomials.fit(basis)  # (combinations, coefficients, coefficients)

    def residual(flat, discount):
        values = torch.from_numpy(flat).reshape(n, -1)
        ahead = (game.chain.transition @ values).unsqueeze(-1)
        return (values - discount * (moves @ ahead).squeeze(-1)).flatten().numpy()

    size = n * moves.shape[-1]
    columns = []
    for i, discount in enumerate(game.discounts.tolist()):
        if size <= LARGE:
            every = torch.einsum("st,sab->satb", game.chain.transition, moves).reshape(size, size)
            system = torch.eye(size, dtype=torch.float64) - discount * every
            columns.append(torch.linalg.solve(system, reward[..., i].flatten()).reshape(n, -1))
            continue
        of_player = partial(residual, discount=discount)
        system = LinearOperator((size, size), of_player, dtype=float)
        right = reward[..., i].flatten().numpy()
        guess = None if start is None else start[..., i].flatten().numpy()
        found, failed = gmres(system, right, guess, rtol=1e-13, restart=150, maxiter=20)
        if failed and np.abs(of_player(found) - right).max() > 1e-8:
            raise ConvergenceError("the value functions of a policy were not found.")
        columns.append(torch.from_numpy(found).reshape(n, -1))
    return torch.stack(columns, -1)
