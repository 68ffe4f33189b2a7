"""Simulating policies under common shocks. Chapter *Global solution*."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast, overload

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from ..agents.watched import Watched
from ..economies.base import Economy, Step, map_state, require_economy
from ..economies.entry import require_actions
from ..economies.play import FixedAction, Policy, in_actions
from ..parameters import entered, require, seeded
from ..solvers import Solution

# Welfare sums stop when the discount factor has fallen to this.
SMALLEST_DISCOUNT = 1e-6


class Paths(NamedTuple):
    """A simulation of many economies, in float64.

    Attributes
    ----------
    states : list of State
        The state in each period kept.
    value : dict of str to Tensor, shape (*runs, paths, agents)
        Discounted sum of rewards, by role.
    info : dict of str to Tensor, shape (periods kept, *runs, paths, ...)
    """

    states: list
    value: dict[str, Tensor]
    info: dict[str, Tensor]


class Period(NamedTuple):
    """A period of a simulation.

    Attributes
    ----------
    t : int
    state : State
        At its beginning.
    step : Step
        What it brings.
    """

    t: int
    state: Any
    step: Step


@torch.no_grad()
def walk(policy: Policy, economy: Economy, state, periods: int, seed: int) -> Iterator[Period]:
    """The periods of a simulation, one by one; the shocks depend on `seed` alone.

    Nothing is kept, so that hundreds of households on a thousand paths need little memory.

    Parameters
    ----------
    policy : callable
        Roles that follow others may be left out of its actions.
    economy : Economy
    state : State, shape (paths, ...) or (runs, paths, ...)
        All runs of a path receive the same shocks.
    periods, seed : int

    Yields
    ------
    Period

    Raises
    ------
    NotFinite
        If what the economy shows in the first period is not a finite number.
    ValueError
        If a state is impossible or an action of the first period is not a finite number.
    """
    economy.check_state(state)
    zero = economy.zeros(state)
    paths = zero.shape[-1]
    generator = seeded(seed, zero.device)
    # A state of indices does not say of which type numbers are, and actions are not asked.
    of_indices = all(field.domain == "index" for field in economy.fields.values())
    for t in range(periods):
        actions = policy(state)
        if t == 0:
            require_actions(actions, economy, "the policy returned")
        actions = in_actions(economy, actions)
        if of_indices:
            actions = {name: action.to(zero) for name, action in actions.items()}
        if t == 0:
            for name, action in actions.items():
                if not torch.isfinite(action).all():
                    Watched(economy).observe(state)  # it may have shown the policy nonsense
                    raise ValueError(f"the policy's actions for {name!r} are not all finite.")
        step = economy.step(state, actions, economy.draw((paths,), generator, zero.dtype))
        yield Period(t, state, step)
        state = step.state


def simulate(
    policy: Policy,
    economy: Economy,
    state,
    periods: int,
    seed: int,
    *,
    first: int = 0,
    every: int = 1,
) -> Paths:
    """Simulate a policy from given states; the shocks depend on `seed` alone.

    Parameters
    ----------
    policy : callable
    economy : Economy
    state : State, shape (paths, ...) or (runs, paths, ...)
        All runs of a path receive the same shocks.
    periods : int
    seed : int
    first, every : int
        Keep states and quantities of the periods ``first, first + every, ...``.

    Raises
    ------
    NotFinite
        If the economy makes of finite numbers what is not finite.
    ValueError
        If a state is impossible or an action is not a finite number.
    """
    value: dict[str, Tensor] = {}
    discounts = {name: economy.discount_of(name) for name in economy.roles}
    states, infos = [], []
    for t, now, step in walk(policy, economy, state, periods, seed):
        for name, reward in step.rewards.items():
            value[name] = value.get(name, 0.0) + discounts[name] ** t * reward
        if t >= first and (t - first) % every == 0:
            states.append(now)
            infos.append(step.info)
    for name, total in value.items():
        require_finite(total, name, policy, economy, state, periods, seed)
    info = {name: torch.stack([i[name] for i in infos]) for name in (infos[0] if infos else {})}
    return Paths(states, value, info)


def require_finite(value: Tensor, role: str, policy: Policy, economy: Economy, *walked) -> None:
    """Refuse discounted rewards that are not finite numbers, and say whose fault it is.

    Parameters
    ----------
    value : Tensor
    role : str
    policy, economy, *walked
        What :func:`walk` was given: it goes the same way once more, and looks around.

    Raises
    ------
    NotFinite
        If the economy makes of finite numbers what is not finite.
    ValueError
        If the policy leads there.
    """
    if torch.isfinite(value).all():
        return
    watched = cast(Economy, Watched(economy))  # which has all that an economy has
    for period in walk(policy, watched, *walked):
        watched.observe(period.state)
    raise ValueError(f"the policy leads to rewards for {role!r} that are not all finite.")


@overload
def as_policy(policy: Policy | Solution) -> Policy: ...
@overload
def as_policy(policy: None) -> None: ...
def as_policy(policy: Policy | Solution | None) -> Policy | None:
    """A solution's policy, or the policy itself.

    Raises
    ------
    TypeError
        If it is neither.
    """
    policy = policy.policy if isinstance(policy, Solution) else policy
    if policy is not None and not callable(policy):
        kind = type(policy).__name__
        raise TypeError(
            f"policy is a {kind}: expected a function of a state, such as agent.policy or "
            "FixedAction(economy, 0.2)."
        )
    return policy


def each_run(policy: Any) -> list[Policy]:
    """The policies of single runs that a policy consists of: itself, if it has no runs."""
    runs = getattr(policy, "runs", None)
    return [policy] if runs is None else [policy[i] for i in range(runs)]


def learned_roles(economy: Economy) -> list[str]:
    """The roles that choose for themselves; the others follow one of them."""
    return [name for name, role in economy.roles.items() if role.follows is None]


def batch_shape(economy: Economy, state) -> torch.Size:
    """Shape of a state's batch."""
    return economy.zeros(state).shape


def initial_states(policy: Policy, economy: Economy, paths: int, seed: int):
    """Draws from the economy's initial distribution, the same for each of the policy's runs."""
    require_economy(economy)
    require(entered("paths", paths, int) >= 1, "paths", paths, "a whole number of at least 1")
    # Another stream than that of the shocks, which a simulation draws from the same seed.
    generator = seeded(seed, shift=1_000_003)
    state = economy.reset((paths,), generator, torch.float64)
    runs = getattr(policy, "runs", None)
    if runs is None:
        return state
    return map_state(lambda x: x.expand(runs, *x.shape), state)


def welfare_horizon(discount: float) -> int:
    """Periods after which discounting leaves less than a millionth."""
    if discount == 0:
        return 1
    return math.ceil(math.log(SMALLEST_DISCOUNT) / math.log(discount))


def best_fixed_action(
    economy: Economy,
    paths: int = 1024,
    seed: int = 0,
    role: str | None = None,
    others: Mapping[str, float] | None = None,
) -> FixedAction:
    """The best rule that ignores the state: the yardstick that a learner has to beat.

    Parameters
    ----------
    economy : Economy
    paths, seed : int
        The maximum is taken on the sample of shocks that they name.
    role : str, optional
        Whose action and welfare it is; by default everybody's, if roles have the same actions.
    others : dict of str to float, optional
        What the agents of all other roles do, where `role` is given.

    Returns
    -------
    FixedAction
        The physical action with the highest mean welfare when every agent of the role, or of all,
        always takes it.

    Raises
    ------
    ValueError
        If roles have different actions and it is not said whose is looked for, or a role's action
        is missing.
    """
    learned = learned_roles(economy)
    if role is None:
        roles = [economy.roles[name] for name in learned]
        kinds = {(r.n_actions, r.low, r.high, r.measure) for r in roles}
        alike = len(kinds) == 1
        require(alike, "role", role, f"one of {learned}, whose actions differ, and others=... too")
        require(not others, "others", others, "nothing unless it is said whose role is looked for")
    else:
        require(role in learned, "role", role, f"one of {learned}")
        rest = [name for name in learned if name != role]
        told = set(others or {})
        require(told == set(rest), "others", others, f"an action for each of {rest}")
    searched = learned if role is None else [role]
    kind = economy.roles[searched[0]]
    horizon = max(welfare_horizon(economy.discount_of(name)) for name in searched)

    def physical(raw: float) -> FixedAction:
        action = kind.to_physical(torch.full((1, kind.n_actions), raw).double())[0, 0].item()
        if role is None:
            return FixedAction(economy, action)
        given = dict(others or {})
        chosen = {name: given.get(name, action) for name in learned}
        return FixedAction(
            economy, {name: chosen[r.follows or name] for name, r in economy.roles.items()}
        )

    def loss(raw: float) -> float:
        policy = physical(raw)
        state = initial_states(policy, economy, paths, seed)
        value = simulate(policy, economy, state, horizon, seed, first=horizon).value
        return -torch.cat([value[name] for name in searched], -1).mean().item()

    return physical(minimize_scalar(loss, bounds=(-6.0, 6.0), method="bounded").x)
