"""Tables of games: by hand, and against quantecon and brute force."""

from itertools import product

import numpy as np
import pytest
from games import Rivals, Shop

from lectures_lib.economies import Bertrand, GameTables, Market, MarkovChain, Matrix
from lectures_lib.economies.game_tables import tabulate_game

RANDOM = np.random.default_rng(0)


def random_game(states=4, sizes=(2, 3), outcomes=2):
    joint, players = int(np.prod(sizes)), len(sizes)
    chance = RANDOM.random((states, joint, outcomes))
    return GameTables(
        RANDOM.random((states, joint, outcomes, players)),
        RANDOM.integers(0, states, (states, joint, outcomes)),
        chance / chance.sum(-1, keepdims=True),
        (0.9, 0.5)[:players],
        tuple(tuple(range(n)) for n in sizes),
    )


def test_joint_choices_count_the_last_player_first():
    game = random_game()
    assert game.n_actions == (2, 3) and game.n_players == 2
    every = np.array(list(product(range(2), range(3))))
    assert game.joint(every).tolist() == list(range(6))


def test_values_solve_bellmans_equation_of_fixed_rules():
    game, rules = random_game(), np.array([[0, 2], [1, 0], [1, 1], [0, 0]])
    v, chosen = game.values(rules), game.joint(rules)
    for s in range(4):
        chance, following = game.probabilities[s, chosen[s]], game.successors[s, chosen[s]]
        for i, beta in enumerate((0.9, 0.5)):
            now = chance @ (game.payoffs[s, chosen[s], :, i] + beta * v[following, i])
            assert v[s, i] == pytest.approx(now)


@pytest.mark.parametrize("player", [0, 1])
def test_a_best_response_beats_every_other_rule(player):
    game, rules = random_game(states=3), np.array([[0, 2], [1, 0], [1, 1]])
    best = game.alone(rules, player).solve("policy_iteration")
    values = []
    for own in product(range(game.n_actions[player]), repeat=3):
        other = rules.copy()
        other[:, player] = own
        values.append(game.values(other)[:, player])
        if own == tuple(best.sigma):
            np.testing.assert_allclose(best.v, values[-1], rtol=1e-10)
    np.testing.assert_allclose(np.max(values, 0), best.v, rtol=1e-10)


def test_a_monopoly_on_the_list_of_prices():
    market = Bertrand(n_prices=5)
    tables = market.tables()
    solved = tables.together().solve("policy_iteration")
    profits = tables.payoffs[0, :, 0].sum(-1)
    assert (solved.sigma == profits.argmax()).all()
    np.testing.assert_allclose(solved.v, profits.max() / (1 - market.beta))


def test_players_who_discount_otherwise_cannot_choose_together():
    with pytest.raises(ValueError, match=r"discounts=\(0\.9, 0\.5\): expected the same for all"):
        random_game().together()


def test_a_game_with_luck_has_the_chances_of_its_chain():
    market = Bertrand(n_prices=2, outside=MarkovChain.symmetric((-0.1, 0.1), stay=0.8))
    tables = tabulate_game(market)
    # The last digit of a state is its demand.
    moved = tables.successors % 2 != np.arange(8)[:, None, None] % 2
    assert tables.probabilities[moved] == pytest.approx(0.2)
    assert tables.probabilities[~moved] == pytest.approx(0.8)


@pytest.mark.parametrize("game", [Market(2), Shop()], ids=["shares", "stages"])
def test_what_is_no_finite_game_is_refused(game):
    with pytest.raises(TypeError, match=r"from a list of choices, all at the same time"):
        tabulate_game(game)


def test_somebody_elses_game():
    game = Rivals()
    tables = tabulate_game(game)
    assert tables.payoffs.shape == (9, 9, 1, 2) and tables.discounts == (0.9, 0.9)
    # Who asks 0.4 and is the cheaper one sells to nine in ten.
    assert tables.payoffs[4, 1, 0] == pytest.approx([0.2 * 0.9, 0.4 * 0.1])
    assert (tables.successors[:, :, 0] == np.arange(9)).all()


GOOD = Matrix.stag_hunt().tables()


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("payoffs", np.zeros((1, 4, 2)), r"payoffs\.shape=\(1, 4, 2\)"),
        ("payoffs", np.full((1, 4, 1, 2), np.nan), "finite numbers only"),
        ("successors", np.full((1, 4, 1), 1), "states from 0 to 0"),
        ("successors", np.zeros((1, 4), int), r"successors\.shape"),
        ("probabilities", np.full((1, 4, 1), 0.9), "sum to one"),
        ("discounts", (1.0, 1.0), "numbers in"),
        ("discounts", (0.5,), r"len\(discounts\)=1: expected 2"),
        ("actions", ((0, 1), (0, 1, 2)), "6 joint choices"),
    ],
)
def test_what_does_not_fit_is_named(name, bad, message):
    names = ("payoffs", "successors", "probabilities", "discounts", "actions")
    with pytest.raises(ValueError, match=message):
        GameTables(**({x: getattr(GOOD, x) for x in names} | {name: bad}))
