"""Simulating policies under common shocks. Chapter *Global solution*."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from ..economies.base import Economy, FixedAction, map_state

# Welfare sums stop when the discount factor has fallen to this; periods before ERGODIC_AFTER are
# left out of moments, so that initial capital is forgotten.
SMALLEST_DISCOUNT = 1e-6
ERGODIC_AFTER = 200


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


@torch.no_grad()
def simulate(
    policy, economy: Economy, state, periods: int, seed: int, *, first: int = 0, every: int = 1
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
    ValueError
        If a state is impossible or an action is not a finite number.
    """
    economy.check_state(state)
    field = getattr(state, economy.endogenous[0])
    trailing = len(economy.state_shapes[economy.endogenous[0]])
    paths = field.shape[field.dim() - trailing - 1]
    generator = torch.Generator(field.device).manual_seed(seed)
    value: dict[str, Tensor] = {}
    states, infos = [], []
    for t in range(periods):
        actions = policy(state)
        if t == 0:
            for name, action in actions.items():
                if not torch.isfinite(action).all():
                    raise ValueError(f"the policy's actions for {name!r} are not all finite.")
        step = economy.step(state, actions, economy.draw((paths,), generator, field.dtype))
        for name, reward in step.rewards.items():
            value[name] = value.get(name, 0.0) + economy.discount**t * reward
        if t >= first and (t - first) % every == 0:
            states.append(state)
            infos.append(step.info)
        state = step.state
    for name, total in value.items():
        if not torch.isfinite(total).all():
            raise ValueError(f"the policy leads to rewards for {name!r} that are not all finite.")
    info = {name: torch.stack([i[name] for i in infos]) for name in (infos[0] if infos else {})}
    return Paths(states, value, info)


def initial_states(policy, economy: Economy, paths: int, seed: int):
    """Draws from the economy's initial distribution, the same for each of the policy's runs."""
    # Another stream than that of the shocks, which a simulation draws from the same seed.
    generator = torch.Generator().manual_seed(seed + 1_000_003)
    state = economy.reset((paths,), generator, torch.float64)
    runs = getattr(policy, "runs", None)
    if runs is None:
        return state
    return map_state(lambda x: x.expand(runs, *x.shape), state)


def welfare_horizon(economy: Economy) -> int:
    """Periods after which discounting leaves less than a millionth."""
    return math.ceil(math.log(SMALLEST_DISCOUNT) / math.log(economy.discount))


def best_fixed_action(economy: Economy, paths: int = 1024, seed: int = 0) -> FixedAction:
    """The best rule that ignores the state: the yardstick that a learner has to beat.

    Parameters
    ----------
    economy : Economy
        With one role.
    paths, seed : int
        The maximum is taken on the sample of shocks that they name.

    Returns
    -------
    FixedAction
        The physical action with the highest welfare when every agent always takes it.
    """
    ((name, role),) = economy.roles.items()
    horizon = welfare_horizon(economy)

    def physical(raw: float) -> FixedAction:
        return FixedAction(economy, role.to_physical(torch.tensor([[raw]]).double()).item())

    def loss(raw: float) -> float:
        policy = physical(raw)
        state = initial_states(policy, economy, paths, seed)
        return (
            -simulate(policy, economy, state, horizon, seed, first=horizon)
            .value[name]
            .mean()
            .item()
        )

    return physical(minimize_scalar(loss, bounds=(-6.0, 6.0), method="bounded").x)


def impulse_response(
    policy,
    economy: Economy,
    shock: str = "aggregate",
    periods: int = 60,
    paths: int = 4096,
    seed: int = 0,
) -> dict[str, Tensor]:
    r"""Generalised impulse responses to the highest value of a productivity chain.

    .. math:: \frac{E[x_t \mid s_0 = s_{\max}]}{E[x_t]} - 1,

    expectations over the policy's ergodic distribution and over all later shocks, which both
    paths of a pair share.

    Parameters
    ----------
    policy : callable
    economy : Economy
    shock : str
        Name of the state's field that is moved in period 0.
    periods, paths, seed : int

    Returns
    -------
    dict of str to Tensor, shape (periods,) or (runs, periods)
        Relative deviations of capital, output, consumption, investment and saving share.

    Raises
    ------
    ValueError
        If the economy has no such chain.
    """
    if shock not in economy.state_shapes or shock in economy.endogenous:
        chains = [n for n in economy.state_shapes if n not in economy.endogenous]
        raise ValueError(f"shock={shock!r}: expected one of {chains}.")
    start = initial_states(policy, economy, paths, seed)
    burnt = simulate(policy, economy, start, ERGODIC_AFTER + 1, seed, first=ERGODIC_AFTER)
    base = burnt.states[0]
    highest = len(getattr(economy, shock)) - 1
    moved = base._replace(**{shock: torch.full_like(getattr(base, shock), highest)})
    responses = {}
    before = simulate(policy, economy, base, periods, seed + 1).info
    after = simulate(policy, economy, moved, periods, seed + 1).info
    runs = 0 if getattr(policy, "runs", None) is None else 1
    for name in ("capital", "output", "consumption", "investment", "saving_share"):
        mean = [x[name].flatten(1 + runs).mean(-1) for x in (after, before)]
        responses[name] = (mean[0] / mean[1] - 1).movedim(0, -1)
    return responses
