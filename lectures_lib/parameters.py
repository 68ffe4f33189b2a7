"""What users hand in as numbers: Python's own afterwards, or refused by name.

Numbers come from NumPy, torch, QuantEcon or a keyboard. Whatever holds parameters (an economy, a
learner's settings, a Markov chain) makes them Python's when it is made, so that the same value is
written, compared, hashed and stored in the same way wherever it came from.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property, lru_cache, wraps
from inspect import get_annotations
from numbers import Integral, Real
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch

_UNIONS = (Union, types.UnionType)


def require(condition: bool, name: str, value, expected: str) -> None:
    """Raise a ValueError that names the parameter, its value and what was expected."""
    if not condition:
        raise ValueError(f"{name}={value!r}: expected {expected}.")


class Parameters:
    """A dataclass whose numbers become Python's when it is made, a subclass's own as well.

    The annotations say what a field is. Where it is an `int`, `float` or `bool`, a tuple of them,
    or one of them or None, its value goes through :func:`~lectures_lib.parameters.entered`, before
    the `__post_init__` that a subclass may have; other fields are left alone, but for a NumPy
    scalar, which becomes what Python has in its place.

    Raises
    ------
    ValueError
        If a value is not what its field holds; the message names the field.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        check = vars(cls).get("__post_init__")
        if check is not None:

            @wraps(check)
            def after_entry(self, *args):
                Parameters.__post_init__(self)
                check(self, *args)

            cls.__post_init__ = after_entry

    def __post_init__(self):
        kinds = _kinds(type(self))
        for field in fields(self):
            value = getattr(self, field.name)
            python = entered(field.name, value, kinds[field.name])
            if python is not value:
                object.__setattr__(self, field.name, python)
        self._check_entries()

    def _check_entries(self):
        """What a class demands of all its subclasses' parameters; nothing by default."""


@lru_cache(maxsize=256)
def _kinds(cls) -> dict[str, Any]:
    """The type of each field, from its annotation; Any where a name in it cannot be found."""
    kinds = {}
    for base in reversed(cls.__mro__):
        known = vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
        for name, written in get_annotations(base).items():
            one = types.SimpleNamespace(__annotations__={name: written})
            try:
                kinds[name] = get_type_hints(one, known)[name]
            except (NameError, TypeError):
                kinds[name] = Any
    return kinds


def entered(name: str, value, kind: Any):
    """A value that a user has given, in Python's own types.

    Parameters
    ----------
    name : str
        Of the parameter, for the error.
    value
        From Python, NumPy or torch: arrays of no dimension are numbers, and sequences and arrays
        are tuples.
    kind : type
        ``int``, ``float`` or ``bool``; a tuple of these, such as ``tuple[float, ...]``; or one of
        these or None. Anything else that is asked for is not looked at.

    Returns
    -------
    The value as `kind`. An `int` given for a `float` becomes one; a `bool` is no number.

    Raises
    ------
    ValueError
        If the value is something else; the message names the parameter.
    """
    try:
        return _entered(value, kind)
    except (TypeError, OverflowError):
        raise ValueError(f"{name}={value!r}: expected {_words(kind)}.") from None


def seeded(seed: int, device: str | torch.device = "cpu", shift: int = 0) -> torch.Generator:
    """A generator of random numbers.

    Parameters
    ----------
    seed : int
    device : str or torch.device
    shift : int
        Added to the seed, for numbers that other ones with the same seed have nothing to do with.

    Raises
    ------
    ValueError
        If `seed` is no whole number, or one of more than 64 bits.
    """
    number = entered("seed", seed, int)
    require(-(2**63) <= number + shift < 2**64, "seed", seed, "a whole number of 64 bits")
    return torch.Generator(device).manual_seed(number + shift)


def _entered(value, kind):
    """As :func:`entered`, with a TypeError where the value does not fit."""
    if type(value) is kind:
        return value
    if isinstance(value, np.generic) or (
        kind in (int, float, bool) and getattr(value, "ndim", None) == 0
    ):
        value = value.item()
    if kind is bool:
        return _fits(value, bool)
    if kind is int:
        return int(_fits(value, Integral, but=bool))
    if kind is float:
        return float(_fits(value, Real, but=bool))
    origin, inner = get_origin(kind), get_args(kind)
    if origin in _UNIONS:
        return _first_that_fits(value, inner)
    if origin is tuple and _is_known(kind):
        if isinstance(value, np.ndarray | torch.Tensor):
            value = value.tolist()
        _fits(value, Iterable, but=str | bytes | Mapping)
        every = tuple(value)
        if len(inner) != len(every) or inner[-1] is Ellipsis:
            inner = inner[:1] * len(every)  # how many there must be is for the class to say
        return tuple(map(_entered, every, inner))
    return value


def _fits(value, kind, but=()):
    if not isinstance(value, kind) or isinstance(value, but):
        raise TypeError
    return value


def _first_that_fits(value, kinds):
    if not all(map(_is_known, kinds)):
        return value
    for kind in kinds:
        if kind is types.NoneType and value is None:
            return None
        try:
            if kind is not types.NoneType:
                return _entered(value, kind)
        except TypeError:
            continue
    raise TypeError


def _is_known(kind) -> bool:
    """Whether :func:`~lectures_lib.parameters.entered` looks at values of this kind."""
    if get_origin(kind) is tuple or get_origin(kind) in _UNIONS:
        return all(k is Ellipsis or _is_known(k) for k in get_args(kind))
    return kind in (int, float, bool, types.NoneType)


def _words(kind, plural=False) -> str:
    """What was expected, for people."""
    if kind in (int, float):
        words = "whole number" if kind is int else "number"
        return f"{words}s" if plural else f"a {words}"
    if kind is bool:
        return "True or False"
    if get_origin(kind) in _UNIONS:
        return " or ".join(_words(k, plural) for k in get_args(kind))
    if get_origin(kind) is tuple:
        return ("rows of " if plural else "") + _words(get_args(kind)[0], True)
    return "None"


def described(value):
    """A value in what any file can hold and compare: Python's numbers, strings, tuples and dicts.

    What holds parameters becomes a dict of them, with the name of its class under ``"kind"``;
    arrays become nested tuples, and functions and classes of a module their names. A function made
    in another one is told by its code and what it has kept, because its name does not say what it
    does; networks by their weights; anything else by its `repr`, or where that says no more than
    where it is in memory, by what pickle would store of it.

    Raises
    ------
    TypeError
        If there is something that none of these tells.
    """
    try:
        return _described(value)
    except RecursionError:
        raise TypeError(f"{value!r} holds itself, and no file can tell that: let it not.") from None


def _described(value):
    if isinstance(value, np.generic | np.ndarray | torch.Tensor):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    told = {"kind": type(value).__name__}
    if is_dataclass(value) and not isinstance(value, type):
        return told | {name: _described(x) for name, x in parameters_of(value).items()}
    if isinstance(value, Mapping):
        return {str(key): _described(x) for key, x in value.items()}
    if isinstance(value, list | tuple):  # what an array's `tolist` gives, too
        return tuple(map(_described, value))
    if isinstance(value, type | types.FunctionType) and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, types.FunctionType):
        kept = [cell.cell_contents for cell in value.__closure__ or ()]
        kept += [value.__defaults__, value.__kwdefaults__]
        return told | {"code": _code(value.__code__), "keeps": _described(kept)}
    if isinstance(value, torch.nn.Module):
        return told | {"network": repr(value), "weights": _described(value.state_dict())}
    if _ADDRESS not in repr(value):
        return repr(value)
    try:
        holds = value.__reduce_ex__(2)
    except TypeError as error:
        raise TypeError(
            f"{value!r} says where it is and not what it is, so that no file can tell it from "
            "another: give its class a __repr__ that says what it holds."
        ) from error
    return told | {"holds": _described(holds)}


#: What Python writes of an object of which it knows nothing: another process has it elsewhere.
_ADDRESS = " at 0x"


def _code(code: types.CodeType) -> tuple:
    """What a function does, wherever it is written."""
    constants = [_code(x) if isinstance(x, types.CodeType) else repr(x) for x in code.co_consts]
    return code.co_code.hex(), code.co_names, tuple(constants)


def parameters_of(value) -> dict[str, Any]:
    """A dataclass's parameters; a subclass that is none itself keeps others as attributes."""
    names = [field.name for field in fields(value)]
    if "__dataclass_fields__" not in vars(type(value)):
        known, kind = set(names), type(value)
        names += [
            name
            for name in vars(value)
            if name not in known and not isinstance(getattr(kind, name, None), cached_property)
        ]
    return {name: getattr(value, name) for name in names}
