"""The published definitions of error, and a stored row that is made again."""

import pytest
import torch

from benchmarks.harness import stored
from benchmarks.rivals.__main__ import (
    COUNTRIES_SETTINGS,
    GROWTH_SETTINGS,
    PARTS,
    TRIED,
    judged_growth,
)
from lectures_book import published
from lectures_book import published_errors as errors
from lectures_lib.economies import FixedAction, InternationalCycle
from lectures_lib.solvers import euler_residuals, fit_residuals, solve


def test_the_published_grid():
    economy = errors.growth()
    state = errors.grid(economy)
    assert len(state.aggregate) == 441
    assert state.aggregate.max().item() == pytest.approx(3 * 0.04 / 0.19**0.5)
    logs = (state.capital / economy.efficient_capital).log()
    assert (logs.min().item(), logs.max().item()) == pytest.approx((-0.4, 0.4))
    # "Optimal savings rate s* = alpha * beta = 0.3564".
    assert solve(economy).policy(state)["planner"].unique().tolist() == [0.3564]


@pytest.mark.parametrize("action", ["share", "consumption"])
def test_the_published_error_is_our_residual_in_other_words(action):
    economy = errors.growth(action)
    policy, state = FixedAction(economy, 0.3), errors.lived(economy)
    theirs = errors.growth_errors(economy, policy, state)
    ours = euler_residuals(economy, policy, state).squeeze(-1)
    torch.testing.assert_close(1 - 1 / (1 + theirs), ours, rtol=1e-9, atol=1e-12)
    exact = errors.growth_errors(economy, solve(economy).policy, state)
    assert exact.abs().max() < 1e-12


def test_a_constant_share_has_the_error_of_its_formula():
    economy = errors.growth()
    found = errors.growth_errors(economy, FixedAction(economy, 0.4), errors.grid(economy))
    torch.testing.assert_close(found, torch.full_like(found, 0.3564 / 0.4 - 1))


def test_the_published_error_of_two_countries_by_hand():
    """Their equation, written out, at a rule that keeps all capital as it is."""
    economy = InternationalCycle()
    keep = FixedAction(economy, 0.0)
    state = errors.sparse_grid_states(economy)
    found = errors.countries_errors(economy, keep, state)
    shocks, weight = economy.outcomes(state)
    many = {n: x.expand(len(weight), *x.shape) for n, x in keep(state).items()}
    wide = type(state)(*(x.expand(len(weight), *x.shape) for x in state))
    later = economy.step(wide, many, shocks).state
    _, _, price = errors.chosen(economy, keep, state)
    following = errors.chosen(economy, keep, later)[2].unsqueeze(-1)
    gain = 1 - economy.delta + economy.alpha * economy.output(later) / later.capital
    worth = economy.beta * (weight.unsqueeze(-1) * following * gain).sum(0)
    torch.testing.assert_close(found, worth / price.unsqueeze(-1) - 1, rtol=1e-8, atol=1e-12)


def test_the_published_states_are_as_far_as_they_are():
    economy = InternationalCycle()
    state = errors.sparse_grid_states(economy)
    seen = economy.observe(state)["planner"].squeeze(-2)
    known = torch.tensor(published.SPARSE_GRID, dtype=torch.float64)
    torch.testing.assert_close(seen, torch.cat([known[:, :2].log(), known[:, 2:]], -1))


def test_the_published_constants_are_ours_to_the_printed_digits():
    economy = InternationalCycle()
    assert economy.technology == pytest.approx(published.TECHNOLOGY, abs=5e-7)
    assert economy.usual_consumption == pytest.approx(published.CONSUMPTION, abs=5e-7)


def test_settings_are_among_those_that_were_tried():
    chosen = {"growth": GROWTH_SETTINGS, "countries": COUNTRIES_SETTINGS}
    for part, settings in chosen.items():
        for name, one in settings.items():
            assert f"{one['noise'][1]}, {one['horizon']}" in TRIED[f"{part}, {name}"]


def test_a_stored_row_is_made_again():
    kept = stored("rivals")["growth"]["network, share"]
    economy = errors.growth("share")
    policy, _ = fit_residuals(economy, spread=0.5, seed=kept["seeds"][0], show_progress=False)
    found, known = judged_growth(economy, policy), kept["runs"][0]
    assert found["grid"]["euler"] < 1e-10 and known["grid"]["euler"] < 1e-10


def test_every_part_is_stored():
    assert set(PARTS) <= set(stored("rivals"))
