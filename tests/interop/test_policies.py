"""Whatever acts, as a policy that the judge reads."""

import numpy as np
import pytest
import torch
from foreign import WeatherSaver
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from registry import ECONOMIES, neutral_policy, of

from lectures_lib import plotting
from lectures_lib.economies import (
    Bertrand,
    BrockMirman,
    FixedAction,
    KrusellSmith,
    Market,
    Monopolist,
    Planner,
    PostedPrice,
    TwoStep,
)
from lectures_lib.evaluation import evaluate, exploitability
from lectures_lib.interop import Gym, VectorGym, policy_of
from lectures_lib.solvers import solve


def states(economy, batch=(2, 3), dtype=torch.float64):
    return economy.reset(batch, torch.Generator().manual_seed(0), dtype)


def zeros(economy, role):
    """A function of observations that puts out a raw zero: in units, the middle."""
    r = economy.roles[role]
    width = r.n_actions * (r.n_agents if r.team else 1)
    return lambda x: np.zeros((len(x), width), np.float32)


@of(ECONOMIES)
def test_models_play_in_every_economy(economy):
    models = {n: zeros(economy, n) for n, r in economy.roles.items() if r.follows is None}
    policy = policy_of(models, economy, actions="unit")
    found, expected = policy(states(economy)), neutral_policy(economy)(states(economy))
    assert found.keys() == expected.keys() == economy.roles.keys()
    for name, action in expected.items():
        if isinstance(economy, KrusellSmith):  # its learners do not begin in the middle
            role = economy.roles[name]
            action = torch.full_like(action, (role.low + role.high) / 2)
        torch.testing.assert_close(found[name], action, rtol=1e-4, atol=0)
    assert economy.step(states(economy), found, economy.no_luck(states(economy)))


def test_it_does_in_a_state_what_it_does_in_the_environment():
    economy = Planner(2)
    network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    env = VectorGym(economy, 5)
    seen, _ = env.reset(seed=0)
    before = env.state
    with torch.no_grad():
        *_, info = env.step(network(torch.from_numpy(seen)).numpy())
    action = policy_of(network, economy)(before)["planner"]
    assert np.array_equal(action.squeeze(-1).numpy(), info["saving_share"])
    # Of functions, what goes in and what comes out are arrays.
    asked = policy_of(lambda x: network(torch.from_numpy(x)).detach().numpy(), economy)
    assert torch.equal(asked(before)["planner"], action)
    assert (
        action.dtype == torch.float32 and asked(states(economy))["planner"].dtype == torch.float64
    )


def test_the_exact_rule_as_a_function_of_observations_is_judged_exact():
    economy = BrockMirman()
    exact = solve(economy)

    def consumption(seen):
        """What is seen are the logarithms of capital and productivity."""
        return (1 - economy.alpha * economy.beta) * output(torch.from_numpy(seen))

    def output(seen):
        a = (economy.alpha * economy.beta) ** -economy.alpha
        return (seen[:, 1:] + economy.alpha * seen[:, :1]).exp() * a

    policy = policy_of(consumption, economy, actions="physical")
    report = evaluate(policy, economy, reference=exact, paths=16)
    assert abs(report.consumption_equivalent_loss) < 1e-6 and report.policy_error_max < 1e-5
    assert plotting.decision_rules(economy, {"a function": policy, "exact": exact.policy})


def test_choices_may_be_told_or_valued():
    economy = Monopolist()
    told = policy_of(lambda x: np.full(len(x), 3), economy)
    valued = policy_of(lambda x: -((torch.arange(11.0) - 3) ** 2).expand(len(x), 11), economy)
    for policy in (told, valued):
        assert (policy(states(economy))["firm"] == 0.35).all()
    team = policy_of(lambda x: torch.tensor([0.0, 1.0, 5.0, 2.0]).expand(len(x), 4), TwoStep())
    assert team(states(TwoStep()))["player"][0, 0].flatten().tolist() == [1, 0]
    # A game's judge of finite play asks it, too.
    game = Bertrand(n_prices=3)
    found = exploitability(policy_of(lambda x: np.full(len(x), 2), game), game)
    assert found.gain > 0


def test_agents_of_a_team_may_decide_together_or_apart():
    economy = Planner(3)
    state = states(economy, (4,))
    together = policy_of(lambda x: np.tile([-0.9, -0.8, -0.7], (len(x), 1)), economy)
    assert together(state)["planner"][0].flatten().tolist() == pytest.approx([0.05, 0.1, 0.15])
    widths = []
    apart = policy_of(lambda x: widths.append(x.shape) or 0 * x[:, :1], economy, apart=True)
    assert (apart(state)["planner"] == 0.5).all() and widths == [(12, 12)]


class Learned:
    """What stable-baselines3's models, and RLlib's modules, say of themselves."""

    def __init__(self, space, answer):
        self.action_space, self.answer = space, answer


class Baseline(Learned):
    def predict(self, observation, deterministic=False):
        assert deterministic and isinstance(observation, np.ndarray)
        return np.tile(self.answer, (len(observation), 1)), None


class Module(Learned):
    def forward_inference(self, batch):
        rows = torch.tensor(self.answer).expand(len(batch["obs"]), len(self.answer))
        return {"action_dist_inputs": rows}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Baseline(Discrete(11), [2]), 0.3),
        (Baseline(MultiDiscrete([11]), [2]), 0.3),
        (Baseline(Box(-1, 1, (1,)), [-0.5]), 0.25),
        (Baseline(Box(0, 1, (1,)), [0.4]), 0.4),
        (Module(Box(-1, 1, (1,)), [0.5, -3.0]), 0.75),
        (Module(Discrete(11), [0.0, 5.0, *[1.0] * 9]), 0.25),
    ],
)
def test_a_model_says_itself_how_its_actions_are_written(model, expected):
    policy = policy_of(model, Monopolist())
    assert policy(states(Monopolist()))["firm"].unique().tolist() == pytest.approx([expected])
    assert type(model).__name__ in repr(policy)


# ---------------------------------------------------------------------- several roles
def test_those_who_move_later_see_what_was_done_and_others_follow_their_policy():
    economy = PostedPrice(2)
    others = FixedAction(economy, {"firm": 1.5, "household": 0.2})
    seen = []

    def buys(x):
        seen.append(x)
        return np.full((len(x), 1), 0.1)

    buyers = policy_of(buys, economy, "household", others=others, actions="physical")
    actions = buyers(states(economy, (3,)))
    assert (actions["firm"] == 1.5).all() and (actions["household"] - 0.1).abs().max() < 1e-7
    own = economy.sights(states(economy, (3,)), {"firm": actions["firm"]})["household"].own
    assert np.allclose(seen[0][:, :4], own.flatten(0, 1).numpy())
    # Those that have moved are taken as given.
    given = {"firm": torch.full((3, 1, 1), 2.5, dtype=torch.float64)}
    assert (buyers(states(economy, (3,)), given)["firm"] == 2.5).all()
    sellers = policy_of(
        lambda x: 0 * x[:, :1] + 1.7, economy, "firm", others=others, actions="physical"
    )
    assert (sellers(states(economy))["household"] == 0.2).all()


def test_a_crowd_does_what_those_do_that_it_follows():
    economy = Market(2, atomistic=True)
    policy = policy_of(lambda x: x[:, :1] / 100, economy)
    actions = policy(states(economy))
    assert torch.equal(actions["household"], actions["household_crowd"])


def test_an_economy_that_is_not_the_librarys():
    economy = WeatherSaver()
    best = 2 * economy.best - 1
    policy = policy_of(lambda x: np.full((len(x), 1), best), economy)
    report = evaluate(policy, economy, reference=FixedAction(economy, economy.best), paths=8)
    assert abs(report.consumption_equivalent_loss) < 1e-6
    assert Gym(economy, regret=True, reference=policy).reset(seed=0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: policy_of(len, PostedPrice()), ValueError, "role=None: expected one of"),
        (lambda: policy_of(len, PostedPrice(), "firm"), ValueError, r"roles \['household'\] do"),
        (lambda: policy_of(len, Planner(), "firm"), ValueError, r"role='firm': expected one of"),
        (lambda: policy_of({"planner": len}, Planner(), "planner"), ValueError, "given by role"),
        (lambda: policy_of(3, Planner()), TypeError, "model is a int: expected a model of stable-"),
        (lambda: policy_of(len, Planner), TypeError, "expected an Economy"),
        (
            lambda: policy_of(lambda x: x, Planner())(states(Planner())),
            ValueError,
            r"returned torch.float32 of shape \(6, 3\) for 6 observations: expected 1 actions for",
        ),
        (
            lambda: policy_of(lambda x: x, Monopolist())(states(Monopolist())),
            ValueError,
            "expected 1 whole numbers, or 11 values of each choice, for each",
        ),
        (
            lambda: policy_of(lambda x: np.nan * x[:, :1], Planner())(states(Planner())),
            ValueError,
            "an action of role 'planner' is nan",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
