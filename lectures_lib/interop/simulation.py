"""Copies of an economy side by side, seen from one seat. Chapter *Learning when shocks are inputs*.

The environments of this room are this, in the words of other libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..economies.base import map_state
from ..economies.play import Policy
from ..networks import Streams
from ..parameters import entered, require, seeded
from .seat import Seat, rule_of

#: Periods of an episode unless it is said otherwise.
HORIZON = 500
#: On a clock of periods.
NEVER = 2**62


class Simulation:
    """Copies of an economy that live side by side, and begin anew when they are told to.

    Parameters
    ----------
    seat : Seat
        Of a single one who decides.
    copies : int
    common : int
        So many copies, one after the other, begin in the same state and have the same luck.
    reference : callable, optional
        Whose episodes are lived beside the agent's, in the same luck (:class:`Regret`).
    horizon : int or None
        Periods after which an episode is cut; None never cuts one.
    stagger : int
        In so many blocks of copies, one after the other, first episodes are cut at times of their
        own, evenly spread.
    dtype : torch.dtype
    device : torch.device
    checked : bool
        Whether values of actions are looked at.

    Attributes
    ----------
    state : State, shape (copies, ...)
    ends : ndarray of int, shape (copies,)
        When the episodes are cut, on a clock that counts all periods.
    """

    def __init__(
        self,
        seat: Seat,
        copies: int,
        common: int = 1,
        reference: Policy | None = None,
        horizon: int | None = HORIZON,
        stagger: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device = torch.device("cpu"),  # noqa: B008  # it is a name
        checked: bool = True,
    ):
        copies, common = entered("num_envs", copies, int), entered("common", common, int)
        require(copies >= 1, "num_envs", copies, "at least 1")
        require(common >= 1, "common", common, "at least 1")
        require(copies % common == 0, "common", common, f"a divisor of num_envs={copies}")
        horizon = entered("horizon", horizon, int | None)
        require(horizon is None or horizon >= 1, "horizon", horizon, "at least 1, or None")
        stagger = entered("stagger", stagger, int)
        whole = stagger >= 1 and copies // common % stagger == 0
        require(whole, "stagger", stagger, f"a divisor of {copies // common}, the number of groups")
        cut = horizon is not None or stagger == 1
        require(cut, "stagger", stagger, "1, as episodes are never cut")
        self.seat, self.economy, self.dtype = seat, seat.economy, dtype
        self.device, self.checked = device, checked
        self.copies, self.common = copies, common
        self.horizon, self.stagger = horizon, stagger
        self.regret = None if reference is None else Regret(seat, reference)
        self.state: Any = None
        self._clock, self._checked = 0, False
        self._shared: dict[str, bool] = {}
        self._luck: torch.Generator | Streams | None = None

    # ------------------------------------------------------------------ luck
    def seed(self, seed: int | Sequence[int]) -> None:
        """Where luck comes from: one stream for all, or one for each copy (or group of them)."""
        if isinstance(seed, Sequence | np.ndarray):
            groups = self.copies // self.common
            expected = f"one for each of {groups} copies or groups"
            require(len(seed) == groups, "seed", seed, expected)
            self._luck = Streams([*map(int, seed)], self.device)
        else:
            self._luck = seeded(seed, self.device)

    def take(self, seed: int | Sequence[int] | None, random: np.random.Generator) -> None:
        """As :meth:`seed`; without one, luck goes on, and begins with a number from `random`."""
        if seed is not None:
            self.seed(seed)
        elif self._luck is None:
            self.seed(int(random.integers(2**62)))

    def _drawn(self, draw: Callable[..., Any]) -> Any:
        """What `draw(batch, generator, dtype)` gives to copies, shape (copies, ...)."""
        if isinstance(self._luck, Streams):
            drawn = self._luck.stack(lambda _, generator: draw((), generator, self.dtype))
        else:
            drawn = draw((self.copies // self.common,), self._luck, self.dtype)
        if self.common == 1:
            return drawn
        return map_state(lambda x: x.repeat_interleave(self.common, 0), drawn)

    # ------------------------------------------------------------------ episodes
    def begin(self, where: np.ndarray | None = None, state: Any = None) -> None:
        """Begin anew, everywhere or where it is said, in `state` or where the economy begins.

        Luck is drawn for all copies, so that what comes to one does not depend on the others.

        Parameters
        ----------
        where : ndarray of bool, shape (copies,), optional
        state : State, shape (copies, ...) or without a batch, optional

        Raises
        ------
        ValueError
            If no economy can be in the state.
        """
        fresh = self._drawn(self.economy.reset) if state is None else self._given(state)
        horizon = NEVER if self.horizon is None else self.horizon
        if where is None:
            block = np.arange(self.copies) // (self.copies // self.stagger)
            self._clock, self.ends = 0, horizon - block * horizon // self.stagger
        else:
            self.ends[where] = self._clock + horizon
            fresh = _chosen(where, fresh, self.state)
        self.state, self._next = fresh, int(self.ends.min())
        if self.regret is not None:
            self.regret.begin(fresh, where)

    def _given(self, state):
        self.economy.check_state(state)
        batch, shapes = self.economy.zeros(state).shape, self.economy.fields.shapes
        fits = batch in ((), (1,), (self.copies,))
        require(fits, "state", tuple(batch), f"a batch of {self.copies} states, or a single one")

        def own(x, shape):
            x = x.to(self.device, self.dtype if x.is_floating_point() else None)
            return x.expand((self.copies, *shape)).clone()

        return type(state)(**{name: own(getattr(state, name), s) for name, s in shapes.items()})

    def look(self) -> Tensor:
        """What the seat sees, float32 (copies, features), in memory that is not the state's."""
        sight = self.economy.sights(self.state)[self.seat.name]
        row = self.seat.look(sight).squeeze(-2)
        return self._apart({"what is seen": row})["what is seen"].float()

    def step(self, actions: np.ndarray | Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """A period: rewards (copies,) and quantities of the period (copies, ...).

        Parameters
        ----------
        actions : ndarray or Tensor, shape (copies, n_actions), as the seat has them

        Raises
        ------
        ValueError
            If one is no number, or is not feasible; or no episode has begun.
        """
        if self.state is None:
            raise ValueError("no episode has begun: expected reset() before the first step().")
        seat, economy = self.seat, self.economy
        kind = self.dtype if seat.choices is None else torch.int64
        rows = torch.as_tensor(actions, device=self.device)
        chosen = rows.reshape(self.copies, 1, seat.n_actions).to(kind)
        physical = seat.physical(chosen, checked=self.checked).to(self.dtype)
        before, shocks = self.state, self._drawn(economy.draw)
        # Shapes and types are those of the first period, in which they are checked.
        period = economy.transition if self._checked else economy.step
        step = period(before, {seat.name: physical}, shocks)
        self.state, self._checked = step.state, True
        self._clock += 1
        reward = step.rewards[seat.name]
        reward = reward.squeeze(-1) if reward.shape[-1] == 1 else reward.mean(-1)
        info = self._apart(step.info | {"what is earned": reward})
        reward = info.pop("what is earned")
        if self.regret is not None:
            info |= {"action": physical, "reference": seat.own(self.regret.policy, before)}
            self.regret.add(reward, shocks)
        return reward, info

    def _apart(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same in memory that is not the state's, as others may write into what they get."""
        for name in tensors.keys() - self._shared.keys():
            # It lies in the rules of an economy, and is looked up once.
            place = tensors[name].untyped_storage().data_ptr()
            held = {x.untyped_storage().data_ptr() for x in self.state}
            self._shared[name] = place in held
        return {name: x.clone() if self._shared[name] else x for name, x in tensors.items()}

    @property
    def some_over(self) -> bool:
        """Whether an episode is cut now."""
        return self._clock >= self._next

    @property
    def over(self) -> np.ndarray:
        """Which episodes are cut now, shape (copies,)."""
        return self.ends <= self._clock


def _chosen(where: np.ndarray, fresh: Any, old: Any) -> Any:
    """The fresh states of the copies that begin anew, and the old ones of others."""
    new = torch.from_numpy(where).to(fresh[0].device)
    return map_state(
        lambda x, y: torch.where(new.reshape(-1, *[1] * (x.dim() - 1)), x, y), fresh, old
    )


def judged_by(regret: bool, reference: Any) -> Any:
    """The reference, if regret is asked for.

    Raises
    ------
    ValueError
        If one is given without the other.
    """
    asked = regret == (reference is not None)
    expected = "the exact rule, such as solve(economy), if and only if regret=True"
    require(asked, "reference", reference, expected)
    return reference


class Regret:
    r"""What an episode would have been worth by the exact rule, from the same beginning and luck.

    With the discounted rewards :math:`V_T=\sum_{t<T}\beta^t r_t` of an episode of T periods, and
    those of the rule, it is

    .. math:: \frac{C^*-C}{|C^*|}, \qquad C = c\!\left(\frac{V_T}{1-\beta^T}\right),

    with the constant consumption, or profit, :math:`c(v)` whose discounted rewards are v for ever
    (`Economy.equivalent`), as :func:`~lectures_lib.evaluation.evaluate` has it for the mean of
    paths. Nothing is said of the capital that is left when an episode is cut: who eats it up at the
    end may have a negative regret, so that episodes should be long beside :math:`1/(1-\beta)`.

    Parameters
    ----------
    seat : Seat
    policy : callable, Solution or Agent
        The rule.
    """

    def __init__(self, seat: Seat, policy: Any):
        self.seat, self.policy = seat, rule_of(policy, "reference")
        self.discount = seat.economy.discount_of(seat.name)
        self._state: Any = None

    def begin(self, state: Any, where: np.ndarray | None) -> None:
        """Begin anew where the agent does."""
        zero = torch.zeros(len(state[0]), dtype=torch.float64, device=state[0].device)
        if where is None:
            self._state, self._weight = state, zero + 1
            self._own, self._best = zero, zero.clone()
            return
        new = torch.from_numpy(where).to(zero.device)
        self._state = _chosen(where, state, self._state)
        self._weight = torch.where(new, 1.0, self._weight)
        self._own, self._best = (torch.where(new, 0.0, v) for v in (self._own, self._best))

    def add(self, reward: Tensor, shocks: Any) -> None:
        """A period of the agent's rewards, and of the rule's in the same luck."""
        name, economy = self.seat.name, self.seat.economy
        actions = {name: self.seat.own(self.policy, self._state).to(reward.dtype)}
        step = economy.step(self._state, actions, shocks)
        self._state = step.state
        self._own = self._own + self._weight * reward
        self._best = self._best + self._weight * step.rewards[name].mean(-1)
        self._weight = self._weight * self.discount

    @property
    def value(self) -> Tensor:
        """Of the episodes so far, shape (copies,)."""
        economy, name = self.seat.economy, self.seat.name
        own, best = (
            economy.equivalent(name, v / (1 - self._weight)) for v in (self._own, self._best)
        )
        return (best - own) / best.abs()
