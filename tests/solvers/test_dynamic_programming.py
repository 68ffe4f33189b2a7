"""Operators on tables against quantecon, against each other, and against theory's rates."""

import numpy as np
import pytest

from lectures_lib.economies import Monopolist
from lectures_lib.solvers import dynamic_programming as dp
from lectures_lib.solvers.enhanced_policy_iteration import (
    enhanced_policy_iteration,
    simulated_policy_iteration,
    stopping_operator,
)

TABLES = Monopolist().tables()
SOLUTION = TABLES.discrete_dp().solve("policy_iteration")
V = SOLUTION.v
G = dp.expectation(TABLES, V)
Q = dp.with_payoff(TABLES, G)
SHOCK, CHANCE = np.array([0.5, 0.9, 1.6]), np.array([0.3, 0.4, 0.3])
HIGHEST = TABLES.payoffs.max() / (1 - TABLES.discount)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def distance(a, b):
    return np.abs(a - b).max()


def test_bellman_and_policy_values_are_quantecons():
    v, policy = drawn(TABLES.n_states), np.arange(TABLES.n_states) % TABLES.n_actions
    theirs = TABLES.discrete_dp()
    assert distance(dp.bellman(TABLES, v), theirs.bellman_operator(v)) < 1e-12
    assert (dp.greedy(TABLES, v) == theirs.compute_greedy(v)).all()
    rows = np.arange(TABLES.n_states)
    value = dp.policy_value(TABLES, policy)
    again = TABLES.payoffs[rows, policy] + TABLES.discount * (
        TABLES.transitions[rows, policy] @ value
    )
    assert distance(value, again) < 1e-12


@pytest.mark.parametrize("operator, fixed", [(dp.bellman, V), (dp.bellman_q, Q), (dp.bellman_g, G)])
def test_each_version_has_its_fixed_point_and_contracts(operator, fixed):
    assert distance(operator(TABLES, fixed), fixed) < 1e-12
    for seed in range(20):
        one, other = drawn(2, *fixed.shape, seed=seed)
        after = distance(operator(TABLES, one), operator(TABLES, other))
        assert after <= TABLES.discount * distance(one, other) + 1e-12
    # The modulus is attained by tables that differ by a constant.
    assert distance(operator(TABLES, fixed + 1), fixed) == pytest.approx(TABLES.discount)


def test_the_three_versions_are_conjugate():
    v = drawn(TABLES.n_states)
    g = dp.expectation(TABLES, v)
    q = dp.with_payoff(TABLES, g)
    assert distance(dp.expectation(TABLES, dp.bellman(TABLES, v)), dp.bellman_g(TABLES, g)) < 1e-12
    assert (
        distance(dp.with_payoff(TABLES, dp.bellman_g(TABLES, g)), dp.bellman_q(TABLES, q)) < 1e-12
    )
    assert distance(dp.bellman_q(TABLES, q).max(1), dp.bellman(TABLES, q.max(1))) < 1e-12


def test_value_iteration_converges_at_the_discount_factor_and_counts():
    found = dp.value_iteration(TABLES, exact=V, tolerance=1e-8)
    assert distance(found.result, V) <= 1e-8
    assert found.errors[-1] / found.errors[-2] == pytest.approx(TABLES.discount, rel=1e-3)
    assert found.operations[-1] == found.count * 24 * 11 * 25
    assert (np.diff(found.seconds) >= 0).all()
    alone = dp.value_iteration(TABLES, tolerance=1e-10)
    assert distance(alone.result, V) < 1e-8


def test_value_iteration_that_does_not_arrive_says_so():
    with pytest.raises(RuntimeError, match="after 5 iterations"):
        dp.value_iteration(TABLES, most=5)


def test_an_iteration_that_leaves_the_numbers_has_not_converged():
    with np.errstate(all="ignore"):
        with pytest.raises(RuntimeError, match="after 3 iterations the distance is not a number"):
            dp.iterate(lambda x: 1e200 * x * x, np.ones(2), 1)


@pytest.mark.parametrize(
    "policy, message",
    [
        (np.zeros(3, int), "one action for each state"),
        (np.zeros(24), "one action for each state"),
        (np.full(24, 11), "indices from 0 to 10"),
        (np.full(24, -1), "indices from 0 to 10"),
    ],
)
def test_a_wrong_policy_is_named(policy, message):
    with pytest.raises(ValueError, match=message):
        dp.policy_value(TABLES, policy)


def test_a_transitory_shock_can_be_integrated_out():
    payoffs = SHOCK[:, None, None] * TABLES.payoffs
    full = dp.with_transitory(TABLES, payoffs, CHANCE)
    exact = full.discrete_dp().solve("policy_iteration").v.reshape(-1, 3)
    w = dp.iterate(
        lambda x: dp.bellman_integrated(TABLES, payoffs, CHANCE, x),
        np.zeros(TABLES.n_states),
        1,
        tolerance=1e-12,
    ).result
    assert distance(w, exact @ CHANCE) < 1e-10
    future = TABLES.discount * dp.expectation(TABLES, w)
    assert distance((payoffs + future).max(2).T, exact) < 1e-10


def test_one_certain_shock_changes_nothing():
    one = dp.with_transitory(TABLES, TABLES.payoffs[None], np.ones(1))
    assert np.array_equal(one.payoffs, TABLES.payoffs)
    assert np.array_equal(one.transitions, TABLES.transitions)
    w = drawn(TABLES.n_states)
    ours = dp.bellman_integrated(TABLES, TABLES.payoffs[None], np.ones(1), w)
    assert distance(ours, dp.bellman(TABLES, w)) < 1e-12


def test_wrong_transitory_shocks_are_named():
    payoffs = SHOCK[:, None, None] * TABLES.payoffs
    with pytest.raises(ValueError, match="payoffs have shape"):
        dp.with_transitory(TABLES, payoffs[:2], CHANCE)
    with pytest.raises(ValueError, match="sum to one"):
        dp.bellman_integrated(TABLES, payoffs, 2 * CHANCE, V)


# ---------------------------------------------------------------- Bertsekas and Yu (2012)
def test_the_stopping_operator_keeps_q_under_every_policy_and_contracts():
    rng = np.random.default_rng(0)
    for _ in range(20):
        nu = rng.dirichlet(np.ones(TABLES.n_actions), size=TABLES.n_states)
        assert distance(stopping_operator(TABLES, Q, V, nu), Q) < 1e-12
        (q1, q2), (j1, j2) = rng.normal(size=(2, *Q.shape)), rng.normal(size=(2, *V.shape))
        after = distance(
            stopping_operator(TABLES, q1, j1, nu), stopping_operator(TABLES, q2, j2, nu)
        )
        assert after <= TABLES.discount * max(distance(q1, q2), distance(j1, j2)) + 1e-12


def test_the_stopping_operator_is_the_sum_of_its_definition():
    q, j, nu = drawn(*Q.shape), drawn(TABLES.n_states, seed=1), np.full(Q.shape, 1 / 11)
    s, a = 7, 3
    by_hand = TABLES.payoffs[s, a] + TABLES.discount * sum(
        TABLES.transitions[s, a, t] * sum(nu[t, b] * max(j[t], q[t, b]) for b in range(11))
        for t in range(TABLES.n_states)
    )
    assert stopping_operator(TABLES, q, j, nu)[s, a] == pytest.approx(by_hand, abs=1e-12)


def test_a_round_is_the_stopping_operator_applied_to_all_pairs():
    start = drawn(*Q.shape)
    found = enhanced_policy_iteration(TABLES, 4, start, tolerance=np.inf)
    assert found.count == 0
    exact = enhanced_policy_iteration(TABLES, 4, start, exact=Q, tolerance=1e-10)
    nu, q = np.eye(TABLES.n_actions)[start.argmax(1)], start
    for _ in range(5):
        q = stopping_operator(TABLES, q, start.max(1), nu)
    assert exact.errors[1] == pytest.approx(distance(q, Q), abs=1e-12)


@pytest.mark.parametrize("evaluations", [0, 1, 5, 20])
@pytest.mark.parametrize("start", [0.0, HIGHEST])
def test_enhanced_policy_iteration_converges_at_theorys_rate(evaluations, start):
    found = enhanced_policy_iteration(
        TABLES, evaluations, np.full(Q.shape, start), exact=Q, tolerance=1e-8
    )
    rate = TABLES.discount ** (evaluations + 1 if start == 0 else 1)
    assert distance(found.result, Q) <= 1e-8
    assert found.errors[-1] / found.errors[-2] == pytest.approx(rate, abs=1e-3)
    assert (found.errors[1:] <= TABLES.discount * found.errors[:-1] + 1e-12).all()


def test_without_evaluations_it_is_value_iteration_on_q():
    enhanced = enhanced_policy_iteration(TABLES, 0, exact=Q)
    plain = dp.iterate(lambda q: dp.bellman_q(TABLES, q), np.zeros(Q.shape), 1, exact=Q)
    assert np.allclose(enhanced.errors, plain.errors, atol=1e-13)


def test_simulated_learners_come_to_q():
    for refresh in (1, 10):
        found = simulated_policy_iteration(
            TABLES, 400_000, exact=Q, refresh=refresh, learners=5, restart=1.0
        )
        assert found.errors[-1].max() < 0.12 * Q.max()
        assert found.errors[-1].max() < found.errors[0].min() / 5
        assert found.visits.sum((1, 2)).tolist() == [400_000] * 5
        assert distance(found.errors[-1], np.abs(found.q - Q).max((1, 2))) < 1e-12


def test_refreshing_always_is_q_learning_entry_by_entry():
    found = simulated_policy_iteration(
        TABLES, 3000, exact=Q, refresh=1, learners=1, seed=3, decay=0.5
    )
    (rng,) = np.random.default_rng(3).spawn(1)
    q, visits = np.zeros(Q.shape), np.zeros(Q.shape)
    s = rng.integers(0, TABLES.n_states)
    cumulative = TABLES.transitions.cumsum(-1)
    for _ in range(3000):
        a = rng.integers(0, TABLES.n_actions)
        t = min(np.searchsorted(cumulative[s, a], rng.random(), side="right"), 23)
        target = TABLES.payoffs[s, a] + TABLES.discount * q[t].max()
        q[s, a] += (target - q[s, a]) / (1 + 0.5 * visits[s, a])
        visits[s, a] += 1
        s = rng.integers(0, TABLES.n_states) if rng.random() < 0.05 else t
    assert np.array_equal(visits, found.visits[0])
    assert distance(q, found.q[0]) < 1e-12
    assert (found.reads[-1] == 3000 * TABLES.n_actions).all()


def test_seeds_reproduce_and_refreshing_seldom_reads_less():
    runs = [
        simulated_policy_iteration(TABLES, 20_000, exact=Q, refresh=r, learners=2, seed=5)
        for r in (10, 10, 1)
    ]
    assert np.array_equal(runs[0].q, runs[1].q)
    assert np.array_equal(runs[0].visits, runs[2].visits)  # the same luck
    assert runs[0].reads[-1].max() < runs[2].reads[-1].min() / 3
    assert not np.array_equal(runs[0].q[0], runs[0].q[1])


@pytest.mark.parametrize(
    "bad", [{"refresh": 0}, {"learners": 0}, {"records": 1}, {"decay": 0.0}, {"restart": 1.5}]
)
def test_wrong_settings_are_named(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=name):
        simulated_policy_iteration(TABLES, 10, exact=Q, **bad)
    with pytest.raises(ValueError, match="evaluations"):
        enhanced_policy_iteration(TABLES, -1)
