"""Polynomials on a box of log capital: exact where they should be, and their derivatives."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev

from lectures_lib.solvers.polynomials import FURTHEST, MARGIN, Polynomials

SIZES = [(1, 7), (2, 5), (3, 4), (4, 2)]
sizes = pytest.mark.parametrize(("stocks", "degree"), SIZES)


def turned_box(stocks, degree, seed=0):
    """A box whose axes are not those of the stocks."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(stocks, stocks, generator=generator, dtype=torch.float64)
    sample = (0.3 * torch.randn(200, stocks, generator=generator, dtype=torch.float64) @ mix).exp()
    return Polynomials.around(3 * sample, degree, thinnest=1e-3), 3 * sample


def monomials(capital, degree):
    """All products of powers of log capital of total degree up to `degree`, as columns."""
    logs = capital.log()
    powers = itertools.product(range(degree + 1), repeat=capital.shape[-1])
    powers = torch.tensor([p for p in powers if sum(p) <= degree])
    return (logs.unsqueeze(-2) ** powers).prod(-1)


@sizes
def test_polynomials_up_to_the_degree_are_reproduced_exactly(stocks, degree):
    box, sample = turned_box(stocks, degree)
    assert len(box.powers) == math.comb(stocks + degree, degree)
    fitted = box.basis(sample) @ box.fit(monomials(box.capital, degree))
    torch.testing.assert_close(fitted, monomials(sample, degree), rtol=1e-9, atol=1e-9)


@sizes
def test_polynomials_beyond_the_degree_are_not(stocks, degree):
    box, sample = turned_box(stocks, degree)
    power = lambda k: k.log()[..., :1] ** (degree + 1)  # noqa: E731
    fitted = box.basis(sample) @ box.fit(power(box.capital))
    assert ((fitted - power(sample)).abs().max() / power(sample).abs().max()) > 1e-4


def test_in_one_dimension_these_are_chebyshevs_polynomials_at_his_nodes():
    box = Polynomials.on_cube(2.0, 8.0, 1, 6)
    torch.testing.assert_close(
        box.coordinates(box.capital).flatten(), torch.as_tensor(chebyshev.chebpts1(7))
    )
    x = np.linspace(-1, 1, 9)
    capital = torch.as_tensor(4 * 2**x).unsqueeze(-1)  # the box's centre is 4, its half-width log 2
    for k in range(7):
        expected = chebyshev.chebval(x, np.eye(7)[k])
        np.testing.assert_allclose(box.basis(capital)[:, k], expected, atol=1e-13)
    values = torch.as_tensor(chebyshev.chebval(chebyshev.chebpts1(7), np.eye(7)[3]))
    np.testing.assert_allclose(box.fit(values.unsqueeze(-1)).flatten(), np.eye(7)[3], atol=1e-13)


@pytest.mark.parametrize("stocks", [1, 2, 3])
def test_the_faces_of_a_cube_are_where_they_were_put(stocks):
    box = Polynomials.on_cube(2.0, 8.0, stocks, 3)
    corners = torch.tensor([[2.0] * stocks, [8.0] * stocks, [4.0] * stocks], dtype=torch.float64)
    expected = torch.tensor([-1.0, 1.0, 0.0], dtype=torch.float64)[:, None].expand(3, stocks)
    torch.testing.assert_close(box.coordinates(corners), expected)
    assert (box.coordinates(box.capital).abs() <= 1).all() and box.stocks == stocks


@sizes
def test_a_box_around_a_sample_contains_it_and_a_margin(stocks, degree):
    box, sample = turned_box(stocks, degree)
    position = box.coordinates(sample)
    torch.testing.assert_close(position.amax(0), torch.full((stocks,), 1 / (1 + MARGIN)).double())
    torch.testing.assert_close(position.amin(0), torch.full((stocks,), -1 / (1 + MARGIN)).double())
    # Principal axes are at right angles to each other, and positions along them uncorrelated.
    angles = box.axes @ box.axes.T
    torch.testing.assert_close(angles, torch.diag(angles.diagonal()), rtol=0, atol=1e-9)
    if stocks > 1:
        off = torch.corrcoef(position.T) - torch.eye(stocks)
        assert off.abs().max() < 1e-9


def test_a_box_around_stocks_that_move_together_is_not_thinner_than_asked():
    k = torch.linspace(1, 3, 50, dtype=torch.float64)
    box = Polynomials.around(torch.stack([k, k], -1), 3, thinnest=0.2)
    along = torch.tensor([1.0, 1.0], dtype=torch.float64) / math.sqrt(2)
    across = torch.tensor([1.0, -1.0], dtype=torch.float64) / math.sqrt(2)
    widths = 1 / (box.axes @ torch.stack([along, across], -1)).abs().amax(0)
    assert widths[0] == pytest.approx((1 + MARGIN) * math.log(3) / math.sqrt(2), rel=1e-9)
    assert widths[1] == pytest.approx(0.2, rel=1e-9)


def test_far_outside_the_box_the_value_is_that_of_a_point_nearer():
    box = Polynomials.on_cube(2.0, 8.0, 2, 4)
    edge = 4 * 2**FURTHEST
    far = torch.tensor([[100.0, 4.0], [edge, 4.0], [0.99 * edge, 4.0]], dtype=torch.float64)
    values = box.basis(far)
    torch.testing.assert_close(values[0], values[1])
    assert not torch.allclose(values[1], values[2], rtol=1e-3)


@sizes
def test_derivatives_are_those_of_automatic_differentiation_and_of_finite_differences(
    stocks, degree
):
    box, sample = turned_box(stocks, degree)
    sample = sample[:10]
    generator = torch.Generator().manual_seed(1)
    shape = (2, len(box.powers), 3)  # two sets of three functions
    coefficients = torch.randn(shape, generator=generator, dtype=torch.float64)
    both = box.basis(sample) @ box.with_gradient(coefficients)
    value, slopes = both.split([3, 3 * stocks], -1)
    slopes = slopes.unflatten(-1, (stocks, 3))  # all functions in the first log stock first
    torch.testing.assert_close(value, box.basis(sample) @ coefficients)
    logs = sample.log().requires_grad_(True)
    for f in range(3):
        for s in range(2):
            total = (box.basis(logs.exp()) @ coefficients[s, :, f]).sum()
            (expected,) = torch.autograd.grad(total, logs)
            torch.testing.assert_close(slopes[s, :, :, f], expected, rtol=1e-8, atol=1e-8)
    for j in range(stocks):
        step = torch.zeros(stocks, dtype=torch.float64)
        step[j] = 1e-5
        up, down = (box.basis(sample * (sign * step).exp()) @ coefficients for sign in (1, -1))
        difference = (up - down) / 2e-5
        scale = slopes.abs().max()
        assert (difference - slopes[:, :, j]).abs().max() < 1e-7 * scale


def test_values_and_slopes_at_points_with_productivities_of_their_own():
    box, sample = turned_box(2, 5)
    shape = (3, len(box.powers), 2)
    coefficients = torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()
    index = torch.arange(len(sample)) * 7 % 3
    value, slope = box.evaluate(box.prepare(coefficients), sample, index)
    logs = sample.log().requires_grad_(True)
    expected = torch.einsum("pc,pcn->pn", box.basis(logs.exp()), coefficients[index])
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(box.linear(sample, index)(coefficients), expected)
    for i in range(2):
        (row,) = torch.autograd.grad(expected[:, i].sum(), logs, retain_graph=True)
        torch.testing.assert_close(slope[:, i], row, rtol=1e-9, atol=1e-9)


def test_the_ends_of_a_box_are_those_of_its_corners():
    box = Polynomials.on_cube(2.0, 8.0, 3, 2)
    assert box.low == pytest.approx(2.0) and box.high == pytest.approx(8.0)
    assert box.inside(torch.tensor([2.0, 8.0, 4.0], dtype=torch.float64))
    assert not box.inside(torch.tensor([1.9, 8.0, 4.0], dtype=torch.float64))


@pytest.mark.parametrize("households", [2, 3])
def test_the_axes_of_a_box_are_not_chosen_by_rounding(households):
    """Goods in balance leave a principal component's sign open, and how others are turned."""
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn(200, households, generator=generator, dtype=torch.float64)
    sample = (0.1 * draws + 0.2 * draws[:, :1]).exp()
    one, two = (
        Polynomials.around(sample * factor, 3, goods=2)
        for factor in (1.0, 1 + 1e-12 * torch.randn(200, 1, generator=generator).double())
    )
    torch.testing.assert_close(one.axes, two.axes, rtol=0, atol=1e-8)
    torch.testing.assert_close(one.capital, two.capital, rtol=1e-8, atol=0)
    # They are at right angles, and each household's balance of goods has one of its own.
    angles = one.axes @ one.axes.T
    torch.testing.assert_close(angles, torch.diag(angles.diagonal()), rtol=0, atol=1e-8)
    own = one.axes[households:] * 0.1
    for household, axis in enumerate(own.unflatten(-1, (households, 2))):
        expected = torch.zeros(households, 2, dtype=torch.float64)
        expected[household] = torch.tensor([1.0, -1.0]) / math.sqrt(2)
        torch.testing.assert_close(axis, expected)
