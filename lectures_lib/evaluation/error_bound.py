r"""How far is a rule from the exact one, if nobody knows the exact one? Chapter *Global solution*.

Time iteration :math:`T` turns a rule :math:`\pi` for tomorrow into the rule for today that meets
the Euler equation, and the exact rule :math:`\pi^*` is where it stays. One of its steps moves the
rule by :math:`q = \pi - T\pi`. If :math:`T` brings two rules nearer to each other by a factor
:math:`\kappa < 1`, then :math:`\|\pi - \pi^*\| \le \|q\| / (1 - \kappa)`, and to say how large an
error may be takes a bound of :math:`\kappa` (for value functions and their policies, Santos 2000
derives constants from discounting and curvature). A bound that holds everywhere is far from what
happens where an economy goes. So we take the derivative of :math:`T` there. To first order the
error :math:`e = \pi - \pi^*` meets

.. math:: e(s_t) = q(s_t) + E_t\left[M(s_t, s_{t+1})\, e(s_{t+1})\right],

where :math:`M` says by how much tomorrow's investment, if it is wrong, makes today's wrong. Along a
simulated path this is a recursion backwards in time, without the expectation; what it gives is
right on average over what follows a state. Its mean absolute value is therefore at least that of
the error (Jensen's inequality).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..economies.base import TooManyOutcomes, map_state
from ..economies.capital import CapitalEconomy
from ..economies.play import Policy, in_actions
from ..parameters import require, seeded
from ..solvers import Solution
from ..solvers.regimes import Conditions, conditions_of
from .distances import SMALLEST_ACTION
from .long_run import ergodic_states
from .simulation import as_policy, initial_states

# Up to so many combinations of next shocks are listed; beyond, draws of the others' luck.
MAX_OUTCOMES, DRAWS = 64, 20
# Finite differences move log capital by this much.
NUDGE = 1e-4
# Up to so many stocks are moved one by one. Among more, all that are alike are moved together.
ONE_BY_ONE = 10
# Investment below this part of what replaces all that wears out is none.
NONE = 1e-6


@dataclass(frozen=True)
class ErrorBound:
    """What Euler residuals say of the error of a rule.

    Attributes
    ----------
    mean : float
        Mean relative error of actions on the rule's ergodic set, at most; to first order in it.
        Infinity if the derivative of time iteration makes errors grow along a path, so that
        nothing is bounded.
    largest : float
        The largest along the simulated paths of what `mean` is the mean of.
    step : float
        Mean relative change of actions in one step of time iteration.
    """

    mean: float
    largest: float
    step: float

    @property
    def modulus(self) -> float:
        """The factor by which time iteration would shrink errors if steps added up evenly."""
        return 1 - self.step / self.mean

    def __str__(self):
        return f"at most {100 * self.mean:.2g}% on average ({100 * self.step:.2g}% in one step)"


@torch.no_grad()
def error_bound(
    policy: Policy | Solution,
    economy: CapitalEconomy,
    regime: str | None = None,
    paths: int = 16,
    periods: int = 200,
    seed: int = 0,
) -> ErrorBound:
    """A first-order bound of a rule's distance from the exact rule, which need not be known.

    It is a bound **only to first order** in the error, **only where rules are smooth** (for a
    derivative does not see what lies beyond a kink), and **only up to the noise** of a sample of
    simulated paths. Of a rule that is far off, or has its kinks elsewhere, it proves nothing.

    Parameters
    ----------
    policy : callable or Solution
        Of a single run, and smooth; it must be near enough to the exact rule for the derivative of
        time iteration at one to say what it does at the other.
    economy : Planner or Market
    regime : str, optional
        Whose Euler equation. By default a Solution's own, and otherwise the economy's first.
    paths, periods : int
        Of the simulation, which starts where initial capital has been forgotten. Only the first
        half of each path counts, because what follows a state has to be followed long enough.
    seed : int

    Returns
    -------
    ErrorBound

    Raises
    ------
    TypeError
        If there are no first-order conditions for the economy.
    ValueError
        If the policy has several runs, or the economy does not have the regime.

    References
    ----------
    Santos (2000), "Accuracy of numerical solutions using the Euler equation residuals",
    *Econometrica* 68(6).
    """
    regime = getattr(policy, "regime", None) if regime is None else regime
    conditions = conditions_of(economy, regime)
    policy = as_policy(policy)
    runs = getattr(policy, "runs", None)
    if runs is not None:
        raise ValueError(
            f"the policy has {runs} runs: ask for one at a time, as in "
            "error_bound(policy[0], economy)."
        )
    require(periods >= 2, "periods", periods, "at least 2")
    state = ergodic_states(policy, economy, initial_states(policy, economy, paths, seed), seed)
    operator, generator = TimeIteration(conditions, policy), seeded(seed)
    states, steps, passed = [], [], []
    for _ in range(periods):
        states.append(state)
        shocks = economy.draw((paths,), generator, torch.float64)
        step, inverse, investment, expected = operator.step(state, generator)
        state = economy.step(state, in_actions(economy, policy(state)), shocks).state
        steps.append((step, investment))
        passed.append((inverse, expected))
    error, errors = torch.zeros_like(steps[0][0]), []
    for t in reversed(range(periods)):
        if t + 1 < periods:
            inverse, expected = passed[t]
            change = operator.change_of_worth(states[t + 1], steps[t + 1][1], error)
            error = steps[t][0] + _times(inverse, change / expected)
        errors.append(error)
    counted = slice(0, periods // 2)
    places = list(zip(states, steps, errors[::-1], strict=True))[counted]
    bound = torch.cat([_relative(economy, s, i, e) for s, (_, i), e in places])
    moved = torch.cat([_relative(economy, s, i, q) for s, (q, i), _ in places])
    mean, largest, step = (x.item() for x in (bound.mean(), bound.max(), moved.mean()))
    # The recursion began at no error. What it lacks is what is left of one after as many periods as
    # follow the last state that counts.
    missing = max(0.0, 1 - step / mean) ** (periods - periods // 2) if mean > 0 else 0.0
    bounded = math.isfinite(mean) and missing < 1
    return ErrorBound(mean / (1 - missing) if bounded else math.inf, largest, step)


class TimeIteration:
    """One step of time iteration from a policy, and its derivative in tomorrow's policy.

    Parameters
    ----------
    conditions : Conditions
    policy : callable
    """

    def __init__(self, conditions: Conditions, policy: Policy):
        self.conditions, self.policy = conditions, policy
        self.economy = conditions.economy

    def step(self, state, generator):
        """By how much the policy's investment exceeds what time iteration makes of it.

        Parameters
        ----------
        state : State, shape (batch, ...)
        generator : torch.Generator

        Returns
        -------
        step : Tensor, shape (batch, N, M)
        inverse : Tensor, shape (batch, N * M, N * M)
            How investment follows if log values are higher by so much.
        investment, expected : Tensor, shape (batch, N, M)
            The policy's investment, and the worth of a stock that is expected.
        """
        e, c = self.economy, self.conditions
        investment, income = self.investment(state), e.income(state)
        following = e.next_capital(state.capital, investment)
        outcomes = self._outcomes(state, generator)
        expected = self.expected_worth(following, *outcomes)
        cost = c.marginal_cost(investment, income)
        gap = cost.log() - (e.beta * expected).log()

        def value(shift):
            return self.expected_worth(following * shift.exp(), *outcomes).log()

        slopes = _slopes(value, following)
        system = c.log_slopes(investment, income, cost).flatten(-4, -3).flatten(-2)
        system = system - slopes / following.flatten(-2).unsqueeze(-2)
        # Who buys nothing, and would rather sell, buys nothing after a step either.
        bound = (investment < NONE * e.replacement(e.efficient_capital)).flatten(-2)
        identity = torch.eye(bound.shape[-1], dtype=system.dtype)
        system = torch.where(bound.unsqueeze(-1), identity, system)
        inverse = torch.linalg.inv(system) * (~bound).unsqueeze(-2)
        return _times(inverse, gap), inverse, investment, expected

    def investment(self, state) -> Tensor:
        """What the policy buys, (*batch, N, M)."""
        e = self.economy
        step = e.step(state, in_actions(e, self.policy(state)), e.no_luck(state))
        return step.info["investment"]

    def worth(self, state, investment: Tensor) -> Tensor:
        """Utility of a unit of each stock, if investment is right, (*batch, N, M)."""
        output = self.economy.output(state)
        income = self.economy.income(state, output)
        costate = self.conditions.marginal_cost(investment, income)
        utility = self.conditions.marginal_utility(investment, income)
        return self.conditions.worth(utility, output, state.capital, costate)

    def change_of_worth(self, state, investment, change) -> Tensor:
        """Derivative of :meth:`worth` in the direction of a change of investment."""
        found = torch.func.jvp(lambda i: self.worth(state, i), (investment,), (change,))
        return found[1]

    def expected_worth(self, capital, following, probability) -> Tensor:
        """What a unit of each stock is expected to be worth, (batch, N, M)."""
        later = self.economy.State(capital.expand(len(probability), *capital.shape), *following)
        return (probability * self.worth(later, self.investment(later))).sum(0)

    def _outcomes(self, state, generator):
        """Next productivities (outcomes, batch, ...), with probabilities (..., 1 or N, 1)."""
        e = self.economy
        try:
            listed = len(e.outcomes(map_state(lambda x: x[:1], state))[1]) <= MAX_OUTCOMES
        except TooManyOutcomes:
            listed = False
        if listed:
            shocks, probability = e.outcomes(state)
            probability = probability.unsqueeze(-1)
        else:
            shocks, probability = e.sampled_outcomes(state, DRAWS, generator)
        wide = map_state(lambda x: x.expand(len(probability), *x.shape), state)
        return tuple(e.move_chance(wide, shocks).values()), probability.unsqueeze(-1)


def _slopes(value, like) -> Tensor:
    """Derivatives (batch, N * M, N * M) of `value` in shifts of log capital.

    With many stocks, those of one kind of direction are taken to be alike: all stocks together; a
    household's mean; a good's mean; and what is left. They are so in exchangeable rules, but for
    what is of the order of a household's distance from the mean, divided by their number.
    """
    *_, n, m = like.shape

    def slope(direction):
        direction = NUDGE * direction.expand_as(like)
        return (value(direction) - value(-direction)) / (2 * NUDGE)

    identity = torch.eye(n * m, dtype=like.dtype)
    if n * m <= ONE_BY_ONE:
        columns = [slope(unit.reshape(n, m)) for unit in identity]
        return torch.stack(columns, -1).flatten(-3, -2)
    result = torch.zeros((), dtype=like.dtype)
    for household, to_household in _kinds(n):
        for good, to_good in _kinds(m):
            direction = household[:, None] * good
            projection = torch.kron(to_household, to_good)
            own = (slope(direction) / direction).flatten(-2)
            result = result + own.unsqueeze(-1) * projection
    return result


def _kinds(size):
    """Directions in which everybody moves alike, or half of all against the others; projections."""
    mean = torch.full((size, size), 1 / size, dtype=torch.float64)
    signs = torch.ones(size, dtype=torch.float64)
    kinds = [(signs, mean)]
    if size > 1:
        other = signs.clone()
        other[1::2] = -1
        kinds.append((other, torch.eye(size, dtype=torch.float64) - mean))
    return kinds


def _times(matrix, x):
    """A matrix of stocks times (batch, N, M)."""
    return (matrix @ x.flatten(-2).unsqueeze(-1)).reshape(x.shape)


def _relative(economy, state, investment, error):
    """Relative errors of actions that are not next to nothing, as a flat list."""
    own, right = (
        torch.cat(list(economy.actions_for(state, i).values()), -2)
        for i in (investment, (investment - error).clamp_min(0))
    )
    acts = own.abs() > SMALLEST_ACTION * own.abs().mean()
    return (right / own - 1).abs()[acts]
