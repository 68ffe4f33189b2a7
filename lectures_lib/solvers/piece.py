"""The unknown of time iteration on one box of capital stocks. Chapter *Global solution*.

The unknown is the logarithm of the expected marginal value of each stock, a function of next
period's capital for each current productivity: it is nearly linear in log capital, which
investment is not. Within a period it gives everybody's investment, by Newton's method at each
node; across periods it has to reproduce itself, and Newton's method finds that fixed point too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .euler import jacobians
from .settling import settle

# Newton steps within a period, at most.
STEPS = 60
# A step within a period is the last if it is no larger than the first, relative to what replaces
# what wears out; or than the second, if it was Newton's own, whose error is about its square. What
# several households maximise together may be nearly flat, where it is many times the square.
LAST_STEP, LAST_NEWTON_STEP, LAST_JOINT_STEP = 1e-11, 1e-6, 1e-8
# Steps of plain time iteration before Newton's first, and after one that does not help.
PLAIN = 6
# Images of the unknown, at most.
MAX_ITERATIONS = 200
# When so many plain ones have not helped either, plans are suspected of jumping.
LAST_PATIENCE = 4 * PLAIN
# A step of Newton's method that does not help is halved, down to this part of it.
SMALLEST_PART = 1 / 32
# Newton's linear system is solved to this part of its right-hand side.
FORCING = 1e-2
# Where what is maximised is curved less than this, relative to its most curved direction, a step
# within a period is taken as if it were curved so much; less, the smaller the gap that is left.
FLATTEST = 1e-2


class ConvergenceError(RuntimeError):
    """A solver has not found the solution."""


class Piece:
    """The unknown on one box, and the investment that follows from it.

    Parameters
    ----------
    conditions : Conditions
    chain : JointChain
    basis : Polynomials or Splines
    bounded : bool
        Whether investment is kept from being negative. Where that matters only far from where the
        economy ever is, leaving it out keeps the unknown smooth.
    """

    def __init__(self, conditions, chain, basis, bounded):
        self.conditions, self.chain, self.basis = conditions, chain, basis
        self.bounded = bounded
        e = conditions.economy
        self.unit = e.replacement(e.efficient_capital)
        nodes = basis.capital.unflatten(-1, (e.n_households, e.n_goods))
        # All nodes with each productivity in turn, as one list of points.
        self.capital = nodes.repeat(len(chain), 1, 1)
        self.index = torch.arange(len(chain)).repeat_interleave(len(nodes))
        state = chain.state(self.capital, self.index)
        self.output = e.output(state)
        self.income = e.income(state, self.output)
        self.plan = first_plan(e, self.capital, self.income)
        self.coefficients = self._image(self.plan)

    # ------------------------------------------------------------------ within a period
    def gap(self, plan, capital, income, index, prepared, bounded):
        """By how much log marginal cost exceeds the log value, and its Jacobian in the plan.

        A plan is investment, or, where the constraint binds, minus the slack of the condition (the
        normal map of Robinson 1992): investment is its positive part.
        """
        investment = plan.clamp_min(0) if bounded else plan
        following = self.conditions.economy.next_capital(capital, investment)
        value, slope = self.basis.evaluate(prepared, following.flatten(-2), index)
        cost = self.conditions.marginal_cost(investment, income)
        gap = cost.log().flatten(-2) - value + (plan - investment).flatten(-2) / self.unit
        slopes = self.conditions.log_slopes(investment, income, cost)
        jacobian = slopes.flatten(-4, -3).flatten(-2)
        jacobian = jacobian - slope / following.flatten(-2).unsqueeze(-2)
        if bounded:
            identity = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype) / self.unit
            jacobian = torch.where((plan > 0).flatten(-2).unsqueeze(-2), jacobian, identity)
        return gap, jacobian

    def solve_plan(self, plan, capital, income, index, prepared, bounded):
        """Plans without gaps, by a safeguarded semismooth Newton method at many points at once."""
        plan, todo = plan.clone(), torch.arange(len(plan))
        several = self.conditions.joint and plan[0].numel() > 1
        small = LAST_JOINT_STEP if several else LAST_NEWTON_STEP
        for _ in range(STEPS):
            now, funds = plan[todo], income[todo]
            gap, jacobian = self.gap(now, capital[todo], funds, index[todo], prepared, bounded)
            curved = jacobian
            if self.conditions.joint:
                curved = self._curved(jacobian, gap, now, funds, bounded)
            newton = torch.linalg.solve(curved, gap).reshape(now.shape)
            step = self._feasible(newton, now, capital[todo], funds, bounded)
            new = now - step
            plan[todo] = new
            size = step.abs().flatten(1).amax(-1)
            left = size > LAST_STEP * self.unit
            if curved is jacobian:
                # A constraint that begins or ceases to bind makes another system of equations.
                other = (step != newton) | ((now > 0) != (new > 0))
                left &= (size > small * self.unit) | other.flatten(1).any(-1)
            todo = todo[left]
            if not len(todo):
                break
        return plan

    def _curved(self, jacobian, gap, plan, income, bounded):
        """The Jacobian with its sign made right where what is maximised is not concave.

        A step then leads up, to a maximum, and not to a saddle (Dauphin et al. 2014).
        """
        free = (plan > 0).flatten(-2) if bounded else torch.ones_like(plan.flatten(-2) > 0)
        both = free.unsqueeze(-1) & free.unsqueeze(-2)
        investment = plan.clamp_min(0) if bounded else plan
        # In units of utility the Jacobian is symmetric.
        level = self.conditions.marginal_cost(investment, income).flatten(-2).unsqueeze(-1)
        identity = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype)
        hessian = torch.where(both, jacobian * level * self.unit, identity)
        hessian = (hessian + hessian.mT) / 2
        largest = hessian.diagonal(dim1=-2, dim2=-1).abs().amax(-1)[:, None, None]
        left = torch.where(free, gap, 0).abs().amax(-1)[:, None, None]
        least = largest * (10 * left).clamp(1e-6, FLATTEST)
        failed = torch.linalg.cholesky_ex(hessian - least / 10 * identity).info > 0
        if not failed.any():
            return jacobian
        where = failed.nonzero().squeeze(-1)
        if not hessian.isfinite().all():
            raise ConvergenceError("time iteration has led to plans that are not finite numbers.")
        curvature, axes = torch.linalg.eigh(hessian[where])
        curvature = torch.maximum(curvature.abs(), least[where, :, 0])
        repaired = (axes * curvature.unsqueeze(-2)) @ axes.mT / (level[where] * self.unit)
        repaired = torch.where(both[where], repaired, jacobian[where])
        return jacobian.index_copy(0, where, repaired)

    def _feasible(self, step, plan, capital, income, bounded):
        """The step, cut where it would leave nothing to consume or next to nothing of a good.

        Where investment may be negative, a step may not take more than half of a stock either.
        """
        total = (plan.clamp_min(0) if bounded else plan).sum(-2, keepdim=True)
        step = torch.maximum(torch.minimum(step, total / 2), -total / 2)
        for _ in range(8):
            new = (plan - step).clamp_min(0) if bounded else plan - step
            bad = (self.conditions.consumption(new, income) < 0.05 * income).any(-1)
            bad = bad | (new.sum(-2) < 0.05 * total.squeeze(-2)).any(-1)
            bad = bad | (new < -0.5 * capital).flatten(-2).any(-1)
            if not bad.any():
                break
            step = torch.where(bad[..., None, None], step / 2, step)
        return step

    # ------------------------------------------------------------------ across periods
    def _worth(self, plan):
        """Utility of a unit of each stock at the nodes, shape (points, stocks)."""
        investment = plan.clamp_min(0) if self.bounded else plan
        slack = (investment - plan) / self.unit
        costate = self.conditions.marginal_cost(investment, self.income) * (-slack).exp()
        utility = self.conditions.marginal_utility(investment, self.income)
        return self.conditions.worth(utility, self.output, self.capital, costate).flatten(-2)

    def _ahead(self, worth):
        """What is expected of next period, shape (combinations, nodes, stocks)."""
        worth = worth.unflatten(0, (len(self.chain), -1))
        expected = self.chain.transition @ worth.flatten(1)
        return self.conditions.economy.beta * expected.reshape(worth.shape)

    def _image(self, plan):
        """The unknown that follows if tomorrow's plan is today's."""
        return self.basis.fit(self._ahead(self._worth(plan)).log())

    def iterate(self, coefficients) -> Tensor:
        """Today's unknown from tomorrow's: one step of time iteration."""
        self.plan = self.solve_plan(
            self.plan,
            self.capital,
            self.income,
            self.index,
            self.basis.prepare(coefficients),
            self.bounded,
        )
        return self._image(self.plan)

    def converge(self, tolerance: float) -> int:
        """Find the fixed point; returns how often the unknown was updated.

        Newton's method, from where some steps of plain time iteration lead. A step that brings the
        unknown no nearer to its image is taken back and followed by more and more of the plain
        kind, whose errors shrink by themselves. Where plans are kept from being negative they may
        jump, which is what is suspected when that does not help (:func:`.settling.settle`).
        """
        coefficients, least = self.coefficients, np.inf
        plain, patience, part = PLAIN, PLAIN, 1.0
        for count in range(1, MAX_ITERATIONS + 1):
            change = self.iterate(coefficients) - coefficients
            if plain > 0 and not change.isfinite().all():
                break
            if change.abs().max() < tolerance:
                self.adopt(coefficients + change)
                return count
            # On average, because next to a kink a good step can make matters worse.
            distance = change.abs().mean().item()
            if plain > 0:
                plain -= 1
                coefficients, part, least = coefficients + change, 1.0, np.inf
            elif distance < least:
                least, part, best = distance, 1.0, (coefficients, change, self.plan)
                step = self._newton(coefficients, change)
                coefficients = coefficients + step
            elif part > SMALLEST_PART:
                part /= 2
                coefficients, self.plan = best[0] + part * step, best[2]
            elif self.bounded and patience >= LAST_PATIENCE:
                coefficients, change, self.plan = best
                values = self._at_nodes(coefficients)
                values, images, found = settle(
                    self._values_ahead, self._newton_at_nodes, values, tolerance
                )
                count += images
                if found:
                    self.adopt(self.basis.fit(values))
                    return count
                break
            else:
                patience *= 2
                plain = patience
                coefficients, change, self.plan = best
        e = self.conditions.economy
        raise ConvergenceError(
            f"time iteration on {e} (regime {self.conditions.regime!r}) has not converged to "
            f"{tolerance:.0e} in {MAX_ITERATIONS} iterations (the last changed the unknown by "
            f"{change.abs().max():.0e}): try other degrees or nodes, or method='network'."
        )

    def _newton(self, coefficients, change):
        """Newton's step for the fixed point, in coefficients."""
        image = self._linear_image(coefficients)
        return _solve(lambda step: step - self.basis.fit(image(step)), change)

    def _linear_image(self, coefficients):
        """The derivative of :meth:`_values_ahead`, from coefficients to values at the nodes.

        The unknown's image moves because plans do; both derivatives are in closed form.
        """
        investment = self.plan.clamp_min(0) if self.bounded else self.plan
        following = self.conditions.economy.next_capital(self.capital, investment)
        values = self.basis.linear(following.flatten(-2), self.index)
        prepared = self.basis.prepare(coefficients)
        _, jacobian = self.gap(
            self.plan, self.capital, self.income, self.index, prepared, self.bounded
        )
        with torch.enable_grad():
            plan = self.plan.detach().flatten(-2).requires_grad_(True)
            worth = self._worth(plan.reshape(self.plan.shape))
            (slope,) = jacobians(worth, plan)
        by_value = torch.linalg.solve(jacobian.mT, slope.mT).mT
        expected = self._ahead(worth.detach())

        def image(step):
            moved = (by_value @ values(step).unsqueeze(-1)).squeeze(-1)
            return self._ahead(moved) / expected

        return image

    # ------------------------------------------------------------------ where plans jump
    def _at_nodes(self, coefficients):
        """The unknown at the nodes, shape (combinations, nodes, stocks)."""
        values = self.basis.linear(self.capital.flatten(-2), self.index)(coefficients)
        return values.unflatten(0, (len(self.chain), -1))

    def _values_ahead(self, values):
        """Today's unknown at the nodes from tomorrow's."""
        self.iterate(self.basis.fit(values))
        self._values = values
        return self._ahead(self._worth(self.plan)).log()

    def _newton_at_nodes(self, change, held, given):
        """Newton's step in values at the nodes, some of which are held to given steps."""
        image = self._linear_image(self.basis.fit(self._values))

        def residual(step):
            free = torch.where(held, 0.0, step)
            return torch.where(held, step, free - image(self.basis.fit(free)))

        wanted = torch.where(held, given, change + image(self.basis.fit(given)))
        return _solve(residual, wanted)

    def adopt(self, coefficients) -> None:
        """Take coefficients as the solution."""
        self.coefficients = coefficients
        self._prepared = self.basis.prepare(coefficients)
        plan = self.plan.flatten(-2).unflatten(0, (len(self.chain), -1))
        self._guess = self.basis.prepare(self.basis.fit(plan))

    def start_from(self, expected) -> None:
        """Begin the search at known values `expected(capital, index)` (points, stocks)."""
        values = expected(self.capital, self.index).unflatten(0, (len(self.chain), -1))
        self.coefficients = self.basis.fit(values)

    # ------------------------------------------------------------------ the solution
    def log_worth(self, capital, index) -> Tensor:
        """Log expected marginal values (points, stocks) at capital (points, N, M)."""
        return self.basis.evaluate(self._prepared, capital.flatten(-2), index)[0]

    def invest(self, capital: Tensor, index: Tensor) -> Tensor:
        """Investment (points, N, M) from capital and the index of productivity (points,)."""
        economy = self.conditions.economy
        income = economy.income(self.chain.state(capital, index))
        with torch.no_grad():
            guess = self.basis.evaluate(self._guess, capital.flatten(-2), index)[0]
            guess = guess.reshape(capital.shape)
            start = first_plan(economy, capital, income)
            bought = guess.clamp_min(0)
            sound = (bought.sum(-2) > 0.1 * start.sum(-2)).all(-1)
            sound &= (self.conditions.consumption(bought, income) > 0.1 * income).all(-1)
            guess = torch.where(sound[..., None, None], guess, start)
            plan = self.solve_plan(guess, capital, income, index, self._prepared, True)
        if capital.requires_grad:
            # A last step of Newton's method carries the derivatives (implicit function theorem).
            gap, jacobian = self.gap(plan, capital, income, index, self._prepared, True)
            step = torch.linalg.solve(jacobian.detach(), gap).reshape(plan.shape)
            plan = plan - step
        return plan.clamp_min(0)


def _solve(residual, wanted) -> Tensor:
    """Solve a linear system, given as a function of a tensor, by GMRES, to a few digits."""
    from scipy.sparse.linalg import LinearOperator, gmres  # where needed: it is slow to import

    def flat(x):
        return residual(torch.from_numpy(x).reshape(wanted.shape)).flatten().numpy()

    system = LinearOperator((wanted.numel(),) * 2, flat, dtype=float)
    step, _ = gmres(system, wanted.flatten().numpy(), rtol=FORCING, restart=60, maxiter=1)
    return torch.from_numpy(step).reshape(wanted.shape)


def first_plan(economy, capital, income):
    """A feasible investment to start from: what keeps mean capital, or a quarter of income."""
    keep = economy.replacement(capital.mean((-1, -2), keepdim=True))
    parts = 4 * economy.phi * economy.n_households * economy.n_goods
    afford = (income.amin(-1)[..., None, None] / parts).sqrt()
    return torch.minimum(keep, afford) * torch.ones_like(capital)
