"""What every economy is: a pure function of state, actions and shocks.

Randomness is drawn outside and handed in (:meth:`Economy.draw`), so that two economies can be
given the same luck. Leading dimensions are free and broadcast. Chapter *Learning when shocks are
inputs* shows what follows from this choice.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from ..markov import MarkovChain
from ..parameters import Parameters, require
from .entry import (
    as_batch,
    broadcast,
    require_actions,
    require_device_and_type,
    require_source,
    require_tensor,
)
from .fields import Fields
from .role import Role

MAX_OUTCOMES = 4096


class TooManyOutcomes(ValueError):
    """There are too many combinations of next shocks for an exact expectation."""


#: A state or a period's shocks: a NamedTuple of tensors, its fields named by the economy.
State = Any
Actions = Mapping[str, Tensor]
#: Of one economy. Who derives from plain `Economy` leaves open what they are.
StateT = TypeVar("StateT", bound=NamedTuple)
ShocksT = TypeVar("ShocksT", bound=NamedTuple)
Method = TypeVar("Method", bound=Callable[..., Any])


class Step(NamedTuple, Generic[StateT]):
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

    state: StateT
    rewards: dict[str, Tensor]
    info: dict[str, Tensor]


class Sight(NamedTuple):
    """What the agents of a role see when they move.

    Attributes
    ----------
    own : Tensor, shape (*batch, agents, features)
        Of each agent itself.
    population : Tensor or None, shape (*batch, members, features)
        Of whom they know the same, themselves included.
    """

    own: Tensor
    population: Tensor | None = None


def _on_entry(own: Method) -> Method:
    """A method that draws random numbers, with what it is given checked and a batch a tuple."""

    @wraps(own)
    def drawn(self, batch, generator, dtype=torch.float32):
        batch = as_batch(batch)
        require_source(generator, dtype)
        return own(self, batch, generator, dtype)

    return cast(Method, drawn)


@dataclass(frozen=True)
class Economy(Parameters, ABC, Generic[StateT, ShocksT]):
    """The rules of a game: who acts, what they see, what happens.

    A subclass is a frozen dataclass of parameters. It has NamedTuples for its state and shocks
    (`State`, `Shocks`), declares what each field of the state is (:attr:`fields`), and writes down
    :meth:`reset`, :meth:`observe` and :meth:`transition`. It knows nothing of learning.
    ``class Fishery(Economy[FisheryState, FisheryShocks])`` lets a type checker know of them, too.
    Numbers that it is given become Python's (:class:`~lectures_lib.parameters.Parameters`).
    """

    State: ClassVar[Any] = None
    Shocks: ClassVar[Any] = None

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
    def fields(self) -> Fields:
        """Shape, values and mover of each field of `State`."""

    @abstractmethod
    def reset(self, batch, generator: torch.Generator, dtype=torch.float32) -> StateT:
        """Initial states, shape `batch`, on the generator's device."""

    @abstractmethod
    def observe(self, state: StateT, moved: Actions | None = None) -> dict[str, Tensor]:
        """What agents see of themselves when it is their turn: {role: (*batch, agents, features)}.

        There is an entry for each role that moves next.

        Parameters
        ----------
        state : State
        moved : dict of str to Tensor, optional
            Actions of the roles that have moved earlier in the period (see :attr:`stages`).
        """

    @abstractmethod
    def transition(self, state: StateT, actions: Actions, shocks: ShocksT) -> Step[StateT]:
        """The period itself, on inputs whose shapes have been checked."""

    @abstractmethod
    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """The constant consumption (or profit) whose discounted reward equals `value`."""

    # ------------------------------------------------------------------ what it may say otherwise
    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """Who moves when within a period, as tuples of roles that move at the same time."""
        return (tuple(self.roles),)

    def sights(self, state: StateT, moved: Actions | None = None) -> dict[str, Sight]:
        """All that the roles whose turn it is see: themselves, and perhaps a population.

        By default what :meth:`observe` shows; with full information, agents see the same of all
        agents of their role.
        """
        roles = self.roles
        seen = self.observe(state, moved)
        together = {n for n in seen if roles[n].full_information and roles[n].n_agents > 1}
        return {name: Sight(x, x if name in together else None) for name, x in seen.items()}

    def observe_centrally(self, state: StateT, moved: Actions | None = None) -> dict[str, Sight]:
        """What a critic may see in training of the roles whose turn it is.

        By default what the role's policy sees; more where roles do not see everything.
        """
        return self.sights(state, moved)

    @property
    def shock_shapes(self) -> dict[str, tuple[int, ...]]:
        """Trailing shape of each field of a period's shocks, after the batch dimensions.

        By default there is one uniform draw for each index that follows a chain.
        """
        return {name: self.fields[name].shape for name in self.fields.chains}

    def outcomes(self, state: StateT) -> tuple[ShocksT, Tensor]:
        """All of next period's shocks with their probabilities, for exact expectations.

        By default every combination of what the chains may do.

        Returns
        -------
        shocks : Shocks, shape (outcomes, *batch, ...)
        probability : Tensor, shape (outcomes, *batch)
            Sums to one over the first dimension.

        Raises
        ------
        TooManyOutcomes
            If there are more than 4,096 of them, or a shock follows no chain; a kind of ValueError.
        """
        chains, zero = self.fields.chains, self.zeros(state)
        if free := sorted(set(self.shock_shapes) - set(chains)):
            raise TooManyOutcomes(
                f"{type(self).__name__}'s shocks {free} follow no chain, so that they may be "
                "anything: define outcomes, or use draws (economy.draw)."
            )
        # One chain for each entry of each field, the last field's first.
        entries = [
            (name, i)
            for name in reversed(chains)
            for i in range(math.prod(self.fields[name].shape))
        ]
        sizes = [len(chains[name]) for name, _ in entries]
        if math.prod(sizes) > MAX_OUTCOMES:
            raise TooManyOutcomes(
                f"{type(self).__name__} has {math.prod(sizes):,} combinations of next shocks, more "
                f"than {MAX_OUTCOMES:,}: use draws (economy.draw) instead of exact expectations."
            )
        pick = torch.cartesian_prod(torch.arange(1), *map(torch.arange, sizes)).reshape(
            -1, 1 + len(entries)
        )
        pick = pick[:, 1:].to(zero.device)
        uniform: dict[str, list[Tensor]] = {name: [] for name in chains}
        probability = zero.new_ones((len(pick), *zero.shape))
        for column, (name, i) in enumerate(entries):
            index = getattr(state, name).expand((*zero.shape, *self.fields[name].shape))
            index = index.reshape(*zero.shape, -1)[..., i]
            draw, chance = chains[name].outcomes(index, zero.dtype)
            uniform[name].append(draw[pick[:, column]])
            probability = probability * chance[pick[:, column]]
        shapes = self.fields.shapes
        # A single number has no dimension of its own.
        shocks = {
            name: torch.stack(x, -1).unflatten(-1, shapes[name]) if shapes[name] else x[0]
            for name, x in uniform.items()
        }
        return self.Shocks(**shocks), probability

    def discount_of(self, role: str) -> float:
        """Discount factor of a role's rewards: its own, or the economy's."""
        own = self.roles[role].discount
        return self.discount if own is None else own

    def equivalent(self, role: str, value: Tensor) -> Tensor:
        """What a role's welfare is measured in: its own measure, or consumption."""
        own = self.roles[role].equivalent
        return self.consumption_equivalent(value) if own is None else own(value)

    # ------------------------------------------------------------------ what every economy shares
    @_on_entry
    def draw(self, batch, generator: torch.Generator, dtype=torch.float32) -> ShocksT:
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

    def step(self, state: StateT, actions: Actions, shocks: ShocksT) -> Step[StateT]:
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

    def move_chance(self, state: StateT, shocks: ShocksT) -> dict[str, Tensor]:
        """Next period's index of each chain, by the name of its field."""
        return {
            name: chain.next(getattr(state, name), getattr(shocks, name))
            for name, chain in self.fields.chains.items()
        }

    def perturb(self, state: StateT, generator: torch.Generator, scale: float) -> StateT:
        """States around a state: what choices move is shifted (:meth:`.Field.nearby`).

        Parameters
        ----------
        state : State
        generator : torch.Generator
        scale : float
            Half-width of the shifts, in logarithms of positive (and nonnegative) and in units of
            real fields.
        """
        names = [n for n in self.fields.moved_by("choice") if self.fields[n].domain != "index"]
        return state._replace(
            **{
                name: self.fields[name].nearby(getattr(state, name), generator, scale, i > 0)
                for i, name in enumerate(names)
            }
        )

    def zeros(self, state: StateT) -> Tensor:
        """Zeros (*batch,) with the type and on the device of the state's real numbers.

        A state of indices alone has torch's default type.
        """
        batch = self._batch_shape(state, self.fields.shapes, "state")
        fields = [getattr(state, name) for name in self.fields]
        for x in fields:
            if x.is_floating_point():
                return x.new_zeros(batch)
        return torch.zeros(batch, device=fields[0].device)

    def no_luck(self, state: StateT) -> ShocksT:
        """Shocks (*batch, ...) that are all zero, for what does not depend on them."""
        zero = self.zeros(state)
        return self.Shocks(*(zero.new_zeros(zero.shape + s) for s in self.shock_shapes.values()))

    def check_state(self, state: StateT) -> None:
        """Refuse states with values that no economy can be in (used where data enters).

        Raises
        ------
        ValueError
            If a field has the wrong shape or type, or values outside its domain.
        """
        self.check_form(state)
        for name, field in self.fields.items():
            field.check_values(getattr(state, name), f"state.{name}")

    # ------------------------------------------------------------------ checks without device sync
    def check_form(self, state: StateT) -> None:
        """Refuse what is no state of this economy, whatever its values are.

        Raises
        ------
        TypeError
            If it, or one of its fields, is no state of tensors.
        ValueError
            If a field has the wrong shape or type.
        """
        names = tuple(self.fields)
        for name in names:
            x = getattr(state, name, None)
            if not isinstance(x, Tensor):
                found = f"got {state!r}" if x is None else f"state.{name} is a {type(x).__name__}"
                raise TypeError(
                    f"{found}: expected a state of {type(self).__name__} with the tensors {names}, "
                    "such as economy.reset((1,), generator) gives."
                )
        self._batch_shape(state, self.fields.shapes, "state")
        for name, field in self.fields.items():
            field.check_type(getattr(state, name), f"state.{name}")

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
        batch = self._batch_shape(state, self.fields.shapes, "state")
        batch = broadcast(batch, self._batch_shape(shocks, self.shock_shapes, "shocks"), "shocks")
        like = getattr(shocks, next(iter(self.shock_shapes), ""), None)
        if like is None:  # an economy without shocks
            like = self.zeros(state)
            if actions and all(field.domain == "index" for field in self.fields.values()):
                # Nothing but actions says of which type numbers are.
                like = next(iter(actions.values()))
        for name in self.fields:
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


def map_state(function: Callable[..., Tensor], *states: StateT) -> StateT:
    """Apply a function to each field of one or several states (or shocks) of the same type."""
    kind: Any = type(states[0])
    return kind(*map(function, *states))


def require_economy(economy) -> None:
    """Refuse what is no economy; a class that has not been called is none.

    Raises
    ------
    TypeError
    """
    if not isinstance(economy, Economy):
        raise TypeError(f"economy={economy!r}: expected an Economy, such as Planner().")
