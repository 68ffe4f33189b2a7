r"""Krusell and Smith's households by a network that is trained on Euler residuals.

Nobody believes in a law of motion here. A household's plan depends on its resources, its
employment, productivity and mean capital; next period's mean is what all save by the same plan. The
Levenberg-Marquardt method solves for the weights, as in :mod:`.euler_network`, and knows how plans
move the mean: with a mean that is held fixed, better plans overshoot, and means move up and down
for ever.

A residual of zero is not enough. Who eats too little, and saves ever more, has one as well. So
nobody can own more than `MOST`, as on a grid: then saving ever more leads to where it does
not pay.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..economies import KrusellSmith
from ..economies.krusell_smith import LARGEST_SHARE, NOTHING
from ..parameters import seeded
from ..progress import progress_bar
from .saving import SavingRule, of_size
from .small_network import SmallNetwork, standardised

#: Units in each of the two hidden layers.
WIDTH = 12
#: The most that a household can own, and the range of means, in units of the efficient capital.
MOST, LOWEST_MEAN, HIGHEST_MEAN = 5.0, 0.8, 1.4
# Economies that are followed, and households of each.
ECONOMIES, HOUSEHOLDS = 48, 200
# Households of each economy at which residuals are taken; so many that own anything between nothing
# and the most, and so many of any employment, as shares. The last round has more of them.
POINTS, ANYTHING, ANY_LUCK, LAST_POINTS = 60, 0.3, 0.15, 240
# Periods that economies move on before each round; residuals that a round may compute.
PERIODS, EVALUATIONS = (0, 0, 2, 4, 8, 15, 30, 30, 30, 30), 25
# Means at which residuals are taken: first within this range, as logarithms of units of the
# efficient capital, which takes distributions that are unlike those that such a mean comes with;
# in the last rounds so far from where economies are.
SAMPLED, ROUNDS_NEARBY, NEARBY = (-0.18, 0.32), 4, 0.05
# How much more is eaten of a unit more, before anything is learned, in units of the interest rate
# at which patient households would rest: more than one, so that the rich become less rich.
FIRST_SLOPE = 4.0


def points(economy: KrusellSmith, capital, employed, aggregate, log_mean):
    """What households see, have and get, each at a mean of its own; arguments have one shape.

    The network sees means in its range, and the end of it for those beyond.

    Returns
    -------
    features : Tensor, shape (*batch, 4)
    resources : Tensor, shape (*batch,)
    gross : Tensor, shape (*batch,)
        What a unit of capital returns.
    """
    unit = economy.efficient_capital
    prices = economy.prices(log_mean.exp().unsqueeze(-1), aggregate)
    earned = economy.earnings(employed.unsqueeze(-1), aggregate, prices.wage).squeeze(-1)
    gross = 1 - economy.delta + prices.rent.squeeze(-1)
    resources = gross * capital + earned
    features = [
        resources.clamp_min(NOTHING).log() - math.log(unit),
        2.0 * employed - 1,
        standardised(economy.aggregate, aggregate, capital),
        10 * _in_range(log_mean - math.log(unit)),
    ]
    return torch.stack(features, -1), resources, gross


def _in_range(log: Tensor) -> Tensor:
    """Logarithms of means, in units of the efficient capital, that are cut at the range's ends."""
    return log.clamp(math.log(LOWEST_MEAN), math.log(HIGHEST_MEAN))


class SavingNetwork:
    """What households save, by a network: the policy of a solution.

    Its output is the logarithm of what a household would eat if it could borrow, relative to a
    straight line in resources. This is smooth where saving has a kink. It takes any number of
    households. Who could own more than `MOST` eats the rest, and a mean beyond its range is
    seen as the end of it.

    Parameters
    ----------
    economy : KrusellSmith
    width, seed : int
    """

    def __init__(self, economy: KrusellSmith, width: int = WIDTH, seed: int = 0):
        self.economy = economy
        self.network = SmallNetwork(4, width, seeded(seed))
        self.most = MOST * economy.efficient_capital
        calm = economy.without_aggregate_shocks()
        rest = torch.tensor([economy.efficient_capital], dtype=torch.float64)
        prices = calm.prices(rest, torch.tensor(0))
        self._eaten = (prices.output - economy.delta * rest).item()
        self._resources = (prices.output + (1 - economy.delta) * rest).item()
        self._slope = FIRST_SLOPE * (1 / economy.beta - 1)

    def __repr__(self):
        return f"{type(self).__name__}({self.network.width} units)"

    def first(self, resources: Tensor) -> Tensor:
        """The logarithm of the straight line's share of resources."""
        line = self._eaten + self._slope * (resources - self._resources)
        return (line.clamp_min(0.3 * self._eaten) / resources.clamp_min(NOTHING)).log()

    def plan(self, features: Tensor, resources: Tensor) -> Tensor:
        """The logarithm of the share of resources to be eaten, above zero of who is poor."""
        return self.network(features) + self.first(resources)

    def saved(self, plan: Tensor, resources: Tensor) -> Tensor:
        """What a plan means for capital."""
        return ((1 - plan.exp()).clamp(0, LARGEST_SHARE) * resources).clamp_max(self.most)

    def __call__(self, state, moved=None) -> dict[str, Tensor]:
        """Shares of resources (*batch, households, 1), of all roles."""
        e = of_size(self.economy, state.capital.shape[-2], hasattr(state, "crowd"))
        log_mean, shares = e.mean_capital(state).double().log(), {}
        for suffix, who in e.populations(state).items():
            capital = who.capital.squeeze(-1).double()
            everybody = torch.broadcast_tensors(
                capital, state.idiosyncratic, state.aggregate.unsqueeze(-1), log_mean
            )
            features, resources, _ = points(e, *everybody)
            kept = self.saved(self.plan(features, resources), resources)
            share = kept / resources.clamp_min(NOTHING)
            shares["household" + suffix] = share.unsqueeze(-1).to(state.capital.dtype)
        return shares

    def on_grid(self, own: np.ndarray, means: np.ndarray) -> SavingRule:
        """The same between the points of a grid, of own capital and the logarithm of the mean."""
        states = np.arange(len(self.economy.aggregate))
        grid = np.meshgrid(states, np.arange(2), means, own, indexing="ij")
        z, d, mean, capital = map(torch.as_tensor, grid)
        features, resources, _ = points(self.economy, capital, d, z, mean)
        saved = self.saved(self.plan(features, resources), resources)
        return SavingRule(self.economy, own, means, np.ascontiguousarray(saved.numpy()))


class _Sample:
    """Households at which residuals are taken, and all others, whose savings are the next mean.

    Attributes
    ----------
    capital, employed : Tensor, shape (economies, points)
    crowd, at_work : Tensor, shape (economies, households)
    aggregate : Tensor of int64, shape (economies,)
    """

    def __init__(self, policy: SavingNetwork, state, number: int, nearby: bool, generator):
        self.policy, economy = policy, policy.economy
        shape, kwargs = (len(state.aggregate), number), {"generator": generator}
        crowd = state.capital.squeeze(-1)
        mean = crowd.mean(-1, keepdim=True)
        target = mean if nearby else economy.efficient_capital
        low, high = (-NEARBY, NEARBY) if nearby else SAMPLED
        move = torch.empty(shape[0], 1, dtype=torch.float64).uniform_(low, high, **kwargs).exp()
        self.crowd = crowd * move * target / mean
        self.at_work, self.aggregate = state.idiosyncratic, state.aggregate
        some = torch.randint(crowd.shape[-1], shape, **kwargs)
        which, where = (torch.rand(shape, dtype=torch.float64, **kwargs) for _ in range(2))
        luck = torch.randint(2, shape, **kwargs)
        anywhere = policy.most * where.square()
        self.capital = torch.where(which < ANYTHING, anywhere, self.crowd.gather(-1, some))
        self.employed = torch.where(which < ANY_LUCK, luck, self.at_work.gather(-1, some))
        self.log_mean = self.crowd.mean(-1, keepdim=True).log()

    def _here(self, capital, employed):
        aggregate = self.aggregate.unsqueeze(-1).expand_as(capital)
        return points(
            self.policy.economy, capital, employed, aggregate, self.log_mean.expand_as(capital)
        )

    def residuals(self, weights: np.ndarray) -> np.ndarray:
        """Logarithms of what is planned to be eaten, less those of what should be."""
        return self._residuals(weights)[0].flatten().numpy()

    def jacobian(self, weights: np.ndarray) -> np.ndarray:
        """Derivatives (residuals, weights), by the chain rule through plans."""
        with torch.enable_grad():
            residuals, plans, log_mean, later, mean = self._residuals(weights, slopes=True)
            today, crowd = plans
            found = torch.autograd.grad(
                residuals.sum(), [today[1], mean, *(plan for _, plan in later)]
            )
            (moved,) = torch.autograd.grad(log_mean.sum(), crowd[1])
        slopes = self.policy.network.slopes
        by_mean = torch.einsum("bn,bnw->bw", moved, slopes(crowd[0]))
        jacobian = found[0].unsqueeze(-1) * slopes(today[0])
        jacobian += found[1].unsqueeze(-1) * by_mean.unsqueeze(-2)
        for (features, _), part in zip(later, found[2:], strict=True):
            jacobian += part.unsqueeze(-1) * slopes(features)
        return jacobian.flatten(0, 1).numpy()

    def _residuals(self, weights, slopes=False):
        policy, e = self.policy, self.policy.economy
        policy.network.weights = torch.as_tensor(weights)

        def planned(features, resources):
            """A plan whose network's output is a variable of its own."""
            plan = policy.plan(features, resources)
            if not slopes:
                return plan, plan
            variable = plan.detach().requires_grad_(True)
            return variable, variable + (plan - plan.detach())

        features, resources, _ = self._here(self.capital, self.employed)
        today, plan = planned(features, resources)
        saved = policy.saved(plan, resources)
        crowd_features, crowd_resources, _ = self._here(self.crowd, self.at_work)
        crowd, crowd_plan = planned(crowd_features, crowd_resources)
        unit = math.log(e.efficient_capital)
        log_mean = policy.saved(crowd_plan, crowd_resources).mean(-1, keepdim=True).log()
        # A rule that has learned little may lead anywhere.
        log_mean = unit + _in_range(log_mean - unit)
        mean = log_mean.detach().expand_as(saved).clone().requires_grad_(slopes)
        moves = torch.tensor(e.aggregate.transition, dtype=torch.float64)[self.aggregate]
        chances = torch.tensor(e.chances, dtype=torch.float64)[self.aggregate]
        worth, later = torch.zeros_like(saved), []
        for y in range(len(e.aggregate)):
            idle = torch.where(self.employed == 1, chances[:, y, 1:], chances[:, y, :1])
            for d, chance in enumerate((idle, 1 - idle)):
                like = torch.full_like(self.employed, d), torch.full_like(self.employed, y)
                seen, has, gross = points(e, saved, *like, mean)
                variable, following = planned(seen, has)
                later.append((seen.detach(), variable))
                eaten = has - policy.saved(following, has)
                worth = worth + moves[:, y : y + 1] * chance * gross * eaten.pow(-e.risk_aversion)
        should = -(e.beta * worth).log() / e.risk_aversion
        residuals = plan + resources.log() - should
        plans = (features, today), (crowd_features, crowd)
        return residuals, plans, log_mean, later, mean


@torch.no_grad()
def saving_network(
    economy: KrusellSmith, *, seed: int = 0, show_progress: bool | None = None
) -> tuple[SavingNetwork, int]:
    """Train a network on the Euler residuals of households whose savings make the next mean.

    Parameters
    ----------
    economy : KrusellSmith
        Of any number of households, that take prices as given.
    seed : int
        Of the first weights and of the states.
    show_progress : bool, optional
        By default one bar in a terminal or live notebook.

    Returns
    -------
    policy : SavingNetwork
    iterations : int
        Rounds of training.
    """
    from scipy.optimize import least_squares  # where needed: it is slow to import

    policy, generator = SavingNetwork(economy, seed=seed), seeded(seed)
    followed = replace(economy, n_households=HOUSEHOLDS, atomistic=False)
    state = followed.reset((ECONOMIES,), generator, torch.float64)
    with progress_bar(len(PERIODS), "Saving network", show_progress) as bar:
        for round_, periods in enumerate(PERIODS, 1):
            for _ in range(periods):
                shocks = followed.draw((ECONOMIES,), generator, torch.float64)
                state = followed.step(state, policy(state), shocks).state
            number = LAST_POINTS if round_ == len(PERIODS) else POINTS
            nearby, weights = round_ > len(PERIODS) - ROUNDS_NEARBY, policy.network.weights
            sample = _Sample(policy, state, number, nearby, generator)
            found = least_squares(
                sample.residuals,
                weights.numpy(),
                sample.jacobian,
                method="lm",
                max_nfev=EVALUATIONS,
            )
            policy.network.weights = torch.tensor(found.x)
            bar.update(1)
    return policy, len(PERIODS)
