"""Time iteration for the planner and the market, with any few households and goods.

Chapter *Global solution*. The unknown is the logarithm of the expected marginal value of each
stock, a function of next period's capital for each current productivity, written as a Chebyshev
polynomial in log capital: it is smooth and nearly linear, which investment is not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import NoConvergence, anderson
from torch import Tensor

from ..economies.base import map_state
from ..economies.capital import CapitalEconomy
from .euler import euler_residuals
from .polynomials import Polynomials
from .productivity import JointChain
from .regimes import JOINT, Conditions, require_kind

#: Degrees of the polynomials by the numbers of households and goods: on the first box and, where
#: there are two, on the ergodic set's. Found by raising them until residuals were small enough.
DEGREES = {
    (1, 1): (16,),
    (2, 1): (6,),
    (3, 1): (5,),
    (4, 1): (4,),
    (5, 1): (3,),
    (1, 2): (7,),
    (2, 2): (4, 4),
    (3, 2): (3, 4),
}
#: The same where households decide jointly, so that the constraint binds more often.
JOINT_DEGREES = {(1, 1): (16,), (2, 1): (7, 20), (3, 1): (5, 10), (1, 2): (7,)}
# The first box, relative to the steady state, covers the initial distribution and more.
SMALLEST, LARGEST = 0.42, 1.7
# Paths and periods that find the ergodic set.
PATHS, PERIODS, FORGOTTEN = 128, 600, 150
MAX_ITERATIONS = 150
# Least half-width, in logs, of the two boxes for several goods.
WIDE, NARROW = 0.3, 0.1
# Tolerances where there is a kink: on the first box, and on the second, which makes up for it.
ROUGH, KINKED = 1e-3, 1e-7
# Mean Euler residual beyond which a kinked rule is no solution.
IMPRECISE = 3e-4


class ConvergenceError(RuntimeError):
    """A solver has not found the solution."""


class Piece:
    """The unknown on one box, and the investment that follows from it.

    Parameters
    ----------
    conditions : Conditions
    chain : JointChain
    polynomials : Polynomials
    bounded : bool
        Whether investment is kept from being negative. Where the constraint binds far from the
        ergodic set only, leaving it out keeps the unknown smooth and changes nothing that matters.
    """

    def __init__(self, conditions, chain, polynomials, bounded):
        self.conditions, self.chain, self.bounded = conditions, chain, bounded
        self.polynomials = polynomials
        e = conditions.economy
        shape = (len(chain), polynomials.at_nodes.shape[-1], polynomials.stocks)
        self.coefficients = torch.zeros(shape, dtype=torch.float64)
        self.capital = polynomials.capital.unflatten(-1, (e.n_households, e.n_goods))
        self.output = output(e, chain.levels.unsqueeze(1), self.capital)
        self.plan = first_plan(e, self.capital, self.output)

    def expected(self, coefficients, capital, index=None) -> tuple[Tensor, Tensor]:
        """Log expected marginal values and their slopes in log capital.

        Parameters
        ----------
        coefficients : Tensor, from :meth:`Polynomials.with_gradient`
        capital : Tensor, shape (combinations, points, N, M), or (points, N, M) with `index`
        index : Tensor of int64, shape (points,), optional
            The productivities of each point.

        Returns
        -------
        value : Tensor, shape (..., stocks)
        slope : Tensor, shape (..., stocks, stocks)
            Of each function (first) in each log stock (second).
        """
        basis = self.polynomials.basis(capital.flatten(-2))
        if index is None:
            found = basis @ coefficients
        else:
            every = basis @ coefficients.movedim(0, 1).flatten(1)
            every = every.unflatten(-1, (len(self.chain), -1))
            found = every[torch.arange(len(index)), index]
        found = found.unflatten(-1, (1 + self.polynomials.stocks, -1))
        return found[..., 0, :], found[..., 1:, :].mT

    def gap(self, plan, capital, output, expected, bounded):
        """By how much log marginal cost exceeds the log value, and its Jacobian in the plan.

        A plan is investment, or, where the constraint binds, minus the slack of the condition (the
        normal map of Robinson 1992): investment is its positive part.
        """
        e = self.conditions.economy
        investment = plan.clamp_min(0) if bounded else plan
        following = (1 - e.delta) * capital + investment
        value, slope = expected(following)
        cost = self.conditions.marginal_cost(investment, output)
        unit = e.delta * e.efficient_capital
        gap = cost.log().flatten(-2) - value + (plan - investment).flatten(-2) / unit
        jacobian = self.conditions.log_slopes(investment, output).flatten(-4, -3).flatten(-2)
        jacobian = jacobian - slope / following.flatten(-2).unsqueeze(-2)
        if bounded:
            identity = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype) / unit
            jacobian = torch.where((plan > 0).flatten(-2).unsqueeze(-2), jacobian, identity)
        return gap, jacobian

    def solve_plan(self, plan, capital, output, expected, steps, bounded):
        """Newton's method at many points at once; steps that leave the feasible set are cut."""
        scale = self.conditions.economy.delta * self.conditions.economy.efficient_capital
        for _ in range(steps):
            gap, jacobian = self.gap(plan, capital, output, expected, bounded)
            step = torch.linalg.solve(jacobian, gap).reshape(plan.shape)
            total = (plan.clamp_min(0) if bounded else plan).sum(-2, keepdim=True)
            step = torch.maximum(torch.minimum(step, total / 2), -total / 2)
            for _ in range(8):
                new = (plan - step).clamp_min(0) if bounded else plan - step
                left = self.conditions.consumption(new, output)
                bad = (left < 0.05 * output).any(-1)
                bad = bad | (new.sum(-2) < 0.05 * total.squeeze(-2)).any(-1)
                if not bad.any():
                    break
                step = torch.where(bad[..., None, None], step / 2, step)
            plan = plan - step
            if step.abs().max() < 1e-12 * scale:
                break
        return plan

    def iterate(self, coefficients, steps: int) -> Tensor:
        """Today's unknown from tomorrow's: one step of time iteration."""
        both = self.polynomials.with_gradient(coefficients)
        self.plan = self.solve_plan(
            self.plan,
            self.capital,
            self.output,
            lambda k: self.expected(both, k),
            steps,
            self.bounded,
        )
        return self._implied()

    def _implied(self) -> Tensor:
        """The unknown that follows if tomorrow's plan is today's."""
        e, c = self.conditions.economy, self.conditions
        investment = self.plan.clamp_min(0) if self.bounded else self.plan
        slack = (investment - self.plan) / (e.delta * e.efficient_capital)
        costate = c.marginal_cost(investment, self.output) * (-slack).exp()
        utility = c.marginal_utility(investment, self.output)
        worth = c.worth(utility, self.output, self.capital, costate)
        expected = self.chain.transition @ worth.flatten(1)
        return self.polynomials.fit((e.beta * expected).log().reshape(*self.output.shape[:2], -1))

    def converge(self, tolerance: float) -> int:
        """Find the fixed point; returns the number of iterations."""
        shape, count = self.coefficients.shape, 0
        # What the first plan implies is near enough to start from.
        start = self.coefficients if self.coefficients.any() else self._implied()

        def change(flat):
            nonlocal count
            count += 1
            coefficients = torch.from_numpy(flat.reshape(shape))
            new = self.iterate(coefficients, 30 if count == 1 else 2)
            if not torch.isfinite(new).all():
                raise NoConvergence
            return (new - coefficients).numpy()

        try:
            with np.errstate(invalid="ignore"):  # scipy compares infinite tolerances
                found = anderson(
                    change,
                    start.numpy(),
                    alpha=1.0,
                    M=10,
                    f_tol=tolerance,
                    line_search=None,
                    maxiter=MAX_ITERATIONS,
                )
        except NoConvergence:
            raise ConvergenceError(
                f"time iteration on {self.conditions.economy} (regime "
                f"{self.conditions.regime!r}) has not converged to {tolerance:.0e} in {count} "
                "iterations: try other degrees, or method='network'."
            ) from None
        self.adopt(torch.from_numpy(found.reshape(shape)))
        return count

    def adopt(self, coefficients) -> None:
        """Take coefficients as the solution."""
        self.coefficients = coefficients
        self._both = self.polynomials.with_gradient(coefficients)
        self._guess = self.polynomials.fit(self.plan.flatten(-2))

    def log_worth(self, capital) -> Tensor:
        """The solution: log expected marginal values at capital (combinations, points, N, M)."""
        return self.expected(self._both, capital)[0]

    def start_from(self, expected) -> None:
        """Begin the search at known values `expected(capital)` (combinations, nodes, stocks)."""
        capital = self.capital.expand(len(self.chain), *self.capital.shape)
        self.coefficients = self.polynomials.fit(expected(capital))

    def invest(self, capital: Tensor, index: Tensor) -> Tensor:
        """Investment (points, N, M) from capital and the index of productivity (points,)."""
        expected = lambda k: self.expected(self._both, k, index)  # noqa: E731
        out = output(self.conditions.economy, self.chain.levels[index], capital)
        with torch.no_grad():
            basis = self.polynomials.basis(capital.flatten(-2))
            every = (basis @ self._guess.movedim(0, 1).flatten(1)).unflatten(
                -1, (len(self.chain), -1)
            )
            guess = every[torch.arange(len(index)), index].reshape(capital.shape).clamp_min(0)
            start = first_plan(self.conditions.economy, capital, out)
            sound = (guess.sum(-2) > 0.1 * start.sum(-2)).all(-1)
            sound &= (self.conditions.consumption(guess, out) > 0.1 * out).all(-1)
            guess = torch.where(sound[..., None, None], guess, start)
            plan = self.solve_plan(guess, capital, out, expected, 30, True)
        if capital.requires_grad:
            # A last step of Newton's method carries the derivatives (implicit function theorem).
            gap, jacobian = self.gap(plan, capital, out, expected, True)
            step = torch.linalg.solve(jacobian.detach(), gap).reshape(plan.shape)
            plan = plan - step
        return plan.clamp_min(0)


def flatten_state(chain, state) -> tuple[Tensor, Tensor]:
    """Capital (points, N, M), of the crowd if there is one, and index of productivity (points,)."""
    capital = getattr(state, "crowd", state.capital).double().cpu()
    index = chain.index(state).cpu().expand(capital.shape[:-2])
    return capital.reshape(-1, *capital.shape[-2:]), index.reshape(-1)


def output(economy, productivity, capital):
    """Output (..., N) of households that own `capital` (..., N, M)."""
    return productivity * (economy.alpha * capital.log().mean(-1)).exp()


def first_plan(economy, capital, output):
    """A feasible investment to start from: what keeps mean capital, or a quarter of output."""
    keep = economy.delta * capital.mean((-1, -2), keepdim=True)
    parts = 4 * economy.phi * economy.n_households * economy.n_goods
    afford = (output.amin(-1)[..., None, None] / parts).sqrt()
    return torch.minimum(keep, afford) * torch.ones_like(capital)


class InvestmentPolicy:
    """The actions that follow from time iteration.

    Parameters
    ----------
    economy : Planner or Market
    pieces : sequence of Piece
        On the first box, and on the ergodic set's, which serves wherever it can.
    """

    def __init__(self, economy: CapitalEconomy, pieces):
        self.economy, self.pieces = economy, tuple(pieces)

    def investment(self, state) -> Tensor:
        """Investment (*batch, N, M) in float64, on the CPU."""
        flat, index = flatten_state(self.pieces[0].chain, state)
        if len(self.pieces) == 1:
            return self.pieces[0].invest(flat, index).reshape(state.capital.shape)
        outer, inner = self.pieces
        position = inner.polynomials.coordinates(flat.flatten(-2))
        inside = (position.abs() <= 1).all(-1)
        investment = torch.empty_like(flat)
        for piece, where in ((inner, inside), (outer, ~inside)):
            if where.any():
                found = piece.invest(flat[where], index[where])
                investment = investment.index_put((where.nonzero().squeeze(-1),), found)
        return investment.reshape(state.capital.shape)

    def __call__(self, state, moved=None):
        """Actions of every role; massless households do what their crowd does."""
        capital = state.capital
        crowd = state._replace(capital=getattr(state, "crowd", capital).double())
        investment = self.investment(state).to(capital.device)
        actions = self.economy.actions_for(crowd, investment)
        return {name: action.to(capital.dtype) for name, action in actions.items()}


def usual_degrees(economy: CapitalEconomy, regime: str) -> tuple[int, ...] | None:
    """Degrees that reach the accuracy of chapter *Global solution*; None where nothing does."""
    known = JOINT_DEGREES if regime in JOINT else DEGREES
    return known.get((economy.n_households, economy.n_goods))


@torch.no_grad()
def time_iteration(
    economy: CapitalEconomy,
    regime: str,
    degrees: tuple[int, ...] | None = None,
    tolerance: float = 1e-9,
) -> tuple[InvestmentPolicy, int]:
    """Iterate on the Euler equations until tomorrow's rule is today's.

    Parameters
    ----------
    economy : Planner or Market
    regime : str
        One of the economy's :data:`~lectures_lib.solvers.regimes.REGIMES`.
    degrees : tuple of int, optional
        Degree of the polynomials on a box that covers the initial distribution and, if there is
        a second, on the principal box of the ergodic set.
    tolerance : float
        Largest change of a coefficient at which to stop.

    Returns
    -------
    policy : InvestmentPolicy
    iterations : int
        On all boxes together.

    Raises
    ------
    ConvergenceError
        If the iteration has not converged, or to a rule with large Euler residuals.
    """
    require_kind(economy, "time_iteration")
    size = (economy.n_households, economy.n_goods)
    stocks = economy.n_households * economy.n_goods
    degrees = degrees or usual_degrees(economy, regime)
    if degrees is None:
        raise ValueError(
            f"n_households={size[0]}, n_goods={size[1]}: time iteration in the regime {regime!r} "
            f"is for the sizes {sorted(JOINT_DEGREES if regime in JOINT else DEGREES)}; "
            "use method='network'."
        )
    conditions, chain = Conditions(economy, regime), JointChain(economy)
    if economy.n_households > 1 and economy.n_goods > 1:
        return _several_goods(economy, conditions, chain, degrees, tolerance)
    centre = economy.efficient_capital
    # Where one household decides for another, the constraint binds in much of the box. Its kink
    # makes the search fail at some degrees, which are then lowered: the second box has the last
    # word on what matters.
    kinked = conditions.joint and economy.n_households > 1
    for first in range(degrees[0], 2 if kinked else degrees[0] - 1, -1):
        cube = Polynomials.on_cube(SMALLEST * centre, LARGEST * centre, stocks, first)
        outer = Piece(conditions, chain, cube, bounded=kinked)
        try:
            iterations = outer.converge(ROUGH if kinked else tolerance)
            break
        except ConvergenceError as error:
            failure = error
    else:
        raise failure
    policy = InvestmentPolicy(economy, [outer])
    if len(degrees) > 1:
        sample = ergodic_states(economy, policy).capital.flatten(-2)
        inner = Piece(conditions, chain, Polynomials.around(sample, degrees[1]), bounded=kinked)
        inner.start_from(outer.log_worth)
        iterations += inner.converge(max(tolerance, KINKED))
        policy = InvestmentPolicy(economy, [outer, inner])
    if kinked:
        _check(economy, policy, regime)
    return policy, iterations


def _check(economy, policy, regime):
    """Coefficients that no longer change do not make a kinked rule precise."""
    states = ergodic_states(economy, policy, FORGOTTEN + 1)
    bought = (policy.investment(states) > 0).flatten(-2)
    mean = euler_residuals(economy, policy, states, regime).abs()[bought].mean()
    if mean > IMPRECISE:
        raise ConvergenceError(
            f"time iteration on {economy} (regime {regime!r}) leaves Euler residuals of "
            f"{mean:.0e} on average: try other degrees, or method='network'."
        )


def _several_goods(economy, conditions, chain, degrees, tolerance):
    """In the long run a household owns as much of each good, and M goods are one, M times as dear.

    Its solution says where the ergodic set lies and where to start the search on a first box that
    is wide enough for goods out of balance, and a second that is not.
    """
    m = economy.n_goods
    policy, iterations = time_iteration(
        replace(economy, n_goods=1, phi=m * economy.phi), conditions.regime
    )
    sample = ergodic_states(policy.economy, policy).capital.flatten(-2).repeat_interleave(m, -1)
    single = policy.pieces[0]

    def expected(capital):
        logs = capital.log()
        mean = logs.mean(-1, keepdim=True)
        value = single.log_worth(mean.exp()).unsqueeze(-1) - np.log(m)
        # A good that is abundant is worth less; without that, who buys it would be left open.
        return (value - (logs - mean) / 2).flatten(-2)

    pieces = []
    for degree, thinnest in zip(degrees, (WIDE, NARROW), strict=True):
        box = Polynomials.around(sample, degree, thinnest)
        piece = Piece(conditions, chain, box, bounded=False)
        piece.start_from(expected)
        if thinnest == WIDE and economy.n_households > 2:
            # Here the first guess has to do: with many goods out of balance at once, the search
            # for a better one fails.
            piece.adopt(piece.coefficients)
        else:
            iterations += piece.converge(tolerance)
            expected = piece.log_worth
        pieces.append(piece)
    return InvestmentPolicy(economy, pieces), iterations


def ergodic_states(economy, policy, periods=PERIODS):
    """States on paths that follow a policy, after the start is forgotten."""
    generator = torch.Generator().manual_seed(0)
    state = economy.reset((PATHS,), generator, torch.float64)
    visited = []
    for t in range(periods):
        state = economy.step(
            state, policy(state), economy.draw((PATHS,), generator, torch.float64)
        ).state
        if t >= FORGOTTEN and t % 10 == 0:
            visited.append(state)
    return map_state(lambda *x: torch.cat(x), *visited)
