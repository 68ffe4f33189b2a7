"""Names and results that other people's code relies on (architecture.md, "The public contract").

Change it only with an entry in the changelog. Names join as the chapters that need them are
written.
"""

import inspect
import math

import numpy as np
import pytest
import torch

import lectures_lib.agents
import lectures_lib.economies
import lectures_lib.evaluation
import lectures_lib.experiments
import lectures_lib.interop
import lectures_lib.solvers
from lectures_lib.agents import PPO, Analytic, PPOConfig, Probing
from lectures_lib.economies import BrockMirman, FixedAction, Market, MarkovChain, Planner
from lectures_lib.evaluation import best_fixed_action, evaluate, exploitability, impulse_response
from lectures_lib.solvers import solve, steady_state

ROOMS = [
    lectures_lib.economies,
    lectures_lib.agents,
    lectures_lib.solvers,
    lectures_lib.evaluation,
    lectures_lib.interop,
    lectures_lib.experiments,
]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_promised_name_exists_and_is_documented(room):
    for name in room.__all__:
        assert inspect.getdoc(getattr(room, name)), name


def test_the_planner_takes_the_papers_symbols_in_this_order():
    names = list(inspect.signature(Planner).parameters)
    assert names[:6] == ["n_households", "n_goods", "alpha", "beta", "delta", "phi"]
    assert {"idiosyncratic", "aggregate"} <= set(names)
    chain = MarkovChain.symmetric((0.5, 1.5), stay=0.8)
    assert Planner(1, 1, 0.3, 0.98, 0.04, 0.5, idiosyncratic=chain, aggregate=chain)


def test_shapes_of_states_and_actions():
    economy = Planner(3, 2)
    state = economy.reset((4, 5), torch.Generator())
    assert state.capital.shape == (4, 5, 3, 2)
    assert state.idiosyncratic.shape == (4, 5, 3) and state.aggregate.shape == (4, 5)
    assert not state.idiosyncratic.is_floating_point() and not state.aggregate.is_floating_point()
    shares = PPO(economy, device="cpu").policy(state)["planner"]
    assert shares.shape == (4, 5, 3, 2)
    assert (shares >= 0).all() and (shares.sum(-1) <= 1).all()


@pytest.mark.parametrize("kind", [PPO, Probing, Analytic])
def test_agents_take_a_seed_a_device_and_a_config_and_a_budget_is_ready(kind):
    agent = kind(Planner(), seed=0, device="auto")
    assert type(agent.config) is kind.config_class
    assert inspect.signature(agent.learn).parameters["steps"].default is None
    assert agent.config.steps >= agent.steps_per_iteration


def test_learn_without_argument_spends_the_configs_budget(tmp_path):
    config = PPOConfig(steps=48, groups=2, replicates=2, horizon=4, hidden=(4,))
    agent = PPO(Planner(), seed=0, device="cpu", config=config)
    history = agent.learn()
    assert agent.steps == history.steps[-1] == 48
    agent.save(tmp_path / "agent")
    again = PPO.load(tmp_path / "agent", Planner())
    state = Planner().reset((3,), torch.Generator())
    assert torch.equal(again.policy(state)["planner"].cpu(), agent.policy(state)["planner"])


@pytest.mark.parametrize("economy", [Planner(), BrockMirman()], ids=["planner", "growth"])
def test_a_solution_is_a_policy_residuals_and_a_steady_state(economy):
    solution = solve(economy)
    state = economy.reset((4,), torch.Generator(), torch.float64)
    assert solution.policy(state)["planner"].shape == (4, 1, 1)
    assert solution.policy(state, {})["planner"].shape == (4, 1, 1)
    assert solution.euler_residuals(state).shape == (4, 1)
    assert solution.steady_state.capital == steady_state(economy, regime="planner").capital


def test_a_report_holds_the_promised_numbers():
    economy = BrockMirman()
    solution = solve(economy)
    report = evaluate(solution.policy, economy, reference=solution, seed=0, paths=4)
    for name in (
        "consumption_equivalent_loss",
        "policy_error_mean",
        "policy_error_max",
        "euler_residual_mean",
        "euler_residual_max",
    ):
        assert math.isfinite(getattr(report, name)), name
    assert set(report.moments) == {
        *(f"mean of {x}" for x in ("capital", "consumption", "saving share")),
        *(f"s.d. of {x}" for x in ("capital", "consumption", "saving share")),
        "correlation of saving share and productivity",
    }
    assert set(impulse_response(solution.policy, economy, periods=2, paths=4)) == {
        "capital",
        "output",
        "consumption",
        "investment",
        "saving_share",
    }


@pytest.mark.parametrize("seed", [1.7, True, "3"])
def test_what_is_no_whole_number_is_no_seed(seed):
    economy = BrockMirman()
    rule = FixedAction(economy, 0.4)
    for use in (
        lambda: PPO(economy, seed=seed),
        lambda: evaluate(rule, economy, seed=seed, paths=4),
        lambda: impulse_response(rule, economy, seed=seed, periods=2, paths=4),
        lambda: best_fixed_action(economy, seed=seed, paths=4),
        lambda: exploitability(FixedAction(Market(), 0.1), Market(), seed=seed),
    ):
        with pytest.raises(ValueError, match=f"^seed={seed!r}: expected a whole number"):
            use()
    with pytest.raises(ValueError, match=r"^seeds=.*: expected whole numbers"):
        PPO(economy, seeds=[1, seed])


def test_a_seed_may_be_numpys():
    economy = BrockMirman()
    rule = FixedAction(economy, 0.4)
    ours, theirs = (evaluate(rule, economy, seed=s, paths=4) for s in (3, np.int64(3)))
    assert ours.moments == theirs.moments
    assert PPO(economy, seed=np.int64(3)).seeds == PPO(economy, seeds=np.array([3])).seeds == (3,)
