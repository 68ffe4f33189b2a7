"""What households learn who forecast by least squares, and where it leads."""

import numpy as np
import pytest

from lectures_lib.economies import Externality, Market
from lectures_lib.solvers import expected_fates, learnable, least_squares
from lectures_lib.solvers.least_squares import SLOPES, made

HISTORY, EXPECTATIONS = Externality(), Externality(endowment=20.0)
BOTH = pytest.mark.parametrize("economy", [HISTORY, EXPECTATIONS], ids=["history", "expectations"])


def true_law(economy, capital, a, b):
    """The line that touches the actual law, in logarithms around a capital."""
    step = 1e-3
    points = capital * np.exp(step * np.array([-1.0, 0.0, 1.0]))
    intercept = a + (1 - b) * np.log(capital)
    low, here, high = np.log(made(economy, points, intercept, b) / capital)
    return np.array((here, (high - low) / (2 * step)))


@BOTH
def test_slopes_that_are_true_if_believed_are_eigenvalues_of_perfect_foresight(economy):
    for x in learnable(economy):
        real = [y.real for y in x.point.eigenvalues if abs(y.imag) < 1e-9]
        assert [law.slope for law in x.laws] == pytest.approx(real, abs=1e-6)


@BOTH
def test_the_map_of_laws_is_what_households_make_of_them(economy):
    for x in learnable(economy):
        level, slope, past = x.coefficients
        for b in (0.5, 0.9, 0.97):
            a = 1e-4
            expected = ((level + slope * (1 + b)) * a, level * b + slope * b**2 + past)
            found = true_law(economy, x.point.capital, a, b)
            # Both curvature and the numerical derivative leave terms of the size of `a`.
            assert found[0] == pytest.approx(expected[0], rel=5e-3)
            assert found[1] == pytest.approx(expected[1], abs=3e-3)


@BOTH
def test_eigenvalues_are_those_of_the_numerical_derivative(economy):
    for x in learnable(economy):
        for law in (law for law in x.laws if law.stationary):
            h, columns = 1e-4, []
            for da, db in ((h, 0.0), (0.0, h)):
                up, down = (
                    true_law(economy, x.point.capital, s * da, law.slope + s * db) for s in (1, -1)
                )
                columns.append((up - down) / (2 * h))
            found = np.linalg.eigvals(np.array(columns).T - np.eye(2)).real
            assert sorted(found) == pytest.approx(sorted(law.eigenvalues), abs=5e-4)


def test_the_outer_rest_points_can_be_learned_and_the_middle_one_cannot():
    for economy in (HISTORY, EXPECTATIONS):
        assert [x.can_be_learned for x in learnable(economy)] == [True, False, True]
    with_roots, circling = (learnable(e)[1] for e in (HISTORY, EXPECTATIONS))
    # Who believes that capital leaves it, at the speed at which it does, is right and stays so.
    assert [law.e_stable for law in with_roots.laws] == [True, False]
    assert not any(law.stationary for law in with_roots.laws)
    assert circling.laws == ()


@BOTH
def test_who_knows_the_law_at_rest_stays_there(economy):
    for x in learnable(economy)[::2]:
        law, k = x.laws[0], x.point.capital
        assert made(economy, k, (1 - law.slope) * np.log(k), law.slope) == pytest.approx(k)
        path = least_squares(economy, np.full(8, k), k, law.slope, periods=400, weight=400)
        # Six standard deviations of capital with a hundredth of luck, in 3,200 numbers.
        assert abs(np.log(path.capital / k)).max() < 6 * 0.01 / np.sqrt(1 - law.slope**2)
        assert path.slope.min() >= SLOPES[0] and path.slope.max() <= SLOPES[1]


def test_beliefs_decide_and_not_what_is_owned_where_they_move_slowly():
    for economy in (HISTORY, EXPECTATIONS):
        middle = learnable(economy)[1].point.capital
        owned, believed = np.array([28.0, 42.0, 28.0, 42.0]), np.array([30.0, 30.0, 39.0, 39.0])
        fate = expected_fates(economy, owned, believed, time=20.0, step=0.2)
        assert (fate > middle).tolist() == [False, False, True, True]


def test_a_constant_gain_forgets_at_its_own_rate_and_shapes_are_those_of_starts():
    path = least_squares(HISTORY, [30.0, 40.0], 30.0, periods=5, gain=0.1)
    assert path.capital.shape == path.level.shape == path.slope.shape == (6, 2)
    again = least_squares(HISTORY, [30.0, 40.0], 30.0, periods=5, gain=0.1)
    assert (path.capital == again.capital).all()
    assert np.isfinite(path.level).all()


def test_wrong_numbers_and_other_economies_are_refused():
    with pytest.raises(TypeError, match="expected an Externality"):
        learnable(Market(atomistic=True))
    for settings, name in (
        ({"gain": 2.0}, "gain"),
        ({"luck": 0.0}, "luck"),
        ({"weight": 1.0}, "weight"),
        ({"slope": 1.5}, "slope"),
    ):
        with pytest.raises(ValueError, match=name):
            least_squares(HISTORY, 30.0, 30.0, **settings)
    for wrong, name in (((-1.0, 30.0), "capital"), ((30.0, 0.0), "expected")):
        with pytest.raises(ValueError, match=name):
            least_squares(HISTORY, *wrong)
