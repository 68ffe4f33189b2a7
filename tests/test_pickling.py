"""Whatever is public can be stored, or handed to another process, and does the same there."""

import pickle

import pytest
import torch
from registry import ECONOMIES, every_economy, situation

from lectures_lib import agents
from lectures_lib.economies import (
    BrockMirman,
    Discretised,
    FixedAction,
    Market,
    Monopolist,
    Planner,
    PostedPrice,
    TradingPost,
)
from lectures_lib.evaluation import dynamic_accuracy, evaluate, exploitability
from lectures_lib.solvers import Solution, conditions_of, markov_perfect, solve, steady_state
from lectures_lib.solvers.euler_network import EulerNetworkPolicy
from lectures_lib.solvers.piece import Piece
from lectures_lib.solvers.polynomials import Polynomials
from lectures_lib.solvers.productivity import JointChain
from lectures_lib.solvers.splines import Splines
from lectures_lib.solvers.time_iteration import InvestmentPolicy

SMALL = {"groups": 2, "replicates": 4, "horizon": 3, "hidden": (8,), "warm_up": 1}
REPLAYED = {"groups": 4, "horizon": 3, "hidden": (8,), "warm_up": 1, "batch": 8, "updates": 2}
LEARNERS = {
    "PPO": (Market(2, n_uninformed=1), agents.PPOConfig(**SMALL)),
    "IMPALA": (Planner(), agents.IMPALAConfig(**SMALL)),
    "Probing": (Planner(2, 2), agents.ProbingConfig(**SMALL)),
    "Analytic": (BrockMirman(), agents.AnalyticConfig(**SMALL)),
    "SAC": (Monopolist(), agents.SACConfig(**SMALL, batch=8, memory=64)),
    "DQN": (Monopolist(), agents.DQNConfig(**REPLAYED, capacity=60)),
    "VDN": (Discretised(Planner(2), (0.1, 0.2)), agents.VDNConfig(**REPLAYED, capacity=60)),
    "QMIX": (Discretised(Planner(2), (0.1, 0.2)), agents.QMIXConfig(**REPLAYED, capacity=60)),
    "QLearning": (Monopolist(), agents.QLearningConfig(updates=100)),
}


def again(what):
    return pickle.loads(pickle.dumps(what))


def acts(policy, economy, dtype=torch.float64):
    state = economy.reset((6,), torch.Generator().manual_seed(1), dtype)
    return policy(state)


def assert_same_actions(one, other, economy, dtype=torch.float64):
    found = [acts(policy, economy, dtype) for policy in (one, other)]
    assert found[0].keys() == found[1].keys() != set()
    for name, action in found[0].items():
        assert torch.equal(action, found[1][name])


@every_economy
def test_economies(economy):
    state, actions, shocks = situation(economy)  # whatever is kept once computed is there
    copy = again(economy)
    assert copy == economy and copy is not economy
    one, other = (e.step(state, actions, shocks) for e in (economy, copy))
    for x, y in zip(one.state, other.state, strict=True):
        assert torch.equal(x, y)
    assert type(other.state) is type(one.state) and copy.roles.keys() == economy.roles.keys()


def by_time_iteration(economy, regime, basis):
    """A rule at which no time is spent: it has not converged."""
    chain = JointChain(economy)
    piece = Piece(conditions_of(economy, regime), chain, basis(chain), bounded=True)
    piece.adopt(piece.coefficients)
    return Solution(economy, regime, InvestmentPolicy(economy, [piece]), 1, "time iteration")


def by_network(economy, regime):
    return Solution(economy, regime, EulerNetworkPolicy(economy, regime), 1, "network")


SOLUTIONS = {
    "closed form": lambda: solve(BrockMirman()),
    "policy iteration": lambda: solve(Monopolist()),
    "polynomials": lambda: by_time_iteration(
        Market(2, atomistic=True), "competitive", lambda _: Polynomials.on_cube(5.0, 30.0, 2, 3)
    ),
    "splines": lambda: by_time_iteration(
        Planner(2), "planner", lambda chain: Splines(5.0, 30.0, 6, chain)
    ),
    "network": lambda: by_network(Planner(2, 2), "planner"),
    "network, market": lambda: by_network(Market(3, n_uninformed=1), "nash"),
    "Markov perfect": lambda: markov_perfect(Market(2), degree=3),
    "trading post": lambda: markov_perfect(TradingPost(2, seller_discount=0.0), degree=3),
    "posted prices": lambda: markov_perfect(PostedPrice(atomistic=True, seller_discount=0.0)),
}


@pytest.mark.parametrize("make", SOLUTIONS.values(), ids=SOLUTIONS)
def test_solutions_and_their_policies(make):
    solution = make()
    copy = again(solution)
    assert (copy.economy, copy.regime, copy.method) == (
        solution.economy,
        solution.regime,
        solution.method,
    )
    assert_same_actions(solution.policy, copy.policy, solution.economy)
    assert_same_actions(solution.policy, again(solution.policy), solution.economy)


def test_a_steady_state():
    assert again(steady_state(Market(2), "nash")) == steady_state(Market(2), "nash")


@pytest.mark.parametrize("name", LEARNERS)
def test_policies_of_agents(name):
    economy, config = LEARNERS[name]
    agent = getattr(agents, name)(economy, seeds=range(2), device="cpu", config=config)
    agent.learn(2 * agent.steps_per_iteration, show_progress=False)
    assert_same_actions(agent.policy[1], again(agent.policy[1]), economy, torch.float32)


@pytest.mark.parametrize("name", ECONOMIES)
def test_policies_that_do_always_the_same(name):
    fixed = FixedAction(ECONOMIES[name], 0.2)
    assert_same_actions(fixed, again(fixed), ECONOMIES[name])


def test_best_responses():
    economy = Market()
    found = exploitability(FixedAction(economy, 0.1), economy, paths=2)
    copy = again(found)
    assert copy.gain == found.gain
    assert_same_actions(found.best_response, copy.best_response, economy)


def test_reports():
    economy = BrockMirman()
    solution = solve(economy)
    found = evaluate(FixedAction(economy, 0.5), economy, reference=solution, paths=4)
    # Correlations with what never moves are no numbers, which equal nothing.
    assert repr(vars(again(found))) == repr(vars(found)) and str(again(found)) == str(found)
    accuracy = dynamic_accuracy(solution.policy, economy, periods=5)
    assert again(accuracy) == accuracy
