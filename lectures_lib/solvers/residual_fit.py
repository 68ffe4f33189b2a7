r"""A rule fitted to the Euler residuals that automatic differentiation of an economy gives.

Projection (Judd 1992) with polynomials, or deep equilibrium nets (Azinovic, Gaegauf and Scheidegger
2022), for any economy that one team decides: nothing here repeats an economy's formulas. Residuals
are near zero and there are few weights, so that Levenberg and Marquardt's second-order steps do in
seconds what gradient descent does in minutes. Chapter *Beside published numbers*;
:mod:`~.euler_network` knows more of households.
"""

from __future__ import annotations

import itertools
import math
import warnings
from functools import reduce

import torch
from torch import Tensor

from ..economies.base import Economy, map_state
from ..economies.play import in_actions
from ..parameters import require, seeded
from ..progress import progress_bar
from .euler import NoEulerEquation, in_regime, stock
from .small_network import SmallNetwork
from .solution import ImpreciseSolution

#: Units in each of the two hidden layers.
WIDTH = 12
# Residuals per round, at least, and for each weight; rounds at most; Jacobians per round, and steps
# that are tried with each.
RESIDUALS, PER_WEIGHT, ROUNDS, JACOBIANS, TRIALS = 900, 8, 24, 4, 5
# By how much damping falls after a step that was one forward, and rises after one that was none.
EASIER, HARDER, SMALLEST_DAMPING, LARGEST_DAMPING = 10.0, 4.0, 1e-15, 1e3
# Periods between two rounds' states, and share of them that is fresh.
PERIODS, FRESH = 40, 0.2
# Mean residual from which on a rule is none.
LARGEST_ERROR = 0.01
# Standard deviations of the initial distribution that polynomials take for one.
REACH = 2.5


class PolynomialMap:
    """All products of Chebyshev polynomials whose degrees sum to at most `degree`.

    Parameters
    ----------
    inputs, degree : int

    Attributes
    ----------
    weights : Tensor, shape (products,)
        Zero at first.
    """

    def __init__(self, inputs: int, degree: int):
        # Each of `degree` factors is an input or, the last, one.
        every = itertools.combinations_with_replacement(range(inputs + 1), degree)
        self.degree = degree
        self.powers = torch.tensor(sorted([p.count(i) for i in range(inputs)] for p in every))
        self.weights = torch.zeros(len(self.powers), dtype=torch.float64)

    def __repr__(self):
        return f"polynomials of degree {self.degree}"

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (*batch,) from inputs (*batch, inputs)."""
        return self.slopes(x) @ self.weights

    def slopes(self, x: Tensor) -> Tensor:
        """Derivatives (*batch, weights) of the outputs in the weights."""
        x = x / REACH
        terms = [torch.ones_like(x), x]
        while len(terms) <= self.degree:
            terms.append(2 * x * terms[-1] - terms[-2])
        each = zip(torch.stack(terms, -1).unbind(-2), self.powers.unbind(-1), strict=True)
        return reduce(torch.mul, [single.index_select(-1, powers) for single, powers in each])


class ResidualPolicy:
    """The actions of networks or polynomials, one for each action, in all that a team sees.

    Parameters
    ----------
    economy : Economy
        With one role, a team, and an action for each entry of the one field that it moves.
    degree : int, optional
        Of polynomials; by default networks.
    width, seed : int
        Of networks.

    Raises
    ------
    NoEulerEquation
        If the economy is no such economy.
    """

    def __init__(
        self, economy: Economy, degree: int | None = None, width: int = WIDTH, seed: int = 0
    ):
        stock(economy)
        if len(economy.roles) != 1 or not in_regime(economy, None)[1]:
            raise NoEulerEquation(
                f"{type(economy).__name__} has the roles {list(economy.roles)}: a network on Euler "
                "residuals needs one role that decides for everybody."
            )
        ((self.name, self.role),) = economy.roles.items()
        stocks = math.prod(economy.fields[stock(economy)].shape)
        actions = self.role.n_agents * self.role.n_actions
        if stocks != actions:
            raise NoEulerEquation(
                f"{type(economy).__name__} has {actions} actions and {stocks} stocks of "
                f"{stock(economy)!r}: an Euler equation needs one action for each stock."
            )
        self.economy = economy
        generator = seeded(seed)
        seen = self._seen(economy.reset((2000,), generator, torch.float64))
        self.mean, spread = seen.mean(0), seen.std(0)
        # What never varies, as a productivity of one value, has no unit of its own.
        self.unit = torch.where(spread > 1e-12, spread, torch.ones_like(spread))
        inputs = len(self.mean)
        self.maps: list[PolynomialMap | SmallNetwork] = [
            SmallNetwork(inputs, width, generator)
            if degree is None
            else PolynomialMap(inputs, degree)
            for _ in range(actions)
        ]

    def __repr__(self):
        return f"{type(self).__name__}({self.maps[0]!r})"

    @property
    def weights(self) -> Tensor:
        """All weights in a vector."""
        return torch.cat([one.weights for one in self.maps])

    @weights.setter
    def weights(self, value: Tensor):
        for one, own in zip(self.maps, value.chunk(len(self.maps)), strict=True):
            one.weights = own

    def _seen(self, state) -> Tensor:
        return self.economy.observe(state)[self.name].flatten(-2)

    def inputs(self, state) -> Tensor:
        """What the maps are given, shape (*batch, inputs)."""
        return (self._seen(state) - self.mean) / self.unit

    def plan(self, state) -> Tensor:
        """Raw actions, shape (*batch, stocks)."""
        inputs = self.inputs(state)
        return torch.stack([one(inputs) for one in self.maps], -1)

    def actions(self, plan: Tensor) -> dict[str, Tensor]:
        """What raw actions mean."""
        shape = (self.role.n_agents, self.role.n_actions)
        return {self.name: self.role.to_physical(plan.unflatten(-1, shape))}

    def __call__(self, state, moved=None):
        """Actions of the team."""
        kind = self.economy.zeros(state).dtype
        state = map_state(lambda x: x.double() if x.is_floating_point() else x, state)
        return {name: x.to(kind) for name, x in self.actions(self.plan(state)).items()}

    def residuals(self, state, plan: Tensor | None = None):
        """Log of what a unit of each stock will be worth, less log of what it costs.

        Parameters
        ----------
        state : State, shape (batch, ...)
        plan : Tensor, shape (batch, stocks), optional
            By default the policy's.

        Returns
        -------
        residuals : Tensor, shape (batch, stocks)
        tomorrow : Tensor, shape (outcomes, batch, stocks)
            Next period's plans.
        later : State, shape (outcomes, batch, ...)
        """
        economy = self.economy
        plan = self.plan(state) if plan is None else plan
        actions = self.actions(plan)
        cost, _ = self._worths(state, actions)
        shocks, probability = economy.outcomes(state)
        many = lambda x: x.expand(len(probability), *x.shape)  # noqa: E731
        acts = {name: many(x) for name, x in actions.items()}
        later = economy.step(map_state(many, state), acts, shocks).state
        tomorrow = self.plan(later)
        worth = self._worths(later, self.actions(tomorrow))[1]
        expected = (probability.unsqueeze(-1) * worth).sum(0)
        return (economy.discount * expected / cost).log(), tomorrow, later

    def _worths(self, state, actions) -> tuple[Tensor, Tensor]:
        """What capital is worth tomorrow and today, as :func:`~.euler.marginal_values` says.

        Other than there, both may be differentiated.
        """
        economy, name = self.economy, stock(self.economy)
        batch = economy.zeros(state).shape
        with torch.enable_grad():
            # Copies, so that actions do not depend on the copy of the stocks.
            k, a = getattr(state, name).clone(), actions[self.name].clone()
            k, a = (x if x.requires_grad else x.requires_grad_() for x in (k, a))
            luck = economy.no_luck(state)
            step = economy.step(state._replace(**{name: k}), {self.name: a}, luck)
            following = getattr(step.state, name).reshape(*batch, -1)

            def slopes(x):
                # Different states do not meet, so that their derivatives come at once.
                found = torch.autograd.grad(
                    x.sum(), (k, a), create_graph=True, materialize_grads=True
                )
                return found[0].reshape(*batch, -1), found[1].flatten(-2)

            r_k, r_a = slopes(step.rewards[self.name])
            rows = [slopes(x) for x in following.unbind(-1)]
            g_k, g_a = (torch.stack(x, -2) for x in zip(*rows, strict=True))
            # Where actions do not move stocks there is no worth, which no step should lead to.
            costate = -torch.linalg.solve_ex(g_a.mT, r_a)[0]
            return costate, r_k + (g_k.mT @ costate.unsqueeze(-1)).squeeze(-1)

    def jacobian(self, state) -> tuple[Tensor, Tensor]:
        """Residuals (batch * stocks) and their derivatives (batch * stocks, weights).

        By the chain rule through today's and tomorrow's plans, whose derivatives in the weights
        have a closed form.
        """
        with torch.enable_grad():
            today = self.plan(state).requires_grad_(True)
            residuals, tomorrow, later = self.residuals(state, today)
            parts = [
                torch.autograd.grad(x.sum(), (today, tomorrow), retain_graph=True)
                for x in residuals.unbind(-1)
            ]
        by_today, by_tomorrow = (torch.stack(x, -2) for x in zip(*parts, strict=True))
        now, then = self.inputs(state), self.inputs(map_state(Tensor.detach, later))
        blocks = []
        for i, one in enumerate(self.maps):
            block = by_today[..., i].unsqueeze(-1) * one.slopes(now).unsqueeze(-2)
            block += torch.einsum("obs,obw->bsw", by_tomorrow[..., i], one.slopes(then))
            blocks.append(block)
        return residuals.detach().flatten(), torch.cat(blocks, -1).flatten(0, 1)


@torch.no_grad()
def fit_residuals(
    economy: Economy,
    *,
    degree: int | None = None,
    tolerance: float = 1e-6,
    spread: float = 0.1,
    stretch: float = 1.0,
    rounds: int = ROUNDS,
    width: int = WIDTH,
    seed: int = 0,
    show_progress: bool | None = None,
) -> tuple[ResidualPolicy, int]:
    """Fit a rule to the Euler residuals of an economy that one team decides.

    Parameters
    ----------
    economy : Economy
        With few stocks and exact expectations (`economy.outcomes`).
    degree : int, optional
        Of complete polynomials, from 1 to 12; by default networks of two layers.
    tolerance : float
        Mean absolute residual, at states to which it was not fitted, at which to stop.
    spread : float
        Half-width of the range around visited states to which it is fitted, in logs of stocks
        that are positive; more of it serves states that are seldom visited.
    stretch : float
        By how much real numbers that chance moves are larger in the states to which it is fitted
        than in those visited, from 1 to 3.
    rounds : int
        At most; each has new states.
    width : int
        Units in each hidden layer of a network.
    seed : int
        Of the first weights and of the states.
    show_progress : bool, optional
        By default one bar in a terminal or live notebook.

    Returns
    -------
    policy : ResidualPolicy
    rounds : int
        Of fitting.

    Warns
    -----
    ImpreciseSolution
        If residuals stay large.

    Raises
    ------
    NoEulerEquation
        If it is not one team's economy, with an action for each stock.
    TooManyOutcomes
        If expectations cannot be exact.
    ValueError
        If a number is outside its range; the message names it.

    Examples
    --------
    >>> from lectures_lib.economies import BrockMirman
    >>> policy, rounds = fit_residuals(BrockMirman(), degree=4, tolerance=1e-4)
    """
    polynomial = degree is None or 1 <= degree <= 12
    require(polynomial, "degree", degree, "a whole number from 1 to 12, or None for networks")
    require(tolerance >= 0, "tolerance", tolerance, "a number that is not negative")
    require(0 <= spread <= 2, "spread", spread, "a number in [0, 2]")
    require(1 <= stretch <= 3, "stretch", stretch, "a number from 1 to 3")
    require(rounds >= 1, "rounds", rounds, "at least 1")
    require(width >= 1, "width", width, "at least 1")
    policy = ResidualPolicy(economy, degree, width, seed)
    generator = seeded(seed)
    residuals = max(RESIDUALS, PER_WEIGHT * len(policy.weights))
    batch = (math.ceil(residuals / len(policy.maps)),)
    state = economy.reset(batch, generator, torch.float64)
    damping, best, done = 1e-5, (math.inf, policy.weights), 0
    with progress_bar(rounds, "Euler residuals", show_progress) as bar:
        for done in range(1, rounds + 2):
            sample = _stretched(economy, economy.perturb(state, generator, spread), stretch)
            error = policy.residuals(sample)[0].abs().mean().item()
            if error < best[0]:
                best = (error, policy.weights)
            if error < tolerance or done > rounds:
                break
            damping = _fit(policy, sample, damping)
            state = _move_on(policy, state, generator)
            bar.update(1)
    policy.weights = best[1]
    if not best[0] < LARGEST_ERROR:
        warnings.warn(
            f"Euler residuals of {type(economy).__name__} are {best[0]:.1e} on average: expected "
            f"less than {LARGEST_ERROR}. Try another seed, networks (degree=None) or a lower "
            "degree, from which first steps do not lead as far.",
            ImpreciseSolution,
            stacklevel=2,
        )
    return policy, done - 1


def _stretched(economy, state, factor):
    """The state with rarer luck."""
    fields = economy.fields
    names = [name for name in fields.moved_by("chance") if fields[name].domain == "real"]
    return state._replace(**{name: factor * getattr(state, name) for name in names})


def _fit(policy: ResidualPolicy, state, damping: float) -> float:
    """Levenberg-Marquardt steps; returns the damping for the next."""
    moved = True
    for _ in range(JACOBIANS):
        if moved:  # otherwise the Jacobian is still the same, and only damping is not
            before, (now, jacobian) = policy.weights, policy.jacobian(state)
            sound = torch.isfinite(now)
            now, jacobian = now[sound], jacobian[sound]
            normal = jacobian.T @ jacobian
            ridge = torch.eye(len(normal), dtype=normal.dtype) * normal.diagonal().mean()
        moved = False
        for _ in range(TRIALS):
            policy.weights = before - torch.linalg.solve(normal + damping * ridge, jacobian.T @ now)
            # NaN, where plans make capital worthless, is no improvement either.
            new = policy.residuals(state)[0].detach().flatten()[sound]
            if new.square().sum() < now.square().sum():
                damping, moved = max(damping / EASIER, SMALLEST_DAMPING), True
                break
            policy.weights, damping = before, min(damping * HARDER, LARGEST_DAMPING)
    return damping


def _move_on(policy: ResidualPolicy, state, generator):
    """States some periods later, some of them fresh from the initial distribution."""
    economy = policy.economy
    batch = economy.zeros(state).shape
    for _ in range(PERIODS):
        shocks = economy.draw(batch, generator, torch.float64)
        state = economy.step(state, in_actions(economy, policy(state)), shocks).state
    fresh = economy.reset(batch, generator, torch.float64)
    new = torch.rand(batch, generator=generator) < FRESH
    return map_state(
        lambda x, y: torch.where(new.reshape(-1, *[1] * (x.dim() - 1)), y, x), state, fresh
    )
