"""Which formulas are about which economy.

What a solver has to know of an economy is registered for the economy's class, in one file for each
(`planner.py`, `market.py`, `growth.py`, `monopolist.py`), and found for derived classes too. An
economy of one's own joins in the same way, from outside:

>>> from lectures_lib.solvers import Solution, solve
>>> class Fishery: ...
>>> @solve.register(Fishery)
... def _(economy, regime, method, domain):
...     return Solution(economy, "planner", policy=lambda state, moved=None: {})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import singledispatch, wraps
from inspect import isabstract, signature
from typing import Any, NoReturn

import torch

from ..economies.base import Economy

# States at which the rules of a derived class are compared with its base's.
SAMPLE = 64


def by_kind(function: Callable) -> Any:
    """A function of an economy, open to more kinds of it.

    What is decorated answers for economies of no registered kind; its documentation and defaults
    are everybody's. Its `register(kind)` is that of `functools.singledispatch`, and what is
    registered is called with all arguments. A class derived from a registered one is treated like
    its base, or refused where it has changed the base's rules.
    """
    generic, form = singledispatch(function), signature(function)

    @wraps(function)
    def dispatched(*args, **kwargs):
        given = form.bind(*args, **kwargs)
        given.apply_defaults()
        require_rules(given.args[0], function.__name__, generic.registry)
        return generic(*given.args)

    opened: Any = dispatched
    opened.register, opened.registry = generic.register, generic.registry
    return opened


def names(kinds: Iterable[type]) -> list[str]:
    """The names of registered kinds, for messages."""
    return [kind.__name__ for kind in kinds if kind is not object]


def expected_kinds(kinds: Iterable[type]) -> str:
    """Which economies would have done, for messages."""
    return f"expected one of {', '.join(names(kinds))}, or a class derived from one of them"


def require_kind(economy: Economy, task: str, kinds: Iterable[type]) -> None:
    """Refuse an economy that a solver's formulas are not about.

    Parameters
    ----------
    economy : Economy
    task : str
        What was asked for.
    kinds : iterable of type
        Economies whose formulas the solver knows.

    Raises
    ------
    TypeError
        If the economy is none of them, or is derived from one and has changed its rules.
    """
    if _kind_of(economy, kinds) is None:
        refuse_kind(economy, task, kinds)
    require_rules(economy, task, kinds)


def refuse_kind(economy: Economy, task: str, kinds: Iterable[type]) -> NoReturn:
    """Say that a solver's formulas are not about an economy.

    Raises
    ------
    TypeError
    """
    raise TypeError(
        f"{task} is for a {' or a '.join(names(kinds))}, or a class derived from it; got "
        f"{type(economy).__name__}. solve(economy) picks the method where there is one, and "
        "PPO learns in any economy."
    )


def require_rules(economy: Economy, task: str, kinds: Iterable[type]) -> None:
    """Refuse an economy that is derived from one of `kinds` and has changed its rules.

    Raises
    ------
    TypeError
    """
    base = _kind_of(economy, kinds)
    # What is abstract has no rules yet.
    if base in (None, type(economy)) or isabstract(base) or _has_rules_of(economy, base):
        return
    raise TypeError(
        f"{type(economy).__name__} has other rules than {base.__name__}, whose formulas {task} "
        "knows: roles or discount factors differ, or states or rewards after a period. PPO learns "
        "in any economy, and euler_residuals judges any policy by the economy's own code."
    )


def _kind_of(economy, kinds) -> type | None:
    """The registered class that an economy belongs to."""
    return next((k for k in type(economy).__mro__ if k in kinds and k is not object), None)


def _has_rules_of(economy, base) -> bool:
    """Whether a period brings the same as in the economy that it is derived from."""
    parameters = {f.name: getattr(economy, f.name) for f in fields(base) if f.init}
    plain = base(**parameters)
    if _frame(economy) != _frame(plain):
        return False
    generator = torch.Generator().manual_seed(0)
    state = plain.reset((SAMPLE,), generator, torch.float64)
    shocks = plain.draw((SAMPLE,), generator, torch.float64)
    actions = {
        name: role.to_physical(
            torch.randn(
                *(SAMPLE, role.n_agents, role.n_actions), generator=generator, dtype=torch.float64
            )
        )
        for name, role in plain.roles.items()
    }
    one, other = (e.step(state, actions, shocks) for e in (economy, plain))
    pairs = [*zip(one.state, other.state, strict=True)]
    pairs += [(one.rewards[name], other.rewards[name]) for name in plain.roles]
    return all(torch.allclose(x, y, rtol=1e-9, atol=0, equal_nan=True) for x, y in pairs)


def _frame(economy):
    """Who plays, when, and how patiently: all of the rules but what a period brings."""
    roles = {
        name: (role.n_agents, role.n_actions, role.team, role.follows, economy.discount_of(name))
        for name, role in economy.roles.items()
    }
    shapes = economy.fields.shapes, economy.shock_shapes
    return roles, economy.stages, economy.discount, shapes
