"""Krusell and Smith's economy: households whom nobody insures, in booms and recessions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..markov import MarkovChain
from ..parameters import require
from .base import Role, Sight, Step
from .capital import SMALLEST_SHARE, CapitalState
from .crowds import Crowds
from .employment import LuckAtWork, next_employment, table
from .fields import Field, Fields
from .preferences import Preferences

#: The largest share of its resources that a household can save.
LARGEST_SHARE = 1 - SMALLEST_SHARE
# The share of its resources that a household eats whose raw action is zero.
FIRST_EATEN = 0.1
# In units of the capital that is efficient without risk: what a household can own at most, all that
# ten thousand of them have; and the mean that gives prices if they own less, or nothing.
LARGEST_CAPITAL, SMALLEST_MEAN = 1e4, 1e-6
# Resources of which a logarithm is seen if there are none.
NOTHING = 1e-7


def saving_share(raw: Tensor) -> Tensor:
    """A share of resources, nine tenths at zero: what is eaten falls at a constant rate, from all.

    A step of the raw action changes consumption by the same per cent, whether it is nearly all of
    resources or a thirtieth of them: a line in the share would have to be a hundred times as
    precise for the rich. And who is short of money saves nothing at all, for which a squashed share
    would come near zero and never be zero (chapter *How to impose constraints*). Resources hold
    capital, of which beginners who ate half every quarter would soon leave nothing.
    """
    # Beyond this nothing is saved anyhow, and an exponential would outgrow all numbers.
    eaten = FIRST_EATEN * (-raw.clamp_min(math.log(FIRST_EATEN) - 0.1)).exp()
    return (1 - eaten).clamp(0.0, LARGEST_SHARE)


class FactorPrices(NamedTuple):
    """What firms pay.

    Attributes
    ----------
    rent : Tensor, shape (*batch, 1)
        For a unit of capital, of which a part wears out.
    wage : Tensor, shape (*batch, 1)
        For a unit of labour.
    output : Tensor, shape (*batch, 1)
        Per household.
    """

    rent: Tensor
    wage: Tensor
    output: Tensor


@dataclass(frozen=True)
class KrusellSmith(Preferences, Crowds, LuckAtWork):
    r"""Uninsured unemployment and aggregate shocks (Krusell and Smith 1998).

    Household :math:`i` owns :math:`k_i \ge 0` and has work (:math:`\varepsilon_i = 1`) or not. It
    cannot borrow, and nobody insures it. Its resources are

    .. math:: m_i = (1 + r - \delta)\, k_i
              + w \left[(1 - \tau)\,\bar l\,\varepsilon_i + \mu\,(1 - \varepsilon_i)\right],
              \qquad k_i' = s_i m_i, \quad c_i = (1 - s_i)\, m_i,

    and its action is the share :math:`s_i` that it saves. Firms pay marginal products of
    :math:`Y = z \bar K^\alpha (\bar l L_z)^{1-\alpha}` per household, where :math:`L_z = 1 - u_z`
    is the share of those who work, and the tax :math:`\tau = \mu u_z / (\bar l L_z)` pays for the
    benefit :math:`\mu w`. The defaults are the calibration of Den Haan, Judd and Juillard (2010),
    model A, of which a period is a quarter.

    Households are a sample of a continuum. Labour is the continuum's; capital is the sample's mean.
    Their employment is drawn such that the share of the unemployed is the continuum's up to
    rounding (`next_employment`), and exactly :math:`u_z` if
    :math:`N u_z` is whole in every state, as for any multiple of 50 households by default. Then
    incomes add up to output. A household sees itself and the mean of capital.

    Parameters
    ----------
    n_households, aggregate, unemployment, spell, turns
        Those of :class:`~lectures_lib.economies.employment.LuckAtWork`.
    atomistic : bool
        Whether the households that act are massless: the mean of capital is that of a crowd of as
        many households that follow the same policy (role `household_crowd`). Otherwise each is one
        of N, and its saving moves prices.
    beta, alpha, delta, risk_aversion : float
        Discount factor; exponent of capital; depreciation; relative risk aversion.
    hours : float
        Labour :math:`\bar l` of who works.
    benefit : float
        What the unemployed get, :math:`\mu`, as a share of the wage of a unit of labour.
    sees_spread : bool
        Whether households also see how unequally capital is distributed: the logarithm of one plus
        its squared coefficient of variation.

    Raises
    ------
    ValueError
        If a parameter is outside its range, or there are no such chances; the message names it.

    Examples
    --------
    >>> import torch
    >>> economy, generator = KrusellSmith(50), torch.Generator().manual_seed(0)
    >>> state = economy.reset((), generator)
    >>> share = {"household": torch.full((50, 1), 0.9)}
    >>> state = economy.step(state, share, economy.draw((), generator)).state
    >>> int(state.aggregate), int((state.idiosyncratic == 0).sum())
    (1, 2)
    """

    atomistic: bool = False
    beta: float = 0.99
    alpha: float = 0.36
    delta: float = 0.025
    risk_aversion: float = 1.0
    hours: float = 1 / 0.9
    benefit: float = 0.15
    sees_spread: bool = False

    def __post_init__(self):
        super().__post_init__()
        for name in ("beta", "alpha"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "a number strictly between 0 and 1")
        require(0 < self.delta <= 1, "delta", self.delta, "a number in (0, 1]")
        require(0 < self.risk_aversion <= 5, "risk_aversion", self.risk_aversion, "in (0, 5]")
        require(0 < self.hours < math.inf, "hours", self.hours, "a positive number")
        require(0 <= self.benefit < math.inf, "benefit", self.benefit, "a number of at least 0")
        dear = max(self.taxes)
        enough = f"less, as it would take a tax of {dear:.3g} of the wage to pay for it"
        require(dear < 1, "benefit", self.benefit, enough)

    def without_aggregate_shocks(self) -> KrusellSmith:
        """The same in which productivity and unemployment are always at their means.

        This is the economy of Aiyagari (1994) with unemployment for risk.
        """
        weight = self.aggregate.stationary

        def mean(values):
            return (float(weight @ torch.tensor(values, dtype=torch.float64).numpy()),)

        return replace(
            self,
            aggregate=MarkovChain((self.aggregate.mean,), ((1.0,),)),
            unemployment=mean(self.unemployment),
            spell=mean(self.spell),
        )

    # ------------------------------------------------------------------ technology
    @cached_property
    def labour(self) -> tuple[float, ...]:
        """Labour per household in each aggregate state."""
        return tuple(self.hours * (1 - u) for u in self.unemployment)

    @cached_property
    def taxes(self) -> tuple[float, ...]:
        """The tax on wages in each aggregate state."""
        pairs = zip(self.unemployment, self.labour, strict=True)
        return tuple(self.benefit * u / work for u, work in pairs)

    @cached_property
    def efficient_capital(self) -> float:
        r"""Capital per household if all are insured and nothing is left to chance,

        .. math:: \bar l \bar L \left[\frac{\alpha\beta \bar z}
                  {1-\beta(1-\delta)}\right]^{1/(1-\alpha)}.
        """
        weight = self.aggregate.stationary
        labour = sum(p * x for p, x in zip(weight, self.labour, strict=True))
        gain = self.alpha * self.beta * self.aggregate.mean
        cost = 1 - self.beta * (1 - self.delta)
        return float(labour * (gain / cost) ** (1 / (1 - self.alpha)))

    def prices(self, mean: Tensor, aggregate: Tensor) -> FactorPrices:
        """What firms pay where households own `mean` (*batch, 1) in an aggregate state (*batch,).

        They pay as if it was a millionth of the efficient capital if it is less.
        """
        z = self.aggregate.level(aggregate, mean.dtype).unsqueeze(-1)
        work = table(self.labour, mean.device, mean.dtype)[aggregate].unsqueeze(-1)
        mean = mean.clamp_min(SMALLEST_MEAN * self.efficient_capital)
        output = z * mean**self.alpha * work ** (1 - self.alpha)
        return FactorPrices(self.alpha * output / mean, (1 - self.alpha) * output / work, output)

    def earnings(self, employed: Tensor, aggregate: Tensor, wage: Tensor) -> Tensor:
        """What households get beside their capital, after taxes, shape (*batch, households)."""
        tax = table(self.taxes, wage.device, wage.dtype)[aggregate].unsqueeze(-1)
        return wage * torch.where(employed == 1, (1 - tax) * self.hours, self.benefit)

    def mean_capital(self, state) -> Tensor:
        """What households own on average, of the crowd if there is one, shape (*batch, 1)."""
        return self.crowd(state).capital.mean(-2)

    def resources(self, state) -> Tensor:
        """What each household can eat or save, shape (*batch, households)."""
        prices = self.prices(self.mean_capital(state), state.aggregate)
        earned = self.earnings(state.idiosyncratic, state.aggregate, prices.wage)
        return (1 - self.delta + prices.rent) * state.capital.squeeze(-1) + earned

    # ------------------------------------------------------------------ who acts, and what they see
    @cached_property
    def roles(self):
        """`household`, which sees itself and the mean, and its crowd if it is massless."""
        household = Role(
            n_agents=self.n_households,
            n_features=5 if self.sees_spread else 4,
            n_actions=1,
            team=False,
            to_physical=saving_share,
            full_information=False,
            low=0.0,
            high=LARGEST_SHARE,
        )
        crowd = {"household_crowd": replace(household, follows="household")}
        return {"household": household} | (crowd if self.atomistic else {})

    def observe(self, state, moved=None):
        """Log resources, employment, log productivity and log mean capital, (*batch, N, 4).

        Before the last two there is the log of one plus the squared coefficient of variation, if
        households see it.
        """
        crowd = self.crowd(state).capital.squeeze(-1)
        mean = crowd.mean(-1, keepdim=True).clamp_min(SMALLEST_MEAN * self.efficient_capital)
        z = self.aggregate.level(state.aggregate, mean.dtype).unsqueeze(-1)
        common = [z.log(), mean.log()]
        if self.sees_spread:
            spread = ((crowd / mean - 1).square().mean(-1, keepdim=True)).log1p()
            common = [spread, *common]
        seen = {}
        for suffix, who in self.populations(state).items():
            # The crowd makes the prices of both.
            theirs = self.resources(state._replace(capital=who.capital))
            own = [theirs.clamp_min(NOTHING).log(), state.idiosyncratic.to(mean.dtype)]
            features = torch.broadcast_tensors(*own, *common)
            seen["household" + suffix] = torch.stack(features, -1)
        return seen

    def observe_centrally(self, state, moved=None):
        """What a critic may see: beside the household itself, all that is seen of others."""
        seen = self.observe(state)
        everybody = seen["household_crowd" if self.atomistic else "household"]
        return {name: Sight(own, everybody) for name, own in seen.items()}

    # ------------------------------------------------------------------ what happens
    @cached_property
    def fields(self) -> Fields:
        """Capital, employment (1 who has work) and the productivity chain."""
        n, output = self.n_households, self.alpha / (1 / self.beta - 1 + self.delta)
        unit = self.efficient_capital / output
        return self.with_copy(
            Fields(
                capital=Field((n, 1), "nonnegative", unit=unit),
                idiosyncratic=Field((n,), "index", "chance", size=2),
                aggregate=Field.of(self.aggregate),
            )
        )

    def reset(self, batch, generator, dtype=torch.float32):
        """Capital uniform on [0.5, 1.25] of its efficient value, all else stationary."""
        luck = self.draw(batch, generator, dtype)
        shape = (*batch, self.n_households, 1)
        uniform = torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)
        aggregate = self.aggregate.initial(luck.aggregate)
        rate = table(self.unemployment, uniform.device, dtype)[aggregate].unsqueeze(-1)
        nobody = torch.zeros(shape[:-1], dtype=torch.int64, device=uniform.device)
        employed = next_employment(rate, nobody, luck.idiosyncratic, luck.rounding)
        capital = self.efficient_capital * (0.5 + 0.75 * uniform)
        state = CapitalState(capital, employed, aggregate)
        return self.with_crowd(state) if self.atomistic else state

    def transition(self, state, actions, shocks) -> Step:
        """One period; actions are shares of resources (*batch, agents, 1)."""
        prices = self.prices(self.mean_capital(state), state.aggregate)
        most = LARGEST_CAPITAL * self.efficient_capital
        following, rewards = {}, {}
        info: dict[str, Tensor] = {}
        for suffix, who in self.populations(state).items():
            name = "household" + suffix
            resources = self.resources(state._replace(capital=who.capital))
            share = actions[name].squeeze(-1).clamp(0.0, LARGEST_SHARE)
            saved = (share * resources).clamp_max(most)
            consumption = resources - saved
            rewards[name] = self.utility(consumption)
            following["crowd" if suffix else "capital"] = saved.unsqueeze(-1)
            info = info or {
                "capital": state.capital,
                "output": prices.output,
                "consumption": consumption,
                "saving_share": share,
                "productivity": self.aggregate.level(state.aggregate, saved.dtype).unsqueeze(-1),
                "mean_capital": self.mean_capital(state),
                "rent": prices.rent,
                "wage": prices.wage,
            }
        return Step(self.State(**following, **self.move_chance(state, shocks)), rewards, info)
