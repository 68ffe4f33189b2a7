"""Errors of spending by part, on policies whose parts are known by construction."""

import numpy as np
import pytest
import torch

from lectures_lib.economies import BrockMirman, Market, Planner
from lectures_lib.economies.play import FixedAction
from lectures_lib.evaluation import SpendingErrors, evaluate, spending_errors

FEW = {"paths": 6, "seed": 3}


def half_and_more(economy, role="planner"):
    """A reference under which each spends a tenth of output, or a little more if it has much."""

    def policy(state, moved=None):
        return {role: 0.1 * (state.capital / economy.capital_unit).pow(0.1)}

    return policy


def changed(policy, factor, role="planner"):
    """A policy that spends `factor(state)` times as much."""
    return lambda state, moved=None: {role: policy(state)[role] * factor(state)}


def test_spending_a_tenth_more_is_a_common_error_and_no_other():
    economy = Planner(3, 2)
    exact = half_and_more(economy)
    found = spending_errors(changed(exact, lambda s: 1.1), economy, exact, **FEW)
    for size in (found.common, found.weighted, found.unweighted):
        assert size == pytest.approx(0.1)
    assert found.own == pytest.approx(0, abs=1e-12)
    assert found.own_unweighted == pytest.approx(0, abs=1e-12)


def test_who_spends_what_another_should_makes_no_common_error():
    economy = Planner(2)
    exact = half_and_more(economy)

    def moved(state):
        # The first household spends a fifth more, and the second as much less in output.
        spent = exact(state)["planner"] * economy.income(state).unsqueeze(-1)
        extra = 0.2 * spent[..., :1, :]
        change = torch.cat([extra, -extra], -2)
        return 1 + change / spent

    found = spending_errors(changed(exact, moved), economy, exact, **FEW)
    assert found.common == pytest.approx(0, abs=1e-12)
    assert found.own == pytest.approx(found.weighted)
    # A fifth of one's spending is wrong for both: of half of all, if they are equal, 0.2.
    assert found.weighted == pytest.approx(0.2, rel=0.15)
    assert found.unweighted == pytest.approx(found.own_unweighted)


def test_parts_bound_the_whole():
    economy = Planner(4)
    exact = half_and_more(economy)

    def factor(state):
        return 1.05 + 0.3 * (state.idiosyncratic.unsqueeze(-1) - 0.5)

    found = spending_errors(changed(exact, factor), economy, exact, **FEW)
    assert 0 < found.common < found.weighted
    most = found.common + (1 + found.common) * found.own
    assert found.weighted < most * 1.05


def test_the_last_is_the_policy_error_of_a_report():
    economy = Planner(3)
    exact = half_and_more(economy)
    wrong = changed(exact, lambda s: 1 + 0.1 * s.idiosyncratic.double().unsqueeze(-1))
    found = spending_errors(wrong, economy, exact, paths=256)
    report = evaluate(wrong, economy, exact, paths=256)
    assert found.unweighted == pytest.approx(report.policy_error_mean, rel=0.08)


def test_who_should_spend_next_to_nothing_counts_by_what_it_spends():
    economy = Planner(2)

    def first_spends(small):
        return lambda state, moved=None: {
            "planner": torch.tensor([[small], [0.2]]).double().expand_as(state.capital)
        }

    found = spending_errors(first_spends(1e-3), economy, first_spends(1e-4), paths=32)
    assert found.unweighted == pytest.approx(0, abs=1e-12)  # nine times too much, left out
    assert 0 < found.weighted < 0.01


def test_a_market_has_spending_too():
    economy = Market(2)
    exact = half_and_more(economy, "household")
    found = spending_errors(changed(exact, lambda s: 0.9, "household"), economy, exact, **FEW)
    assert found.common == pytest.approx(0.1)


def test_an_economy_without_spending_is_refused():
    economy = BrockMirman()
    policy = FixedAction(economy, 0.3)
    with pytest.raises(TypeError, match="nobody buys capital at a unit cost"):
        spending_errors(policy, economy, policy, **FEW)


def test_runs_are_judged_one_by_one_and_printed():
    errors = SpendingErrors(*(np.array([0.01, 0.03, 0.02]),) * 5)
    assert str(errors).splitlines()[0] == "common, %                    2  (worst run 3)"
    assert "own, unweighted, %" in str(errors)
    assert "worst" not in str(SpendingErrors(*(0.01,) * 5))
