"""Brock and Mirman's economy against its closed forms."""

import math

import pytest
import torch

from lectures_lib.economies import BrockMirman
from lectures_lib.economies.growth import LARGEST_CONSUMPTION_SHARE


def test_what_is_not_consumed_is_next_periods_capital():
    economy = BrockMirman()
    g = torch.Generator().manual_seed(0)
    state = economy.reset((200,), g, torch.float64)
    orders = 3 * torch.rand((200, 1, 1), generator=g, dtype=torch.float64)
    step = economy.step(state, {"planner": orders}, economy.draw((200,), g, torch.float64))
    output, consumption = economy.output(state), step.info["consumption"]
    total = consumption + step.state.capital
    torch.testing.assert_close(total, output, rtol=1e-14, atol=0)
    possible = orders.squeeze(-1) < LARGEST_CONSUMPTION_SHARE * output
    assert possible.any() and not possible.all()
    assert torch.equal(consumption[possible], orders.squeeze(-1)[possible])
    cut = LARGEST_CONSUMPTION_SHARE * output[~possible]
    torch.testing.assert_close(consumption[~possible], cut, rtol=1e-15, atol=0)
    torch.testing.assert_close(step.rewards["planner"], consumption.log(), rtol=1e-15, atol=0)


def test_units_make_steady_state_output_one():
    economy = BrockMirman()
    at_rest = economy.State(
        torch.tensor([economy.efficient_capital], dtype=torch.float64), torch.tensor(0)
    )
    assert economy.output(at_rest).item() == pytest.approx(0.9, rel=1e-14)
    assert economy.efficient_capital == 0.36 * 0.96


def test_a_period_worked_out_by_hand():
    economy = BrockMirman(alpha=0.5, beta=0.8)  # efficient capital 0.4
    state = economy.State(torch.tensor([1.6], dtype=torch.float64), torch.tensor(1))
    order = {"planner": torch.tensor([[0.7]], dtype=torch.float64)}
    step = economy.step(state, order, economy.Shocks(torch.tensor(0.05, dtype=torch.float64)))
    assert step.info["output"].item() == pytest.approx(1.1 * 2)
    assert step.state.capital.item() == pytest.approx(1.5)
    assert step.rewards["planner"].item() == pytest.approx(math.log(0.7))
    assert step.state.aggregate.item() == 0
    assert step.info["saving_share"].item() == pytest.approx(1.5 / 2.2)


def test_an_order_below_zero_consumes_nothing_and_stays_finite():
    economy = BrockMirman()
    state = economy.reset((1,), torch.Generator())
    step = economy.step(
        state, {"planner": torch.full((1, 1, 1), -2.0)}, economy.draw((1,), torch.Generator())
    )
    assert step.info["consumption"].item() == 0
    assert math.isfinite(step.rewards["planner"].item())


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", 0.0), ("alpha", 1.0), ("beta", 1.0), ("aggregate", None)]
)
def test_a_bad_parameter_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}=.*expected"):
        BrockMirman(**{name: value})
