"""Finite Markov chains: cases solved by hand."""

import math

import numpy as np
import pytest
import quantecon
import torch

from lectures_lib.markov import MarkovChain, require_positive_chain

THREE = MarkovChain((1.0, 2.0, 4.0), ((0.5, 0.3, 0.2), (0.1, 0.6, 0.3), (0.0, 0.25, 0.75)))


def test_a_symmetric_chain_spreads_moves_evenly():
    chain = MarkovChain.symmetric((1, 2, 3), stay=0.7)
    assert chain.values == (1.0, 2.0, 3.0)
    np.testing.assert_allclose(
        chain.transition, [[0.7, 0.15, 0.15], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]]
    )
    assert len(chain) == 3


def test_a_chain_is_made_of_anybodys_numbers():
    own = quantecon.MarkovChain([[0.9, 0.1], [0.3, 0.7]], [0.5, 1.5])
    chain = MarkovChain(own.state_values, own.P)
    assert repr(chain) == "MarkovChain(values=(0.5, 1.5), transition=((0.9, 0.1), (0.3, 0.7)))"
    assert chain == MarkovChain([0.5, 1.5], torch.from_numpy(own.P))
    with pytest.raises(ValueError, match=r"MarkovChain\(chain\.state_values, chain\.P\) makes"):
        require_positive_chain("aggregate", own)
    require_positive_chain("aggregate", chain)
    one = MarkovChain.symmetric(np.array([1, 2]), stay=torch.tensor(0.75))
    assert repr(one) == repr(MarkovChain.symmetric((1.0, 2.0), stay=0.75))


@pytest.mark.parametrize(
    ("values", "transition", "name"),
    [
        ((1.0, True), np.eye(2), "values"),
        (3.0, np.eye(2), "values"),
        ((1.0, "2"), np.eye(2), "values"),
        ((1.0, 2.0), (0.5, 0.5), "transition"),
        ((1.0, 2.0), ((True, False), (False, True)), "transition"),
    ],
)
def test_what_is_no_number_is_no_chain(values, transition, name):
    with pytest.raises(ValueError, match=rf"^{name}=.*: expected (rows of )?numbers"):
        MarkovChain(values, transition)


def test_the_stationary_law_of_two_states_is_the_ratio_of_the_flows():
    # 0.1 flow up and 0.3 down: three quarters of the time in the upper state.
    chain = MarkovChain((0.0, 1.0), ((0.9, 0.1), (0.3, 0.7)))
    np.testing.assert_allclose(chain.stationary, [0.75, 0.25], rtol=1e-13)
    assert chain.mean == pytest.approx(0.25, rel=1e-13)


def test_the_stationary_law_is_left_where_it_is():
    assert THREE.stationary.sum() == pytest.approx(1, rel=1e-13)
    np.testing.assert_allclose(THREE.stationary @ np.array(THREE.transition), THREE.stationary)


def test_a_draw_leads_to_the_first_index_whose_cumulative_probability_exceeds_it():
    index = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    draws = [0.0, 0.499, 0.5, 0.8, 0.0999, 0.7, 0.0, 0.25]
    u = torch.tensor(draws, dtype=torch.float64)
    assert THREE.next(index, u).tolist() == [0, 0, 1, 2, 0, 2, 1, 2]


def test_moves_have_the_frequencies_of_the_transition_matrix():
    n = 40_000
    u = torch.rand(n, 1, generator=torch.Generator().manual_seed(0))
    following = THREE.next(torch.arange(3), u)
    assert following.shape == (n, 3)
    p = np.array(THREE.transition)
    for i in range(3):
        share = np.bincount(following[:, i], minlength=3) / n
        assert (np.abs(share - p[i]) <= 4.5 * np.sqrt(p[i] * (1 - p[i]) / n)).all()


def test_the_same_draw_means_at_least_as_much_luck_from_a_better_state():
    # Rows of a symmetric chain with stay >= 1/2 are ordered by stochastic dominance.
    chain = MarkovChain.symmetric((0.9, 1.1), stay=0.9)
    u = torch.linspace(0, 0.9999, 101)
    low, high = chain.next(torch.tensor(0), u), chain.next(torch.tensor(1), u)
    assert (high >= low).all() and (high > low).any()


def test_initial_indices_have_the_stationary_law():
    n = 40_000
    u = torch.rand(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    share = np.bincount(THREE.initial(u), minlength=3) / n
    error = np.sqrt(THREE.stationary * (1 - THREE.stationary) / n)
    assert (np.abs(share - THREE.stationary) < 4.5 * error).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_outcomes_lead_where_they_say(dtype):
    index = torch.tensor([[0, 1], [2, 2]])
    uniform, probability = THREE.outcomes(index, dtype)
    assert uniform.shape == probability.shape == (3, 2, 2)
    assert uniform.dtype == probability.dtype == dtype
    torch.testing.assert_close(probability.sum(0), torch.ones(2, 2, dtype=dtype))
    for j in range(3):
        possible = probability[j] > 0
        assert (THREE.next(index, uniform[j])[possible] == j).all()
    assert probability[:, 1, 0].tolist() == pytest.approx([0.0, 0.25, 0.75])


def test_levels_are_looked_up_in_the_type_asked_for():
    levels = THREE.level(torch.tensor([[2, 0]]), torch.float64)
    assert levels.tolist() == [[4.0, 1.0]] and levels.dtype == torch.float64
    assert THREE.level(torch.tensor(1), torch.float32).dtype == torch.float32


def test_a_chain_with_one_value_stays():
    chain = MarkovChain((1.5,), ((1.0,),))
    assert chain.mean == 1.5
    assert chain.next(torch.zeros(4, dtype=torch.int64), torch.rand(4)).tolist() == [0] * 4
    assert chain.initial(torch.rand(3)).tolist() == [0] * 3


@pytest.mark.parametrize(
    ("values", "transition", "message"),
    [
        ((), (), "values="),
        ((2.0, 1.0), ((0.5, 0.5), (0.5, 0.5)), "increasing"),
        ((1.0, 1.0), ((0.5, 0.5), (0.5, 0.5)), "increasing"),
        ((1.0, math.inf), ((0.5, 0.5), (0.5, 0.5)), "finite"),
        ((1.0, 2.0), ((1.0,),), "2 rows of 2"),
        ((1.0, 2.0), ((0.5, 0.5), (0.5,)), "2 rows of 2"),
        ((1.0, 2.0), ((0.5, 0.5), (0.5, 0.6)), "row 1"),
        ((1.0, 2.0), ((1.5, -0.5), (0.5, 0.5)), "row 0"),
        ((1.0, 2.0), ((math.nan, 0.5), (0.5, 0.5)), "row 0"),
    ],
)
def test_a_bad_chain_is_refused(values, transition, message):
    with pytest.raises(ValueError, match=message):
        MarkovChain(values, transition)


@pytest.mark.parametrize(("values", "stay"), [((1.0,), 0.5), ((1.0, 2.0), 1.1), ((1.0, 2.0), -0.1)])
def test_a_bad_symmetric_chain_is_refused(values, stay):
    with pytest.raises(ValueError, match=f"stay={stay}"):
        MarkovChain.symmetric(values, stay)


def test_a_chain_that_depends_on_its_beginning_has_no_single_stationary_law():
    chain = MarkovChain.symmetric((1.0, 2.0), stay=1.0)
    with pytest.raises(ValueError, match="2 stationary distributions"):
        _ = chain.stationary


def test_a_row_that_single_precision_has_moved_shows_its_sum():
    with pytest.raises(ValueError, match=r"row 0 .* with sum 0\.99999997"):
        MarkovChain((1.0, 2.0), np.array([[0.9, 0.1], [0.1, 0.9]], dtype=np.float32))
