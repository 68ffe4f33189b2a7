"""Stored benchmark results are still what the code gives: some rows are run again."""

import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch

from benchmarks.critic import sight
from benchmarks.design import constraints, markets
from benchmarks.equilibria import forecasters, selection
from benchmarks.harness import RESULTS, run, stored
from benchmarks.information import cells
from benchmarks.krusell_smith import published, standard
from benchmarks.market.buyers import PROBING
from benchmarks.marl import collusion, deep, teams
from benchmarks.parallel import staleness
from benchmarks.planner import many
from benchmarks.primer import probing
from benchmarks.sellers import posted_prices, trading_post
from lectures_lib.agents import DQN, PPO, SAC, PPOConfig, Probing, QLearning
from lectures_lib.economies import (
    BrockMirman,
    KrusellSmith,
    Market,
    Monopolist,
    Planner,
    PostedPrice,
    Rationing,
    map_state,
)
from lectures_lib.evaluation import (
    best_fixed_action,
    departure_gains,
    ergodic_moments,
    evaluate,
    initial_states,
)
from lectures_lib.solvers import euler_residuals, markov_perfect, solve, without_risk
from lectures_lib.solvers.dynamic_programming import expectation, with_payoff
from lectures_lib.solvers.enhanced_policy_iteration import enhanced_policy_iteration

FOLDER = RESULTS.parent
QUESTIONS = sorted(path.parent.name for path in FOLDER.glob("*/__main__.py"))
STORED, SOLVERS, PRIMER, MARKET = map(stored, ("planner", "solvers", "primer", "market"))
ECONOMY = Planner()


def question(name):
    """The module that `python -m benchmarks.name` runs."""
    return import_module(f"benchmarks.{name}.__main__")


@pytest.mark.learning
@pytest.mark.parametrize("correction", ["none", "V-trace as published"])
def test_actors_that_lag_cost_what_they_did(correction):
    rows = stored("parallel")["common"]
    (row,) = staleness.learned("planner", correction, 4, seeds=[0])
    stored_row = rows[f"4, {correction}"][0]
    assert row["steps"] == stored_row["steps"]
    # Learning magnifies rounding: within a factor of three, and the two lie seventy apart.
    assert 1 / 3 < row["policy_error"] / stored_row["policy_error"] < 3


def test_what_information_is_worth_is_what_it_was():
    (row,) = cells.cell(replace(cells.HALF, n_uninformed=10), seeds=range(1))
    stored_row = stored("information")["share"]["0 informed"][0]
    # Learning magnifies rounding; a value has an error of its own.
    assert abs(row["value"] - stored_row["value"]) < 4 * stored_row["value_error"]
    assert row["steps"] == stored_row["steps"]


def test_every_folder_is_a_question_that_can_be_run_and_every_file_of_results_belongs_to_one():
    folders = {path.parent.name for path in FOLDER.glob("*/*.py")} - {"harness"}
    assert folders == set(QUESTIONS)
    assert {path.stem for path in RESULTS.iterdir()} <= folders


def test_a_question_is_run_from_the_root():
    command = [sys.executable, "-m", "benchmarks.critic", "--print"]
    found = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("critic ") and len(found.stdout.splitlines()) > 20


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_stored_part_can_be_printed(name, capsys):
    parts = question(name).PARTS
    run(name, question(name).__doc__, parts, ["--print"])
    blocks = capsys.readouterr().out.strip().split("\n\n")
    for part, block in zip(parts, blocks, strict=True):
        head, *lines = block.splitlines()
        if part in stored(name):
            assert head.split()[0] == part
            for label in stored(name)[part]:
                assert any(line.startswith(label) for line in lines)
        else:
            assert head == f"{part}: not stored yet"


@pytest.mark.parametrize("name", QUESTIONS)
def test_help_lists_every_part(name, capsys):
    with pytest.raises(SystemExit):
        run(name, question(name).__doc__, question(name).PARTS, ["--help"])
    shown = capsys.readouterr().out
    assert all(f"\n  {part} " in shown for part in question(name).PARTS)


@pytest.mark.parametrize(
    ("name", "part"), [(n, part) for n in QUESTIONS for part in stored(n) if part != "made"]
)
def test_every_stored_part_says_where_it_comes_from_and_can_be_made_again(name, part):
    assert part in question(name).PARTS
    made = stored(name)["made"][part]
    assert re.fullmatch(rf"python -m benchmarks\.{name} --only .*", made["command"])
    assert re.fullmatch("[0-9a-f]{7,}", made["code"]), "not from a clean commit"
    assert made["date"]
    assert made["device"] and made["versions"]["torch"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_nothing_is_said_of_the_origin_of_what_is_not_stored(name):
    assert stored(name).get("made", {}).keys() == stored(name).keys() - {"made"}


def test_environments_of_other_libraries_cost_little_beside_the_economy():
    rows = stored("libraries")["interfaces"]
    for label, row in rows.items():
        bound = {"VectorGym": 1.2, "Gym": 3}.get(label.split(": ")[1])
        if bound is not None:
            assert row["beside the bare economy"] <= bound
        if bound == 1.2:
            assert row["million steps per second"] >= 1


#: Found once, so that where it leads is remembered as well.
exact = cache(solve)


def judge(policy, paths=1024):
    return evaluate(policy, ECONOMY, exact(ECONOMY), seed=12345, paths=paths)


def test_the_row_of_the_best_constant_share():
    (row,) = STORED["learners"]["best constant share"]
    report = judge(best_fixed_action(ECONOMY))
    assert 100 * report.consumption_equivalent_loss == pytest.approx(row["loss"], rel=1e-3)
    assert 100 * report.policy_error_mean == pytest.approx(row["policy_error"], rel=1e-3)


@pytest.mark.learning
def test_a_seed_of_ppo_is_as_precise_as_its_row():
    rows = STORED["learners"]["PPO"]
    agent = PPO(ECONOMY, seed=rows[0]["seed"], device="cpu")
    agent.learn(rows[0]["steps"])
    report = judge(agent.policy, paths=256)
    # Another processor rounds differently, which makes of a seed another seed: so the bounds are
    # twice what the worst of the stored seeds reached.
    assert 100 * report.consumption_equivalent_loss < 2 * max(r["loss"] for r in rows)
    assert 100 * report.policy_error_mean < 2 * max(r["policy_error"] for r in rows)


def test_a_row_of_the_grids():
    stored = SOLVERS["grids"]["market, 2 x 1"]
    solution = exact(Market(2))
    generator = torch.Generator().manual_seed(1)
    state = initial_states(solution.policy, Market(2), 64, 1)
    for _ in range(300):
        shocks = Market(2).draw((64,), generator, torch.float64)
        state = Market(2).step(state, solution.policy(state), shocks).state
    residuals = euler_residuals(Market(2), solution.policy, state, "competitive").abs()
    assert residuals.mean().item() == pytest.approx(stored["mean"], rel=0.5)
    assert residuals.max() < 2 * stored["largest"]


def test_a_row_of_the_games():
    stored = SOLVERS["games"]["spending, N = 2, no risk"]
    economy = without_risk(Market(2))
    state = initial_states(None, economy, 1, 0)
    policy = markov_perfect(economy).policy
    for _ in range(600):
        state = economy.step(state, policy(state), state_shocks(economy)).state
    assert state.capital.mean().item() == pytest.approx(stored["mean capital"], rel=1e-5)


def state_shocks(economy):
    return economy.draw((1,), torch.Generator().manual_seed(0), torch.float64)


def test_a_row_of_the_tables():
    """Deterministic, but for rounding that may cost a round."""
    prices = tuple(np.linspace(0.2, 0.7, 51).round(4))
    tables = Monopolist(levels=100, prices=prices).tables()
    v = tables.discrete_dp().solve("policy_iteration").v
    exact = with_payoff(tables, expectation(tables, v))
    start = np.zeros(exact.shape)
    found = enhanced_policy_iteration(tables, 20, start, exact=exact, tolerance=1e-8)
    stored = PRIMER["dynamic_programming"]["large: enhanced, 20 evaluations, from below"]
    assert abs(found.count - stored["iterations"]) <= 1


@pytest.mark.learning
def test_a_row_of_q_learning():
    stored = PRIMER["q_learning"]["1,000 learners, 1 million updates"]
    economy = Monopolist()
    tables = economy.tables()
    exact = with_payoff(
        tables, expectation(tables, tables.discrete_dp().solve("policy_iteration").v)
    )
    agent = QLearning(economy, seeds=range(100, 124))
    agent.learn(stored["steps"], show_progress=False)
    errors = 100 * np.abs(agent.q_values - exact).max((1, 2)) / exact.max()
    assert np.median(errors) == pytest.approx(stored["error"], rel=0.2)


@pytest.mark.learning
def test_a_seed_of_dqn_loses_as_little_as_its_row():
    stored = PRIMER["dqn"]["whole"]
    economy = Monopolist()
    agent = DQN(economy, seed=stored["seeds"][0], device="cpu")
    agent.learn(stored["steps"], show_progress=False)
    report = evaluate(agent.policy, economy, solve(economy))
    # The bound leaves room for another processor's rounding, as for PPO above.
    assert 100 * report.consumption_equivalent_loss < 2 * max(stored["losses_to_any_price"])


@pytest.mark.learning
def test_a_seed_of_sac_is_as_precise_as_its_row():
    stored = PRIMER["actor_critics"]["Brock-Mirman: SAC, common shocks, default"]
    economy = BrockMirman()
    agent = SAC(economy, seed=stored["seeds"][0], device="cpu")
    agent.learn(stored["steps"], show_progress=False)
    report = evaluate(agent.policy, economy, solve(economy))
    assert 100 * report.policy_error_mean < 2 * max(stored["curve"]["error_percent"][-1])


@pytest.mark.learning
def test_a_seed_of_the_team_that_colludes_is_as_near_to_monopsony_as_its_row():
    rows = MARKET["collusion"]["team credit, N = 1"]
    (exact,) = (r for r in MARKET["collusion"]["exact, N = 1"] if r["seed"] == "monopsony")
    config = replace(PROBING, cartel=("household",))
    agent = Probing(Market(1), seed=rows[0]["seed"], device="cpu", config=config)
    agent.learn(rows[0]["steps"], show_progress=False)
    report = evaluate(agent.policy, Market(1), solve(Market(1), "monopsony"), paths=64)
    ratio = report.moments["mean of capital"] / report.reference_moments["mean of capital"]
    furthest = max(abs(r["capital"] / exact["capital"] - 1) for r in rows)
    assert abs(ratio - 1) < 2 * furthest


@pytest.mark.learning
def test_a_seed_with_a_critic_that_sees_little_holds_as_much_capital_as_its_row():
    rows = stored("critic")["critic"]["other, Probing, common shocks, local critic"]
    economy, (kind, config) = sight.market(**sight.OTHER), sight.ALGORITHMS["Probing"]
    agent = kind(economy, seeds=[rows[0]["seed"]], config=config, device="cpu")
    agent.learn(rows[0]["steps"], show_progress=False)
    moments = ergodic_moments(agent.policy, economy, paths=64, periods=sight.PERIODS, seed=3)
    (capital,) = moments["mean of capital"].value
    assert capital == pytest.approx(np.median([row["capital"] for row in rows]), rel=0.02)


@pytest.mark.learning
def test_a_seed_with_one_of_the_goods_is_as_precise_as_its_row():
    (config, _), rows = many.GOODS[1, 1], STORED["goods"]["1 x 1"]
    agent = Probing(ECONOMY, seeds=[rows[0]["seed"]], config=config, device="cpu")
    agent.learn(rows[0]["steps"], show_progress=False)
    (found,) = many.judged(agent.policy, ECONOMY, start="ergodic")
    assert found["policy_error"] < 2 * max(row["policy_error"] for row in rows)


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


@pytest.mark.learning
def test_a_seed_of_a_deep_learner_without_memory_charges_what_its_row_says():
    row = stored("marl")["deep_memory"]["no memory"]
    found = deep.cell(deep.forgetful(deep.MARKET), deep.ppo(), row["steps"], seeds=range(1))
    spread = np.ptp(row["price"])
    assert abs(found["price"][0] - row["price"][0]) < max(spread, 0.01)


@pytest.mark.learning
@pytest.mark.parametrize("label", teams.MIXERS)
def test_ten_teams_climb_as_far_as_fifty(label):
    stored_row = stored("marl")["games"][f"climbing, {label}"]
    game, periods, rounds, best = teams.GAMES["climbing"]
    agent = teams.team(game, teams.MIXERS[label], rounds, range(100, 110))
    found = (teams.earned(game, agent, periods) == best).float().mean().item()
    assert abs(found - stored_row["best"] / stored_row["seeds"]) <= 0.2


@pytest.mark.learning
def test_a_seed_of_households_who_add_up_values_is_as_precise_as_its_row():
    rows, economy = stored("marl")["pair"]["2 households, VDN"], teams.with_shares(Planner, 2)
    config = teams.chosen("VDN")
    (found,) = teams.learned(DQN, economy, config, teams.ROUNDS, [rows[0]["seed"]], 24)
    assert found["steps"] == rows[0]["steps"]
    assert found["policy_error"] < 2 * max(row["policy_error"] for row in rows)
    assert found["loss"] < 3 * max(row["loss"] for row in rows)


@pytest.mark.learning
def test_a_seed_of_ppo_is_as_precise_as_its_row_beside_probing():
    stored = PRIMER["probing"]["PPO, best"]
    history, _, _ = probing.trained("PPO", stored["changes"], stored["seeds"][:1])
    assert 100 * history["error"][-1].max() < 2 * max(stored["curve"]["error_percent"][-1])


def test_rows_of_exact_posted_prices():
    rows = stored("sellers")["posted_prices_exact"]
    for label, economy in (
        ("strategic, myopic, 1 x 1", without_risk(PostedPrice(seller_discount=0.0))),
        ("strategic, patient, 1 x 1", without_risk(PostedPrice())),
    ):
        capital, markup = posted_prices.rest(economy)
        assert capital / economy.efficient_capital == pytest.approx(
            rows[label]["relative"], rel=1e-5
        )
        assert markup == pytest.approx(rows[label]["markup"], rel=1e-5)
    # By the other code for price takers, who have a rule of their own there.
    economy = without_risk(PostedPrice(atomistic=True))
    assert posted_prices.rest(economy)[1] == pytest.approx(
        rows["price takers, patient, M = 1"]["markup"], rel=1e-5
    )


def test_nobody_gains_by_the_departures_of_the_table_from_the_exact_rule():
    economy = posted_prices.sellers()
    exact = posted_prices.solved(economy, "markov perfect").policy

    class OneRun:
        runs = 1

        def __call__(self, state, moved=None):
            return exact(state, moved)

    capital, _ = posted_prices.rest(economy)
    state = economy.reset((2,), torch.Generator(), torch.float64)
    state = map_state(lambda x: x.expand(1, 3, *x.shape), state)
    change = torch.tensor([(0.0, 0.0), (0.05, 0.0), (-0.05, 0.1)], dtype=torch.float64)
    centre = torch.full((1, 1, 1), capital, dtype=torch.float64)
    for role in ("firm", "household"):
        value = posted_prices.worth(economy, OneRun(), role, change, centre, state)
        assert (value[0, 1:] < value[0, 0]).all()


def test_rows_of_e_stability():
    for label, row in forecasters.stability():
        assert row == pytest.approx(stored("equilibria")["stability"][label], rel=1e-5), label


def test_fates_by_the_differential_equation_are_those_of_the_rows():
    name = "expectations, near the middle"
    row, economy = stored("equilibria")["beliefs"][name], forecasters.ECONOMIES["expectations"]
    middle = selection.stocks(economy)[1]
    near = [middle * (1 + x * forecasters.NEARBY) for x in (-1, 1)]
    start = np.array(forecasters.starts(row["starts"], 0, near))
    assert start.T == pytest.approx(np.array(row["start"]), rel=1e-3)
    high = forecasters.fated(economy, *start[:, ::20])
    off = (high == high[0]).all(0)
    assert off.sum() > 2
    assert (high[0] == np.array(row["predicted"])[::20])[off].all()


@pytest.mark.learning
def test_societies_that_begin_with_little_end_low_as_their_row_says():
    row = stored("equilibria")["algorithms"]["expectations, PPO common, noise 0.2"]
    cells = selection.Cells.grid(selection.CAPITAL[:1], range(2), noise=selection.NOISE[:1])
    economy, config = selection.EXPECTATIONS, selection.PPO_COMMON
    kind, iterations = selection.PPOCells, selection.ITERATIONS
    rules, _ = selection.learned(kind, economy, cells, config, iterations)
    found = selection.ends(economy, selection.fates(rules, cells.capital))
    assert found["low"].tolist() == [1, 1] and row["low"][0] == 1


def test_the_exact_row_of_two_sellers_at_a_trading_post():
    stored_row = stored("sellers")["trading_post_2"]["F = 2, exact"]
    found = trading_post.exact(trading_post.post())
    for name, x in found.items():
        assert x == pytest.approx(stored_row[name], rel=1e-3)


@pytest.mark.learning
@pytest.mark.parametrize("label", ["own gain", "firms as one"])
def test_four_other_seeds_at_a_trading_post_do_as_fifty_did(label):
    stored_row, economy = stored("sellers")["trading_post_credit"][label], trading_post.post()
    config = PPOConfig.sellers(cartel=trading_post.CARTELS[label], **trading_post.QUICK)
    agent = PPO(economy, seeds=range(100, 104), device="cpu", config=config)
    agent.learn(stored_row["steps"], show_progress=False)
    found = trading_post.long_run(economy, agent.policy, paths=1, first=400, periods=1)
    share = trading_post.COLLAPSE * trading_post.exact(economy)["capital"]
    assert (found["capital"] < share).double().mean() == stored_row["collapsed"]


def test_a_seed_that_clips_at_a_borrowing_limit_is_as_precise_as_its_row():
    stored_row = stored("design")["constraints_limit_probing"]["clip"][0]
    agent, way, _ = constraints.learn(
        "saver", "Probing", "clip", 0.0, stored_row["noise"], [stored_row["seed"]]
    )
    found = constraints.errors(agent.policy.on(way.obeyed), "saver")
    assert found["bound"][0] < 1e-4 and found["free"][0] < 2 * stored_row["free"]


def test_the_exact_rule_has_no_errors_where_limits_bind_and_elsewhere():
    _, exact, *_ = constraints.reference("saver")
    found = constraints.errors(exact.policy, "saver")
    assert all(x < 1e-9 for errors in found.values() for x in errors)


def test_two_other_seeds_order_more_and_more_where_an_order_costs_nothing():
    stored_rows = stored("design")["markets_auctioneer"]["rationing, low, Probing"]
    economy = without_risk(Rationing(relative_price=markets.LOW))
    agent = Probing(economy, seeds=(10, 11), device="cpu", config=markets.PROBES)
    watch = markets.Watch(economy, 2)
    steps = 120 * agent.steps_per_iteration
    agent.learn(steps, callback=watch, callback_every=40, show_progress=False)
    ordered = np.array([look["ordered"] for look in watch.looks])
    # As far as an eighth of the stored iterations carry it, and what is traded is theirs.
    assert (np.diff(ordered[-3:], axis=0) > 0).all() and (ordered[-1] > 5).all()
    assert ordered[-1].max() < min(row["ordered"] for row in stored_rows)
    watch.walk(agent.policy, 200)
    expected = np.mean([row["relative"] for row in stored_rows])
    np.testing.assert_allclose(watch.looks[-1]["relative"], expected, rtol=0.05)


def test_krusell_and_smiths_law_is_what_it_was_and_near_what_they_found():
    rows = stored("krusell_smith")
    found, row = exact(KrusellSmith()), rows["solved"]["Den Haan, Judd and Juillard"]
    for name, value in standard.coefficients(found.law).items():
        assert value == pytest.approx(row[name], abs=1e-5)
    assert 100 * found.accuracy.largest == pytest.approx(row["largest error, %"], rel=1e-2)
    assert row["seconds"] < 30
    theirs = published.PUBLISHED["Krusell and Smith"]
    ours = rows["beside"]["Krusell and Smith: here"]
    for name in ("a bad", "a good", "b bad", "b good"):
        assert ours[name] == pytest.approx(theirs[name], abs=2e-3)


def test_a_small_residual_of_realised_returns_is_luck():
    """Of the exact rule it is larger than what others report of a rule that saves too much."""
    rows = stored("krusell_smith")
    exact_rule = rows["realised"]["exact rule, 200 households"]
    theirs = rows["beside"]["jax-marl-bc: published"]
    assert exact_rule["mean absolute residual"] > theirs["mean Euler residual"]
    assert abs(exact_rule["mean residual"]) < 1e-3
    # They own more than a boom without end would lead to.
    law = rows["solved"]["jax-marl-bc"]
    assert theirs["mean capital"] > np.exp(law["a good"] / (1 - law["b good"]))
