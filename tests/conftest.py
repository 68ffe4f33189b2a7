"""What the tests of all folders share: solutions that are found once."""

from functools import cache

import pytest

from lectures_lib.solvers import solve


@pytest.fixture(scope="session")
def solved():
    """`solved(economy, regime)`, solved by the first test that asks."""
    return cache(solve)
