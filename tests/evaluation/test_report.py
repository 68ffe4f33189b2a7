"""The judge, judged where the answer is known."""

import math
from dataclasses import fields

import numpy as np
import pytest

from lectures_lib.economies import BrockMirman, FixedAction, MarkovChain, Planner
from lectures_lib.evaluation import Report, evaluate
from lectures_lib.solvers import solve

PLANNER, GROWTH = Planner(), BrockMirman()
PATHS = 16


def consume(share, economy=GROWTH):
    def policy(state, moved=None):
        return {"planner": (share * economy.output(state)).unsqueeze(-1)}

    return policy


def test_the_exact_policy_has_no_distance_from_itself(exact):
    report = evaluate(exact.policy, PLANNER, exact, paths=PATHS)
    assert report.consumption_equivalent_loss == report.loss_standard_error == 0
    assert report.policy_error_mean == report.policy_error_max == 0
    assert report.euler_residual_max == report.reference_euler_residual_max < 1e-10
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


def test_the_best_constant_share_loses_about_a_tenth_of_a_per_cent(exact, best_constant):
    reports = [evaluate(best_constant, PLANNER, exact, seed=s, paths=64) for s in range(4)]
    losses = np.array([r.consumption_equivalent_loss for r in reports])
    errors = np.array([r.loss_standard_error for r in reports])
    assert 0.0008 < losses.mean() < 0.0011
    # Independent seeds scatter by what the reports say: a chi-squared variable of 3 degrees of
    # freedom lies in this range with probability 0.998.
    assert 0.02 < ((losses - losses.mean()) ** 2 / (errors**2).mean()).sum() < 16.3


def test_the_standard_error_falls_with_the_root_of_the_number_of_paths(exact):
    policy = FixedAction(PLANNER, 0.1)
    few, many = (evaluate(policy, PLANNER, exact, paths=n) for n in (32, 512))
    ratio = few.loss_standard_error / many.loss_standard_error
    # A standard deviation of 32 draws is known to about 1 / sqrt(64) = 12%, more with fat tails.
    assert 2.5 < ratio < 6


def test_every_run_is_judged_as_if_alone(exact, as_runs):
    policies = as_runs(FixedAction(PLANNER, 0.08), exact.policy, FixedAction(PLANNER, 0.12))
    for reference in (None, exact):
        together = evaluate(policies, PLANNER, reference, paths=PATHS)
        alone = [evaluate(p, PLANNER, reference, paths=PATHS) for p in policies.policies]
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


def test_without_a_reference_only_what_needs_none_is_reported(exact):
    report = evaluate(exact.policy, PLANNER, paths=PATHS)
    for name in ("consumption_equivalent_loss", "policy_error_mean", "policy_error_max"):
        assert math.isnan(getattr(report, name))
    assert report.euler_residual_max < 1e-8 and report.reference_moments == {}
    assert report.moments["mean of capital"] > 20


def test_moments_are_those_of_the_closed_form():
    # log K' = log(alpha beta) + log Z + alpha (log K - log K*) and independent Z give the mean of
    # K' / K*: the product over lags l of E[Z^(alpha^l)].
    economy = BrockMirman(aggregate=MarkovChain.symmetric((0.8, 1.2), stay=0.5))
    report = evaluate(solve(economy).policy, economy, paths=256)
    z, ab = np.array([0.8, 1.2]), economy.alpha * economy.beta
    powers = economy.alpha ** np.arange(30)
    mean = ab * np.prod([(z**e).mean() for e in powers])
    second = ab**2 * np.prod([(z ** (2 * e)).mean() for e in powers])
    moments = report.moments
    sd = math.sqrt(second - mean**2)
    periods = 2 * 200 - 200  # kept of a horizon of 400; correlation lasts about 1 / (1 - alpha)
    error = sd / math.sqrt(256 * periods) * math.sqrt((1 + economy.alpha) / (1 - economy.alpha))
    assert moments["mean of capital"] == pytest.approx(mean, abs=4.5 * error)
    assert moments["s.d. of capital"] == pytest.approx(sd, abs=4.5 * error)
    assert moments["mean of saving share"] == pytest.approx(ab, rel=1e-12)
    assert moments["s.d. of saving share"] < 1e-12
    assert math.isnan(moments["correlation of saving share and productivity"])


def test_saving_rises_with_productivity_along_the_exact_rule(exact):
    report = evaluate(exact.policy, PLANNER, paths=PATHS)
    assert 0.5 < report.moments["correlation of saving share and productivity"] <= 1


def test_policies_that_are_not_numbers_are_refused(exact):
    with pytest.raises(ValueError, match="not all finite"):
        evaluate(FixedAction(PLANNER, math.nan), PLANNER, exact, paths=4)


def test_a_seed_gives_the_same_report_and_another_seed_another(exact):
    policy = FixedAction(PLANNER, 0.1)
    first, again, other = (evaluate(policy, PLANNER, exact, s, paths=8) for s in (0, 0, 1))
    assert str(first) == str(again)
    assert first.consumption_equivalent_loss == again.consumption_equivalent_loss
    assert first.consumption_equivalent_loss != other.consumption_equivalent_loss


def test_a_report_prints_as_a_table(exact, as_runs):
    single = str(evaluate(FixedAction(PLANNER, 0.1), PLANNER, exact, paths=8)).splitlines()
    assert single[0].split() == ["policy", "reference"]
    assert len({len(line) for line in single}) == 1, "columns line up"
    assert len(single) == 1 + 6 + 7
    rows = {line[:46].strip(): line[46:].split() for line in single[1:]}
    assert set(rows) >= {"consumption-equivalent loss, %", "mean of capital"}
    policies = as_runs(FixedAction(PLANNER, 0.08), FixedAction(PLANNER, 0.11))
    report = evaluate(policies, PLANNER, exact, paths=8)
    several = str(report).splitlines()
    assert several[0].split() == ["median", "worst", "run", "reference"]
    (line,) = [line for line in several if line.startswith("consumption-equivalent loss")]
    losses = 100 * report.consumption_equivalent_loss
    assert line.split()[-2:] == [f"{np.median(losses):.3g}", f"{losses.max():.3g}"]
    assert repr(report) == "\n".join(several)
