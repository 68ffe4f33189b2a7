"""For which states a rule says that it holds, and what it says beyond."""

import warnings

import pytest
import torch

from lectures_lib.solvers import OutsideDomain
from lectures_lib.solvers.domain import Balanced, Domain
from lectures_lib.solvers.polynomials import Polynomials
from lectures_lib.solvers.time_iteration import NARROW, WIDE


def asked(domain, stocks):
    """Ask a rule about stocks."""
    domain.check(torch.as_tensor(stocks, dtype=torch.float64), "the rule")


@pytest.mark.parametrize(("stocks", "away"), [([0.5, 2.0], "0.5"), ([2.0, 3.5], "3.5")])
def test_who_asks_outside_is_told_once_what_to_do(stocks, away):
    domain = Domain(1.0, 3.0, "do something else", quantity="fish")
    message = rf"'the rule' was found for fish from 1 to 3 and is extrapolated to {away}: do some"
    with pytest.warns(OutsideDomain, match=message):
        asked(domain, stocks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked(domain, stocks)
        asked(Domain(1.0, 3.0), [1.0, 3.0])


def test_silence_ends_where_something_fails():
    domain = Domain(1.0, 3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="inside"), domain.silent():
            asked(domain, [0.5])
            raise ValueError("inside")
    with pytest.warns(OutsideDomain):
        asked(domain, [0.5])


def test_goods_out_of_balance_are_outside_whatever_their_stocks():
    # Two households and goods; the sample is of balanced goods between 8 and 12.
    uniform = torch.rand((50, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boxes = [Polynomials.around(8 + 4 * uniform, 2, t, goods=2) for t in (WIDE, NARROW)]
    domain = Balanced(boxes)
    assert domain.low < 7 and domain.high > 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked(domain, [[[10.0, 10.0], [9.0, 9.0]], [[10.0, 11.0], [9.0, 10.0]]])
    with pytest.warns(OutsideDomain, match=r"near balance, .* to \[7, 12, 12, 7\]: there is no"):
        asked(domain, [[[10.0, 10.0], [9.0, 9.0]], [[7.0, 12.0], [12.0, 7.0]]])
