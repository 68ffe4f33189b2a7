"""Tabular Q-learning, against hand-computed updates, known frequencies and exact tables."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from lectures_lib.agents import TablePolicy
from lectures_lib.agents import q_learning as module
from lectures_lib.agents import q_loops as loops
from lectures_lib.agents.q_learning import QLearning, QLearningConfig
from lectures_lib.economies import BrockMirman, Field, Fields, Monopolist, Tables

ECONOMY = Monopolist()


class TwoState(NamedTuple):
    wealth: Tensor
    place: Tensor


@dataclass(frozen=True)
class TwoPlaces(type(ECONOMY).__mro__[1]):
    """Two places, two actions (stay, go); by hand: V = (20, 19) at discount 0.9, luck apart.

    Staying pays 1 in place 0 and 2 in place 1, going pays nothing; `slip` is the probability that
    one ends up in the other place than chosen.
    """

    slip: float = 0.0

    State = TwoState
    discount = 0.9
    fields = Fields(wealth=Field((1,)), place=Field((), "index", size=2))

    @cached_property
    def roles(self):
        return {"traveller": ECONOMY.roles["firm"]}

    def tables(self):
        stay = np.eye(2)[:, None] * np.ones((1, 2, 1))
        go = stay[:, :, ::-1]
        moves = np.where(np.array([True, False])[None, :, None], stay, go)
        moves = (1 - self.slip) * moves + self.slip * moves[:, :, ::-1]
        payoffs = np.array([[1.0, 0.0], [2.0, 0.0]])
        return Tables(payoffs, moves, self.discount, np.array([0.25, 0.75]))

    def reset(self, batch, generator, dtype=torch.float32):
        place = torch.randint(2, batch, generator=generator)
        return TwoState(torch.ones((*batch, 1), dtype=dtype), place)

    def index(self, state):
        return state.place

    def observe(self, state, moved=None):
        raise AssertionError("a tabular learner looks at the index only")

    transition = outcomes = consumption_equivalent = observe


def exact_q(economy):
    tables = economy.tables()
    v = tables.discrete_dp().solve("policy_iteration").v
    return tables.payoffs + tables.discount * tables.transitions @ v


def learned(economy=ECONOMY, steps=20_000, seeds=(1, 2), **settings):
    agent = QLearning(economy, seeds=seeds, config=QLearningConfig(**settings))
    agent.learn(steps, show_progress=False)
    return agent


# ---------------------------------------------------------------------- the update
def test_two_updates_by_hand():
    q = np.array([[[0.0, 4.0], [10.0, 6.0]]])
    visits = np.array([[[0, 1], [0, 0]]])
    state, random = np.array([0]), np.array([7], dtype=np.uint64)
    payoffs = np.array([[3.0, 1.0], [5.0, 2.0]])
    # One successor each: 0 -> 1 -> 0, whatever is done.
    successors = np.array([[[1], [1]], [[0], [0]]])
    world = (payoffs, successors, np.ones((2, 2, 1)), np.array([0]), 0.5)
    alphas = (np.array([np.nan, 1.0, 0.25]), 0.0)
    rewards = loops.run_learners(q, visits, state, random, world, 2, False, 0.0, 0.0, alphas)
    # Greedy in state 0 is action 1, seen once before: alpha = 0.25, target 1 + 0.5 x 10 = 6.
    assert q[0, 0, 1] == 4 + 0.25 * (6 - 4)
    # Greedy in state 1 is action 0, for the first time: alpha = 1, target 5 + 0.5 x 4.5.
    assert q[0, 1, 0] == 7.25
    assert q[0, 0, 0] == 0 and q[0, 1, 1] == 6
    assert visits.tolist() == [[[0, 2], [1, 0]]] and state[0] == 0
    assert rewards[0] == (1 + 5) / 2


def test_all_updates_of_a_run_repeated_in_plain_python():
    """The same path, from the same random numbers, through the formula of the paper."""
    settings = {"step_size": "polynomial", "power": 0.7, "restart": 0.0, "epsilon": (0.3, 0.3)}
    agent = QLearning(ECONOMY, seeds=[3], config=QLearningConfig(updates=500, **settings))
    payoffs, successors, cumulative, _, beta = agent._world
    s, stream = int(agent._arrays.state[0]), agent._arrays.random.copy()
    agent.learn(500, show_progress=False)
    q, n = np.zeros(payoffs.shape), np.zeros(payoffs.shape)
    for _ in range(500):
        a = int(q[s].argmax())
        if loops.uniform(stream) < 0.3:
            a = int(loops.uniform(stream) * 11)
        u = loops.uniform(stream)
        following = successors[s, a][(u >= cumulative[s, a][:-1]).sum()]
        loops.uniform(stream)  # whether to begin anew
        n[s, a] += 1
        alpha = n[s, a] ** -0.7
        q[s, a] = (1 - alpha) * q[s, a] + alpha * (payoffs[s, a] + beta * q[following].max())
        s = following
    np.testing.assert_allclose(agent.q_values[0], q, rtol=1e-12)
    assert np.array_equal(agent.visits[0], n)


def test_step_sizes():
    n = np.array([1, 2, 10])
    constant = QLearningConfig(step_size="constant", rate=0.2)
    assert constant.alpha(n).tolist() == [0.2] * 3
    assert QLearningConfig(step_size="1/n").alpha(n).tolist() == [1, 1 / 2, 1 / 10]
    polynomial = QLearningConfig(step_size="polynomial", power=0.5)
    np.testing.assert_allclose(polynomial.alpha(n), [1, 2**-0.5, 10**-0.5])


# ---------------------------------------------------------------------- chance
def test_random_numbers_are_those_of_splitmix64():
    # The reference implementation's first outputs from state 0 (Vigna, prng.di.unimi.it).
    stream = np.zeros(1, dtype=np.uint64)
    for first in (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F):
        assert loops.uniform(stream) == (first >> 11) * 2.0**-53


def frequencies(draw, n=100_000):
    return np.bincount([draw() for _ in range(n)], minlength=3) / n


def close_to(frequency, probability, n=100_000):
    """Within four standard errors."""
    p = np.asarray(probability)
    return (np.abs(frequency - p) <= 4 * np.sqrt(p * (1 - p) / n) + 1e-12).all()


def test_exploration_has_the_probabilities_that_it_should():
    q, stream = np.array([[9.0, 9.0, 9.0], [0.1, 0.4, 0.2]]), np.array([5], dtype=np.uint64)
    for epsilon in (0.0, 0.3, 1.0):
        wanted = epsilon / 3 + (1 - epsilon) * np.array([0, 1, 0])
        assert close_to(frequencies(lambda: loops.epsilon_greedy(q, 1, epsilon, stream)), wanted)  # noqa: B023
    for temperature in (0.1, 1.0):
        wanted = np.exp(q[1] / temperature)
        wanted /= wanted.sum()
        draws = frequencies(lambda: loops.boltzmann(q, 1, temperature, stream, np.empty(3)))  # noqa: B023
        assert close_to(draws, wanted)
    # Differences of thousands of temperatures do not overflow.
    assert loops.boltzmann(q * 1e6, 1, 1.0, stream, np.empty(3)) == 1
    assert not close_to(frequencies(lambda: loops.epsilon_greedy(q, 1, 0.3, stream)), [0, 1, 0])


def test_successors_come_with_the_tables_probabilities():
    # A short list beside a longer one, and impossible states before and between possible ones.
    transitions = np.array([[[0.0, 0.25, 0.0, 0.75], [0.5, 0.0, 0.2, 0.3]]] * 4)
    successors, cumulative = module._outcomes(transitions)
    stream = np.array([5], dtype=np.uint64)
    for a in (0, 1):
        draws = frequencies(
            lambda: successors[0, a, loops.outcome(cumulative, 0, a, loops.uniform(stream))]  # noqa: B023
        )
        assert close_to(np.pad(draws, (0, 4 - len(draws))), transitions[0, a])


def test_restarts_are_as_frequent_as_asked_and_begin_where_the_economy_does():
    agent = learned(restart=1.0, steps=200_000, seeds=[0], epsilon=(1.0, 1.0))
    frequency = agent.visits[0].sum(1) / 200_000
    starts = ECONOMY.index(ECONOMY.reset((200_000,), torch.Generator().manual_seed(8)))
    wanted = np.bincount(starts, minlength=24) / 200_000
    # The list of starts is a sample itself, of 4,096.
    assert np.abs(frequency - wanted).max() < 4 * math.sqrt(wanted.max() / module.STARTS)
    rare = learned(restart=0.0, steps=200_000, seeds=[0], epsilon=(1.0, 1.0)).visits[0].sum(1)
    # On one long path of random prices the fewest and the most customers are hardly seen.
    assert rare[[0, 1, 22, 23]].sum() < 0.01 * 200_000


@pytest.mark.parametrize("kind", ["constant", "1/n", "polynomial"])
def test_step_sizes_take_no_more_memory_however_long_a_learner_lives(kind, monkeypatch):
    settings = {"step_size": kind, "rate": 0.03, "updates": 50, "seeds": range(3)}
    free = learned(steps=500, **settings)
    monkeypatch.setattr(module, "LARGEST_TABLE", 4)
    bounded = learned(steps=500, **settings)
    assert len(bounded._alphas) <= 4 < bounded.visits.max()
    # Beyond the table the formula gives what the table holds, up to rounding.
    np.testing.assert_allclose(bounded.q_values, free.q_values, rtol=1e-12)
    if kind == "constant":
        assert len(free._alphas) == 2


def test_tables_that_do_not_fit_into_memory_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr("lectures_lib.memory.free_memory", lambda device: 10_000)
    with pytest.raises(MemoryError, match=r"5,000 learners, 2 states and 2 actions .* fewer seeds"):
        QLearning(TwoPlaces(), seeds=range(5000))
    assert QLearning(TwoPlaces(), seeds=range(5)).q_values.shape == (5, 2, 2)


def test_schedules_follow_the_training_budget(monkeypatch):
    levels = []

    def spy(*arguments):
        levels.append(arguments[7])
        return np.zeros(1)

    monkeypatch.setattr(module, "run_learners", spy)
    for settings in (
        {"epsilon": (1.0, 0.0)},
        {"exploration": "boltzmann", "temperature": (1.0, 1e-4)},
        {"exploration": "optimistic"},
    ):
        learned(steps=40, seeds=[0], updates=10, **settings)
    assert levels == pytest.approx([1, 0.75, 0.5, 0.25, 1, 0.1, 0.01, 0.001, 0, 0, 0, 0])


def test_optimism_starts_from_a_value_that_no_plan_exceeds():
    payoffs = ECONOMY.tables().payoffs
    bold = QLearning(ECONOMY, config=QLearningConfig(exploration="optimistic"))
    assert np.unique(bold.q_values).tolist() == [payoffs.max() / (1 - ECONOMY.beta)]
    assert (exact_q(ECONOMY) <= bold.q_values).all()
    assert not QLearning(ECONOMY).q_values.any(), "zero otherwise"
    given = QLearningConfig(exploration="optimistic", initial_value=3.0)
    assert np.unique(QLearning(ECONOMY, config=given).q_values).tolist() == [3]
    # Being greedy, it tries everything before it settles; from zero it repeats the first success.
    settings = {"exploration": "optimistic", "restart": 0.0}
    assert learned(TwoPlaces(0.2), **settings).visits.all()
    assert not learned(TwoPlaces(0.2), **settings, initial_value=0.0).visits[..., 1].any()


# ---------------------------------------------------------------------- the exact answer
def test_two_places_by_hand():
    """Staying in place 1 is worth 2 / (1 - 0.9) = 20, and going there from place 0 is worth 18."""
    q = exact_q(TwoPlaces())
    np.testing.assert_allclose(q, [[1 + 0.9 * 18, 18], [20, 0.9 * 18]])
    # Nothing is random here, so that a step size of one is value iteration, state by state.
    agent = learned(TwoPlaces(), step_size="constant", rate=1.0, epsilon=(1.0, 1.0))
    np.testing.assert_allclose(agent.q_values, [q, q], rtol=1e-12)


@pytest.mark.learning
@pytest.mark.parametrize("settings", [{}, {"exploration": "boltzmann", "temperature": (9.0, 9.0)}])
def test_learners_converge_to_the_exact_q_when_luck_matters(settings):
    economy = TwoPlaces(slip=0.2)
    q, seeds = exact_q(economy), range(20)
    early, late = (learned(economy, steps, seeds, **settings) for steps in (20_000, 500_000))
    errors = [np.abs(x.q_values - q).max((1, 2)) / np.abs(q).max() for x in (early, late)]
    assert errors[1].max() < 0.01
    assert np.median(errors[1]) < np.median(errors[0]) / 2
    assert (late.q_values.argmax(-1) == q.argmax(-1)).all()


@pytest.mark.learning
def test_the_default_reaches_one_percent_on_the_monopolist():
    q = exact_q(ECONOMY)
    agent = QLearning(ECONOMY, seeds=range(24))
    agent.learn(show_progress=False)
    errors = np.abs(agent.q_values - q).max((1, 2)) / np.abs(q).max()
    assert np.median(errors) <= 0.01 and errors.max() <= 0.02


# ---------------------------------------------------------------------- seeds, files, policies
def test_thousands_of_learners_are_the_learners_one_by_one():
    crowd = learned(seeds=range(2000), steps=2000)
    for seed in (0, 7, 1999):
        alone = learned(seeds=[seed], steps=2000)
        assert np.array_equal(alone.q_values[0], crowd.q_values[seed])
        assert np.array_equal(alone.visits[0], crowd.visits[seed])
    assert len(np.unique(crowd.q_values.sum((1, 2)))) == 2000, "and no two are the same"


def test_learning_goes_on_from_a_file_bit_for_bit(tmp_path):
    settings = {"updates": 500, "epsilon": (1.0, 0.2)}
    whole = learned(steps=4000, **settings)
    first = QLearning(ECONOMY, seeds=(1, 2), config=QLearningConfig(**settings))
    first.learn(4000, show_progress=False, callback=lambda agent: {}, callback_every=1)
    assert np.array_equal(first.q_values, whole.q_values)

    half = QLearning(ECONOMY, seeds=(1, 2), config=QLearningConfig(**settings))
    iterate, save = half.iterate, tmp_path / "agent.pt"

    def killed():
        if half.iteration == 5:
            raise RuntimeError("killed")
        return iterate()

    half.iterate = killed
    with pytest.raises(RuntimeError, match="killed"):
        half.learn(4000, show_progress=False, checkpoint=save, checkpoint_every=3)
    again = QLearning.load(save, ECONOMY)
    assert again.iteration == 3 and again.seeds == (1, 2) and again.visits.sum() == 2 * 1500
    again.learn(4000, show_progress=False)
    assert np.array_equal(again.q_values, whole.q_values)
    assert np.array_equal(again.visits, whole.visits)


def test_q_values_and_policies_are_copies():
    agent = learned(steps=1000)
    q, policy = agent.q_values, agent.policy
    table = policy.table.copy()
    q[:] = np.nan
    agent.learn(50_000, show_progress=False)
    assert np.isfinite(agent.q_values).all()
    assert np.array_equal(policy.table, table) and not np.array_equal(agent.policy.table, table)


def test_the_policy_is_greedy_in_physical_units_at_the_nearest_state():
    agent = learned(steps=50_000)
    state = ECONOMY.reset((2, 3, 5), torch.Generator().manual_seed(1), torch.float64)
    price = agent.policy(state)["firm"]
    assert price.shape == (2, 3, 5, 1, 1) and price.dtype == torch.float64
    index = ECONOMY.index(state)
    best = agent.q_values.argmax(-1)
    for run in (0, 1):
        wanted = np.array(ECONOMY.prices)[best[run][index[run]]]
        assert np.array_equal(price[run, ..., 0, 0].numpy(), wanted)
        one = agent.policy[run](ECONOMY.State(*(x[run] for x in state)))["firm"]
        assert torch.equal(one, price[run])
    taken = {"firm": price * 0.5}
    assert agent.policy(state, taken)["firm"] is taken["firm"]
    with pytest.raises(ValueError, match=r"2 runs.*first dimension of 2; got \(3, 5\)"):
        agent.policy(ECONOMY.State(*(x[0] for x in state)))
    with pytest.raises(IndexError, match="no run 2: this policy has 2"):
        agent.policy[2]
    with pytest.raises(IndexError, match="only one"):
        TablePolicy(ECONOMY, np.zeros(24))[0]


# ---------------------------------------------------------------------- what is refused
def test_an_economy_without_tables_is_refused():
    with pytest.raises(TypeError, match=r"BrockMirman has no tables\(\).*such as Monopolist\(\)"):
        QLearning(BrockMirman())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("updates", 2.5),
        ("updates", True),
        ("exploration", "greedy"),
        ("step_size", "n"),
        ("epsilon", (0.5, 1.5)),
        ("epsilon", 0.1),
        ("epsilon", (0.1,)),
        ("temperature", (1.0, 0.0)),
        ("temperature", (float("nan"), 1.0)),
        ("initial_value", float("inf")),
        ("rate", 0.0),
        ("rate", 1.1),
        ("power", 0),
        ("restart", -0.1),
        ("restart", "often"),
    ],
)
def test_a_bad_setting_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}=.*expected"):
        QLearningConfig(**{name: value})


def test_states_outside_the_tables_are_refused_before_memory_is_touched():
    class Outside(TwoPlaces):
        def index(self, state):
            return state.place + 1

    with pytest.raises(ValueError, match=r"Outside\.index\(state\)=\(1, 2\): .* from 0 to 1"):
        QLearning(Outside())


@pytest.mark.parametrize("table", [0.5, np.zeros((2, 3, 4))])
def test_a_table_has_states_and_perhaps_runs(table):
    with pytest.raises(ValueError, match=r"expected \(states,\) or \(runs, states\)"):
        TablePolicy(ECONOMY, table)


def test_a_table_with_too_few_states_is_told_when_another_one_is_asked_for():
    policy = TablePolicy(ECONOMY, np.ones(2))
    state = ECONOMY.reset((50,), torch.Generator().manual_seed(0), torch.float64)
    with pytest.raises(ValueError, match="the table has 2 states, and this is number"):
        policy(state)
