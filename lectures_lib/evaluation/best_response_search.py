"""Newton's method for a best response. Chapter *The market's formulation*.

The best response is the policy times a smooth function of the state, found by Newton's method.
Along simulated paths, finite differences of a period (the economy's step with everybody's reaction
to capital) give the derivatives of discounted utility by the chain rule: backwards in time for the
marginal values of capital (the adjoint), forwards for how capital moves with the function's
weights. Nothing but calls of the policy is needed, so that it may be a network or a table.

Realised marginal values vary with the shocks to come, and their mean is all that matters. They are
regressed on the state, and the regression's surprises, zero in expectation because the
distribution of next period's shocks is known, are subtracted (approximating martingales: Henderson
and Glynn 2002). The same surprises, times the distance between the paths with and without the
departure, take the luck out of the measured gain.
"""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import torch
from torch import Tensor

from ..economies.base import TooManyOutcomes, map_state
from ..economies.play import in_actions
from ..parameters import seeded
from .best_response import BestResponse, Look
from .long_run import ergodic_states
from .simulation import initial_states, learned_roles, welfare_horizon
from .views import HouseholdView, InformationView, WholeView

# Finite differences move log capital and log actions by this much: far above the rounding of a
# float32 network, and the error of a central difference, its square, is still negligible.
NUDGE = 1e-2
# Periods of the paths that the response is found on, and on which the gain is measured; the
# marginal value of capital, which is known by then, accounts for what comes later.
SEARCH_PERIODS = 200
# More combinations of next shocks than this are sampled, in antithetic pairs.
MAX_OUTCOMES, SAMPLED_PAIRS = 64, 8
# Newton's method stops after a step that changes log actions by less (root mean square). Steps have
# at most the first radius, less after failures, and utility is taken to be curved at least so much,
# relative to its most curved direction.
SMALL_STEP, RADIUS, FLATTEST = 0.02, 0.5, 1e-5
MAX_RECORDS = 30
# Marginal values at the end of a path are those of the regression, found by so many rounds.
ROUNDS = 8
# So many periods are handled at once, to save memory.
CHUNK = 20


def _view(economy, role, agent):
    kind = next((v for v in (InformationView, HouseholdView) if v.suits(economy)), None)
    if kind is None:
        return WholeView(economy)
    # Households of the roles before this one come before its own.
    roles = learned_roles(economy)
    before = sum(economy.roles[name].n_agents for name in roles[: roles.index(role)])
    return kind(economy, before + agent)


def resolve_role(policy, economy, role):
    """The role whose best response is asked for, if it is one that can have its own."""
    if getattr(policy, "runs", None) is not None:
        raise ValueError(
            f"the policy has {policy.runs} runs: ask for one at a time, as in "
            "exploitability(policy[0], economy)."
        )
    known = [name for name, r in economy.roles.items() if r.follows is None]
    if role is None and len(known) == 1:
        (role,) = known
    if role not in known:
        raise ValueError(f"role={role!r}: expected one of {known}.")
    if economy.roles[role].team:
        raise ValueError(
            f"{type(economy).__name__}'s role {role!r} is a team: its agents want the same, and "
            "nobody plays against anybody. How far its policy is from the best one is what "
            "evaluate says."
        )
    return role


class Search:
    """Newton's method for a best response, and the measurement of its gain.

    Directions are those of its :mod:`view <.views>` of the state, of which capital is the example
    in what follows. `n` is their number, `m` that of the agent's actions. The departure may depend
    on all of the view, or on a `sight` of it alone; what is expected depends on all of it.
    """

    def __init__(self, policy, economy, role, agent, seed, paths, sight=None):
        self.policy, self.economy, self.role, self.agent = policy, economy, role, agent
        self.seed, self.generator = seed, seeded(seed)
        self.response = BestResponse(policy, economy, role, agent)
        self.view = _view(economy, role, agent)
        self.n, self.m = self.view.n, economy.roles[role].n_actions
        self.sight = sight or self.view
        self.discount = economy.discount_of(role)
        half = -(-paths // 2)
        starts = self.starts(half + paths)
        checks = self.starts(half, seeded(seed + 1))
        self.search_from = map_state(lambda x: x[:, :half].flatten(0, 1), starts)
        self.check_from = map_state(lambda x: x.flatten(0, 1), checks)
        self.judge_from = map_state(lambda x: x[:, half:], starts)
        self.survey, self.coefficients = None, None
        # Where the response has led when it was judged, and under which shocks.
        self.judged: tuple[list, list] = [], []

    def with_sight(self, sight) -> Search:
        """A search on the same paths for the best response that sees something else."""
        other = copy(self)
        other.sight = sight
        other.response = BestResponse(self.policy, self.economy, self.role, self.agent)
        return other

    def actions(self, state) -> dict[str, Tensor]:
        """The policy's, in float64, of which the type of a state of indices says nothing."""
        actions = in_actions(self.economy, self.policy(state))
        return {name: action.double() for name, action in actions.items()}

    def _batch(self, state):
        return self.economy.zeros(state).shape

    def starts(self, paths, generator=None):
        """States (2, paths, ...) from the initial distribution and from the ergodic one."""
        generator = generator or self.generator
        seeds = torch.randint(2**31, (2,), generator=generator).tolist()
        new, old = (initial_states(self.policy, self.economy, paths, seed) for seed in seeds)
        old = ergodic_states(self.policy, self.economy, old, seeds[1])
        return map_state(lambda *x: torch.stack(x), new, old)

    # ------------------------------------------------------------------ the search
    def improve(self) -> bool:
        """Newton's method from no departure; returns whether its last step was small."""
        best, elsewhere, radius = -math.inf, -math.inf, RADIUS
        accepted = good = self.response
        for _ in range(MAX_RECORDS):
            states, reward, capital = self.record()
            value = (self._discount(len(reward)) @ reward[:, 0]).mean().item()
            checked = self.value_elsewhere()
            # Worse, or not a number, or good on these paths only: what is gained here must not be
            # lost on others. A quadratic knows little of states that are seen once.
            if not (value >= best and checked + value >= elsewhere + best):
                radius /= 4
            else:
                best, elsewhere, radius = value, checked, min(2 * radius, RADIUS)
                accepted = self.response
                visited = _flatten(states[:-1])
                good = self.seen_from(visited)
                same = self.sight is self.view
                self.survey = good.look if same else Look(self.view, visited)
                model = self.newton(good.look, states, reward, capital)
            step = _bounded_step(*model, radius).reshape(-1, self.m)
            self.response = self._departure(good.look, good.weights + step)
            if _bounded_step(*model, math.inf).norm() < SMALL_STEP:
                return True
        # In other features it would not be quite the same.
        self.response = accepted
        return False

    def value_elsewhere(self) -> float:
        """Discounted rewards of the response on paths on which it has not been found."""
        generator, state, value = seeded(self.seed), self.check_from, 0.0
        for t in range(min(SEARCH_PERIODS, welfare_horizon(self.discount))):
            actions = self.response.depart(state, self.actions(state))
            shocks = self.economy.draw(self._batch(state), generator, torch.float64)
            step = self.economy.step(state, actions, shocks)
            value += self.discount**t * step.rewards[self.role][..., self.agent].mean().item()
            state = step.state
        return value

    def seen_from(self, states) -> BestResponse:
        """The response in features that fit the states (sample, ...) to which it has led."""
        look = Look(self.sight, states)
        features = look(states)
        weights = features.new_zeros(features.shape[-1], self.m)
        if self.response.weights is not None:
            change = self.response.look(states) @ self.response.weights
            weights = features.T @ change / len(features)  # the features are orthonormal
        return self._departure(look, weights)

    def _departure(self, look, weights):
        return BestResponse(self.policy, self.economy, self.role, self.agent, look, weights)

    def _discount(self, periods) -> Tensor:
        return self.discount ** torch.arange(periods, dtype=torch.float64)

    def record(self):
        """Simulate the response, and finite departures from it in each period.

        Returns
        -------
        states : list of State, shape (paths, ...)
            One more than there are periods.
        reward : Tensor, shape (periods, points, paths)
        capital : Tensor, shape (periods, points, paths, n)
            The agent's reward and next position at each of :meth:`points`.
        """
        points = self.points()
        # The policy is asked once wherever capital is the same.
        places, which = torch.unique(points[:, : self.n], dim=0, return_inverse=True)
        push = points[:, None, self.n :]
        generator = seeded(self.seed)
        states, reward, capital = [self.search_from], [], []
        for _ in range(min(SEARCH_PERIODS, welfare_horizon(self.discount))):
            paths = self._batch(states[-1])
            near = self.view.shifted(states[-1], places)
            actions = {name: a[which] for name, a in self.actions(near).items()}
            near = map_state(lambda x: x[which], near)
            shocks = self.economy.draw(paths, generator, torch.float64)
            step = self.economy.step(near, self.response.depart(near, actions, push), shocks)
            # Copies, because a view would keep everybody's rewards and all points in memory.
            reward.append(step.rewards[self.role][..., self.agent].clone())
            capital.append(self.view.position(step.state))
            states.append(map_state(lambda x: x[0].clone(), step.state))
        return states, torch.stack(reward), torch.stack(capital)

    def points(self) -> Tensor:
        """Where a period is evaluated, shape (points, n + m): the centre, then up and down along
        each axis, then up along two."""
        one = NUDGE * torch.eye(self.n + self.m, dtype=torch.float64)
        i, j = torch.triu_indices(len(one), len(one), 1)
        return torch.cat([0 * one[:1], one, -one, one[i] + one[j]])

    def slopes(self, values: Tensor) -> Tensor:
        """First derivatives (periods, paths, ..., n + m) of (periods, points, paths, ...)."""
        size = self.n + self.m
        up, down = values[:, 1 : 1 + size], values[:, 1 + size : 1 + 2 * size]
        return ((up - down) / (2 * NUDGE)).movedim(1, -1)

    def curvature(self, values: Tensor) -> Tensor:
        """Second derivatives (periods, paths, n + m, n + m) of (periods, points, paths)."""
        size = self.n + self.m
        values = values.movedim(1, -1)
        centre, up = values[..., 0], values[..., 1 : 1 + size]
        down, both = values[..., 1 + size : 1 + 2 * size], values[..., 1 + 2 * size :]
        result = torch.diag_embed((up + down - 2 * centre.unsqueeze(-1)) / NUDGE**2)
        i, j = torch.triu_indices(size, size, 1)
        cross = (both - up[..., i] - up[..., j] + centre.unsqueeze(-1)) / NUDGE**2
        result[..., i, j] = cross
        result[..., j, i] = cross
        return result

    def newton(self, look, states, reward, capital) -> tuple[Tensor, Tensor, Tensor]:
        """Minus the curvature of discounted utility in the weights (features * m) along its
        principal axes, these axes, and the slopes along them, from what :meth:`record` returns."""
        beta, n = self.discount, self.n
        features, surprise = self.features_and_surprises(self.survey, states)
        reward_slope, capital_slope = self.slopes(reward), self.slopes(capital)
        self.coefficients = features.new_zeros(features.shape[-1], n)
        for _ in range(ROUNDS):
            worth, worths, slopes = features[-1] @ self.coefficients, [], []
            for t in reversed(range(len(reward))):
                # What next capital is worth, less what nobody could have foreseen today.
                worths.append(worth - surprise[t] @ self.coefficients)
                later = torch.einsum("pn,pnk->pk", worths[-1], capital_slope[t])
                slopes.append(reward_slope[t] + beta * later)
                worth = slopes[-1][:, :n]
            following, slope = torch.stack(worths[::-1]), torch.stack(slopes[::-1])
            known = features[:-1].flatten(0, 1)
            self.coefficients = torch.linalg.lstsq(known, slope[..., :n].flatten(0, 1)).solution
        later = torch.einsum("tpn,tqpn->tqp", following, capital)
        curvature = self.curvature(reward + beta * later)
        if look is not self.survey:
            features = torch.stack([look(state) for state in states])
        return self._in_weights(features, slope[..., n:], curvature, capital_slope)

    def _in_weights(self, features, slope, curvature, capital_slope):
        discount = self._discount(len(slope))
        gradients = torch.einsum("t,tpd,tpm->pdm", discount, features[:-1], slope).flatten(1)
        # How the weights move capital (n of the rows below) and actions (m of them).
        paths, size = features.shape[1], features.shape[-1] * self.m
        capital = features.new_zeros(paths, self.n, size)
        hessian = features.new_zeros(size, size)
        identity = torch.eye(self.m, dtype=torch.float64)
        for t in range(len(slope)):
            action = torch.einsum("pd,mk->pmdk", features[t], identity).reshape(paths, self.m, -1)
            moved = torch.cat([capital, action], 1)
            bent = curvature[t] @ moved
            hessian += discount[t] * moved.flatten(0, 1).T @ bent.flatten(0, 1)
            capital = capital_slope[t] @ moved
        curves, axes = torch.linalg.eigh(-(hessian + hessian.T) / (2 * paths))
        variance, gradient = torch.var_mean(gradients @ axes, 0)
        # The smaller a slope beside its standard error, the less of it is worth following.
        certain = (gradient.square() - variance / paths).clamp_min(0)
        return curves, axes, torch.where(certain > 0, certain / gradient, 0.0)

    def features_and_surprises(self, look, states) -> tuple[Tensor, Tensor]:
        """Features at all states, and, from the second on, their differences from what was
        expected the period before; shapes (periods + 1, paths, features) and one period fewer."""
        features = torch.stack([look(state) for state in states])
        expected = []
        for k in range(0, len(states) - 1, CHUNK):
            today, tomorrow = states[k : k + CHUNK], states[k + 1 : k + 1 + CHUNK]
            productivity = _flatten(today[: len(tomorrow)])
            moved = {
                name: getattr(_flatten(tomorrow), name)
                for name in self.economy.fields.moved_by("choice", "memory")
            }
            state = productivity._replace(**moved)
            expected.append(look.expected(state, self._next_shocks(state)))
        return features, features[1:] - torch.cat(expected).reshape(features[1:].shape)

    def _next_shocks(self, state):
        """Pairs of shocks and their probabilities (states,)."""
        try:
            one = map_state(lambda x: x[:1], state)
            few = self.economy.outcomes(one)[1].shape[0] <= MAX_OUTCOMES
        except TooManyOutcomes:
            few = False
        if few:
            shocks, probability = self.economy.outcomes(state)
            for k in range(len(probability)):
                yield map_state(lambda x: x[k], shocks), probability[k]  # noqa: B023
            return
        batch = self._batch(state)
        share = torch.full(batch, 0.5 / SAMPLED_PAIRS, dtype=torch.float64)
        for _ in range(SAMPLED_PAIRS):
            shocks = self.economy.draw(batch, self.generator, torch.float64)
            yield shocks, share
            yield map_state(lambda x: 1 - x, shocks), share

    # ------------------------------------------------------------------ the gain
    def relative(self, value, first, second) -> tuple[list[float], list[float]]:
        """Gains of a second departure over a first one, relative to no departure, and errors.

        Parameters
        ----------
        value : Tensor, shape (2,)
        first, second : Tensor, shape (2, paths)
            By how much discounted rewards are changed.
        """
        before = self.economy.equivalent(self.role, value)

        def relative(after):
            # A profit may be a loss, of which less is a gain.
            return (self.economy.equivalent(self.role, after) - before) / before.abs()

        gain = relative(value + second.mean(-1)) - relative(value + first.mean(-1))
        nudge = 1e-6 * value.abs()
        slope = relative(value + nudge) / nudge
        error = slope.abs() * (second - first).std(-1) / second.shape[-1] ** 0.5
        return gain.tolist(), error.tolist()

    def departures(self) -> tuple[Tensor, Tensor]:
        """What the policy is worth (2,) and by how much more on each path the response is.

        From initial and from ergodic states, shape (2, paths), under fresh shocks.
        """
        e, beta = self.economy, self.discount
        periods = max(1, welfare_horizon(beta) // 2)
        kept, departed = [self.judge_from], self.judge_from
        self.judged = [departed], []
        batch = self._batch(departed)
        value: Any = 0.0  # a Tensor from the first period on
        difference: Any = 0.0
        distance = []
        for t in range(periods):
            shocks = e.draw(batch, self.generator, torch.float64)
            actions = self.actions(map_state(lambda *x: torch.stack(x), kept[-1], departed))
            step = e.step(kept[-1], {name: a[0] for name, a in actions.items()}, shocks)
            response = self.response.depart(departed, {name: a[1] for name, a in actions.items()})
            other = e.step(departed, response, shocks)
            reward = step.rewards[self.role][..., self.agent]
            value = value + beta**t * reward
            gained = other.rewards[self.role][..., self.agent] - reward
            difference = difference + beta**t * gained
            kept.append(step.state)
            departed = other.state
            for record, x in zip(self.judged, (departed, shocks), strict=True):
                record.append(x)
            distance.append(self.view.position(departed) - self.view.position(step.state))
        features, surprise = self.features_and_surprises(self.survey, kept)
        luck = (surprise @ self.coefficients * torch.stack(distance)).sum(-1)
        tail = (features[-1] @ self.coefficients * distance[-1]).sum(-1)
        discount = beta * self._discount(periods)
        difference = difference + discount[-1] * tail - torch.einsum("t,tgp->gp", discount, luck)
        return value.mean(-1) / (1 - discount[-1]), difference


def _bounded_step(curves, axes, slopes, radius) -> Tensor:
    """The step to a quadratic's maximum within a ball, nearly, as Levenberg and Marquardt find it.

    Where the quadratic has a minimum, the step leads away from it.
    """
    extra = FLATTEST * curves.abs().max()
    while (step := slopes / (curves.abs() + extra)).norm() > radius:
        extra = 2 * extra
    return axes @ step


def _flatten(states):
    """A list of states (paths, ...) as one state (periods * paths, ...)."""
    return map_state(lambda *x: torch.cat(x), *states)
