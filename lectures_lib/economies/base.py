"""What every economy is: a pure function of state, actions and shocks.

Randomness is drawn outside and handed in (:meth:`Economy.draw`), so that two economies can be
given the same luck. Leading dimensions are free and broadcast. Chapter *Learning when shocks are
inputs* shows what follows from this choice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..markov import MarkovChain
from ..parameters import Parameters, entered, require
from .entry import (
    as_batch,
    broadcast,
    require_actions,
    require_device_and_type,
    require_source,
    require_tensor,
)
from .role import Role


class TooManyOutcomes(ValueError):
    """There are too many combinations of next shocks for an exact expectation."""


#: A state or a period's shocks: a NamedTuple of tensors, its fields named by the economy.
State = Any
Actions = Mapping[str, Tensor]


class Step(NamedTuple):
    """What a period brings.

    Attributes
    ----------
    state : NamedTuple of Tensor
        Next period's state.
    rewards : dict of str to Tensor, shape (*batch, agents)
        Each agent's reward, by role.
    info : dict of str to Tensor
        Quantities of the period that figures and tests use; learners never look at them.
    """

    state: State
    rewards: dict[str, Tensor]
    info: dict[str, Tensor]


def _on_entry(own):
    """A method that draws random numbers, with what it is given checked and a batch a tuple."""

    @wraps(own)
    def drawn(self, batch, generator, dtype=torch.float32):
        batch = as_batch(batch)
        require_source(generator, dtype)
        return own(self, batch, generator, dtype)

    return drawn


@dataclass(frozen=True)
class Economy(Parameters, ABC):
    """The rules of a game: who acts, what they see, what happens.

    A subclass is a frozen dataclass of parameters that names the fields of its state and shocks
    (`State`, `Shocks`), gives their trailing shapes, and writes down :meth:`reset`,
    :meth:`observe`, :meth:`transition` and :meth:`outcomes`. It knows nothing of learning.
    Numbers that it is given become Python's (:class:`~lectures_lib.parameters.Parameters`).
    """

    State = None
    Shocks = None
    #: Names of the state's fields that agents' choices move; the others are exogenous.
    endogenous = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in ("reset", "draw"):
            own = vars(cls).get(name)
            if own is not None and not getattr(own, "__isabstractmethod__", False):
                setattr(cls, name, _on_entry(own))

    def _check_entries(self):
        for name, chain in vars(self).items():
            if isinstance(chain, MarkovChain):
                require(
                    chain.is_ergodic,
                    name,
                    chain,
                    "a chain with one stationary distribution. Types that never change are "
                    "economies of their own, one for each type; or let a type change with a small "
                    "probability",
                )

    # ------------------------------------------------------------------ what a subclass provides
    @property
    @abstractmethod
    def roles(self) -> dict[str, Role]:
        """The groups of agents, by name."""

    @property
    @abstractmethod
    def discount(self) -> float:
        """Discount factor of a period's reward."""

    @property
    @abstractmethod
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Trailing shape of each field of the state, after the batch dimensions."""

    @property
    @abstractmethod
    def shock_shapes(self) -> dict[str, tuple[int, ...]]:
        """Trailing shape of each field of a period's shocks, after the batch dimensions."""

    @abstractmethod
    def reset(self, batch, generator: torch.Generator, dtype=torch.float32) -> State:
        """Initial states, shape `batch`, on the generator's device."""

    @abstractmethod
    def observe(self, state: State, moved: Actions | None = None) -> dict[str, Tensor]:
        """What each role sees: {role: (*batch, agents, features)}.

        Parameters
        ----------
        state : State
        moved : dict of str to Tensor, optional
            Actions of the roles that have moved earlier in the period (see :attr:`stages`).
        """

    def observe_centrally(self, state: State) -> dict[str, Tensor]:
        """What a critic may see in training: inputs {role: (*batch, agents, inputs)}.

        By default what the role's policy sees; more where roles do not see everything.
        """
        seen = self.observe(state)
        return {name: role.inputs(seen[name]) for name, role in self.roles.items()}

    def n_central_second_moments(self, role: str) -> int:
        """How many of the last of :meth:`observe_centrally` are second moments of a population."""
        return self.roles[role].n_second_moments

    @abstractmethod
    def transition(self, state: State, actions: Actions, shocks: State) -> Step:
        """The period itself, on inputs whose shapes have been checked."""

    @abstractmethod
    def outcomes(self, state: State) -> tuple[State, Tensor]:
        """All of next period's shocks with their probabilities, for exact expectations.

        Returns
        -------
        shocks : Shocks, shape (outcomes, *batch, ...)
        probability : Tensor, shape (outcomes, *batch)
            Sums to one over the first dimension.
        """

    @abstractmethod
    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """The constant consumption (or profit) whose discounted reward equals `value`."""

    # ------------------------------------------------------------------ what every economy shares
    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """Who moves when within a period, as tuples of roles that move at the same time."""
        return (tuple(self.roles),)

    @_on_entry
    def draw(self, batch, generator: torch.Generator, dtype=torch.float32) -> State:
        """A period's exogenous randomness: uniform draws of shape (*batch, ...).

        Draws of shape (runs, groups, 1) broadcast against states of shape
        (runs, groups, replicates): that is all there is to common random numbers.
        """
        return self.Shocks(
            *(
                torch.rand(batch + shape, generator=generator, device=generator.device, dtype=dtype)
                for shape in self.shock_shapes.values()
            )
        )

    def step(self, state: State, actions: Actions, shocks: State) -> Step:
        """One period.

        Parameters
        ----------
        state : State, fields of shape (*batch, ...)
        actions : dict of str to Tensor, shape (*batch, agents, actions)
            One entry for each role, in physical units.
        shocks : Shocks, fields of shape (*batch, ...)

        Returns
        -------
        Step

        Raises
        ------
        ValueError
            If a role is missing, or a shape, dtype or device does not fit. Values are not looked
            at here, because looking would make a GPU wait.
        """
        self._check(state, actions, shocks)
        return self.transition(state, actions, shocks)

    def perturb(self, state: State, generator: torch.Generator, scale: float) -> State:
        r"""States around a state: endogenous variables multiplied by :math:`e^{scale\,u}`.

        The shift common to all entries of a state is stratified over the last batch dimension, so
        that the replicates of a group cover the range evenly. Where there are several households,
        each also gets a shift of its own, and so does each of several goods.

        Parameters
        ----------
        state : State
        generator : torch.Generator
        scale : float
            Half-width of the shifts in logarithms.
        """
        shifted = {}
        for i, name in enumerate(self.endogenous):
            x, trailing = getattr(state, name), self.state_shapes[name]
            shifted[name] = self._shift(x, trailing, generator, scale, shuffle=i > 0)
        return state._replace(**shifted)

    @staticmethod
    def _shift(x, trailing, generator, scale, shuffle):
        def draw(shape):
            return torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)

        batch = x.shape[: x.dim() - len(trailing)]
        n = batch[-1] if batch else 1
        # Draw number i of n lies in the i-th of n equal strata of [0, 1].
        order = torch.arange(n, device=x.device)
        if shuffle:  # so that a second variable does not move along with the first
            order = draw(batch).argsort(-1)
        strata = (order + draw(batch)) / n
        shift = (2 * strata - 1).reshape(batch + (1,) * len(trailing))
        for depth, entries in enumerate(trailing, 1):
            if entries > 1:
                own = draw(batch + trailing[:depth] + (1,) * (len(trailing) - depth))
                shift = shift + 2 * own - 1
        return x * torch.exp(scale * shift)

    def zeros(self, state: State) -> Tensor:
        """Zeros (*batch,) with the type and on the device of the state's real numbers.

        A state of indices alone has torch's default type.
        """
        batch = self._batch_shape(state, self.state_shapes, "state")
        fields = [getattr(state, name) for name in self.state_shapes]
        for x in fields:
            if x.is_floating_point():
                return x.new_zeros(batch)
        return torch.zeros(batch, device=fields[0].device if fields else None)

    def no_luck(self, state: State) -> State:
        """Shocks (*batch, ...) that are all zero, for what does not depend on them."""
        zero = self.zeros(state)
        return self.Shocks(*(zero.new_zeros(zero.shape + s) for s in self.shock_shapes.values()))

    def check_state(self, state: State) -> None:
        """Refuse states with values that no economy can be in (used where data enters).

        Raises
        ------
        ValueError
            If a field has the wrong shape, is not finite, an endogenous one is not positive, or
            an index does not exist.
        """
        self.check_form(state)
        for name in state._fields:
            x = getattr(state, name)
            chain = getattr(self, name, None)
            if isinstance(chain, MarkovChain) and not ((x >= 0) & (x < len(chain))).all():
                raise ValueError(
                    f"state.{name} holds indices from {x.min().item()} to {x.max().item()}; the "
                    f"chain has {len(chain)} values, so they must lie in 0..{len(chain) - 1}."
                )
            if x.is_floating_point() and not torch.isfinite(x).all():
                raise ValueError(f"state.{name} has entries that are not finite numbers.")
            if name in self.endogenous and not (x > 0).all():
                raise ValueError(
                    f"state.{name} must be positive everywhere; its smallest entry is "
                    f"{x.min().item():g}."
                )

    # ------------------------------------------------------------------ checks without device sync
    def check_form(self, state: State) -> None:
        """Refuse what is no state of this economy, whatever its values are.

        Raises
        ------
        TypeError
            If it, or one of its fields, is no state of tensors.
        ValueError
            If a field has the wrong shape, choices move it and it holds no floating-point numbers,
            or it holds a chain's indices and they are not of type int64.
        """
        names = tuple(self.state_shapes)
        for name in names:
            x = getattr(state, name, None)
            if not isinstance(x, Tensor):
                found = f"got {state!r}" if x is None else f"state.{name} is a {type(x).__name__}"
                raise TypeError(
                    f"{found}: expected a state of {type(self).__name__} with the tensors {names}, "
                    "such as economy.reset((1,), generator) gives."
                )
        self._batch_shape(state, self.state_shapes, "state")
        for name in names:
            x = getattr(state, name)
            if name in self.endogenous and not x.is_floating_point():
                expected = "floating-point numbers, such as x.float() gives"
            elif isinstance(getattr(self, name, None), MarkovChain) and x.dtype != torch.int64:
                expected = "indices of type torch.int64, such as x.long() gives"
            else:
                continue
            raise ValueError(f"state.{name} is {x.dtype}: expected {expected}.")

    def _batch_shape(self, fields, shapes, what) -> torch.Size:
        batch = torch.Size()
        for name, trailing in shapes.items():
            x = getattr(fields, name, None)
            if x is None:
                raise ValueError(f"{what} has no field {name!r}; it needs {tuple(shapes)}.")
            require_tensor(x, f"{what}.{name}")
            n = x.dim() - len(trailing)
            if n < 0 or tuple(x.shape[n:]) != trailing:
                raise ValueError(
                    f"{what}.{name} has shape {tuple(x.shape)}; expected (*batch, "
                    f"{', '.join(map(str, trailing))})."
                )
            batch = broadcast(batch, x.shape[:n], f"{what}.{name}")
        return batch

    def _check(self, state, actions, shocks) -> None:
        batch = self._batch_shape(state, self.state_shapes, "state")
        batch = broadcast(batch, self._batch_shape(shocks, self.shock_shapes, "shocks"), "shocks")
        like = getattr(shocks, next(iter(self.shock_shapes), ""), None)
        if like is None:  # an economy without shocks
            like = self.zeros(state)
        for name in self.state_shapes:
            x = getattr(state, name)
            if x.is_floating_point():
                require_device_and_type(x, like, f"state.{name}")
            elif x.dtype != torch.int64 or x.device != like.device:
                raise ValueError(
                    f"state.{name} is {x.dtype} on {x.device}; expected torch.int64 on "
                    f"{like.device}."
                )
        require_actions(actions, self)
        for name, role in self.roles.items():
            if name not in actions:
                raise ValueError(
                    f"actions has no entry for role {name!r}; it has {tuple(actions)} and needs "
                    f"{tuple(self.roles)}."
                )
            a = actions[name]
            expected = (role.n_agents, role.n_actions)
            if a.dim() < 2 or tuple(a.shape[-2:]) != expected:
                raise ValueError(
                    f"actions[{name!r}] has shape {tuple(a.shape)}; expected (*batch, "
                    f"{expected[0]}, {expected[1]})."
                )
            batch = broadcast(batch, a.shape[:-2], f"actions[{name!r}]")
            require_device_and_type(a, like, f"actions[{name!r}]")


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """Apply a function to each field of one or several states (or shocks) of the same type."""
    return type(states[0])(*map(function, *states))


def require_economy(economy) -> None:
    """Refuse what is no economy; a class that has not been called is none.

    Raises
    ------
    TypeError
    """
    if not isinstance(economy, Economy):
        raise TypeError(f"economy={economy!r}: expected an Economy, such as Planner().")


class FixedAction:
    """The policy that always does the same: a constant saving share, for example.

    Parameters
    ----------
    economy : Economy
    value : float
        Physical action taken by every agent of every role.
    """

    def __init__(self, economy: Economy, value: float):
        require_economy(economy)
        self.economy, self.value = economy, entered("value", value, float)

    def __call__(self, state: State, moved: Actions | None = None) -> dict[str, Tensor]:
        self.economy.check_form(state)
        zero = self.economy.zeros(state)
        return {
            name: zero.new_full((*zero.shape, role.n_agents, role.n_actions), self.value)
            for name, role in self.economy.roles.items()
        }
