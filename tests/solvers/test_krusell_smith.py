"""Krusell and Smith by the standard method, against what is known otherwise."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.interpolate import PchipInterpolator
from scipy.sparse import coo_array, eye_array
from scipy.sparse.linalg import spsolve

import lectures_lib.solvers.krusell_smith as module
from lectures_lib.economies import KrusellSmith, MarkovChain
from lectures_lib.solvers import (
    CapitalLaw,
    ConvergenceError,
    euler_residuals,
    household_residuals,
    law_accuracy,
    solve,
)
from lectures_lib.solvers.saving import Households, SavingRule, aggregate_path, lagrange_weights

ECONOMY = KrusellSmith()


@pytest.fixture(scope="module")
def solution():
    return solve(ECONOMY)


def state_of(economy, batch=(6,), poorest=0.0):
    g = torch.Generator().manual_seed(0)
    state = economy.reset(batch, g, torch.float64)
    share = poorest + torch.rand(state.capital.shape, generator=g, dtype=torch.float64)
    return state._replace(capital=state.capital * share)


# ---------------------------------------------------------------------- laws
def test_a_law_fed_with_its_own_predictions():
    law, aggregate = CapitalLaw((0.1, 0.2), (0.5, 0.9)), np.array([0, 1, 1, 0, 0])
    expected = [2.0]
    for z in aggregate[:-1]:
        expected.append(math.exp(law.intercepts[z]) * expected[-1] ** law.slopes[z])
    path = law.path(2.0, aggregate)
    assert path == pytest.approx(expected, rel=1e-14)
    found = law_accuracy(law, path * np.array([1, 1.01, 0.98, 1, 1]), aggregate)
    assert found.largest == pytest.approx(1 / 0.98 - 1)
    assert found.mean == pytest.approx((1 - 1 / 1.01 + 1 / 0.98 - 1) / 5)


def test_a_fitted_law_is_the_one_that_made_the_path():
    law, aggregate = CapitalLaw((0.12, 0.14), (0.965, 0.963)), aggregate_path(ECONOMY, 400, 0)
    found, r2 = CapitalLaw.fitted(law.path(30.0, aggregate), aggregate)
    assert found.intercepts == pytest.approx(law.intercepts, abs=1e-11)
    assert found.slopes == pytest.approx(law.slopes, abs=1e-12)
    assert r2 == pytest.approx((1, 1), abs=1e-12)


def test_aggregate_states_follow_their_chain():
    path = aggregate_path(ECONOMY, 40_000, 0)
    stays = (path[1:] == path[:-1]).mean()
    assert abs(stays - 0.875) < 4.5 * math.sqrt(0.875 * 0.125 / 40_000)


def test_four_weights_are_those_of_a_cubic():
    for power in range(4):
        value = sum(w * x**power for w, x in zip(lagrange_weights(0.3), (-1, 0, 1, 2), strict=True))
        assert value == pytest.approx(0.3**power)


# ---------------------------------------------------------------------- everybody
def test_who_saves_what_it_has_is_followed_without_error():
    households = Households(ECONOMY)
    capital = np.broadcast_to(households.own, (2, 2, len(households.means), len(households.own)))
    rule = SavingRule(ECONOMY, households.own, households.means, np.ascontiguousarray(capital))
    path, mass = aggregate_path(ECONOMY, 200, 0), households.everybody(1)
    found = households.follow(rule, np.concatenate([[1], path]), mass)
    assert found == pytest.approx(ECONOMY.efficient_capital, rel=1e-12)
    # Between cells capital is divided, so that its mean is kept, and unemployment is exact.
    assert mass[0].sum() == pytest.approx(ECONOMY.unemployment[path[-1]], abs=1e-13)
    assert mass.sum() == pytest.approx(1, abs=1e-12)


def test_a_thousand_households_do_what_a_continuum_does(solution):
    """The economy's own code beside the histogram, under the same aggregate shocks."""
    economy, g = KrusellSmith(1000), torch.Generator().manual_seed(0)
    state = economy.reset((), g, torch.float64)
    everybody = torch.full_like(state.capital, economy.efficient_capital)
    state, path, capital = state._replace(capital=everybody), [], []
    for _ in range(400):
        path.append(int(state.aggregate))
        capital.append(state.capital.mean().item())
        shocks = economy.draw((), g, torch.float64)
        state = economy.step(state, solution.policy(state), shocks).state
    households, path = Households(ECONOMY), np.array(path)
    mass = households.everybody(path[0])
    continuum = households.follow(solution.policy, path, mass)
    # A standard error of the mean of so many is some 2% of capital at the end; luck that is
    # shared out evenly leaves a tenth of it.
    assert np.abs(np.array(capital) / continuum - 1).max() < 2e-3
    own = state.capital.squeeze(-1).sort().values.numpy()
    cells, share = households.cells, mass.sum(0).cumsum()
    for part in (0.1, 0.5, 0.9):
        there = np.interp(part, share, cells)
        density = np.gradient(share, cells)[np.searchsorted(cells, there)]
        error = math.sqrt(part * (1 - part) / 1000) / density
        assert abs(np.quantile(own, part) - there) < 4.5 * error


# ---------------------------------------------------------------------- the solution
def test_the_law_of_motion_describes_what_it_brings_about(solution):
    fitted, r2 = CapitalLaw.fitted(*(solution.tested[n] for n in ("capital", "aggregate")))
    # The path on which it was estimated was another one.
    assert fitted.slopes == pytest.approx(solution.law.slopes, abs=5e-4)
    assert min(r2) > 0.999997
    assert solution.accuracy.r2 == pytest.approx(r2, abs=1e-6)


def test_den_haans_errors_are_small(solution):
    mean, largest = solution.accuracy.mean, solution.accuracy.largest
    assert len(solution.tested["capital"]) == 10_000
    assert 2e-4 < mean < 1e-3 and 1e-3 < largest < 4e-3


def test_krusell_and_smiths_own_calibration_has_their_law():
    """Without benefits, and in their units of labour (1998, page 877)."""
    found = solve(KrusellSmith(benefit=0.0, hours=0.3271))
    law, mean = found.law, math.log(found.tested["capital"].mean())
    for z, (a, b) in enumerate([(0.085, 0.965), (0.095, 0.962)]):
        # They print three digits, and followed 5,000 households with luck of their own.
        assert law.slopes[z] == pytest.approx(b, abs=2e-3)
        assert law.intercepts[z] + law.slopes[z] * mean == pytest.approx(a + b * mean, abs=3e-3)
        assert found.accuracy.r2[z] == pytest.approx(0.999998, abs=1e-6)


def test_euler_residuals_are_small_and_those_of_the_economys_own_code(solution):
    assert solution.residual["long run"].mean < 3e-5
    assert solution.residual["long run"].largest < 3e-4
    # All outcomes are listed for 2 households, and drawn in a row for 20.
    for n in (2, 20):
        economy = KrusellSmith(n, atomistic=True)
        state = state_of(economy)
        quick = household_residuals(economy, solution.policy, state)
        slow = euler_residuals(economy, solution.policy, state)
        torch.testing.assert_close(quick, slow, rtol=0, atol=1e-12)
        with_mass = KrusellSmith(n)
        plain = with_mass.State(state.crowd, state.idiosyncratic, state.aggregate)
        one = household_residuals(with_mass, solution.policy, plain)
        other = euler_residuals(with_mass, solution.policy, plain, "competitive")
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_who_is_poor_saves_nothing(solution):
    economy = KrusellSmith(2)
    state = economy.reset((1,), torch.Generator().manual_seed(0), torch.float64)
    capital = torch.tensor([[[0.0], [77.0]]], dtype=torch.float64)
    idle = state._replace(capital=capital, idiosyncratic=torch.zeros(1, 2, dtype=torch.int64))
    share = solution.policy(idle)["household"].flatten()
    assert share[0] == 0 and 0.9 < share[1] < 1
    assert solve_residual(solution, economy, idle)[0] < 0  # it would like to borrow


def solve_residual(solution, economy, state):
    return household_residuals(economy, solution.policy, state).flatten()


def test_without_risk_of_ones_own_it_is_brock_and_mirmans():
    chain = MarkovChain.symmetric((0.9, 1.1), stay=0.8)
    economy = KrusellSmith(1, chain, (0.0, 0.0), delta=1.0, beta=0.9)
    found = solve(economy)
    for z, level in enumerate(chain.values):
        share = economy.alpha * economy.beta * level * economy.hours ** (1 - economy.alpha)
        # A cubic between means is right to a few parts in a million there.
        assert found.law.intercepts[z] == pytest.approx(math.log(share), abs=1e-5)
        assert found.law.slopes[z] == pytest.approx(economy.alpha, abs=1e-5)
    assert found.accuracy.largest < 1e-5


# ---------------------------------------------------------------------- Aiyagari, independently
AIYAGARI = replace(ECONOMY, beta=0.96, unemployment=(0.1, 0.1)).without_aggregate_shocks()


def supply(economy, mean):
    """What households own on average at a mean: values by Bellman, the law by a linear system."""
    index, one = torch.tensor(0), torch.tensor([mean], dtype=torch.float64)
    prices = economy.prices(one, index)
    gross = (1 - economy.delta + prices.rent).item()
    earned = economy.earnings(torch.arange(2), index, prices.wage).numpy()
    stay, lose = economy.chances[0][0]
    chance = np.array([[stay, 1 - stay], [lose, 1 - lose]])
    own = 8 * economy.efficient_capital * np.linspace(0, 1, 250) ** 3
    rich = gross * own + earned[:, None]
    saved, value = 0.9 * np.minimum(rich, own), np.log(0.1 * rich) / (1 - economy.beta)

    def worth(saved, expected):
        rows = zip(expected, saved, strict=True)
        later = np.array([f(x) for f, x in rows])
        return np.log(np.maximum(rich - saved, 1e-300)) + economy.beta * later

    golden = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        expected = [PchipInterpolator(own, row) for row in chance @ value]
        low, high = np.zeros_like(rich), np.minimum(rich, own[-1]) * (1 - 1e-12)
        for _ in range(45):
            one, two = high - golden * (high - low), low + golden * (high - low)
            left = worth(one, expected) > worth(two, expected)
            low, high = np.where(left, low, one), np.where(left, two, high)
        before, saved = saved, (low + high) / 2
        for _ in range(40):
            value = worth(saved, [PchipInterpolator(own, row) for row in chance @ value])
        if np.abs(saved - before).max() < 1e-6:
            break
    cells = own[-1] * np.linspace(0, 1, 800) ** 2
    kept = np.array([np.interp(cells, own, row) for row in saved])
    low = np.clip(np.searchsorted(cells, kept, side="right") - 1, 0, len(cells) - 2)
    part = (kept - cells[low]) / (cells[low + 1] - cells[low])
    n, entries = len(cells), []
    for e in range(2):
        for d in range(2):
            for to, weight in ((low[e], 1 - part[e]), (low[e] + 1, part[e])):
                entries.append((d * n + to, e * n + np.arange(n), chance[e, d] * weight))
    rows, columns, data = (np.concatenate(x) for x in zip(*entries, strict=True))
    moves = coo_array((data, (rows, columns)), shape=(2 * n, 2 * n)).tocsc()
    # A distribution that stays where it is, of mass one.
    system = (moves - eye_array(2 * n)).tolil()
    system[-1] = np.ones(2 * n)
    mass = spsolve(system.tocsc(), np.eye(2 * n)[-1]).reshape(2, n)
    return (mass.sum(0) * cells).sum(), cells, mass


def test_aiyagaris_interest_rate_and_distribution_are_those_of_another_method():
    found = solve(AIYAGARI)
    mean = math.exp(found.law.intercepts[0])
    assert mean > AIYAGARI.efficient_capital  # for fear of bad luck
    owned, cells, mass = supply(AIYAGARI, mean)
    # Supply is steep in the mean: the interest rate that clears the market is known well.
    other, _, _ = supply(AIYAGARI, 1.001 * mean)
    slope = (other - owned) / (0.001 * mean) - 1
    clears = mean - (owned - mean) / slope

    def interest(mean):
        at = torch.tensor([mean], dtype=torch.float64), torch.tensor(0)
        return AIYAGARI.prices(*at).rent.item() - AIYAGARI.delta

    assert interest(mean) == pytest.approx(interest(clears), abs=2e-6)
    histogram = found.tested["histograms"][-1]
    share = mass.sum(0).cumsum()
    for part in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        ours = np.interp(part, histogram.sum(0).cumsum(), found.households.cells)
        # Quantiles are known to a cell, and to what supply differs by at the same prices.
        gap = np.diff(cells)[np.searchsorted(share, part)]
        assert abs(ours - np.interp(part, share, cells)) < gap + 2 * abs(owned - mean)


# ---------------------------------------------------------------------- what is refused
@pytest.mark.parametrize("asked", [{"method": "guess"}, {"domain": (1.0, 2.0)}])
def test_an_unknown_method_and_a_domain_are_refused(asked):
    with pytest.raises(ValueError, match=f"{next(iter(asked))}="):
        solve(ECONOMY, **asked)


@pytest.mark.parametrize(
    ("economy", "where"),
    [
        (ECONOMY.without_aggregate_shocks(), "there are no aggregate shocks"),
        (KrusellSmith(benefit=0.0), "benefit=0"),
    ],
)
def test_a_network_needs_aggregate_shocks_and_benefits(economy, where):
    with pytest.raises(ValueError, match=f"'time iteration' where {where}"):
        solve(economy, method="network")


def test_an_unknown_regime_is_refused():
    with pytest.raises(ValueError, match="knows \\('competitive',\\)"):
        solve(ECONOMY, regime="planner")


def test_a_law_that_is_not_found_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "MAX_LAWS", 1)
    with pytest.raises(ConvergenceError, match="no law of motion has been found in 1 iterations"):
        solve(ECONOMY)
