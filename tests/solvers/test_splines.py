"""Splines on a grid: exact for cubics, right for every name, and as good next to a kink as away."""

import pytest
import torch

from lectures_lib.economies import Market, MarkovChain
from lectures_lib.solvers.productivity import JointChain
from lectures_lib.solvers.splines import Splines

THREE = MarkovChain.symmetric((0.8, 1.0, 1.2), stay=0.8)
SIZES = pytest.mark.parametrize(("households", "nodes"), [(1, 9), (2, 8), (3, 7)])


def grid(households, nodes, **kwargs):
    chain = JointChain(Market(households, **kwargs))
    return Splines(2.0, 8.0, nodes, chain), chain


def everybody(basis, chain, function):
    """Values (combinations, nodes, stocks) of a function of capital and levels."""
    capital = basis.capital.expand(len(chain), *basis.capital.shape)
    return function(capital, chain.levels.unsqueeze(1).expand_as(capital))


def scattered(households, chain, count=200, low=2.0, high=8.0):
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand((count, households), generator=generator, dtype=torch.float64)
    index = torch.randint(len(chain), (count,), generator=generator)
    return low * (high / low) ** uniform, index


def cubic(capital, levels):
    """Alike in the others, and a cubic in each log stock."""
    logs = capital.log()
    total = (logs + logs**3).sum(-1, keepdim=True)
    return levels * (logs**3 - logs) + 0.3 * total * levels.sum(-1, keepdim=True)


@SIZES
@pytest.mark.parametrize("own", [{}, {"idiosyncratic": THREE}], ids=["two levels", "three"])
def test_cubics_are_reproduced_whoever_is_richer(households, nodes, own):
    basis, chain = grid(households, nodes, **own)
    coefficients = basis.fit(everybody(basis, chain, cubic))
    capital, index = scattered(households, chain)
    value, _ = basis.evaluate(coefficients, capital, index)
    torch.testing.assert_close(value, cubic(capital, chain.levels[index]), rtol=1e-10, atol=1e-10)


@SIZES
def test_slopes_are_those_of_automatic_differentiation(households, nodes):
    basis, chain = grid(households, nodes)
    coefficients = basis.fit(everybody(basis, chain, lambda k, z: z * k.log().sin()))
    capital, index = scattered(households, chain, 20)
    logs = capital.log().requires_grad_(True)
    value, slope = basis.evaluate(coefficients, logs.exp(), index)
    for i in range(households):
        (row,) = torch.autograd.grad(value[:, i].sum(), logs, retain_graph=True)
        torch.testing.assert_close(slope[:, i], row, rtol=1e-10, atol=1e-12)


def test_linear_is_evaluate_at_fixed_points():
    basis, chain = grid(2, 8)
    coefficients = basis.fit(everybody(basis, chain, cubic))
    # Some points lie outside the grid.
    capital, index = scattered(2, chain, low=1.5, high=10.0)
    value, _ = basis.evaluate(coefficients, capital, index)
    found = basis.linear(capital, index)(coefficients)
    torch.testing.assert_close(found, value, rtol=1e-12, atol=1e-12)
    assert 0 < basis.inside(capital).sum() < len(capital)


def test_beyond_its_ends_a_spline_is_linear():
    basis, chain = grid(1, 9)
    coefficients = basis.fit(everybody(basis, chain, cubic))
    logs = torch.tensor([8.0, 10.0, 12.0], dtype=torch.float64).log().unsqueeze(-1)
    value, slope = basis.evaluate(coefficients, logs.exp(), torch.zeros(3, dtype=torch.int64))
    rises = (value[1:] - value[:-1]) / (logs[1:] - logs[:-1])
    torch.testing.assert_close(rises, slope[:2, :, 0])
    torch.testing.assert_close(slope[2], slope[0])


def test_a_kink_is_paid_for_next_to_it_only():
    basis, chain = grid(1, 41)
    kink = lambda k, z: (k.log() - 1.4).abs()  # noqa: E731
    coefficients = basis.fit(everybody(basis, chain, kink))
    capital, index = scattered(1, chain, 2000)
    error = (basis.evaluate(coefficients, capital, index)[0] - kink(capital, None)).abs()
    spacing = (torch.tensor(4.0).log() / 40).item()
    cells = (capital.log() - 1.4).abs() / spacing
    assert error.max() < 0.5 * spacing
    # Errors shrink by 2 - sqrt(3) from one node to the next.
    assert error[cells > 8].max() < 1e-4 * spacing
