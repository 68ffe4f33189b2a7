r"""A network trained on Euler residuals, for economies of any size. Chapter *Global solution*.

Where the state has too many dimensions for polynomials, a small network that treats households
(and goods) alike gives every household's investment. It is trained on the economy's first-order
conditions themselves (Azinovic, Gaegauf and Scheidegger 2022), with the Levenberg-Marquardt
method: residuals are near zero and there are few weights, so that second-order steps reach a
precision for which gradient descent would need hours.
"""

from __future__ import annotations

import math
from collections import deque

import torch
from torch import Tensor

from ..economies.base import map_state
from ..economies.capital import CapitalEconomy
from ..parameters import seeded
from ..progress import progress_bar
from .domain import Domain
from .euler import in_state
from .piece import first_plan
from .regimes import conditions_of
from .small_network import SmallNetwork, standardised
from .steady_state import without_risk

#: Units in each of the two hidden layers.
WIDTH = 12
# Residuals per round, and stocks of a state that have one: many states teach more than many stocks.
# Expectations are exact up to so many outcomes, and drawn beyond.
RESIDUALS, STOCKS, EXACT, DRAWS = 900, 15, 64, 10
# Rounds of training at most, Jacobians per round, steps that share a Jacobian.
ROUNDS, JACOBIANS, STEPS = 24, 2, 4
# Last rounds, in whose states the rule holds: one that has learned little may lead anywhere.
LAST = 8
# Periods between two rounds' states; share of them that is fresh; spread around them, in logs, with
# one good and with several.
PERIODS, FRESH, SPREAD, NARROW = 40, 0.2, 0.08, 0.02
# Backward passes that are taken at once.
ROWS_AT_ONCE = 5


def exchangeable_features(economy: CapitalEconomy, state) -> Tensor:
    """What the network sees of each stock, shape (*batch, N, M, features).

    The household's mean log capital and both productivities; the population's means, variances and
    covariance of the two; with several goods, how far the stock is from its household's mean, the
    spread of those distances, and the good's own mean distance. Renaming households or goods
    permutes the features, and so the network's outputs.
    """
    logs = 3 * (state.capital / economy.efficient_capital).log()
    own = standardised(economy.idiosyncratic, state.idiosyncratic, logs)
    common = standardised(economy.aggregate, state.aggregate, logs).unsqueeze(-1).expand_as(own)
    mean = logs.mean(-1)
    columns = [mean, own, common]
    if economy.n_households > 1:
        means = [x.mean(-1, keepdim=True) for x in (mean, own)]
        k, z = mean - means[0], own - means[1]
        moments = [*means, *((x * y).mean(-1, keepdim=True) for x, y in ((k, k), (k, z), (z, z)))]
        columns += [x.expand_as(mean) for x in moments]
    features = torch.stack(columns, -1).unsqueeze(-2).expand(*logs.shape, len(columns))
    if economy.n_goods == 1:
        return features
    distance = logs - mean.unsqueeze(-1)
    spread = distance.square().mean(-1, keepdim=True)
    good = distance.mean(-2, keepdim=True)
    more = torch.stack([x.expand_as(logs) for x in (distance, spread, good)], -1)
    return torch.cat([features, more], -1)


class EulerNetworkPolicy:
    """The actions of a network trained on Euler residuals.

    Its output is a plan: investment relative to what replaces depreciation in the steady state.
    Households that decide jointly buy so much more or less when a stock's worth changes a little
    that no network learns their investment precisely; it then gives the log of that worth, and
    the economy's conditions within the period give investment.

    Parameters
    ----------
    economy : Planner or Market
    regime : str
    width, seed : int

    Attributes
    ----------
    domain : Domain
        For which capital it was trained in the last rounds.
    """

    def __init__(self, economy: CapitalEconomy, regime: str, width: int = WIDTH, seed: int = 0):
        self.economy, self.conditions = economy, conditions_of(economy, regime)
        self.domain = Domain(0.0, math.inf, "it learns the states that the economy visits")
        generator = seeded(seed)
        state = economy.reset((), generator, torch.float64)
        inputs = exchangeable_features(economy, state).shape[-1]
        self.network = SmallNetwork(inputs, width, generator)
        self.unit = economy.replacement(economy.efficient_capital)
        usual = torch.full_like(state.capital, economy.efficient_capital)
        first = torch.zeros_like(state.idiosyncratic)
        at_rest = state._replace(capital=usual, idiosyncratic=first, aggregate=first.sum())
        income = without_risk(economy).income(at_rest)
        cost = self.conditions.marginal_cost(economy.replacement(usual), income)
        self.usual_cost = cost.mean()

    def __repr__(self):
        return f"{type(self).__name__}({self.network!r})"

    def plan(self, state) -> Tensor:
        """The plan for each stock, shape (*batch, N, M)."""
        return self.network(exchangeable_features(self.economy, state))

    def decide(self, plan: Tensor, state) -> tuple[Tensor, Tensor, Tensor]:
        """What a plan means.

        Parameters
        ----------
        plan : Tensor, shape (*batch, N, M)
        state : State

        Returns
        -------
        investment : Tensor, shape (*batch, N, M)
        costate : Tensor, shape (*batch, N, M)
            Utility of a unit of next capital, if decisions are right.
        worth : Tensor, shape (*batch, N, M)
            Utility of a unit of capital now.
        """
        c, output = self.conditions, self.economy.output(state)
        income = self.economy.income(state, output)
        if c.joint:
            mean = plan.mean(-1)
            # Capital is worth more to who has less: where the search starts.
            scarcity = state.capital / self.economy.efficient_capital
            scarcity = scarcity.log().mean(-1)
            value = self.usual_cost * (mean - scarcity / 2).exp()
            away = self.unit * (plan - mean.unsqueeze(-1))
            investment = c.joint_investment(value, income, away)
            costate = c.marginal_cost(investment, income)
            costate = costate * (value / costate.mean(-1)).unsqueeze(-1)
        else:
            investment = self.unit * (1 + plan)
            costate = c.marginal_cost(investment, income)
        utility = c.marginal_utility(investment, income)
        worth = c.worth(utility, output, state.capital, costate)
        return investment, costate, worth

    def residuals(self, state, following, probability, plan=None):
        """Log of what a unit of each stock will be worth, less log of what it costs.

        Parameters
        ----------
        state : State, shape (batch, ...)
        following : pair of Tensor
            Next period's productivities, shape (outcomes, batch, ...).
        probability : Tensor, shape (outcomes, batch, households or 1)
        plan : Tensor, optional
            By default the policy's.

        Returns
        -------
        residuals : Tensor, shape (batch, N, M)
        tomorrow : Tensor, shape (outcomes, batch, N, M)
            Next period's plans.
        later : State, shape (outcomes, batch, ...)
        """
        e = self.economy
        plan = self.plan(state) if plan is None else plan
        investment, cost, _ = self.decide(plan, state)
        capital = e.next_capital(state.capital, investment)
        capital = capital.expand(len(probability), *capital.shape)
        later = type(state)(capital, *following)
        tomorrow = self.plan(later)
        worth = self.decide(tomorrow, later)[2]
        expected = (probability.unsqueeze(-1) * worth).sum(0)
        return (e.beta * expected / cost).log(), tomorrow, later

    def investment(self, state) -> Tensor:
        """Investment (*batch, N, M) in float64; the massless do what their crowd does."""
        capital = getattr(state, "crowd", state.capital).double()
        self.domain.check(capital, self)
        state = state._replace(capital=capital)
        investment = self.decide(self.plan(state), state)[0].clamp_min(0)
        # Where the conditions within the period have no solution near the network's values, or one
        # that cannot be paid, capital is kept on average; residuals show how wrong that is.
        income = self.economy.income(state)
        left = self.conditions.consumption(investment, income)
        sound = (left > 0.01 * income).all(-1)[..., None, None]
        return torch.where(sound, investment, first_plan(self.economy, capital, income))

    def __call__(self, state, moved=None):
        """Actions of every role."""
        state = in_state(self.economy, state)
        fields = {n: getattr(state, n).double() for n in ("capital", "crowd") if hasattr(state, n)}
        actions = self.economy.actions_for(state._replace(**fields), self.investment(state))
        return {name: action.to(state.capital.dtype) for name, action in actions.items()}


@torch.no_grad()
def euler_network(
    economy: CapitalEconomy,
    regime: str,
    *,
    tolerance: float = 5e-5,
    seed: int = 0,
    show_progress: bool | None = None,
) -> tuple[EulerNetworkPolicy, int]:
    """Train a network on the Euler residuals of an economy in a regime.

    Parameters
    ----------
    economy : Planner or Market
    regime : str
        One of the economy's (:func:`~lectures_lib.solvers.regimes_of`).
    tolerance : float
        Mean absolute residual, at states on which the network was not trained, at which to stop.
    seed : int
        Of the first weights and of the states.
    show_progress : bool, optional
        By default one bar in a terminal or live notebook.

    Returns
    -------
    policy : EulerNetworkPolicy
    iterations : int
        Rounds of training.
    """
    everybody = conditions_of(economy, regime).economy
    policy = EulerNetworkPolicy(everybody, regime, seed=seed)
    generator = seeded(seed)
    stocks = economy.n_households * economy.n_goods
    batch = (math.ceil(RESIDUALS / min(stocks, STOCKS)),)
    state = _fresh(everybody, batch, generator)
    damping, best = 1e-5, (math.inf, policy.network.weights)
    rounds, ranges = 0, deque[tuple[float, float]](maxlen=LAST)
    with progress_bar(ROUNDS, "Euler network", show_progress) as bar:
        while rounds < ROUNDS:
            rounds += 1
            sample = everybody.perturb(state, generator, SPREAD if economy.n_goods == 1 else NARROW)
            ranges.append((sample.capital.min().item(), sample.capital.max().item()))
            following, probability = _next_productivities(everybody, sample, generator)
            error = policy.residuals(sample, following, probability)[0].abs().mean()
            if error < best[0]:
                best = (error, policy.network.weights)
            if error < tolerance:
                break
            some = torch.randperm(stocks, generator=generator)[:STOCKS]
            damping = _fit(policy, sample, following, probability, some, damping)
            state = _move_on(everybody, policy, state, generator)
            bar.update(1)
    policy.network.weights, policy.economy = best[1], economy
    policy.domain.low = min(low for low, _ in ranges)
    policy.domain.high = max(high for _, high in ranges)
    return policy, rounds


def _fit(policy, state, following, probability, some, damping) -> float:
    """Levenberg-Marquardt steps on some stocks' residuals; returns the damping for the next."""
    network = policy.network

    def residuals():
        return policy.residuals(state, following, probability)[0].flatten(1)[:, some].flatten()

    now = residuals()
    for _ in range(JACOBIANS):
        jacobian = _jacobian(policy, state, following, probability, some)
        normal = jacobian.T @ jacobian
        ridge = torch.eye(len(normal), dtype=normal.dtype) * normal.diagonal().mean()
        for _ in range(STEPS):
            before = network.weights
            network.weights = before - torch.linalg.solve(
                normal + damping * ridge, jacobian.T @ now
            )
            new = residuals()
            # Infeasible plans give NaN, which is no improvement either.
            if new.square().sum() < now.square().sum():
                now, damping = new, max(damping / 5, 1e-12)
            else:
                network.weights, damping = before, min(damping * 10, 1e3)
    return damping


def _jacobian(policy, state, following, probability, some) -> Tensor:
    """Derivatives (residuals, weights), by the chain rule through today's and tomorrow's plans.

    A state's residuals depend on few plans, and a plan's derivatives in the weights have a closed
    form, so that this costs little more than one backward pass for each of a state's stocks.
    """
    with torch.enable_grad():
        today = policy.plan(state).requires_grad_(True)
        residuals, tomorrow, later = policy.residuals(state, following, probability, today)
        # One row for each residual of a state; different states do not meet.
        rows = torch.eye(residuals[0].numel(), dtype=residuals.dtype)[some]
        rows = rows.reshape(-1, 1, *residuals.shape[1:]).expand(-1, *residuals.shape)
        parts = [
            torch.autograd.grad(
                residuals, (today, tomorrow), part, retain_graph=True, is_grads_batched=True
            )
            for part in rows.split(ROWS_AT_ONCE)
        ]
    by_today, by_tomorrow = (torch.cat(column) for column in zip(*parts, strict=True))

    def slopes(at):
        features = exchangeable_features(policy.economy, map_state(Tensor.detach, at))
        return policy.network.slopes(features).flatten(1, 2)

    jacobian = by_today.flatten(-2).movedim(0, 1) @ slopes(state)
    for j in range(len(probability)):
        outcome = map_state(lambda x: x[j], later)  # noqa: B023
        jacobian += by_tomorrow[:, j].flatten(-2).movedim(0, 1) @ slopes(outcome)
    return jacobian.flatten(0, 1)


def _next_productivities(economy, state, generator):
    """Next indices of productivity (outcomes, batch, ...), with probabilities."""
    if len(economy.idiosyncratic) ** economy.n_households * len(economy.aggregate) <= EXACT:
        shocks, probability = economy.outcomes(state)
        probability = probability.unsqueeze(-1)
    else:
        shocks, probability = economy.sampled_outcomes(state, DRAWS, generator)
    wide = map_state(lambda x: x.expand(len(probability), *x.shape), state)
    return tuple(economy.move_chance(wide, shocks).values()), probability


def _fresh(economy, batch, generator):
    """Initial states. Goods are in balance, as they always are in the long run."""
    state = economy.reset(batch, generator, torch.float64)
    return state._replace(capital=state.capital.mean(-1, keepdim=True).expand_as(state.capital))


def _move_on(economy, policy, state, generator):
    """States some periods later, some of them fresh from the initial distribution."""
    batch = state.aggregate.shape
    for _ in range(PERIODS):
        shocks = economy.draw(batch, generator, torch.float64)
        state = economy.step(state, policy(state), shocks).state
    new = torch.rand(batch, generator=generator) < FRESH
    # A rule that is still poor may lead to where no economy can be.
    new |= ~torch.isfinite(state.capital).flatten(1).all(-1)
    fresh = _fresh(economy, batch, generator)
    return map_state(
        lambda x, y: torch.where(new.reshape(-1, *[1] * (x.dim() - 1)), y, x), state, fresh
    )
