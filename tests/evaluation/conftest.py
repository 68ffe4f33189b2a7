"""Policies that the tests of this folder share."""

import pytest
import torch

from lectures_lib.economies import Market, Planner, map_state
from lectures_lib.evaluation import best_fixed_action


class Runs:
    """Several policies as one with a runs dimension."""

    def __init__(self, *policies):
        self.policies, self.runs = policies, len(policies)

    def __getitem__(self, run):
        return self.policies[run]

    def __call__(self, state, moved=None):
        actions = [p(map_state(lambda x: x[i], state)) for i, p in enumerate(self.policies)]  # noqa: B023
        return {name: torch.stack([a[name] for a in actions]) for name in actions[0]}


@pytest.fixture(scope="session")
def as_runs():
    return Runs


@pytest.fixture(scope="session")
def exact(solved):
    return solved(Planner())


@pytest.fixture(scope="session")
def competitive(solved):
    return solved(Market(2))


@pytest.fixture(scope="session")
def best_constant():
    return best_fixed_action(Planner(), paths=64)
