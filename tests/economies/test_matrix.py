"""Games with known answers."""

import numpy as np
import pytest
import torch
from registry import generator

from lectures_lib.economies import Matrix, TwoStep


def play_once(game, *chosen):
    state = game.reset((), generator())
    action = torch.tensor(chosen, dtype=torch.float64).unsqueeze(-1)
    return game.step(state, {"player": action}, game.Shocks()).rewards["player"].tolist()


@pytest.mark.parametrize(
    ("game", "chosen", "payoffs"),
    [
        (Matrix.matching_pennies(), (0, 0), [1, -1]),
        (Matrix.matching_pennies(), (0, 1), [-1, 1]),
        (Matrix.stag_hunt(), (0, 0), [4, 4]),
        (Matrix.stag_hunt(), (0, 1), [0, 3]),
        (Matrix.stag_hunt(), (1, 0), [3, 0]),
        (Matrix.climbing(), (0, 0), [11, 11]),
        (Matrix.climbing(), (1, 0), [-30, -30]),
        (Matrix.climbing(), (1, 2), [6, 6]),
        (Matrix.precipice(), (0, 0), [8, 8]),
        (Matrix.precipice(), (2, 0), [-12, -12]),
        (Matrix.penalty(-50), (2, 0), [-50, -50]),
        (Matrix.penalty(), (1, 1), [2, 2]),
    ],
)
def test_payoffs(game, chosen, payoffs):
    assert play_once(game, *chosen) == payoffs


def test_a_number_between_two_choices_is_their_lottery():
    assert play_once(Matrix.matching_pennies(), 0.5, 0.3) == pytest.approx([0, 0])
    expected = 0.7 * (0.4 * 11 + 0.6 * -30) + 0.3 * (0.4 * -30 + 0.6 * 7)
    assert play_once(Matrix.climbing(), 0.3, 0.6) == pytest.approx([expected] * 2)
    expected = 0.5 * 6 + 0.5 * 5  # between the second and the third row, in the last column
    assert play_once(Matrix.climbing(), 1.5, 2) == pytest.approx([expected] * 2)


def test_three_players():
    payoffs = np.arange(3 * 8, dtype=float).reshape(3, 2, 2, 2)
    game = Matrix(payoffs)
    for chosen in ((0, 0, 0), (1, 0, 1), (0, 1, 1)):
        assert play_once(game, *chosen) == payoffs[:, *chosen].tolist()
    assert game.tables().n_actions == (2, 2, 2)


def test_players_know_who_they_are_and_teams_who_is_paid_alike():
    game = Matrix.matching_pennies()
    seen = game.observe(game.reset((3,), generator()))["player"]
    assert torch.equal(seen[1], torch.tensor([[1.0, 1, 0], [1, 0, 1]]))
    assert not game.roles["player"].team and Matrix.climbing().roles["player"].team


def test_values_for_ever():
    game = Matrix(Matrix.stag_hunt().payoffs, beta=0.5)
    assert game.tables().values(np.array([[0, 0]])).tolist() == [[8, 8]]
    assert game.tables().values(np.array([[0, 1]])).tolist() == [[0, 6]]


@pytest.mark.parametrize(
    ("chosen", "earned"), [((0, 0, 0), 7), ((0, 1, 1), 7), ((1, 0, 0), 0), ((1, 1, 0), 1)]
)
def test_two_steps(chosen, earned):
    game = TwoStep()
    state, luck, total = game.reset((), generator()), game.Shocks(), 0.0
    for pair in ((chosen[0], 0), chosen[1:]):
        action = {"player": torch.tensor(pair, dtype=torch.float64).unsqueeze(-1)}
        step = game.step(state, action, luck)
        total, state = total + step.rewards["player"][0].item(), step.state
    assert total == earned and state.stage == 0


def test_the_best_plan_of_two_steps():
    """Choose the second game, and 8 in it; a team's problem, by dynamic programming."""
    game = TwoStep(beta=0.9)
    solved = game.tables().together([0.5, 0.5]).solve(method="policy_iteration")
    assert solved.sigma.tolist()[0] in (2, 3) and solved.sigma[2] == 3
    assert solved.v[0] == pytest.approx(0.9 * 8 / (1 - 0.81))


@pytest.mark.parametrize(
    "payoffs",
    [(1, 2), ((1, 2), (3, 4)), [[[1, 2], [3, 4]]], [[[1, np.nan], [3, 4]]] * 2, "much", None, True],
    ids=str,
)
def test_what_is_no_game_is_refused(payoffs):
    with pytest.raises(ValueError, match=r"^payoffs=.*: expected finite numbers \(players, ch"):
        Matrix(payoffs)
    with pytest.raises(ValueError, match=r"^beta=1\.0"):
        TwoStep(beta=1.0)
