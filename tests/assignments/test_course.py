"""A calibration of one's own."""

import pytest
from course import (
    EXAMPLE,
    entered,
    my_duopoly,
    my_externality,
    my_firm,
    my_growth,
    my_market,
    my_planner,
    my_saver,
    pick,
    place,
    shuffled,
    whose,
    written,
)

from lectures_lib.solvers import rest_points


def test_places_are_those_that_were_handed_out_in_earlier_years():
    assert [place(20261127, purpose, 1000) for purpose in ("beta", "cost")] == [989, 357]
    assert pick(7, "x", "abc") == "abc"[place(7, "x", 3)]


def test_students_have_calibrations_of_their_own():
    firms = {repr(my_firm(number)) for number in range(200)}
    economies = {repr(my_planner(number)) for number in range(200)}
    duopolies = {repr(my_duopoly(number)) for number in range(40)}
    savers = {repr(my_saver(number)) for number in range(200)}
    assert len(firms) > 190 and len(economies) > 190 and len(duopolies) > 35
    # Of 450 calibrations of the growth model 200 students have about 160 in expectation.
    assert len(savers) > 140
    assert len({repr(my_growth(number)) for number in range(200)}) > 180
    assert len({repr(my_externality(number)) for number in range(200)}) > 190


def test_a_market_has_its_planners_parameters():
    planner, market = my_planner(3), my_market(3, 4, action="quantity")
    assert market.n_households == 4 and market.action == "quantity"
    for name in ("alpha", "beta", "delta", "phi", "idiosyncratic", "aggregate"):
        assert getattr(market, name) == getattr(planner, name)


def test_slump_and_boom_are_not_equally_likely():
    assert all(abs(my_growth(number).aggregate.stationary[0] - 0.5) > 0.1 for number in range(100))


def test_every_society_has_three_steady_states():
    for number in range(40):
        kinds = [point.kind for point in rest_points(my_externality(number))]
        assert kinds == ["saddle", "source", "saddle"], number


def test_no_place_is_drawn_much_more_often_than_others():
    counts = [0] * 5
    for number in range(5000):
        counts[place(number, "fair", 5)] += 1
    # Six standard deviations of a binomial count.
    assert all(abs(count - 1000) < 6 * 28.3 for count in counts)


def test_an_order_holds_every_option_once():
    orders = {tuple(shuffled(number, "order", "abcd")) for number in range(300)}
    assert len(orders) == 24 and all(sorted(order) == list("abcd") for order in orders)


@pytest.mark.parametrize("blank", [..., None, "20261127", -1, 1.5, True])
def test_who_has_entered_no_number_has_the_example(blank):
    assert not entered(blank)
    assert my_firm(blank) == my_firm(EXAMPLE) and my_planner(blank, 2) == my_planner(EXAMPLE, 2)
    assert my_saver(blank) == my_saver(EXAMPLE) and my_market(blank) == my_market(EXAMPLE)
    assert whose(blank) == "Example calibration: no number entered yet"


def test_who_has_entered_a_number_is_told_whose_calibration_it_is():
    assert whose(20261127) == "Calibration of number 20261127"


def test_blanks_are_noticed(capsys):
    assert written(1, "a", [0]) and capsys.readouterr().out == ""
    assert not written(1, ...) and not written(None)
    assert "Not written yet" in capsys.readouterr().out
