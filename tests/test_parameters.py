"""Numbers become Python's where they enter, whoever made them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import cached_property, partial

import numpy as np
import pytest
import torch

from lectures_lib.markov import MarkovChain
from lectures_lib.parameters import Parameters, described, entered, require, seeded

SAME = [
    (np.float64(0.5), float, 0.5),
    (np.float32(0.5), float, 0.5),
    (np.longdouble(0.5), float, 0.5),
    (np.array(0.5), float, 0.5),
    (torch.tensor(0.5, requires_grad=True), float, 0.5),
    (Fraction(1, 2), float, 0.5),
    (2, float, 2.0),
    (np.int32(2), float, 2.0),
    (math.inf, float, math.inf),
    (np.int64(3), int, 3),
    (np.uint8(3), int, 3),
    (np.array(3), int, 3),
    (torch.tensor(3), int, 3),
    (np.True_, bool, True),
    (torch.tensor(False), bool, False),
    ([np.int64(8), 4], tuple[int, ...], (8, 4)),
    (range(2), tuple[int, ...], (0, 1)),
    (np.array([1, 2]), tuple[float, ...], (1.0, 2.0)),
    (torch.tensor([0.5, 0.25]), tuple[float, float], (0.5, 0.25)),
    (np.eye(2), tuple[tuple[float, ...], ...], ((1.0, 0.0), (0.0, 1.0))),
    (None, float | None, None),
    (np.float32(0.5), float | None, 0.5),
    (np.int64(2), int | float, 2),
    (np.float64(0.5), int | float, 0.5),
    (np.str_("role"), str, "role"),
]


def types_of(value):
    return [types_of(x) for x in value] if isinstance(value, tuple) else type(value)


@pytest.mark.parametrize(("value", "kind", "expected"), SAME, ids=lambda x: repr(x)[:30])
def test_a_value_becomes_what_python_has_in_its_place(value, kind, expected):
    found = entered("x", value, kind)
    assert found == expected and types_of(found) == types_of(expected)


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (True, float, "a number"),
        (np.True_, int, "a whole number"),
        (torch.tensor(True), float, "a number"),
        (1, bool, "True or False"),
        (1.7, int, "a whole number"),
        (2.0, int, "a whole number"),
        ("0.3", float, "a number"),
        (None, float, "a number"),
        (1j, float, "a number"),
        (10**400, float, "a number"),
        (np.array([0.3]), float, "a number"),
        (3, tuple[int, ...], "whole numbers"),
        ("34", tuple[int, ...], "whole numbers"),
        ((8, 0.5), tuple[int, ...], "whole numbers"),
        ((0.1, True), tuple[float, float], "numbers"),
        (np.ones(2), tuple[tuple[float, ...], ...], "rows of numbers"),
        ("0", float | None, "a number or None"),
    ],
    ids=lambda x: repr(x)[:30],
)
def test_what_is_something_else_is_named(value, kind, words):
    with pytest.raises(ValueError) as error:
        entered("alpha", value, kind)
    assert str(error.value) == f"alpha={value!r}: expected {words}."


@pytest.mark.parametrize("kind", [str, np.ndarray, MarkovChain, tuple, MarkovChain | None])
def test_other_things_are_left_alone(kind):
    for value in (np.array(0.5), [1, 2], "a", True, print):
        assert entered("x", value, kind) is value


@dataclass(frozen=True)
class Base(Parameters):
    rate: float = 0.1
    size: int = 3


@dataclass(frozen=True)
class Own(Base):
    """A user's class, whose check calls no other."""

    flag: bool = False
    sizes: tuple[int, ...] = ()
    maybe: float | None = None

    def __post_init__(self):
        require(type(self.rate) is float, "rate", self.rate, "entered before it is checked")


@pytest.mark.parametrize("kind", [Base, Own])
def test_a_subclass_needs_no_word_to_have_its_numbers_made_pythons(kind):
    one = kind(rate=np.float32(0.5), size=np.int64(2))
    assert (
        one == kind(0.5, 2) and repr(one) == repr(kind(0.5, 2)) and hash(one) == hash(kind(0.5, 2))
    )
    assert repr(kind(rate=2)) == repr(kind(rate=2.0))
    assert type(replace(one, size=np.uint8(4)).size) is int
    for wrong in ({"rate": True}, {"size": 1.5}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}="):
            kind(**wrong)


def test_a_subclass_s_own_fields_are_entered_as_well():
    one = Own(flag=np.False_, sizes=np.array([4, 5]), maybe=np.float64(1))
    assert repr(one).endswith("Own(rate=0.1, size=3, flag=False, sizes=(4, 5), maybe=1.0)")


def test_an_annotation_that_cannot_be_found_is_left_alone_and_the_others_are_not():
    class Here:
        pass

    @dataclass(frozen=True)
    class Local(Parameters):
        thing: Here
        rate: float = 0.5

    here = Here()
    local = Local(here, np.float64(2))
    assert local.thing is here and type(local.rate) is float


def test_a_generator_takes_whole_numbers_from_anywhere():
    for seed in (3, np.int64(3), torch.tensor(3)):
        assert seeded(seed).initial_seed() == 3
    assert seeded(np.int64(3), shift=4).initial_seed() == 7
    for seed in (1.7, True, "3", None, 2**64, -(2**63) - 5):
        with pytest.raises(ValueError, match=rf"^seed={seed!r}: expected a whole number"):
            seeded(seed, shift=4)


def test_what_a_file_holds_is_pythons_and_can_be_compared():
    chain = MarkovChain.symmetric((0.5, 1.5), stay=0.8)

    @dataclass
    class Foreign:
        chain: MarkovChain
        size: np.int64
        table: np.ndarray
        rule: object

    told = described(Foreign(chain, np.int64(2), np.eye(2), require))
    assert told == {
        "kind": "Foreign",
        "chain": {"kind": "MarkovChain"} | {f.name: getattr(chain, f.name) for f in fields(chain)},
        "size": 2,
        "table": ((1.0, 0.0), (0.0, 1.0)),
        "rule": "lectures_lib.parameters.require",
    }
    assert type(told["size"]) is int


def test_functions_that_share_a_name_are_not_taken_for_each_other():
    def times(number):
        return lambda x: number * x

    assert described(times(2)) == described(times(2)) != described(times(3))
    assert described(lambda x: x + 1) != described(lambda x: x + 2)
    assert described(require) == described(require) != described(entered)


class Held:
    """Of which Python writes no more than where it is."""

    def __init__(self, content):
        self.content = content


def network(weight):
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, weight)
    return layer


@pytest.mark.parametrize(
    "make",
    [
        lambda x: Held([x]),
        lambda x: (Held(Held(x)),),
        lambda x: partial(round, Held(x)),
        lambda x: Held(x).__eq__,
        network,
    ],
    ids=["object", "nested", "partial", "method", "network"],
)
def test_what_has_no_repr_of_its_own_is_described_by_what_it_holds(make):
    one, same, other = (described(make(x)) for x in (1.0, np.float64(1), 2.0))
    assert one == same != other
    assert " at 0x" not in repr(one)


def test_what_cannot_be_described_is_refused():
    with pytest.raises(TypeError, match=r"generator object .* give its class a __repr__"):
        described(Held(x for x in "ab"))
    held = Held(1)
    held.content = held
    with pytest.raises(TypeError, match=r"Held object .* holds itself"):
        described(held)


def test_what_a_class_keeps_beside_its_fields_is_described_too():
    class Plain(Base):
        """No dataclass itself, with an `__init__` of its own."""

        def __init__(self, tax):
            super().__init__()
            self.tax = tax

        @cached_property
        def twice(self):
            return 2 * self.tax

    plain = Plain(np.float32(0.25))
    assert plain.twice == 0.5
    assert described(plain) == {"kind": "Plain", "rate": 0.1, "size": 3, "tax": 0.25}


def test_require_names_the_value_and_what_was_expected():
    require(True, "alpha", 0.3, "anything")
    with pytest.raises(ValueError, match=r"alpha=1\.5: expected a number below 1"):
        require(False, "alpha", 1.5, "a number below 1")
