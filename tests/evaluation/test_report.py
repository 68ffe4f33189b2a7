"""The judge, judged where the answer is known."""

import math
import warnings
from dataclasses import fields
from weakref import WeakKeyDictionary

import numpy as np
import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, Market, Planner
from lectures_lib.evaluation import ReferenceBeaten, Report, ergodic_moments, evaluate
from lectures_lib.evaluation import report as report_module
from lectures_lib.evaluation.distances import euler_distances, welfare_loss
from lectures_lib.evaluation.long_run import burn_in
from lectures_lib.evaluation.simulation import initial_states, simulate, walk, welfare_horizon
from lectures_lib.solvers import Solution, euler_residuals, solve

PLANNER, GROWTH = Planner(), BrockMirman()
PATHS = 16
# Impatience makes for short horizons.
OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}
IMPATIENT = Planner(**OTHER)


@pytest.fixture
def soon(monkeypatch):
    """Reports on fewer periods, for economies whose exact solutions take time to simulate."""
    monkeypatch.setattr(report_module, "burn_in", lambda policy, economy: 50)
    monkeypatch.setattr(report_module, "SHORTEST", 50)
    monkeypatch.setattr(report_module, "KEPT", 50)
    monkeypatch.setattr(report_module, "_LAST", WeakKeyDictionary())


@pytest.fixture
def impatient(solved):
    """The exact solution of a planner with a short horizon."""
    return solved(IMPATIENT)


def consume(share, economy=GROWTH):
    def policy(state, moved=None):
        return {"planner": (share * economy.output(state)).unsqueeze(-1)}

    return policy


def moody(share, economy=GROWTH):
    """Consumes a larger share in good times, which the exact rule does not."""

    def policy(state, moved=None):
        larger = share + 0.05 * state.aggregate.unsqueeze(-1)
        return {"planner": (larger * economy.output(state)).unsqueeze(-1)}

    return policy


def test_the_exact_policy_has_no_distance_from_itself(impatient):
    report = evaluate(impatient.policy, IMPATIENT, impatient, paths=PATHS)
    assert report.consumption_equivalent_loss == report.loss_standard_error == 0
    assert report.policy_error_mean == report.policy_error_max == 0
    # The reference's is measured on the way to the ergodic set as well.
    assert report.euler_residual_max <= report.reference_euler_residual_max < 1e-8
    assert report.moments == report.reference_moments


@pytest.mark.parametrize("kappa", [0.5, 0.7, 0.9])
def test_the_loss_of_a_fixed_share_is_the_closed_form(kappa):
    # Under log utility and C = kappa Y, d_t = log Y_t - log Y*_t obeys, shock by shock,
    # d_t+1 = alpha (d_t + log[(1 - kappa) / (1 - kappa*)]), d_0 = 0, so that welfare differs by
    # log(kappa / kappa*) + alpha beta / (1 - alpha beta) log[(1 - kappa) / (1 - kappa*)].
    ab = GROWTH.alpha * GROWTH.beta
    gain = math.log(kappa / (1 - ab)) + ab / (1 - ab) * math.log((1 - kappa) / ab)
    report = evaluate(consume(kappa), GROWTH, solve(GROWTH), paths=PATHS)
    # The difference is the same on every path: no Monte Carlo error, only the horizon's cut,
    # which leaves 0.96^400 of the sum.
    assert report.consumption_equivalent_loss == pytest.approx(1 - math.exp(gain), rel=1e-5)
    assert report.loss_standard_error < 1e-12
    assert report.policy_error_mean == pytest.approx(abs(kappa / (1 - ab) - 1), rel=1e-12)
    assert report.euler_residual_max == pytest.approx(abs(1 - (1 - kappa) / ab), rel=1e-10)


@pytest.mark.parametrize("exact", [(0.0, 0.0), (-1.0, 1.0)])
def test_a_loss_has_a_standard_error_where_values_are_zero_on_average(exact):
    # Consumption of one is worth nothing under log utility, and slopes are 1 - beta there.
    economy, exact = Planner(), torch.tensor(exact).double()
    loss, error = welfare_loss(economy, "planner", exact - torch.tensor([0.1, 0.3]), exact, 1)
    share = 1 - economy.beta
    assert loss.item() == pytest.approx(1 - math.exp(-0.2 * share), rel=1e-6)
    # Two observations that differ by .2 have a mean with a standard error of half of it.
    assert error.item() == pytest.approx(0.1 * share, rel=1e-5)


def test_the_best_constant_share_loses_about_a_tenth_of_a_per_cent(exact, best_constant):
    report = evaluate(best_constant, PLANNER, exact, paths=128)
    error = report.loss_standard_error
    assert 0.0008 - 2 * error < report.consumption_equivalent_loss < 0.0011 + 2 * error
    assert error < 1e-4


def test_the_loss_from_the_ergodic_set_is_that_of_somebody_who_begins_there(impatient):
    # Where capital is far below its steady state, a constant share loses most.
    economy, exact, paths = IMPATIENT, impatient.policy, 128
    policy = FixedAction(economy, 0.1)
    initial, ergodic = (
        evaluate(policy, economy, impatient, paths=paths, start=start)
        for start in ("initial", "ergodic")
    )
    first = burn_in(exact, economy)
    *_, last = walk(exact, economy, initial_states(exact, economy, paths, 0), first + 1, 2)
    horizon = max(welfare_horizon(economy.beta), report_module.SHORTEST + report_module.KEPT)
    values = [
        simulate(p, economy, last.state, horizon, 1, first=horizon).value["planner"].mean()
        for p in (policy, exact)
    ]
    equivalent, best = map(economy.consumption_equivalent, values)
    assert ergodic.consumption_equivalent_loss == pytest.approx(
        (1 - equivalent / best).item(), rel=1e-6
    )
    assert ergodic.consumption_equivalent_loss != pytest.approx(
        initial.consumption_equivalent_loss, rel=0.01
    )
    assert ergodic.policy_error_mean == pytest.approx(initial.policy_error_mean, rel=0.1)
    with pytest.raises(ValueError, match="start='late'"):
        evaluate(policy, economy, impatient, start="late")


def test_independent_seeds_scatter_by_what_the_reports_say():
    policy = moody(0.6)
    reports = [evaluate(policy, GROWTH, solve(GROWTH), seed=s, paths=64) for s in range(6)]
    losses = np.array([r.consumption_equivalent_loss for r in reports])
    errors = np.array([r.loss_standard_error for r in reports])
    # A chi-squared variable of 5 degrees of freedom lies in this range with probability 0.999.
    assert 0.2 < ((losses - losses.mean()) ** 2 / (errors**2).mean()).sum() < 22


def test_the_standard_error_falls_with_the_root_of_the_number_of_paths():
    policy = moody(0.6)
    few, many = (evaluate(policy, GROWTH, solve(GROWTH), paths=n) for n in (32, 512))
    ratio = few.loss_standard_error / many.loss_standard_error
    # A standard deviation of 32 draws is known to about 1 / sqrt(64) = 12%, more with fat tails.
    assert 2.5 < ratio < 6


def test_every_run_is_judged_as_if_alone(as_runs):
    exact = solve(GROWTH)
    policies = as_runs(consume(0.6), exact.policy, moody(0.6))
    for reference in (None, exact):
        together = evaluate(policies, GROWTH, reference, paths=PATHS)
        alone = [evaluate(p, GROWTH, reference, paths=PATHS) for p in policies.policies]
        for name in (f.name for f in fields(Report) if f.name.endswith(("loss", "mean", "max"))):
            single = [getattr(r, name) for r in alone]
            if name.startswith("reference"):
                single = single[0]
            np.testing.assert_allclose(getattr(together, name), single, rtol=1e-9, atol=1e-12)
        for name, value in together.moments.items():
            assert value.shape == (3,)
            single = [r.moments[name] for r in alone]
            np.testing.assert_allclose(value, single, rtol=1e-9, atol=1e-12)
    assert together.consumption_equivalent_loss[1] == 0
    assert (together.consumption_equivalent_loss[[0, 2]] > 0).all()


def test_without_a_reference_only_what_needs_none_is_reported(impatient, soon):
    report = evaluate(impatient.policy, IMPATIENT, paths=PATHS)
    for name in ("consumption_equivalent_loss", "policy_error_mean", "policy_error_max"):
        assert math.isnan(getattr(report, name))
    assert report.euler_residual_max < 1e-8 and report.reference_moments == {}
    assert report.moments["mean of capital"] > 0.8 * IMPATIENT.efficient_capital


def test_saving_rises_with_productivity_along_the_exact_rule(impatient, soon):
    report = evaluate(impatient.policy, IMPATIENT, paths=PATHS)
    assert 0.5 < report.moments["correlation of saving share and productivity"] <= 1


def test_policies_that_are_not_numbers_are_refused(exact):
    with pytest.raises(ValueError, match="not all finite"):
        evaluate(FixedAction(PLANNER, math.nan), PLANNER, exact, paths=4)


def test_a_seed_gives_the_same_report_and_another_seed_another():
    policy, exact = moody(0.6), solve(GROWTH)
    first, again, other = (evaluate(policy, GROWTH, exact, s, paths=8) for s in (0, 0, 1))
    assert str(first) == str(again)
    assert first.consumption_equivalent_loss == again.consumption_equivalent_loss
    assert first.consumption_equivalent_loss != other.consumption_equivalent_loss


def test_an_exact_rule_is_followed_once_and_any_other_reference_each_time(soon, monkeypatch):
    followed, follow = [], report_module._follow

    def counting(policy, *asked):
        followed.append(policy)
        return follow(policy, *asked)

    monkeypatch.setattr(report_module, "_follow", counting)
    exact, half = solve(GROWTH), consume(0.5)
    first = evaluate(half, GROWTH, exact, paths=PATHS)
    again = evaluate(half, GROWTH, exact, paths=PATHS)
    assert followed.count(exact.policy) == 1
    assert first.consumption_equivalent_loss == again.consumption_equivalent_loss
    assert first.reference_moments == again.reference_moments
    evaluate(half, GROWTH, exact, paths=PATHS, seed=1)
    richer = BrockMirman(alpha=0.4)
    evaluate(half, richer, exact, paths=PATHS, seed=1)
    assert followed.count(exact.policy) == 3
    # Another rule may go on learning and be the same object.
    for _ in range(2):
        evaluate(half, GROWTH, moody(0.6), paths=PATHS)
        evaluate(half, GROWTH, half, paths=PATHS)
    assert followed.count(half) == 4 + 2 + 2 * 2


def test_a_report_prints_as_a_table(as_runs):
    exact = solve(GROWTH)
    single = str(evaluate(moody(0.6), GROWTH, exact, paths=8)).splitlines()
    assert single[0].split() == ["policy", "reference"]
    assert len({len(line) for line in single}) == 1, "columns line up"
    assert len(single) == 1 + 6 + 7
    rows = {line[:46].strip(): line[46:].split() for line in single[1:]}
    assert set(rows) >= {"consumption-equivalent loss, %", "mean of capital"}
    policies = as_runs(moody(0.6), moody(0.7))
    report = evaluate(policies, GROWTH, exact, paths=8)
    several = str(report).splitlines()
    assert several[0].split() == ["median", "worst", "run", "reference"]
    (line,) = [line for line in several if line.startswith("consumption-equivalent loss")]
    losses = 100 * report.consumption_equivalent_loss
    assert line.split()[-2:] == [f"{np.median(losses):.3g}", f"{losses.max():.3g}"]
    assert repr(report) == "\n".join(several)


# ---------------------------------------------------------------------- games
class Scaled:
    """A policy whose every action is multiplied by a number."""

    def __init__(self, policy, factor):
        self.policy, self.factor = policy, factor

    def __call__(self, state, moved=None):
        return {name: self.factor * a for name, a in self.policy(state).items()}


GAMES = {
    "spending": {},
    "quantity, rebate": {"action": "quantity", "rebate_profits": True},
    "half informed": {"n_uninformed": 1},
    "atomistic, half informed": {"n_uninformed": 1, "atomistic": True},
}


@pytest.mark.parametrize("kwargs", list(GAMES.values()), ids=list(GAMES))
def test_every_market_is_judged(kwargs, soon, solved):
    economy = Market(2, **OTHER, **kwargs)
    exact = solved(economy)
    report = evaluate(Scaled(exact.policy, 1.03), economy, exact, paths=4)
    assert report.regime == "competitive"
    # All learned actions are three per cent off, whatever the role that takes them.
    assert report.policy_error_mean == pytest.approx(0.03, rel=1e-10)
    assert report.policy_error_max == pytest.approx(0.03, rel=1e-10)
    assert report.reference_euler_residual_max < 1e-6 < 1e-3 < report.euler_residual_mean
    assert report.moments["mean of capital"] > 1.005 * report.reference_moments["mean of capital"]
    # A mistake costs less than itself.
    assert abs(report.consumption_equivalent_loss) < 0.03 and report.loss_standard_error > 0


def test_a_market_is_judged_the_same_however_its_households_are_grouped_into_roles(soon, solved):
    plain, grouped = (Market(2, **OTHER, n_uninformed=n) for n in (0, 1))
    reports = [evaluate(FixedAction(e, 0.1), e, solved(e), paths=4) for e in (plain, grouped)]
    assert str(reports[0]) == str(reports[1])


def test_without_a_reference_a_market_is_judged_by_its_own_game(soon, solved):
    # Two strategic buyers restrain themselves by a quarter of the price, massless ones do not.
    finite, massless = Market(2, **OTHER), Market(2, **OTHER, atomistic=True)
    competitive, strategic = solved(finite), solved(finite, "nash")
    assert evaluate(strategic.policy, finite, paths=4).euler_residual_max < 1e-6
    assert evaluate(competitive.policy, massless, paths=4).euler_residual_max < 1e-6
    for policy, economy in ((strategic.policy, massless), (competitive.policy, finite)):
        assert evaluate(policy, economy, paths=4).euler_residual_mean > 0.01
    # A solution brings its own regime along.
    assert evaluate(competitive, finite, paths=4).euler_residual_max < 1e-6


def test_restraint_makes_everybody_better_off_than_competition(soon, solved):
    economy = Market(2, **OTHER)
    report = evaluate(solved(economy, "nash"), economy, solved(economy), paths=32)
    assert report.consumption_equivalent_loss < -10 * report.loss_standard_error < 0


def test_beside_a_markov_perfect_equilibrium_there_are_no_euler_residuals(competitive, soon):
    economy = competitive.economy
    reference = Solution(economy, "markov perfect", competitive.policy)
    report = evaluate(FixedAction(economy, 0.1), economy, reference, paths=2)
    assert math.isnan(report.euler_residual_max) and math.isnan(report.euler_residual_mean)
    assert math.isnan(report.reference_euler_residual_max)
    assert report.regime == "markov perfect" and report.policy_error_mean > 0


def test_a_policy_that_holds_another_one_is_itself():
    exact = solve(GROWTH)
    assert evaluate(Scaled(exact.policy, 1.1), GROWTH, exact, paths=2).policy_error_mean > 0.09


def test_where_actions_are_cut_there_are_no_euler_residuals():
    # Orders above output are cut to it, so that a little more or less of them changes nothing.
    report = evaluate(FixedAction(GROWTH, 5.0), GROWTH, solve(GROWTH), paths=2)
    assert math.isnan(report.euler_residual_max) and report.consumption_equivalent_loss > 0.9


def test_residuals_do_not_ask_to_sell_what_cannot_be_sold():
    # Far above the steady state everybody would like to consume some per cent more, which somebody
    # who spends two per cent of output on capital cannot.
    economy = Planner()
    state = economy.reset((8,), torch.Generator().manual_seed(0), torch.float64)
    state = state._replace(capital=50 * state.capital)
    for share, possible in ((0.02, False), (0.1, True)):
        policy = FixedAction(economy, share)
        raw = -euler_residuals(economy, policy, state)
        assert (0.025 < raw).all() and (raw < 0.1).all()
        counted = raw if possible else torch.full_like(raw, share / (1 - share))
        torch.testing.assert_close(euler_distances(economy, policy, state, None), counted)


def test_a_hundred_households_are_judged_without_nan():
    economy = Market(100)
    report = evaluate(FixedAction(economy, 0.1), economy, paths=2)
    assert 0.01 < report.euler_residual_mean < report.euler_residual_max < 0.2
    assert all(math.isfinite(report.moments[f"mean of {x}"]) for x in ("capital", "consumption"))


def test_a_reports_moments_are_the_ergodic_moments_of_the_same_paths():
    economy, policy = Planner(), FixedAction(Planner(), 0.1)
    report = evaluate(policy, economy, seed=3, paths=8)
    few = ergodic_moments(policy, economy, paths=8, periods=50, seed=3)
    assert set(report.moments) < set(few)
    difference = report.moments["mean of capital"] - few["mean of capital"].value
    assert abs(difference) < 4.5 * few["mean of capital"].standard_error


# ---------------------------------------------------------------------- an exact rule that is not
class PoorStart(Planner):
    """A planner's economy that begins at a tenth of the usual capital."""

    def reset(self, batch, generator, dtype=torch.float32):
        state = super().reset(batch, generator, dtype)
        return state._replace(capital=0.1 * state.capital)


class Cut:
    """A rule that holds near the steady state, and is extended by a constant below."""

    def __init__(self, policy, lowest):
        self.policy, self.lowest = policy, lowest

    def __call__(self, state, moved=None):
        return self.policy(state._replace(capital=state.capital.clamp_min(self.lowest)))


def test_a_team_that_beats_its_exact_reference_raises_an_alarm(impatient):
    economy = PoorStart(**OTHER)
    known = Cut(impatient.policy, 0.5 * economy.efficient_capital)
    with pytest.warns(ReferenceBeaten, match="does better than the reference by 0"):
        solution = Solution(economy, "planner", known)
        report = evaluate(impatient, economy, reference=solution, paths=64)
    assert report.consumption_equivalent_loss < -4 * report.loss_standard_error
    # The reference is judged where welfare is counted, and not in the long run alone.
    assert report.reference_euler_residual_max > 0.05


def test_the_exact_rule_raises_no_alarm_and_neither_does_a_game(impatient, solved):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ReferenceBeaten)
        good = FixedAction(IMPATIENT, impatient.steady_state.saving_share)
        report = evaluate(good, IMPATIENT, reference=impatient, paths=64)
        poor, market = PoorStart(**OTHER), Market(2, **OTHER)
        evaluate(impatient, poor, reference=solve(poor), paths=64)
        # Households who buy less together are all better off than in competition.
        competitive = solved(market)
        less = FixedAction(market, 0.75 * competitive.steady_state.saving_share)
        found = evaluate(less, market, reference=competitive, paths=64)
    assert report.reference_euler_residual_max < 1e-8
    assert found.consumption_equivalent_loss < 0
