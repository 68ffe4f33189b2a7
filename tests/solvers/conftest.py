"""What the tests of this folder share: states, and equilibria that are found once."""

from functools import cache

import pytest
import torch

from lectures_lib.economies import map_state
from lectures_lib.solvers import markov_perfect


@pytest.fixture(scope="session")
def equilibrium():
    """`equilibrium(market)`, Markov perfect."""
    return cache(markov_perfect)


def _states(economy, n=40, seed=0):
    return economy.reset((n,), torch.Generator().manual_seed(seed), torch.float64)


@pytest.fixture(scope="session")
def states():
    """`states(economy, n, seed)`: draws from the initial distribution, in float64."""
    return _states


@pytest.fixture(scope="session")
def ergodic_states():
    """`ergodic_states(economy, policy)`: where the policy leads to."""

    def simulate(economy, policy, paths=16, periods=(200, 225, 250)):
        generator = torch.Generator().manual_seed(1)
        state, visited = _states(economy, paths), []
        for t in range(periods[-1] + 1):
            if t in periods:
                visited.append(state)
            shocks = economy.draw((paths,), generator, torch.float64)
            state = economy.step(state, policy(state), shocks).state
        return map_state(lambda *x: torch.cat(x), *visited)

    return simulate
