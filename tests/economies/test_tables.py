"""A finite decision problem says what is wrong with it, and quantecon can solve it."""

import dataclasses

import numpy as np
import pytest

from lectures_lib.economies import Monopolist
from lectures_lib.economies.tables import Tables

PAYOFFS = np.array([[1.0, 0.0], [0.0, 2.0]])
MOVES = np.full((2, 2, 2), 0.5)
GOOD = {
    "payoffs": PAYOFFS,
    "transitions": MOVES,
    "discount": 0.5,
    "actions": np.array([0.0, 1.0]),
}


def with_negative():
    moves = MOVES.copy()
    moves[0, 0] = 1.5, -0.5
    return moves


def test_quantecon_solves_it():
    # The best action earns 1 or 2 with equal chance from tomorrow on: v = r + 0.5 * 1.5 / 0.5.
    solved = Tables(**GOOD).discrete_dp().solve("policy_iteration")
    np.testing.assert_allclose(solved.v, [2.5, 3.5])
    assert solved.sigma.tolist() == [0, 1]


def test_sizes():
    tables = Tables(**GOOD)
    assert (tables.n_states, tables.n_actions) == (2, 2)
    assert (Monopolist().tables().n_states, Monopolist().tables().n_actions) == (24, 11)


@pytest.mark.parametrize(
    "name, bad, message",
    [
        ("transitions", MOVES[:, :, :1], r"transitions.shape.*\(2, 2, 2\)"),
        ("actions", np.zeros(3), r"actions.shape.*\(2,\)"),
        ("payoffs", np.array([[np.nan, 0.0], [0.0, 2.0]]), "finite"),
        ("payoffs", np.array([[-np.inf, 0.0], [0.0, 2.0]]), "mark an infeasible action"),
        ("transitions", 0.9 * MOVES, "sum to one"),
        ("transitions", with_negative(), "sum to one"),
        ("discount", 1.0, "discount"),
        ("discount", -0.1, "discount"),
        ("payoffs", np.zeros(2), r"payoffs.shape=\(2,\): expected \(states, actions\)"),
        ("payoffs", np.zeros((0, 2)), r"payoffs.shape=\(0, 2\)"),
        ("payoffs", [[1.0], [1.0, 2.0]], "^payoffs=.*expected numbers"),
        ("actions", ["low", "high"], "^actions=.*expected numbers"),
    ],
)
def test_what_does_not_fit_is_named(name, bad, message):
    with pytest.raises(ValueError, match=message):
        Tables(**(GOOD | {name: bad}))


def test_they_cannot_be_reassigned():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Tables(**GOOD).discount = 0.9


def test_lists_and_whole_numbers_are_tables_too():
    tables = Tables(PAYOFFS.astype(int).tolist(), MOVES.tolist(), np.float64(0.5), [0, 1])
    np.testing.assert_array_equal(tables.payoffs, PAYOFFS)
    assert {x.dtype for x in (tables.payoffs, tables.transitions, tables.actions)} == {
        PAYOFFS.dtype
    }
