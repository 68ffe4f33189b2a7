"""The same economy, whose constraints on actions are imposed in another way.

Chapter *How to impose constraints*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from ..parameters import require
from .base import Step
from .capital import SMALLEST_SHARE, spending_shares
from .derived import SameAgents
from .role import Role, between

#: By how much a stretched squashing is wider than what is feasible.
STRETCH = 1.2
#: Ways for actions that have bounds of their own, and for shares that add up to at most one.
BOUNDS, SHARES = ("squash", "stretch", "clip"), ("softmax", "rescale", "project")
#: Ways in which raw actions can be compared with what becomes of them.
PENALISED = ("clip", "project")


@dataclass(frozen=True)
class Constrained(SameAgents):
    r"""An economy that makes raw actions feasible in a way of one's choice.

    Zero is the middle of what is feasible, or equal shares for all uses, whatever the way is. An
    action between two bounds can be had by

    - ``"squash"``: a logistic function, which reaches the bounds nowhere;
    - ``"stretch"``: the same, wider by a fifth, and what is too much is cut;
    - ``"clip"``: a line with the logistic function's slope at zero, and what is too much is cut.

    The shares of several goods, which add up to at most one, can be had by

    - ``"softmax"``: as planners' households and buyers have it without this class;
    - ``"rescale"``: a logistic function each, divided by their sum where that is above one;
    - ``"project"``: a line each, and then the nearest feasible shares.

    With a `penalty`, agents earn less by so many units of reward for each unit by which a line was
    cut or projected. Their actions are then what they wished, and the economy does with them what
    it did without a penalty. To judge a policy in the original economy, put it ``.on`` the economy
    that :attr:`obeyed` is.

    Parameters
    ----------
    economy : Economy
        Actions of its roles have bounds, or are shares.
    how : str
        One of the ways.
    penalty : float
        Reward for a unit of violation that is taken away; only with ``"clip"`` and ``"project"``.
    start : float
        Raw action from which learners begin instead of zero.

    Raises
    ------
    ValueError
        If `how` is no way for the economy's actions, or `penalty` is negative or none of it.
    TypeError
        If `economy` is none.

    Examples
    --------
    >>> import torch
    >>> from lectures_lib.economies import Planner
    >>> role = Constrained(Planner(), "clip").roles["planner"]
    >>> role.to_physical(torch.tensor([0.0, 1.0])).tolist()
    [0.5, 0.7499949932098389]
    """

    how: str
    penalty: float = 0.0
    start: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        good = 0 <= self.penalty < math.inf
        require(good, "penalty", self.penalty, "a finite number that is not negative")
        for name, role in self.economy.roles.items():
            bounded = math.isfinite(role.low) and math.isfinite(role.high)
            one = f"an economy whose actions have bounds; those of {name!r} have none"
            require(bounded, "economy", self.economy, one)
            ways = SHARES if role.shares and role.n_actions > 1 else BOUNDS
            require(self.how in ways, "how", self.how, f"one of {ways} for the role {name!r}")
        fits = self.penalty == 0 or self.how in PENALISED
        require(fits, "penalty", self.penalty, f"zero, or one of the ways {PENALISED}")

    @property
    def obeyed(self) -> Constrained:
        """The same without penalty, so that actions are what is done and not what is wished."""
        return replace(self, penalty=0.0)

    @cached_property
    def roles(self):
        """Those of the original economy, with other maps from raw actions."""
        if self.penalty:
            free = {"low": -math.inf, "high": math.inf, "shares": False, "choices": None}
            maps = {n: partial(_wishes, role, self.start) for n, role in self.economy.roles.items()}
        else:
            free = {}
            maps = {
                n: partial(_feasible, role, self.how, self.start)
                for n, role in self.economy.roles.items()
            }
        return {
            name: replace(role, to_physical=maps[name], **free)
            for name, role in self.economy.roles.items()
        }

    def transition(self, state, actions, shocks) -> Step:
        """A period of the original economy, and what violations cost."""
        if not self.penalty:
            return self.economy.step(state, actions, shocks)
        done = {n: _cut(self.economy.roles[n], self.how, a) for n, a in actions.items()}
        step = self.economy.step(state, done, shocks)
        # Per agent, of the shape of its reward.
        off = {n: (a - done[n]).abs().sum(-1) for n, a in actions.items()}
        rewards = {n: r - self.penalty * off[n] for n, r in step.rewards.items()}
        return step._replace(rewards=rewards)


def _ends(role: Role) -> tuple[float, float]:
    """Between which an action lies; logarithms of what is left of a share have to be finite."""
    edge = SMALLEST_SHARE if role.shares else 0.0
    return role.low + edge, role.high - edge


def _feasible(role: Role, how: str, start: float, raw: Tensor) -> Tensor:
    """Feasible actions from any numbers."""
    raw = raw + start
    if how == "softmax":
        return spending_shares(raw)
    if how == "rescale":
        each = torch.sigmoid(raw - math.log(role.n_actions))
        return _inside(each / each.sum(-1, keepdim=True).clamp_min(1))
    if how in PENALISED:
        return _cut(role, how, _wishes(role, 0.0, raw))
    low, high = _ends(role)
    if how == "squash":
        return between(raw, low, high)
    more = (STRETCH - 1) / 2 * (high - low)
    return between(raw, low - more, high + more).clamp(low, high)


def _wishes(role: Role, start: float, raw: Tensor) -> Tensor:
    """A line through the neutral action, with the slope that squashing has there."""
    low, high = _ends(role)
    uses = role.n_actions + 1 if role.shares else 2
    return low + (high - low) * (1 / uses + (raw + start) * (1 - 1 / uses) / uses)


def _cut(role: Role, how: str, wish: Tensor) -> Tensor:
    """The nearest feasible action."""
    return wish.clamp(*_ends(role)) if how == "clip" else _inside(nearest_shares(wish))


def _inside(shares: Tensor) -> Tensor:
    """Shares a little away from all corners, as `spending_shares` has them."""
    return SMALLEST_SHARE + (1 - (shares.shape[-1] + 1) * SMALLEST_SHARE) * shares


def nearest_shares(x: Tensor) -> Tensor:
    """The nearest numbers that are not negative and add up to at most one.

    Parameters
    ----------
    x : Tensor, shape (..., n)

    Examples
    --------
    >>> import torch
    >>> nearest_shares(torch.tensor([[0.3, -0.1], [1.2, 0.4]])).tolist()
    [[0.30000001192092896, 0.0], [0.8999999761581421, 0.10000000149011612]]
    """
    inside = x.clamp_min(0)
    # Where the sum is too large, all that stays above zero falls by the
    # same amount. Levels do not matter there, and differences are small.
    x = x - x.amax(-1, keepdim=True)
    ordered = x.sort(-1, descending=True).values
    count = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype)
    fall = (ordered.cumsum(-1) - 1) / count
    left = (ordered > fall).sum(-1, keepdim=True)
    face = (x - fall.gather(-1, left - 1)).clamp_min(0)
    return torch.where(inside.sum(-1, keepdim=True) <= 1, inside, face)
