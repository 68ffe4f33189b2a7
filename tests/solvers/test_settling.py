"""Fixed points of maps that jump somewhere."""

import pytest
import torch

from lectures_lib.solvers.settling import WIDTH, settle

NODES, STOCKS = 100, 2
JUMP, WHERE = 3, 0.25


def problem(jump):
    """A linear map of values (nodes, stocks), in one node of which a stock jumps against itself."""
    generator = torch.Generator().manual_seed(1)
    size = NODES * STOCKS
    draw = torch.rand((size, size), generator=generator, dtype=torch.float64)
    slopes = 0.9 * draw / draw.sum(1, keepdim=True)
    slopes[JUMP * STOCKS] = 0
    level = torch.rand(size, generator=generator, dtype=torch.float64)

    def image(values):
        following = (slopes @ values.flatten() + level).reshape(NODES, STOCKS)
        above = values[JUMP, 0] > WHERE
        following[JUMP, 0] = WHERE + (-jump if above else jump)
        return following

    def newton(change, held, given):
        held = held.expand(NODES, STOCKS).flatten()
        matrix = torch.eye(size, dtype=torch.float64) - slopes
        matrix[held] = torch.eye(size, dtype=torch.float64)[held]
        wanted = torch.where(held, given.flatten(), change.flatten())
        return torch.linalg.solve(matrix, wanted).reshape(NODES, STOCKS)

    return image, newton


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_what_jumps_is_found_where_it_jumps_and_the_rest_is_its_own_image(start):
    image, newton = problem(jump=1e-2)
    begin = torch.full((NODES, STOCKS), start, dtype=torch.float64)
    values, count, found = settle(image, newton, begin, 1e-9)
    assert found and count < 40
    assert values[JUMP, 0].item() == pytest.approx(WHERE, abs=2 * WIDTH)
    change = (image(values) - values).abs()
    # It never is its own image: that would be an ordinary fixed point.
    assert change[JUMP, 0] > 9e-3
    change[JUMP] = 0
    assert change.max() < WIDTH


def test_without_a_jump_it_is_newtons_method():
    image, newton = problem(jump=0.0)
    begin = torch.zeros((NODES, STOCKS), dtype=torch.float64)
    values, count, found = settle(image, newton, begin, 1e-9)
    assert found and count <= 3
    torch.testing.assert_close(image(values), values, rtol=0, atol=1e-9)


def test_a_search_that_ends_nowhere_says_so():
    begin = torch.zeros((NODES, STOCKS), dtype=torch.float64)
    _, _, found = settle(lambda v: v + 1, lambda change, *_: 0 * change, begin, 1e-9)
    assert not found
