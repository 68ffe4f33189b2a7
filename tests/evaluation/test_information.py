"""The value of information, where it is known to be nothing and where luck makes it something."""

import math

import pytest
import torch

from lectures_lib.economies import FixedAction, InformationMarket, Market, MarkovChain
from lectures_lib.evaluation import (
    exploitability,
    initial_states,
    simulate,
    value_of_information,
)
from lectures_lib.evaluation.views import InformationView

COST = MarkovChain.symmetric((0.7, 1.3), stay=0.9)
# Impatience makes for short horizons.
OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}
WITH_COST = InformationMarket(3, n_uninformed=3, cost=COST, **OTHER)


@pytest.fixture(scope="module")
def found():
    return value_of_information(FixedAction(WITH_COST, 0.2), WITH_COST, paths=64)


def test_who_is_alone_has_seen_everything():
    economy = InformationMarket(1, n_uninformed=1, **OTHER)
    found = value_of_information(FixedAction(economy, 0.3), economy, paths=32)
    assert abs(found.value) < 0.01 * found.unlearned
    assert abs(found.ergodic_value) < 0.01 * found.ergodic_unlearned


def test_a_cost_that_others_pay_no_heed_to_is_worth_knowing(found):
    assert found.converged
    assert found.ergodic_value > 10 * found.ergodic_standard_error > 0
    assert found.value > 10 * found.standard_error > 0


def test_with_everything_seen_the_gain_is_that_of_exploitability(found):
    whole = exploitability(FixedAction(WITH_COST, 0.2), WITH_COST, paths=64)
    both = found.ergodic_value + found.ergodic_unlearned
    error = math.hypot(whole.ergodic_standard_error, found.ergodic_unlearned_error)
    assert abs(both - whole.ergodic_gain) < 4 * error + 0.02 * both


def test_only_one_household_departs_and_without_information_only_by_what_it_sees(found):
    policy = FixedAction(WITH_COST, 0.2)
    state = initial_states(policy, WITH_COST, 16, seed=3)
    other = state._replace(cost=1 - state.cost)
    for response, sees in ((found.informed, True), (found.uninformed, False)):
        action, elsewhere = (response(s)["uninformed"] for s in (state, other))
        assert (action[:, 1:] == 0.2).all() and (action[:, 0] != 0.2).all()
        assert torch.equal(action, elsewhere) != sees


def test_the_value_is_what_simulation_of_both_responses_says(found):
    start = initial_states(FixedAction(WITH_COST, 0.2), WITH_COST, 512, seed=11)
    value = [
        simulate(p, WITH_COST, start, 270, 12, first=270).value["uninformed"][:, 0]
        for p in (found.uninformed, found.informed)
    ]
    difference = (1 - WITH_COST.beta) * (value[1] - value[0])
    error = math.hypot(difference.std().item() / 512**0.5, found.standard_error)
    assert abs(found.value - difference.mean().item()) < 4 * error + 0.03 * found.value


def test_directions_are_own_and_others_stocks_now_and_before_and_prices():
    economy = InformationMarket(3, 2, n_uninformed=1, memory=True, sees_price=True)
    view = InformationView(economy, 2)
    state = economy.reset((5,), torch.Generator().manual_seed(0), torch.float64)
    assert view.n == 4 + 4 + 2
    shifts = 0.1 * torch.eye(view.n, dtype=torch.float64)
    moved = view.position(view.shifted(state, shifts)) - view.position(state)
    expected = shifts.unsqueeze(1).expand_as(moved)
    assert torch.allclose(moved, expected, atol=1e-12)


def test_who_sees_everything_has_nothing_to_buy():
    economy = Market(3, n_uninformed=1)
    with pytest.raises(ValueError, match="role='informed': expected one that does not see"):
        value_of_information(FixedAction(economy, 0.2), economy, "informed")
    with pytest.raises(ValueError, match=r"agent=1: expected one of 0\.\.0"):
        value_of_information(FixedAction(economy, 0.2), economy, agent=1)
