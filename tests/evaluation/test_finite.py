"""Where rules lead in finite games, and what departures gain, by hand."""

import numpy as np
import pytest

from lectures_lib.economies import Bertrand, MarkovChain, Matrix
from lectures_lib.evaluation import departure_gains, limit_cycle

MARKET = Bertrand(n_prices=5)
TABLES = MARKET.tables()


def test_a_cycle_of_two_periods():
    """The first firm copies its rival's last price; the second takes turns with two prices."""
    second = np.arange(25) % 5
    rules = np.stack([second, np.where(second == 4, 2, 4)], -1)
    cycle = limit_cycle(TABLES, rules, state=0)
    # Prices (own, rival's): 0, 4 -> 4, 2 -> 2, 4 -> 4, 2 -> ...
    assert cycle.states.tolist() == [4 * 5 + 2, 2 * 5 + 4]
    profits = TABLES.payoffs[0, :, 0]
    expected = (profits[2 * 5 + 4] + profits[4 * 5 + 2]) / 2
    assert cycle.payoffs == pytest.approx(expected)
    # Another beginning leads to the same, in another order.
    other = limit_cycle(TABLES, rules, state=24)
    assert sorted(other.states) == sorted(cycle.states)


def test_a_rule_that_always_asks_for_the_same_stays_there():
    rules = np.full((25, 2), 3)
    cycle = limit_cycle(TABLES, rules, state=7)
    assert cycle.states.tolist() == [18]
    assert cycle.payoffs == pytest.approx(TABLES.payoffs[0, 18, 0])


def test_nobody_gains_in_an_equilibrium_of_the_list_of_prices():
    """A price that is its own best response in the one-shot game, whatever was asked before."""
    profits = TABLES.payoffs[0, :, 0, 0].reshape(5, 5)
    (same, *_) = [k for k in range(5) if profits[:, k].argmax() == k]
    gains = departure_gains(TABLES, np.full((25, 2), same))
    assert gains == pytest.approx(np.zeros((25, 2)), abs=1e-12)


def test_the_gain_against_somebody_who_always_asks_for_the_same():
    profits = TABLES.payoffs[0, :, 0, 0].reshape(5, 5)
    gains = departure_gains(TABLES, np.full((25, 2), 4))
    expected = (profits[:, 4].max() - profits[4, 4]) / (1 - MARKET.beta)
    assert expected > 0 and gains == pytest.approx(np.full((25, 2), expected))


def test_a_grim_threat_is_an_equilibrium_on_its_path_and_not_everywhere():
    """Who has departed is punished by the lowest price for ever, which nobody would carry out."""
    tables = Bertrand(n_prices=5, margin=0.5).tables()
    high, low = 3, 0
    rules = np.full((25, 2), low)
    rules[high * 5 + high] = high
    gains = departure_gains(tables, rules)
    assert gains[high * 5 + high] == pytest.approx([0, 0], abs=1e-12)
    assert gains.max() > 1e-3


def test_luck_has_no_cycle():
    lucky = Bertrand(n_prices=3, outside=MarkovChain.symmetric((-0.1, 0.1), stay=0.6))
    with pytest.raises(ValueError, match="a game without luck"):
        limit_cycle(lucky.tables(), np.zeros((18, 2), int), 0)


def test_pennies_have_no_equilibrium_without_coins():
    tables = Matrix.matching_pennies().tables()
    for rules in np.ndindex(2, 2):
        assert departure_gains(tables, np.array([rules])).max() == 2
