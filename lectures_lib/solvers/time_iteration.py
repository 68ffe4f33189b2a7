"""Time iteration for the planner and the market, with any few households and goods.

Chapter *Global solution*. Which functions the unknown is written in, and on which box: polynomials
where investment is never held back, splines where capital that cannot be sold often matters, as
where households decide jointly.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor

from ..economies import Market
from ..economies.capital import CapitalEconomy
from .domain import Balanced, Domain
from .euler import in_state
from .piece import ConvergenceError, Piece
from .polynomials import NODES_PER_COEFFICIENT, Polynomials
from .productivity import JointChain
from .regimes import conditions_of
from .registry import require_kind
from .splines import Splines
from .visited import initial_sample, join, visited_states

#: Degrees of the polynomials by the numbers of households and goods: on the first box and, with
#: several of both, on the ergodic set's. Found by raising them until residuals were small enough.
DEGREES = {
    (1, 1): (36,),
    (2, 1): (6,),
    (3, 1): (5,),
    (4, 1): (4,),
    (5, 1): (3,),
    (1, 2): (7,),
    (2, 2): (4, 4),
    (3, 2): (3, 4),
}
#: Nodes of the splines for each household's capital, by the number of households.
NODES = {2: 40, 3: 20}
#: Sizes that are solved where households decide jointly, so that the constraint binds often.
JOINT_SIZES = ((1, 1), (2, 1), (3, 1), (1, 2))
#: Sizes for which there are splines.
KINKED_SIZES = tuple((n, 1) for n in NODES)
# The first box, relative to the steady state, covers the initial distribution and more. One
# household's can be wide at no cost.
SMALLEST, LARGEST = 0.42, 1.7
WIDEST = (0.05, 20.0)
# Room between the states that an economy visits and the ends of a box that is made for them, and
# boxes that are tried.
ROOM, BOXES = 1.1, 4
# Nodes, over all combinations of productivities, that take minutes and gigabytes.
MOST_POINTS = 100_000
# Least half-width, in logs, of the two boxes for several goods.
WIDE, NARROW = 0.3, 0.06


class InvestmentPolicy:
    """The actions that follow from time iteration.

    Parameters
    ----------
    economy : Planner or Market
    pieces : sequence of Piece
        On the first box, and on the ergodic set's, which serves wherever it can.

    Attributes
    ----------
    domain : Domain
        For which capital the rule holds.
    leads_to : tuple of State or None
        Where it leads in its economy (``solvers.visited.visited_states``), where that is known.
    """

    leads_to: tuple | None = None

    def __init__(self, economy: CapitalEconomy, pieces):
        self.economy, self.pieces = economy, tuple(pieces)
        boxes = [piece.basis for piece in self.pieces]
        one = len(boxes) == 1
        self.domain = Domain(boxes[0].low, boxes[0].high) if one else Balanced(boxes)

    def __repr__(self):
        return f"{type(self).__name__}({', then '.join(repr(p.basis) for p in self.pieces)})"

    def investment(self, state) -> Tensor:
        """Investment (*batch, N, M) in float64, on the CPU."""
        flat, index = flatten_state(self.pieces[0].chain, state)
        self.domain.check(flat, self)
        if len(self.pieces) == 1:
            return self.pieces[0].invest(flat, index).reshape(state.capital.shape)
        outer, inner = self.pieces
        inside = inner.basis.inside(flat.flatten(-2))
        investment = torch.empty_like(flat)
        for piece, where in ((inner, inside), (outer, ~inside)):
            if where.any():
                found = piece.invest(flat[where], index[where])
                investment = investment.index_put((where.nonzero().squeeze(-1),), found)
        return investment.reshape(state.capital.shape)

    def __call__(self, state, moved=None):
        """Actions of every role; massless households do what their crowd does."""
        state = in_state(self.economy, state)
        capital = state.capital
        crowd = state._replace(capital=getattr(state, "crowd", capital).double())
        investment = self.investment(state).to(capital.device)
        actions = self.economy.actions_for(crowd, investment)
        return {name: action.to(capital.dtype) for name, action in actions.items()}


def flatten_state(chain, state) -> tuple[Tensor, Tensor]:
    """Capital (points, N, M), of the crowd if there is one, and index of productivity (points,)."""
    capital = getattr(state, "crowd", state.capital).double().cpu()
    index = chain.index(state).cpu().expand(capital.shape[:-2])
    return capital.reshape(-1, *capital.shape[-2:]), index.reshape(-1)


def can_iterate(economy: CapitalEconomy, regime: str) -> bool:
    """Whether time iteration is for an economy of this size, and affordable."""
    size, kinked = (economy.n_households, economy.n_goods), _is_kinked(economy, regime)
    if size not in _sizes(economy, regime):
        return False
    return _points(economy, kinked, _usual_fineness(size, kinked)[-1]) <= MOST_POINTS


def _sizes(economy, regime):
    return JOINT_SIZES if conditions_of(economy, regime).joint else tuple(DEGREES)


def _is_kinked(economy, regime):
    return conditions_of(economy, regime).joint and economy.n_households > 1


def _usual_fineness(size, kinked):
    """Nodes of the splines, or degrees of the polynomials."""
    return (NODES[size[0]],) if kinked else DEGREES[size]


def _points(economy, kinked, fine):
    """How many nodes there are, over all combinations of productivities."""
    stocks = economy.n_households * economy.n_goods
    if kinked:
        nodes = math.comb(fine + stocks - 1, stocks)
    else:
        nodes = math.ceil(NODES_PER_COEFFICIENT * math.comb(stocks + fine, fine))
    return JointChain.count(economy) * nodes


@torch.no_grad()
def time_iteration(
    economy: CapitalEconomy,
    regime: str,
    degrees: tuple[int, ...] | None = None,
    tolerance: float = 1e-9,
    domain: tuple[float, float] | None = None,
) -> tuple[InvestmentPolicy, int]:
    """Iterate on the Euler equations until tomorrow's rule is today's.

    Parameters
    ----------
    economy : Planner or Market
    regime : str
        One of the economy's (:func:`~lectures_lib.solvers.regimes_of`).
    degrees : tuple of int, optional
        Degree of the polynomials on a box that covers the initial distribution and, with several
        households and goods, on the principal box of the ergodic set; where splines take the
        polynomials' place, the number of nodes.
    tolerance : float
        Largest change of a coefficient at which to stop.
    domain : tuple of float, optional
        Smallest and largest stock of capital for which the rule is needed. By default where the
        economy starts and where it goes from there.

    Returns
    -------
    policy : InvestmentPolicy
    iterations : int
        On all boxes together.

    Raises
    ------
    ConvergenceError
        If the iteration has not converged.
    ValueError
        If the economy is too large for it, or the domain is none.
    """
    require_kind(economy, "time_iteration", conditions_of.registry)
    size = (economy.n_households, economy.n_goods)
    conditions, kinked = conditions_of(economy, regime), _is_kinked(economy, regime)
    if degrees is None and size not in _sizes(economy, regime):
        raise ValueError(
            f"n_households={size[0]}, n_goods={size[1]}: time iteration in the regime {regime!r} "
            f"is for the sizes {sorted(_sizes(economy, regime))}; use method='network'."
        )
    chain = JointChain(economy)
    if min(size) > 1:
        if domain is not None:
            raise ValueError(
                f"domain={domain}: with several households and goods the rule is found around the "
                "states that the economy visits, and nowhere else."
            )
        return _several_goods(economy, conditions, chain, degrees or DEGREES[size], tolerance)
    (low, high), usual = _first_box(economy, domain), _usual_box(economy)
    policy: InvestmentPolicy | None = None
    piece: Piece | None = None
    iterations = 0
    for _ in range(BOXES):
        fine = (degrees or _usual_fineness(size, kinked))[0]
        # A wider box needs more.
        fine = math.ceil(fine * max(1.0, math.log(high / low) / math.log(usual[1] / usual[0])))
        points = _points(economy, kinked, fine)
        if points > MOST_POINTS:
            if policy is not None:
                break  # a rule that says where it holds
            raise ValueError(
                f"time iteration for capital between {low:.3g} and {high:.3g} needs {points:,} "
                f"nodes, more than {MOST_POINTS:,}: ask for a smaller domain, have fewer levels of "
                "productivity, or use method='network'."
            )
        basis: Splines | Polynomials
        if kinked:
            basis = Splines(low, high, fine, chain)
        else:
            basis = Polynomials.on_cube(low, high, math.prod(size), fine)
        before, piece = piece, Piece(conditions, chain, basis, bounded=kinked)
        if before is not None:
            piece.start_from(before.log_worth)
        try:
            iterations += piece.converge(tolerance)
        except ConvergenceError:
            if before is not None:
                break  # the last rule says where it holds
            if not (kinked and conditions.joint):
                raise
            worth, taken = _worth_to_price_takers(economy)
            piece = Piece(conditions, chain, basis, bounded=True)
            piece.start_from(worth)
            iterations += taken + piece.converge(tolerance)
        policy = InvestmentPolicy(economy, [piece])
        with policy.domain.silent():  # the box may be about to grow
            policy.leads_to = visited_states(economy, policy)
            visited = join(*policy.leads_to)
            binds = bool((policy.investment(visited) == 0).any())
        affordable = size in KINKED_SIZES and _points(economy, True, NODES[size[0]]) <= MOST_POINTS
        if binds and not kinked and affordable and degrees is None:
            # Polynomials do without the constraint, which matters here.
            kinked, piece = True, None
            continue
        stocks = getattr(visited, "crowd", visited.capital)
        least, most = stocks.min().item(), stocks.max().item()
        if low <= least and most <= high:
            break
        low, high = min(low, least / ROOM), max(high, most * ROOM)
    assert policy is not None  # if the first box has none, that was an error
    return policy, iterations


def _worth_to_price_takers(economy):
    """The log worth of capital in a competitive market, and the iterations that it took.

    It is smooth, found in a second, and another place to begin from where those who decide together
    have led a search astray by plans that jump.
    """
    shared = {f.name: getattr(economy, f.name) for f in fields(CapitalEconomy)}
    rule, taken = time_iteration(Market(**shared), "competitive")
    return rule.pieces[0].log_worth, taken


def _first_box(economy, domain):
    """Where the economy starts, and what is asked for or, by default, what lies around."""
    sample = initial_sample(economy).capital
    low, high = sample.min().item() / ROOM, sample.max().item() * ROOM
    if domain is None:
        domain = _usual_box(economy)
    elif not 0 < domain[0] < domain[1] < math.inf:
        raise ValueError(f"domain={domain}: expected the smallest and the largest stock, positive.")
    return min(low, domain[0]), max(high, domain[1])


def _usual_box(economy):
    stocks = economy.n_households * economy.n_goods
    around = WIDEST if stocks == 1 else (SMALLEST, LARGEST)
    return [x * economy.efficient_capital for x in around]


def _several_goods(economy, conditions, chain, degrees, tolerance):
    """In the long run a household owns as much of each good, and M goods are one, M times as dear.

    Its solution says where the ergodic set lies and where to start the search on a first box that
    is wide enough for goods out of balance, and a second that is not.
    """
    m = economy.n_goods
    policy, iterations = time_iteration(
        replace(economy, n_goods=1, phi=m * economy.phi), conditions.regime
    )
    sample = visited_states(policy.economy, policy)[-1].capital.flatten(-2)
    single = policy.pieces[0]

    def expected(capital, index):
        logs = capital.log()
        mean = logs.mean(-1, keepdim=True)
        value = single.log_worth(mean.exp(), index).unsqueeze(-1) - np.log(m)
        # A good that is abundant is worth less; without that, who buys it would be left open.
        return (value - (logs - mean) / 2).flatten(-2)

    pieces = []
    for degree, thinnest in zip(degrees, (WIDE, NARROW), strict=True):
        box = Polynomials.around(sample, degree, thinnest, goods=m)
        piece = Piece(conditions, chain, box, bounded=False)
        piece.start_from(expected)
        if thinnest == WIDE and economy.n_households > 2:
            # Here the first guess has to do: with many goods out of balance at once, the search
            # for a better one fails.
            piece.adopt(piece.coefficients)
        else:
            iterations += piece.converge(tolerance)
            expected = piece.log_worth
        pieces.append(piece)
    return InvestmentPolicy(economy, pieces), iterations
