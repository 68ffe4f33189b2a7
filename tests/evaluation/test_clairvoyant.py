"""Upper bounds of what a departure gains, where what it can gain is known."""

import math

import pytest
import torch

from lectures_lib.economies import FixedAction, Market
from lectures_lib.economies.base import map_state
from lectures_lib.evaluation import best_response_search, exploitability, initial_states, simulate
from lectures_lib.evaluation.best_response_search import Search
from lectures_lib.evaluation.clairvoyant import Clairvoyant
from lectures_lib.evaluation.simulation import welfare_horizon

# A sole buyer, whose best response to anything is the exact rule; impatience makes for short paths.
ALONE = Market(alpha=0.36, beta=0.95, delta=0.08, phi=0.8)


@pytest.fixture(scope="module")
def exact(solved):
    return solved(ALONE, "nash").policy


class Scaled:
    """A policy whose spending is multiplied."""

    def __init__(self, base, factor):
        self.base, self.factor = base, factor

    def __call__(self, state, moved=None):
        return {name: self.factor * x for name, x in self.base(state).items()}


def known_gain(policy, exact, paths=1000):
    """What the exact rule gains over a policy, and its standard error, under the same shocks."""
    horizon = welfare_horizon(ALONE.beta)
    start = initial_states(exact, ALONE, paths, seed=3)
    one, two = (
        simulate(p, ALONE, start, horizon, 4, first=horizon).value["household"][:, 0]
        for p in (policy, exact)
    )
    difference = (1 - ALONE.beta) * (two - one)
    return math.expm1(difference.mean().item()), difference.std().item() / paths**0.5


@pytest.mark.parametrize("share, factor", [(0.08, None), (0.25, None), (None, 1.03), (None, 0.9)])
def test_the_interval_contains_the_gain_of_the_exact_rule_and_is_narrow(exact, share, factor):
    policy = FixedAction(ALONE, share) if share else Scaled(exact, factor)
    found = exploitability(policy, ALONE, paths=48, interval=True)
    gain, error = known_gain(policy, exact)
    low, high = found.interval
    assert low - 2 * error < gain < high + 2 * error
    # The response that the search has found is so good that next to nothing is left to gain.
    assert found.gain < found.upper < found.gain + 0.02 * found.gain
    assert found.ergodic_interval[0] < found.ergodic_upper < found.ergodic_interval[1]


def test_at_the_exact_rule_the_interval_shrinks_to_nothing(exact):
    found = exploitability(exact, ALONE, paths=32, interval=True)
    assert 0 <= found.interval[0] <= found.interval[1] < 2e-8
    assert found.ergodic_interval[1] < 2e-8


def clairvoyant(search):
    search.departures()
    return Clairvoyant(
        search, *([map_state(lambda x: x.flatten(0, 1), x) for x in r] for r in search.judged)
    )


def upper(search, excess):
    """The bound from the initial distribution, as a share of consumption."""
    half = len(excess) // 2
    return (1 - search.discount) * excess[:half].mean().item()


@torch.no_grad()
def test_a_response_that_was_not_improved_leaves_more_to_the_clairvoyant(exact, monkeypatch):
    monkeypatch.setattr(best_response_search, "MAX_RECORDS", 1)
    policy = Scaled(exact, 0.9)
    search = Search(policy, ALONE, "household", 0, 0, 32)
    assert not search.improve()  # it has looked around once, and stays where it is
    gain, error = known_gain(policy, exact)
    excess = clairvoyant(search).excess()
    spread = (1 - search.discount) * excess[:32].std().item() / 32**0.5
    assert gain - 2 * error < upper(search, excess) + 2 * spread
    assert upper(search, excess) < 1.5 * gain


@torch.no_grad()
def test_who_does_not_pay_for_what_it_knows_gains_far_more(exact):
    search = Search(exact, ALONE, "household", 0, 0, 32)
    search.improve()
    paying, free = clairvoyant(search), clairvoyant(search)
    free.price = 0 * free.price
    assert upper(search, free.excess()) > 1e-5
    assert upper(search, paying.excess()) < 2e-8


@torch.no_grad()
def test_the_clairvoyant_comes_to_the_same_place_from_elsewhere(exact):
    search = Search(FixedAction(ALONE, 0.15), ALONE, "household", 0, 0, 16)
    search.improve()
    one = clairvoyant(search)
    found = one.excess()
    generator = torch.Generator().manual_seed(0)
    size = len(one.shocks), len(found), search.m
    start = 0.1 * torch.randn(size, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(one.excess(start), found, rtol=0.03, atol=1e-9)


@torch.no_grad()
def test_without_a_maximum_there_is_no_bound(monkeypatch):
    monkeypatch.setattr("lectures_lib.evaluation.clairvoyant.ROUNDS", 1)
    search = Search(FixedAction(ALONE, 0.15), ALONE, "household", 0, 0, 8)
    search.improve()
    assert torch.isinf(clairvoyant(search).excess()).all()


@pytest.mark.parametrize("risk_aversion", [1.0, 2.0])
def test_a_bound_that_was_not_found_is_infinite_and_not_a_loss(monkeypatch, risk_aversion):
    monkeypatch.setattr("lectures_lib.evaluation.clairvoyant.ROUNDS", 1)
    monkeypatch.setattr(best_response_search, "MAX_RECORDS", 1)
    economy = Market(alpha=0.36, beta=0.9, delta=0.08, phi=0.8, risk_aversion=risk_aversion)
    found = exploitability(FixedAction(economy, 0.15), economy, paths=4, interval=True)
    assert found.interval[1] == found.ergodic_interval[1] == math.inf


def test_without_an_interval_nothing_is_said_of_it(exact):
    found = exploitability(exact, ALONE, paths=8)
    assert math.isnan(found.upper) and math.isnan(found.interval[1])
