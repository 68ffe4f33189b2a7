"""Q-learning in games: by hand, against plain Python, and where an answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from games import Rivals

from lectures_lib.agents import QLearning, QLearningConfig, TablePolicy
from lectures_lib.agents import q_loops as loops
from lectures_lib.economies import Bertrand, GameTables, Matrix
from lectures_lib.evaluation import exploitability

SMALL = Bertrand(n_prices=4)


def learned(game=SMALL, steps=20_000, seeds=(1, 2), **settings):
    config = QLearningConfig.calvano(**({"updates": 1000, "stop_after": None} | settings))
    agent = QLearning(game, seeds=seeds, config=config)
    agent.learn(steps, show_progress=False)
    return agent


# ---------------------------------------------------------------------- the loop
def test_all_updates_of_a_run_repeated_in_plain_python():
    agent = learned(steps=1000, seeds=[3], decay=1e-3, rate=0.3)
    payoffs, successors, _, sizes, strides, _, discounts = agent._world
    fresh = QLearning(SMALL, seeds=[3], config=agent.config)
    q, s = fresh.q_values[0], int(fresh.states[0])
    stream, level = fresh._arrays.random.copy(), 1.0
    quiet = 0
    for _ in range(1000):
        before, chosen = q.argmax(-1), []
        for i in range(2):
            if loops.uniform(stream) < level:
                chosen.append(int(loops.uniform(stream) * sizes[i]))
            else:
                chosen.append(int(q[i, s].argmax()))
        joint = int(np.dot(chosen, strides))
        following = successors[s, joint, 0]
        highest = q[:, following].max(-1)
        for i, a in enumerate(chosen):
            target = payoffs[s, joint, 0, i] + discounts[i] * highest[i]
            q[i, s, a] += 0.3 * (target - q[i, s, a])
        s, level = following, level * math.exp(-1e-3)
        quiet = quiet + 1 if (q.argmax(-1) == before).all() else 0
    np.testing.assert_allclose(agent.q_values[0], q, rtol=1e-12)
    assert agent.states[0] == s and agent._arrays.unchanged[0] == quiet
    assert np.array_equal(agent._arrays.best[0], q.argmax(-1))
    assert agent.visits.sum() == 2 * 1000 and agent.periods.tolist() == [1000]


@pytest.mark.parametrize("target", [5.0, 1.0, -9.0, 3.0])
@pytest.mark.parametrize("a", [0, 1, 2])
def test_the_first_best_choice_is_known_after_every_update(target, a):
    for row in ([1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [4.0, 1.0, 0.0]):
        q, best = np.array([[row]]), np.array([[np.argmax(row)]])
        changed = loops.learn_entry(q, best, 0, 0, a, 3, target, 1.0)
        assert q[0, 0, a] == target and best[0, 0] == q[0, 0].argmax()
        assert changed == (q[0, 0].argmax() != np.argmax(row))


def test_players_are_drawn_outcomes_with_their_chances():
    """One state leads to two, with chances 0.3 and 0.7, and payoffs say which it was."""
    one = np.broadcast_to
    tables = GameTables(
        np.ascontiguousarray(one(np.array([10.0, 20.0])[None, None, :, None], (2, 4, 2, 2))),
        np.ascontiguousarray(one(np.array([0, 1]), (2, 4, 2))),
        np.ascontiguousarray(one(np.array([0.3, 0.7]), (2, 4, 2))),
        (0.0, 0.0),
        ((0, 1), (0, 1)),
    )
    q, best = np.zeros((1, 2, 2, 2)), np.zeros((1, 2, 2), np.int64)
    arrays = (q, np.zeros(q.shape, np.int64), best, np.zeros(1, np.int64))
    random, unchanged = np.array([5], np.uint64), np.zeros(1, np.int64)
    world = (tables.payoffs, tables.successors, tables.probabilities.cumsum(-1))
    world += (np.array([2, 2]), np.array([2, 1]), np.array([0]), np.zeros(2))
    how = (40_000, False, (1.0, 1.0, 0.0), 0.0, (np.array([np.nan, 0.1]), 0.0), 2**62)
    rewards, taken = loops.run_players(*arrays, random, unchanged, world, *how)
    assert taken.tolist() == [40_000]
    assert rewards[0] == pytest.approx([17, 17], abs=4 * 4.6 / 200)


# ---------------------------------------------------------------------- settings
def test_settings_are_the_papers():
    c = QLearningConfig.calvano()
    assert (c.rate, c.decay, c.stop_after, c.restart) == (0.15, 4e-6, 100_000, 0.0)
    assert c.epsilon == (1.0, 0.0) and c.step_size == "constant"
    assert QLearningConfig.calvano(rate=0.1, steps=5).rate == 0.1


def test_first_values_expect_rivals_who_choose_at_random():
    agent = QLearning(SMALL, seed=0, config=QLearningConfig.calvano())
    profits = SMALL.tables().payoffs[0, :, 0].reshape(4, 4, 2)
    expected = [profits[..., 0].mean(1) / 0.05, profits[..., 1].mean(0) / 0.05]
    for i in range(2):
        assert agent.q_values[0, i] == pytest.approx(np.tile(expected[i], (16, 1)))
    optimist = QLearningConfig(exploration="optimistic")
    agent = QLearning(SMALL, seed=0, config=optimist)
    assert agent.q_values[0, 1].min() == pytest.approx(profits[..., 1].max() / 0.05)


def test_exploration_falls_by_the_period_however_long_learning_is_to_take():
    short, long = (learned(steps=n, decay=1e-3, seeds=[1]) for n in (2000, 4000))
    again = learned(steps=2000, decay=1e-3, seeds=[1])
    again.learn(4000, show_progress=False)
    assert np.array_equal(again.q_values, long.q_values)
    assert not np.array_equal(short.q_values, long.q_values)


def test_who_does_not_explore_stays_on_one_path():
    agent = learned(epsilon=(1e-300, 0.0), seeds=[1], steps=5000)
    assert (agent.visits.sum((0, 2, 3)) == 5000).all()
    assert (agent.visits > 0).sum() < 40


def test_a_run_is_over_when_nobody_changes_their_mind_and_learning_when_all_are():
    agent = learned(steps=3_000_000, decay=1e-3, stop_after=2000, seeds=range(4))
    assert agent.finished and agent.steps < 3_000_000
    assert (agent.periods < agent.steps + 1).all() and (agent.periods > 2000).all()
    assert (agent._arrays.unchanged == 2000).all()
    assert np.isfinite(agent.q_values).all()
    before = agent.q_values
    agent.learn(3_000_000, show_progress=False)
    assert np.array_equal(before, agent.q_values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": -1.0}, r"decay=-1\.0"),
        ({"stop_after": 0}, "stop_after=0"),
        ({"initial_value": "zero"}, "initial_value='zero': expected .*'others at random'"),
        ({"initial_value": math.nan}, "initial_value=nan"),
        ({"initial_value": True}, "initial_value=True"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        QLearningConfig(**settings)


# ---------------------------------------------------------------------- what is learned
@pytest.mark.parametrize("exploration", ["epsilon-greedy", "boltzmann"])
def test_a_dominant_choice_is_learned(exploration):
    """A prisoners' dilemma without memory: to confess is best whatever the other does."""
    game = Matrix((((2, 0), (3, 1)), ((2, 3), (0, 1))))
    config = QLearningConfig(exploration=exploration, temperature=(1.0, 0.5), restart=0.0)
    agent = QLearning(game, seeds=range(8), config=config)
    agent.learn(20_000, show_progress=False)
    assert (agent.choices == 1).all()
    assert exploitability(agent.policy[0], game).gain == 0


def test_players_with_lists_of_different_lengths():
    tables = Bertrand(n_prices=3).tables()
    fewer = GameTables(
        tables.payoffs[:, :6], tables.successors[:, :6], tables.probabilities[:, :6],
        tables.discounts, (tables.actions[0][:2], tables.actions[1]),
    )  # fmt: skip

    class Narrow(Bertrand):
        def tables(self):
            return fewer

    agent = learned(Narrow(n_prices=3), steps=5000)
    q = agent.q_values
    assert (q[:, 0, :, 2] < -1e299).all() and (q[:, 1] > 0).all()
    assert agent.visits[:, 0, :, 2].sum() == 0 and agent.choices[..., 0].max() <= 1


def test_the_policy_posts_the_prices_of_the_table():
    agent = learned()
    policy, state = agent.policy, SMALL.reset((2, 30), torch.Generator().manual_seed(0))
    prices = policy(state)["firm"].squeeze(-1)
    index = SMALL.index(state)
    for run in range(2):
        chosen = agent.choices[run][index[run]]
        assert prices[run].numpy() == pytest.approx(np.array(SMALL.prices)[chosen])
        one = policy[run](type(state)(*(x[run] for x in state)))["firm"].squeeze(-1)
        assert torch.equal(one, prices[run])
    given = torch.zeros(2, 30, 2, 1)
    assert policy(state, {"firm": given})["firm"] is given
    with pytest.raises(ValueError, match=r"expected \(states, 2\) or \(runs, states, 2\)"):
        TablePolicy(SMALL, np.zeros((16, 3)))


@pytest.mark.parametrize("game", [SMALL, Rivals()], ids=["bertrand", "rivals"])
def test_it_saves_and_resumes_bit_for_bit(tmp_path, game):
    if not hasattr(game, "tables"):
        game = _with_tables(game)
    whole = learned(game, 6000)
    half = QLearning(game, seeds=(1, 2), config=whole.config)
    half.learn(3000, show_progress=False)
    half.save(tmp_path / "agent.pt")
    rest = QLearning.load(tmp_path / "agent.pt", game)
    rest.learn(6000, show_progress=False)
    assert np.array_equal(rest.q_values, whole.q_values)
    assert np.array_equal(rest.visits, whole.visits)
    assert np.array_equal(rest._arrays.best, whole._arrays.best)


def _with_tables(game):
    from lectures_lib.economies.game_tables import tabulate_game
    from lectures_lib.economies.tables import number_of

    class Written(Rivals):
        def tables(self):
            return tabulate_game(self)

        def index(self, state):
            return number_of(self, state)

    return Written(**vars(replace(game)))


@pytest.mark.learning
def test_two_firms_charge_more_than_in_competition_and_return_after_a_punishment():
    """Twenty sessions of the paper's baseline; its mean gain is about 0.85."""
    from lectures_lib.evaluation import limit_cycle

    market, tables = Bertrand(), Bertrand().tables()
    agent = QLearning(market, seeds=range(20), config=QLearningConfig.calvano())
    agent.learn(show_progress=False)
    assert agent.finished
    cycles = [limit_cycle(tables, c, s) for c, s in zip(agent.choices, agent.states, strict=True)]
    gains = market.profit_gain([cycle.payoffs for cycle in cycles])
    assert 0.75 < gains.mean() < 0.97
