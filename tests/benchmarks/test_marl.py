"""Benchmark `marl`: some of its rows are made again."""

from functools import cache

import numpy as np
import pytest

from benchmarks.harness import stored
from benchmarks.marl import collusion, deep, teams
from lectures_lib.agents import DQN
from lectures_lib.economies import Planner
from lectures_lib.evaluation import departure_gains
from lectures_lib.solvers import solve

MARKET = stored("market")
#: Found once, so that where it leads is remembered as well.
exact = cache(solve)


@pytest.mark.learning
def test_twenty_sessions_of_firms_are_like_a_thousand():
    stored_row = stored("marl")["baseline"]["two firms"]
    found = collusion.row(collusion.MARKET, 20, first=50_000)
    error = np.std(stored_row["gains"]) / 20**0.5
    assert found["converged"] == 1
    assert abs(found["gain"] - stored_row["gain"]) < 4 * error
    assert abs(found["no_gain_once"] - stored_row["no_gain_once"]) < 4 * 0.5 / 20**0.5
    assert (
        abs(found["departure"] - stored_row["departure"])
        < 4 * np.std(stored_row["departures"]) / 20**0.5
    )
    assert found["nash"] <= 0.1 and found["perfect"] == 0


def test_gains_from_departures_are_those_of_the_finite_game():
    tables, known = deep.LISTED.tables(), deep.game(deep.LISTED)
    choices = np.random.default_rng(0).integers(0, 15, (225, 2))
    rule = np.array(deep.LISTED.prices)[choices].reshape(15, 15, 2)
    exact, gains = tables.values(choices), departure_gains(tables, choices)
    for i in (0, 1):
        kept, best = (deep.values(known, *deep.of_firm(rule, i), x) for x in (False, True))
        kept, best = (x if i == 0 else x.T for x in (kept, best))
        # Rounds end when values change by less than 1e-7, and are then off by 1/(1-beta) of that.
        assert np.abs(kept.ravel() - exact[:, i]).max() < 1e-7 / (1 - deep.LISTED.beta)
        assert np.abs((best - kept).ravel() - gains[:, i]).max() < 2e-7 / (1 - deep.LISTED.beta)


def test_answers_of_linear_rules_are_sums_of_geometric_series():
    nash, own, rival = deep.MARKET.nash_prices[0], 0.2, 0.3

    class Linear:
        runs = 2

        def __call__(self, state):
            change = state.last[..., 0, :].double() - nash
            return {"firm": (nash + own * change + rival * change.flip(-1)).unsqueeze(-1)}

    found = {k: np.array(x) for k, x in deep.answers(Linear(), deep.MARKET).items()}
    # Prices are single precision, and slopes taken over two hundredths.
    known = {"price": nash, "own": own, "rival": rival, "needed": 0.0}
    known["lasting"] = rival / (1 - deep.MARKET.beta * own)
    for name, value in known.items():
        assert np.abs(found[name] - value).max() < 1e-3, name


@pytest.mark.row
def test_a_seed_of_a_deep_learner_without_memory_charges_what_its_row_says():
    row = stored("marl")["deep_memory"]["no memory"]
    found = deep.cell(deep.forgetful(deep.MARKET), deep.ppo(), row["steps"], seeds=range(1))
    spread = np.ptp(row["price"])
    assert abs(found["price"][0] - row["price"][0]) < max(spread, 0.01)


@pytest.mark.row
@pytest.mark.parametrize("label", teams.MIXERS)
def test_ten_teams_climb_as_far_as_fifty(label):
    stored_row = stored("marl")["games"][f"climbing, {label}"]
    game, periods, rounds, best = teams.GAMES["climbing"]
    agent = teams.team(game, teams.MIXERS[label], rounds, range(100, 110))
    found = (teams.earned(game, agent, periods) == best).float().mean().item()
    assert abs(found - stored_row["best"] / stored_row["seeds"]) <= 0.2


@pytest.mark.row
def test_a_seed_of_households_who_add_up_values_is_as_precise_as_its_row():
    rows, economy = stored("marl")["pair"]["2 households, VDN"], teams.with_shares(Planner, 2)
    config = teams.chosen("VDN")
    (found,) = teams.learned(DQN, economy, config, teams.ROUNDS, [rows[0]["seed"]], 24)
    assert found["steps"] == rows[0]["steps"]
    assert found["policy_error"] < 2 * max(row["policy_error"] for row in rows)
    assert found["loss"] < 3 * max(row["loss"] for row in rows)
