"""Moments of the long run and their Monte Carlo errors, where the answer is known."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from lectures_lib.economies import (
    BrockMirman,
    FixedAction,
    Market,
    MarkovChain,
    Monopolist,
    Planner,
    map_state,
)
from lectures_lib.evaluation import burn_in, ergodic_moments, initial_states, simulate
from lectures_lib.evaluation.moments import CORRELATION, MomentSums
from lectures_lib.evaluation.simulation import walk
from lectures_lib.solvers import solve, steady_state, without_risk

QUANTITIES = ("capital", "consumption", "saving share", "investment", "output")
NO_MEMORY = BrockMirman(aggregate=MarkovChain.symmetric((0.8, 1.2), stay=0.5))


class Clever:
    """Saves more in good times, and costs nothing to compute."""

    def __call__(self, state, moved=None):
        good = state.aggregate[..., None, None] + state.idiosyncratic.unsqueeze(-1)
        return {"planner": 0.08 + 0.01 * good + 0 * state.capital}


def closed_form(economy):
    """Mean and standard deviation of capital: log K' = log(alpha beta Z) + alpha log(K / K*).

    K / K* is a product over lags l of Z^(alpha^l), and expectations go backwards in time.
    """
    chain, ab = economy.aggregate, economy.alpha * economy.beta
    before = np.array(chain.transition).T * chain.stationary / chain.stationary[:, None]

    def moment(power):
        expected = np.ones(len(chain))
        for lag in reversed(range(400)):
            expected = np.array(chain.values) ** (power * economy.alpha**lag) * (before @ expected)
        return ab**power * (chain.stationary @ expected)

    return moment(1), math.sqrt(moment(2) - moment(1) ** 2)


def test_moments_are_those_of_the_closed_form_up_to_their_standard_errors():
    moments = ergodic_moments(solve(NO_MEMORY), NO_MEMORY, paths=128, periods=200)
    for name, exact in zip(("mean", "s.d."), closed_form(NO_MEMORY), strict=True):
        value, error = moments[f"{name} of capital"]
        assert abs(value - exact) < 4.5 * error
        assert error < 0.005 * exact, "so that the first line says something"
    assert moments["mean of saving share"].value == pytest.approx(0.36 * 0.96, rel=1e-12)
    assert moments["mean of saving share"].standard_error < 1e-15
    assert moments["s.d. of saving share"].value < 1e-12
    assert math.isnan(moments["correlation of saving share and productivity"].value)


def trials(policy, economy, paths, periods, first, number=200):
    """Moments of many simulations at once, which differ in their luck."""
    start, sums = initial_states(policy, economy, number * paths, seed=0), MomentSums(economy)
    for t, state, step in walk(policy, economy, start, first + periods, seed=0):
        if t >= first:
            state = map_state(lambda x: x.unflatten(0, (number, paths)), state)
            sums.add(state, {k: x.unflatten(0, (number, paths)) for k, x in step.info.items()})
    return sums.moments()


def covers(estimate, truth, paths):
    """In how many trials a 95% interval (Student's t) has the truth in it."""
    assert estimate.value.shape == (200,)
    away = np.abs(estimate.value - truth) / estimate.standard_error
    return (away < scipy.stats.t.ppf(0.975, paths - 1)).sum()


# A binomial variable of 200 trials with a chance of 95% is outside in one case of 500.
COVERED = range(180, 200)


@pytest.mark.parametrize("paths", [8, 512])
@pytest.mark.parametrize(("alpha", "stay"), [(0.36, 0.5), (0.36, 0.9), (0.95, 0.5), (0.95, 0.8)])
def test_intervals_cover_the_closed_form(alpha, stay, paths):
    # With alpha = .95, all of the periods that count remember the same luck.
    economy = BrockMirman(alpha, aggregate=MarkovChain.symmetric((0.95, 1.05), stay))
    policy, ab = solve(economy).policy, economy.alpha * economy.beta
    found = trials(policy, economy, paths, periods=40, first=burn_in(policy, economy, least=0))
    mean, sd = closed_form(economy)
    # Next capital is the share alpha beta of output, and the rest is consumed.
    for name, factor in (("capital", 1), ("output", 1 / ab), ("consumption", 1 / ab - 1)):
        assert covers(found[f"mean of {name}"], factor * mean, paths) in COVERED
        if paths == 512 or alpha == 0.36:
            # Where spreads and their errors are large together, intervals are wider than needed.
            assert covers(found[f"s.d. of {name}"], factor * sd, paths) >= 180


@pytest.mark.parametrize("paths", [8, 64])
@pytest.mark.parametrize("stay", [0.5, 0.9, 0.95])
def test_intervals_cover_the_moments_of_chains(stay, paths):
    chains = {
        name: MarkovChain.symmetric(values, stay)
        for name, values in (("idiosyncratic", (0.9, 1.1)), ("aggregate", (0.8, 1.2)))
    }
    economy = Planner(**chains)

    def policy(state, moved=None):
        own, common = state.idiosyncratic.unsqueeze(-1), state.aggregate[..., None, None]
        return {"planner": 0.08 + 0.03 * own + 0.01 * common + 0 * state.capital}

    found = trials(policy, economy, paths, periods=40, first=0)  # chains begin stationary
    own, common = np.meshgrid([0, 1], [0, 1])
    share = 0.08 + 0.03 * own + 0.01 * common
    productivity = (0.9 + 0.2 * own) * (0.8 + 0.4 * common)
    truths = {
        "mean of saving share": share.mean(),
        "s.d. of saving share": share.std(),
        CORRELATION: np.corrcoef(share.ravel(), productivity.ravel())[0, 1],
    }
    for name, truth in truths.items():
        assert covers(found[name], truth, paths) in COVERED, name


def test_what_does_not_vary_has_no_standard_deviation_and_no_error():
    economy = without_risk(Planner())
    moments = ergodic_moments(FixedAction(economy, 0.08), economy, paths=16, periods=20)
    for name in ("capital", "consumption", "saving share", "investment", "output"):
        (mean, error), (sd, its_error) = (moments[f"{m} of {name}"] for m in ("mean", "s.d."))
        assert max(error, sd, its_error) < 1e-11 * mean


def test_independent_seeds_scatter_by_what_the_standard_errors_say():
    economy = Planner()
    policy = Clever()
    found = [ergodic_moments(policy, economy, 32, 40, seed=s, first=200) for s in range(8)]
    for name in found[0]:
        values, errors = np.array([moments[name] for moments in found]).T
        ratio = ((values - values.mean()) ** 2).sum() / (errors**2).mean()
        # A chi-squared variable of 7 degrees of freedom lies in this range with probability
        # 0.9998; errors from 32 paths are themselves known to an eighth.
        assert 0.4 < ratio < 35, name


def test_errors_are_those_of_paths_which_are_independent_and_not_of_periods():
    economy, policy = Planner(), FixedAction(Planner(), 0.1)
    moments = ergodic_moments(policy, economy, paths=64, periods=100, first=200)
    start = initial_states(policy, economy, 64, seed=0)
    capital = simulate(policy, economy, start, 300, seed=0, first=200).info["capital"].flatten(1)
    by_path = capital.mean(0)
    value, error = moments["mean of capital"]
    assert value == pytest.approx(by_path.mean().item(), rel=1e-12)
    assert error == pytest.approx(by_path.std().item() / 8, rel=1e-9)
    value, error = moments["s.d. of capital"]
    assert value == pytest.approx(capital.std(correction=0).item(), rel=1e-9)
    # The jackknife over paths.
    left_out = [np.delete(capital.numpy(), i, 1).std() for i in range(64)]
    assert error == pytest.approx(np.std(left_out) * math.sqrt(63), rel=1e-7)


def test_the_errors_of_the_correlation_are_the_jackknifes():
    economy = Planner()
    policy = Clever()
    moments = ergodic_moments(policy, economy, paths=48, periods=20, first=100)
    start = initial_states(policy, economy, 48, seed=0)
    info = simulate(policy, economy, start, 120, seed=0, first=100).info
    x, y = (info[name].flatten(1).numpy() for name in ("saving_share", "productivity"))
    corr = lambda *z: np.corrcoef(*(q.ravel() for q in z))[0, 1]  # noqa: E731
    value, error = moments["correlation of saving share and productivity"]
    assert value == pytest.approx(corr(x, y), rel=1e-9)
    left_out = [corr(np.delete(x, i, 1), np.delete(y, i, 1)) for i in range(48)]
    assert error == pytest.approx(np.std(left_out) * math.sqrt(47), rel=1e-7)


@pytest.mark.parametrize(
    ("economy", "beside"),
    [
        (BrockMirman(), ()),
        (Planner(), ()),
        (Planner(3), ("total capital",)),
        (Market(1, 2), ("price",)),
        (Market(2, 2), ("total capital", "price")),
        (
            Market(2, n_uninformed=1),
            ("total capital", "price", "reward of informed", "reward of uninformed"),
        ),
        (Market(2, atomistic=True), ("total capital", "price")),
    ],
)
def test_every_economy_has_its_quantities(economy, beside):
    moments = ergodic_moments(FixedAction(economy, 0.1), economy, paths=3, periods=5, first=2)
    quantities = {*QUANTITIES, *beside}
    assert set(moments) == {
        *(f"{moment} of {x}" for x in quantities for moment in ("mean", "s.d.")),
        CORRELATION,
    }
    total = moments.get("mean of total capital")
    if total:
        n = economy.n_households
        assert total.value == pytest.approx(n * moments["mean of capital"].value, rel=1e-12)
        assert moments["s.d. of total capital"].value > 0


def test_an_economy_without_capital_has_its_own_quantities():
    moments = ergodic_moments(FixedAction(Monopolist(), 0.5), Monopolist(), 3, 5)
    quantities = ("customers", "price", "sales")
    assert set(moments) == {f"{m} of {x}" for x in quantities for m in ("mean", "s.d.")}
    assert moments["mean of customers"].value == pytest.approx(1.25, rel=1e-9)


def test_without_risk_moments_are_the_steady_state():
    economy = without_risk(Market(2))
    rest = steady_state(economy)
    moments = ergodic_moments(solve(economy), economy, paths=2, periods=3, first=500)
    for name in ("capital", "consumption", "saving_share", "investment", "output", "price"):
        value = moments[f"mean of {name.replace('_', ' ')}"].value
        assert value == pytest.approx(getattr(rest, name), rel=1e-5)
        assert moments[f"s.d. of {name.replace('_', ' ')}"].value < 1e-6 * value


def test_total_capital_of_the_competitive_market_is_what_theory_says(competitive):
    # About 34.0 with two households, 0.2% below the steady state (economics.md).
    economy = competitive.economy
    value, error = ergodic_moments(competitive, economy, 64, 300)["mean of total capital"]
    assert abs(value - 34.0) < 0.1 + 4.5 * error and error < 0.2


def test_every_run_has_the_moments_it_has_alone(as_runs):
    economy = Planner(2)
    policies = as_runs(FixedAction(economy, 0.08), FixedAction(economy, 0.12))
    together = ergodic_moments(policies, economy, paths=5, periods=6, first=3)
    for run, policy in enumerate(policies.policies):
        alone = ergodic_moments(policy, economy, paths=5, periods=6, first=3)
        for name, estimate in alone.items():
            for x, y in zip(together[name], estimate, strict=True):
                assert x.shape == (2,)
                np.testing.assert_allclose(x[run], y, rtol=1e-9, atol=1e-12)


def test_variances_far_from_zero_do_not_cancel():
    sums = MomentSums(Planner())
    state = Planner().reset((4,), torch.Generator().manual_seed(0), torch.float64)
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)[:, None, None]
    for t in range(10):
        x = 1e9 + (-1) ** t * wave
        info = dict.fromkeys(("capital", "consumption", "saving_share", "productivity"), x)
        sums.add(state, info)
    moments = sums.moments()
    assert moments["mean of capital"].value == 1e9
    assert moments["s.d. of capital"].value == pytest.approx(1, rel=1e-12)
    assert moments["correlation of saving share and productivity"].value == pytest.approx(1)


def test_policies_that_lead_to_nan_are_refused():
    economy = Planner()

    def fails_later(state, moved=None):
        poor = state.capital < 0.9 * economy.efficient_capital * 0.5
        return {"planner": torch.where(poor, math.nan, torch.full_like(state.capital, 1e-4))}

    with pytest.raises(ValueError, match=r"values of \w+ that are not finite"):
        ergodic_moments(fails_later, economy, paths=4, periods=20, first=150)


def test_moments_print_as_a_table(as_runs):
    economy = Market(2)
    moments = ergodic_moments(FixedAction(economy, 0.1), economy, paths=4, periods=3, first=3)
    lines = str(moments).splitlines()
    assert lines[0].split() == ["value", "standard", "error"] and len(lines) == len(moments) + 1
    assert len({len(line) for line in lines}) == 1, "columns line up"
    value, error = moments["mean of price"]
    (row,) = [line for line in lines if line.startswith("mean of price")]
    assert row.split()[-2:] == [f"{value:.5g}", f"{error:.1g}"]
    runs = as_runs(FixedAction(economy, 0.1), FixedAction(economy, 0.2))
    moments = ergodic_moments(runs, economy, paths=4, periods=3, first=3)
    lines = repr(moments).splitlines()
    assert lines[0].split() == ["median", "run", "lowest", "highest", "standard", "error"]
    (row,) = [line for line in lines if line.startswith("mean of saving share")]
    assert row.split()[-4:-1] == ["0.15", "0.1", "0.2"]
