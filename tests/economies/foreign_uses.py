"""What is done with each public name in somebody's economy.

A new public name needs an entry in USES, or in NO_USE.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from foreign import (
    FOREIGN,
)

import lectures_lib.agents
import lectures_lib.economies
import lectures_lib.evaluation
import lectures_lib.interop
import lectures_lib.solvers
from lectures_lib import agents, evaluation, interop, plotting, solvers
from lectures_lib.economies import (
    Alone,
    Constrained,
    Discretised,
    FixedAction,
    Market,
    Respecified,
    check,
    map_state,
    play,
)
from lectures_lib.economies.play import neutral

SMALL = {"groups": 2, "replicates": 4, "horizon": 3, "hidden": (8,), "warm_up": 1}
PICKY = {"groups": 4, "horizon": 3, "hidden": (8,), "warm_up": 1, "batch": 8, "updates": 2}
CONFIGS = {
    "PPO": agents.PPOConfig(**SMALL),
    "IMPALA": agents.IMPALAConfig(**SMALL),
    "Probing": agents.ProbingConfig(**SMALL),
    "Analytic": agents.AnalyticConfig(**SMALL),
    "SAC": agents.SACConfig(**SMALL, batch=8, memory=64),
    "DQN": agents.DQNConfig(**PICKY, capacity=60),
    "VDN": agents.VDNConfig(**PICKY, capacity=60),
    "QMIX": agents.QMIXConfig(**PICKY, capacity=60),
    "QLearning": agents.QLearningConfig(updates=100),
}


def states(economy, n=6):
    return economy.reset((n,), torch.Generator().manual_seed(0), torch.float64)


def policy_of(economy):
    return FixedAction(economy, getattr(economy, "best", 0.3))


def learns(name):
    def use(economy):
        agent = getattr(agents, name)(economy, seeds=range(2), device="cpu", config=CONFIGS[name])
        agent.learn(3 * agent.steps_per_iteration, show_progress=False)
        action = agent.policy[0](economy.reset((5,), torch.Generator()))
        return list(action.values())

    return use


def figure(draw):
    def use(economy):
        plt.close(draw(economy, {"a rule": policy_of(economy)}))
        return []

    return use


def stepped(economy):
    state, policy = states(economy), policy_of(economy)
    shocks = economy.draw((6,), torch.Generator(), torch.get_default_dtype())
    like = economy.zeros(state)
    shocks = map_state(lambda x: x.to(like), shocks)
    step = economy.step(state, policy(state), shocks)
    economy.check_state(economy.perturb(step.state, torch.Generator(), 0.1))
    return list(step.rewards.values())


def report(economy):
    found = evaluation.evaluate(policy_of(economy), economy, reference=policy_of(economy), paths=8)
    assert found.consumption_equivalent_loss == 0
    return [value for value in found.moments.values() if not isinstance(value, dict)]


STOCK = "names the stocks|reports no 'consumption'"
#: What an economy is missing, by use: {names of economies: what the message says}.
NO_STOCK = {"nothing moved": r"Gambler\.fields has the stocks \(\)"}
NO_CHAIN = {
    "no shocks": "no field of the state of Saver is the index of a MarkovChain",
    "no shocks, no team": "no field of the state of Saver is the index of a MarkovChain",
}
UNSOLVED = dict.fromkeys(FOREIGN, r"(Saver|Gambler): expected one of Planner, .* derived")
NOT_AT_REST = dict.fromkeys(FOREIGN, "steady_state is for a Planner or a .*(Saver|Gambler)")
NO_CHOICES = dict.fromkeys(FOREIGN, "role '(saver|gambler)' of .* has choices=None")
NO_TABLES = dict.fromkeys(FOREIGN, r"(Saver|Gambler) has no tables\(\)")
LACKING = {"QLearning": NO_TABLES} | dict.fromkeys(("DQN", "VDN", "QMIX"), NO_CHOICES)
TEAM = dict.fromkeys(("no shocks", "aggregate", "weather"), "Saver's role 'saver' is a team")
NOT_FOR = dict.fromkeys(FOREIGN, "is for a .*got .*(Saver|Gambler).*solve")
#: Whose share may be one in float32, so that nothing is left to eat, or to save.
SIGMOID = [name for name in FOREIGN if name != "nothing moved"]
DRAWN = dict.fromkeys(FOREIGN, "(Saver|Gambler) has no .*decision_rules")


def single(economy):
    env = interop.Gym(economy)
    seen, _ = env.reset(seed=0)
    return [seen, *env.step(np.zeros(1, np.float32))[:2]]


def many(economy):
    env = interop.VectorGym(economy, 3)
    seen, _ = env.reset(seed=0)
    return [seen, *env.step(np.zeros((3, 1), np.float32))[:2]]


def baselines(economy):
    env = interop.StableBaselines(economy, 3)
    env.seed(0)
    return [env.reset(), *env.step(np.zeros((3, 1), np.float32))[:2]]


def at_once(economy):
    env = interop.Parallel(economy)
    seen, _ = env.reset(seed=0)
    actions = dict.fromkeys(env.agents, np.zeros(1, np.float32))
    return [*seen.values(), *env.step(actions)[1].values()]


def in_turn(economy):
    env = interop.Turns(economy)
    env.reset(seed=0)
    for agent in env.agents:
        assert env.agent_selection == agent
        env.step(np.zeros(1, np.float32))
    return [env.last()[0], *env.rewards.values()]


def foreign_agent(economy):
    policy = interop.policy_of(lambda seen: 0 * seen[:, :1] - 0.5, economy, actions="unit")
    return list(policy(states(economy)).values())


def regime_of(economy):
    return "competitive" if isinstance(economy, Market) else "planner"


def chain_of(economy):
    return next(iter(economy.fields.chains), "aggregate")


USES = {
    # ---------------------------------------------------------------- economies
    "economies.Economy": (stepped, {}),
    "economies.Alone": (lambda e: stepped(Alone(e, policy_of(e))), {}),
    "economies.Discretised": (lambda e: stepped(Discretised(e, (0.1, 0.3))), {}),
    "economies.Constrained": (
        lambda e: stepped(Constrained(e, "clip")),
        dict.fromkeys(FOREIGN, "expected an economy whose actions have bounds; those of '"),
    ),
    "economies.Respecified": (
        lambda e: stepped(Respecified(e)),
        dict.fromkeys(FOREIGN, "expected a Planner or Market with one role"),
    ),
    "economies.check": (
        lambda e: [torch.tensor(len(check(e)))],
        dict.fromkeys(SIGMOID, "numbers: the reward of 'saver' is -inf"),
    ),
    "economies.play": (lambda e: list(play(e, states(e), neutral(e)).actions.values()), {}),
    "economies.FixedAction": (lambda e: list(policy_of(e)(states(e)).values()), {}),
    "economies.map_state": (lambda e: list(map_state(lambda x: 1.0 * x, states(e))), {}),
    # ---------------------------------------------------------------- agents
    **{f"agents.{name}": (learns(name), LACKING.get(name, {})) for name in CONFIGS},
    # ---------------------------------------------------------------- solvers
    "solvers.euler_residuals": (
        lambda e: [solvers.euler_residuals(e, policy_of(e), states(e))],
        NO_STOCK,
    ),
    "solvers.marginal_values": (
        lambda e: list(solvers.marginal_values(e, policy_of(e), states(e))),
        NO_STOCK
        | dict.fromkeys(
            ("aggregate", "aggregate, no team", "weather"), "worth tomorrow is not known today"
        ),
    ),
    "solvers.solve": (lambda e: list(solvers.solve(e).policy(states(e)).values()), UNSOLVED),
    "solvers.steady_state": (lambda e: [solvers.steady_state(e).capital], NOT_AT_REST),
    "solvers.regimes_of": (
        lambda e: [torch.tensor(len(solvers.regimes_of(e)))],
        dict.fromkeys(FOREIGN, "no regime is known for .*(Saver|Gambler): expected one of Planner"),
    ),
    "solvers.conditions_of": (
        lambda e: [torch.tensor(solvers.conditions_of(e, regime_of(e)).cost)],
        NOT_FOR,
    ),
    "solvers.fit_residuals": (
        lambda e: [solvers.fit_residuals(e, rounds=1, tolerance=9.0)[1]],
        NO_STOCK,
    ),
    "solvers.time_iteration": (lambda e: [solvers.time_iteration(e, regime_of(e))[1]], NOT_FOR),
    "solvers.markov_perfect": (lambda e: [solvers.markov_perfect(e).iterations], NOT_FOR),
    "solvers.at_rest": (
        lambda e: [solvers.at_rest(solvers.without_risk(e), policy_of(e)).capital],
        NOT_FOR,
    ),
    "solvers.announced_prices": (lambda e: [solvers.announced_prices(e).value], NOT_FOR),
    "solvers.rest_points": (
        lambda e: [x.capital for x in solvers.rest_points(e)],
        dict.fromkeys(FOREIGN, "expected an Externality"),
    ),
    "solvers.perfect_foresight": (
        lambda e: [x.capital for x in solvers.perfect_foresight(e, 1.0)],
        dict.fromkeys(FOREIGN, "expected an Externality"),
    ),
    "solvers.learnable": (
        lambda e: [x.point.capital for x in solvers.learnable(e)],
        dict.fromkeys(FOREIGN, "expected an Externality"),
    ),
    "solvers.least_squares": (
        lambda e: [solvers.least_squares(e, 1.0, 1.0).capital],
        dict.fromkeys(FOREIGN, "expected an Externality"),
    ),
    "solvers.expected_fates": (
        lambda e: [solvers.expected_fates(e, 1.0, 1.0)],
        dict.fromkeys(FOREIGN, "expected an Externality"),
    ),
    "solvers.household_residuals": (
        lambda e: [solvers.household_residuals(e, policy_of(e), states(e))],
        NOT_FOR,
    ),
    "solvers.without_risk": (lambda e: stepped(solvers.without_risk(e)), {}),
    # ---------------------------------------------------------------- evaluation
    "evaluation.simulate": (
        lambda e: list(evaluation.simulate(policy_of(e), e, states(e), 5, 0).value.values()),
        {},
    ),
    "evaluation.initial_states": (
        lambda e: [1.0 * x for x in evaluation.initial_states(policy_of(e), e, 4, 0)],
        {},
    ),
    "evaluation.burn_in": (lambda e: [torch.tensor(evaluation.burn_in(policy_of(e), e))], {}),
    "evaluation.best_fixed_action": (
        lambda e: [torch.tensor(evaluation.best_fixed_action(e, paths=4).value)],
        {},
    ),
    "evaluation.ergodic_moments": (
        lambda e: [x.value for x in evaluation.ergodic_moments(policy_of(e), e, 8, 20).values()],
        {},
    ),
    "evaluation.evaluate": (report, {}),
    "evaluation.impulse_response": (
        lambda e: list(
            evaluation.impulse_response(policy_of(e), e, chain_of(e), periods=3, paths=8).values()
        ),
        NO_CHAIN,
    ),
    "evaluation.dynamic_accuracy": (
        lambda e: [
            torch.tensor(evaluation.dynamic_accuracy(policy_of(e), e, periods=5).capital_max)
        ],
        {"nothing moved": f"Gambler.*({STOCK})"},
    ),
    "evaluation.spending_errors": (
        lambda e: [evaluation.spending_errors(policy_of(e), e, policy_of(e), paths=4).weighted],
        dict.fromkeys(FOREIGN, "nobody buys capital at a unit cost here"),
    ),
    "evaluation.error_bound": (
        lambda e: [evaluation.error_bound(policy_of(e), e).mean],
        dict.fromkeys(FOREIGN, "conditions_of is for a Planner or a Market"),
    ),
    "evaluation.exploitability": (
        lambda e: [evaluation.exploitability(policy_of(e), e, paths=64).gain],
        TEAM,
    ),
    "evaluation.law_of_motion": (
        lambda e: [torch.tensor(evaluation.law_of_motion(policy_of(e), e).capital)],
        NOT_FOR,
    ),
    "evaluation.value_of_information": (
        lambda e: [evaluation.value_of_information(policy_of(e), e, paths=8).value],
        dict.fromkeys(FOREIGN, "role='uninformed': expected one of"),
    ),
    # ---------------------------------------------------------------- other libraries
    "interop.Gym": (single, {}),
    "interop.VectorGym": (many, {}),
    "interop.StableBaselines": (baselines, {}),
    "interop.Parallel": (at_once, {}),
    "interop.Turns": (in_turn, {}),
    "interop.policy_of": (foreign_agent, {}),
    # ---------------------------------------------------------------- figures of policies
    "plotting.decision_rules": (figure(plotting.decision_rules), DRAWN),
    "plotting.ergodic_distributions": (
        figure(
            lambda e, p: plotting.ergodic_distributions(e, p, "consumption", paths=4, periods=9)
        ),
        {"nothing moved": r"Gambler reports no 'consumption'"},
    ),
    "plotting.impulse_responses": (
        figure(
            lambda e, p: plotting.impulse_responses(
                e, p, chain_of(e), ("consumption",), periods=3, paths=8
            )
        ),
        NO_CHAIN | {"nothing moved": r"Gambler reports no 'consumption'"},
    ),
}
#: Public names that are given no economy, or are what a use above returns or takes.
NO_USE = {
    "economies": "AutoRegression Bertrand BrockMirman BrokenRules Externality Field Fields "
    "GameTables InformationMarket InternationalCycle KrusellSmith Market MarkovChain Matrix "
    "Monopolist Planner Policy PostedPrice Rationing Role Sight SimultaneousPrice Step Tables "
    "TooManyOutcomes TradingPost TwoStep",
    "agents": "ActorCritic ActorCriticConfig Agent AnalyticConfig DQNConfig GreedyPolicy History "
    "IMPALAConfig NetworkAgent NetworkPolicy NotFinite PPOConfig ProbingConfig QLearningConfig "
    "QMIXConfig Replay SACConfig TablePolicy TrainingDiverged VDNConfig",
    "solvers": "Announcement CapitalLaw ConvergenceError ForesightPath ImpreciseSolution "
    "KrusellSmithSolution LawAccuracy Learnable LeastSquaresPath OutsideDomain PerceivedLaw "
    "RestPoint Solution SteadyState law_accuracy",
    "evaluation": "BestResponse Cycle DynamicAccuracy ErrorBound Estimate Exploitability "
    "InformationValue LawOfMotion Moments ReferenceBeaten Report RoleReport SpendingErrors "
    "departure_gains limit_cycle",
    "interop": "ModelPolicy",
}
ROOMS = {
    "economies": lectures_lib.economies,
    "agents": lectures_lib.agents,
    "solvers": lectures_lib.solvers,
    "evaluation": lectures_lib.evaluation,
    "interop": lectures_lib.interop,
}
