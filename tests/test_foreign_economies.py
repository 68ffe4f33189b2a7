"""The whole public API beside economies that the library has never seen.

Each public name has an entry in `foreign_uses.USES`: what is done with it in somebody's economy,
and what the TypeError says where the economy lacks what it would need. A new public name needs one.
"""

import math
import re

import numpy as np
import pytest
import torch
from foreign import (
    DERIVED,
    FOREIGN,
    Content,
    Impatient,
    Leaky,
    RiskySaver,
    Saver,
    Thrifty,
    WeatherSaver,
)
from foreign_uses import NO_USE, ROOMS, USES, policy_of, states

from lectures_lib import evaluation, solvers
from lectures_lib.economies import (
    FixedAction,
    Planner,
)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_a_use(room):
    used = {use.split(".")[1] for use in USES if use.startswith(room)}
    assert used | set(NO_USE[room].split()) == set(ROOMS[room].__all__)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("use", USES)
def test_it_works_in_somebodys_economy_or_says_what_is_missing(use, name):
    act, refused = USES[use]
    if name in refused:
        with pytest.raises((TypeError, ValueError)) as caught:
            act(FOREIGN[name])
        assert re.search(refused[name], str(caught.value)), caught.value
        return
    for number in act(FOREIGN[name]):
        assert np.isfinite(np.asarray(number)).all()


# ---------------------------------------------------------------------- right values
@pytest.mark.parametrize("economy", [Saver(), RiskySaver(team=False), WeatherSaver()])
def test_the_best_share_has_no_residual_and_another_that_of_its_formula(economy):
    best = economy.best
    right = solvers.euler_residuals(economy, FixedAction(economy, best), states(economy))
    assert right.abs().max() < 1e-13 and right.dtype == torch.float64
    # 1 / C = beta E[alpha W' / (s W) / C'] with C = (1 - s) W holds up to the factor best / s.
    wrong = solvers.euler_residuals(economy, FixedAction(economy, 0.5), states(economy))
    torch.testing.assert_close(wrong, torch.full_like(wrong, 1 - 0.5 / best), rtol=1e-12, atol=0)


def test_the_worth_of_wealth_is_marginal_utility():
    economy, state = Saver(), states(Saver())
    costate, value = solvers.marginal_values(economy, policy_of(economy), state)
    w, s = state.wealth.unsqueeze(-1), economy.best
    # Envelope: a unit of wealth is a unit of consumption. A unit tomorrow costs (s W)' of it.
    torch.testing.assert_close(value, 1 / ((1 - s) * w), rtol=1e-12, atol=0)
    slope = economy.alpha * (s * w) ** (economy.alpha - 1)
    torch.testing.assert_close(costate, 1 / ((1 - s) * w) / slope, rtol=1e-12, atol=0)


def test_moments_without_shocks_are_the_steady_states():
    economy = Saver()
    moments = evaluation.ergodic_moments(policy_of(economy), economy, 8, 20)
    rest = economy.best ** (economy.alpha / (1 - economy.alpha))
    assert moments["mean of wealth"].value == pytest.approx(rest, rel=1e-10)
    assert moments["s.d. of wealth"].value < 1e-10


@pytest.mark.parametrize("economy", [Saver(), WeatherSaver()])
def test_the_best_fixed_share_is_the_best_share(economy):
    found = evaluation.best_fixed_action(economy, paths=8).value
    assert found == pytest.approx(economy.best, abs=1e-4)


@pytest.mark.parametrize("economy", [Saver(), RiskySaver()])
def test_losses_are_those_of_the_closed_form(economy):
    # Log utility: s costs log(1 - s) now and alpha / (1 - alpha beta) beta log(s) later.
    def worth(s):
        return math.log(1 - s) + economy.best / (1 - economy.best) * math.log(s)

    best = FixedAction(economy, economy.best)
    found = evaluation.evaluate(FixedAction(economy, 0.6), economy, reference=best, paths=64)
    loss = 1 - math.exp(worth(0.6) - worth(economy.best))
    # Initial wealth is the same; the sum is cut off where discounting leaves a millionth.
    assert found.consumption_equivalent_loss == pytest.approx(loss, rel=1e-4)
    assert found.reference_euler_residual_max < 1e-12
    assert found.euler_residual_mean == pytest.approx(0.6 / economy.best - 1)


@pytest.mark.parametrize("economy", [Saver(), RiskySaver(), WeatherSaver()])
def test_dynamic_accuracy_finds_nothing_in_the_best_share_and_something_in_another(economy):
    exact = evaluation.dynamic_accuracy(policy_of(economy), economy, periods=20)
    assert exact.capital_max < 1e-11 and exact.consumption_max < 1e-11
    wrong = evaluation.dynamic_accuracy(FixedAction(economy, 0.5), economy, periods=20)
    # Consumption that the Euler equation implies is half of W times 0.5 / best at first.
    assert wrong.consumption_max > 0.2 and wrong.capital_max > 0.1


def test_a_shock_to_wealth_fades_as_its_exponent_says():
    economy = WeatherSaver()
    response = evaluation.impulse_response(
        policy_of(economy), economy, "weather", periods=4, paths=4096
    )
    # Wealth was there before the shock; the chain is more likely to stay high afterwards.
    assert response["wealth"][0] == 0 and (response["wealth"][1:] > 0).all()
    assert torch.equal(response["wealth"][:1], response["consumption"][:1])


def test_without_risk_every_chain_is_its_mean():
    assert solvers.without_risk(WeatherSaver()).weather.values == (1.0,)
    assert solvers.without_risk(Saver()) == Saver()


# ---------------------------------------------------------------------- derived classes
def test_a_solution_of_a_derived_economy_is_its_own():
    for derived, base in DERIVED.values():
        own = solvers.solve(derived)
        assert own.economy is derived and own.regime == solvers.solve(base).regime


@pytest.mark.parametrize("name", DERIVED)
@pytest.mark.parametrize("use", USES)
def test_a_derived_economy_is_used_as_its_base(use, name):
    def outcome(economy):
        try:
            found = USES[use][0](economy)
        except (TypeError, ValueError) as error:
            return str(error)
        return [np.asarray(x) for x in found]

    derived, base = map(outcome, DERIVED[name])
    if isinstance(base, str):
        assert re.search(r"Planner|Market|BrockMirman|Monopolist|firm|planner|household", base)
        assert isinstance(derived, str)
    else:
        for one, other in zip(derived, base, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("economy", [Leaky(), Content(2), Impatient(), Thrifty()])
def test_a_derived_economy_with_other_rules_is_not_solved_by_its_bases_formulas(economy):
    base = type(economy).__mro__[1].__name__
    message = f"{type(economy).__name__} has other rules than {base}, whose formulas"
    with pytest.raises(TypeError, match=f"{message} solve knows"):
        solvers.solve(economy)
    if base != "Monopolist":
        with pytest.raises(TypeError, match=f"{message} steady_state knows"):
            solvers.steady_state(economy)


def test_rules_that_a_derived_economy_has_changed_are_those_that_it_is_judged_by():
    # Residuals are those of its own rules: they see that the planner's policy is wrong.
    policy = FixedAction(Leaky(), solvers.steady_state(Planner()).saving_share)
    assert solvers.euler_residuals(Leaky(), policy, states(Leaky())).abs().min() > 0.1


def test_markov_perfect_is_for_markets():
    with pytest.raises(TypeError, match=r"markov_perfect is for a Market or .*got Planner.*solve"):
        solvers.markov_perfect(Planner())
