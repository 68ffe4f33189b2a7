"""Gains in finite games, and how exactly they are known."""

import math

import pytest
import torch
from games import Rivals

from lectures_lib.economies import FixedAction
from lectures_lib.evaluation import exploitability


class Logs(Rivals):
    """Rewards are profits' logarithms beside those of the first state, which is worth nothing."""

    def consumption_equivalent(self, value):
        return ((1 - self.patience) * value).exp()

    def transition(self, state, actions, shocks):
        step = super().transition(state, actions, shocks)
        low = (state.last == 0).all(-1, keepdim=True)
        gained = (step.rewards["firm"] > 0.301).double()  # more than .8 against .8 brings
        return step._replace(rewards={"firm": torch.where(low, 2 * gained, gained)})


def test_a_policy_that_is_worth_exactly_zero_has_a_standard_error():
    game = Logs()
    policy = FixedAction(game, 0.8)
    found = exploitability(policy, game, paths=90)
    # Undercutting brings one in each period, and one more in the first from one state of nine.
    share = 1 - game.patience
    assert math.log(1 + found.gain) == pytest.approx(1 + share / 9, abs=4.5 * share / 30)
    chance = (math.log(1 + found.gain) - 1) / share
    spread = share * math.sqrt(chance * (1 - chance) / 90)
    assert found.standard_error == pytest.approx(spread, rel=1e-3)


def test_of_nothing_there_are_no_shares():
    class Poor(Rivals):
        """Whose highest price brings nothing at all."""

        def transition(self, state, actions, shocks):
            step = super().transition(state, actions, shocks)
            dear = actions["firm"].squeeze(-1) > 0.7
            return step._replace(rewards={"firm": torch.where(dear, 0.0, step.rewards["firm"])})

    assert exploitability(FixedAction(Poor(), 0.8), Poor(), paths=8).gain == math.inf
