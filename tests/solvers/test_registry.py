"""Economies that join the solvers from outside, and derived ones that have changed their rules."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import pytest
import torch
from foreign import Saver

from lectures_lib.economies import BrockMirman, FixedAction, Market, Planner
from lectures_lib.solvers import (
    Solution,
    SteadyState,
    conditions_of,
    regimes_of,
    solve,
    steady_state,
    time_iteration,
)
from lectures_lib.solvers.capital import rest, solve_with_capital
from lectures_lib.solvers.market import MarketConditions
from lectures_lib.solvers.regimes import Conditions


class Fishery(Saver):
    """A saver whose best share is known."""


@solve.register(Fishery)
def _(economy, regime, method, domain):
    return Solution(economy, regime, FixedAction(economy, economy.best))


@steady_state.register(Fishery)
def _(economy, regime, method):
    wealth = economy.best ** (economy.alpha / (1 - economy.alpha))
    saved = economy.best * wealth
    return SteadyState(wealth, saved, wealth, wealth - saved, economy.best, 1.0)


class Lake(Fishery):
    """Another name."""


class Pond(Fishery):
    """Other rules: half of the fish die."""

    def transition(self, state, actions, shocks):
        step = super().transition(state, actions, shocks)
        return step._replace(state=self.State(step.state.wealth / 2))


@pytest.mark.parametrize("economy", [Fishery(), Lake(alpha=0.3)])
def test_an_economy_that_registers_its_solver_gets_a_solution(economy, states):
    solution = solve(economy)
    assert solution.economy is economy and solution.method == "closed form"
    assert solution.euler_residuals(states(economy)).abs().max() < 1e-12
    # What is asked for arrives, by position or by name.
    assert solve(economy, "planner").regime == solve(economy=economy, regime="planner").regime
    state = economy.State(torch.tensor([solution.steady_state.capital], dtype=torch.float64))
    following = economy.step(state, solution.policy(state), economy.no_luck(state)).state
    torch.testing.assert_close(following.wealth, state.wealth, rtol=1e-14, atol=0)


def test_derived_classes_with_other_rules_are_refused_here_too():
    with pytest.raises(TypeError, match=r"Pond has other rules than Fishery, .* solve knows"):
        solve(Pond())
    with pytest.raises(
        TypeError, match=r"Pond has other rules than Fishery, .* steady_state knows"
    ):
        steady_state(Pond())
    with pytest.raises(TypeError, match=r"no solver for Saver: expected one of Planner, .*Fishery"):
        solve(Saver())


def with_roles(kind, **changes):
    """A class whose roles differ from those of the economy that it is derived from."""

    class Derived(kind):
        @property
        def roles(self):
            return {name: replace(role, **changes) for name, role in super().roles.items()}

    return Derived


class Turns(Market):
    """The uninformed move first."""

    @property
    def stages(self):
        return ("uninformed",), ("informed",)


OTHER_ROLES = {
    "discount, growth": with_roles(BrockMirman, discount=0.5)(),
    "discount, market": with_roles(Market, discount=0.9)(2),
    "no team": with_roles(Planner, team=False)(2),
    "follows": with_roles(Market, follows="nobody")(2),
    "stages": Turns(2, n_uninformed=1),
}


@pytest.mark.parametrize("economy", list(OTHER_ROLES.values()), ids=list(OTHER_ROLES))
def test_derived_classes_with_other_roles_or_stages_are_refused(economy):
    for task in (solve, steady_state):
        with pytest.raises(TypeError, match=r"has other rules than .*: roles or discount factors"):
            task(economy)


def test_a_derived_class_that_repeats_its_bases_roles_is_solved():
    assert solve(with_roles(BrockMirman, discount=0.96)()).method == "closed form"


class AnyFishery(Saver):
    """A base that is never made."""

    @property
    @abstractmethod
    def fish(self) -> str:
        """Which kind."""


class Trout(AnyFishery):
    fish = "trout"


def test_an_abstract_base_has_no_rules_to_differ_from():
    solve.register(AnyFishery, lambda economy, *_: Solution(economy, "planner", economy.fish))
    assert solve(Trout()).policy == "trout"


# ---------------------------------------------------------------- income that is not produced
class Endowed:
    """Every household is given goods that no capital makes."""

    endowment = 2.0

    def income(self, state, output=None):
        return super().income(state, output) + self.endowment


@dataclass(frozen=True)
class EndowedPlanner(Endowed, Planner):
    pass


@dataclass(frozen=True)
class EndowedMarket(Endowed, Market):
    pass


conditions_of.register(EndowedPlanner, Conditions)
conditions_of.register(EndowedMarket, MarketConditions)
for kind in (EndowedPlanner, EndowedMarket):
    solve.register(kind, solve_with_capital)
    steady_state.register(kind, lambda e, r, m: rest(e, r, m, e.efficient_capital))

ENDOWED = [
    (EndowedPlanner(), "planner"),
    (EndowedPlanner(1, 2), "planner"),
    (EndowedMarket(2), "competitive"),
    (EndowedMarket(2), "nash"),
    (EndowedMarket(2, action="quantity", rebate_profits=True), "nash"),
    (EndowedMarket(2, atomistic=True), "competitive"),
]


@pytest.mark.parametrize(("economy", "regime"), ENDOWED)
def test_a_rule_for_an_economy_with_an_endowment_satisfies_its_own_codes_conditions(
    economy, regime, states
):
    policy, _ = time_iteration(economy, regime)
    solution = Solution(economy, regime, policy, method="time iteration")
    assert solution.euler_residuals(states(economy)).abs().max() < 1e-5
    # Who is given something saves otherwise, but not because capital were worth more.
    plain = next(k for k in type(economy).__mro__ if k in (Planner, Market))()
    state = economy.reset((3,), torch.Generator().manual_seed(0), torch.float64)
    books = economy.accounts(economy.income(state), policy.investment(state))
    step = economy.step(state, policy(state), economy.no_luck(state))
    torch.testing.assert_close(step.info["consumption"], books.consumption, rtol=1e-12, atol=0)
    torch.testing.assert_close(step.info["output"], economy.output(state))
    assert regimes_of(economy) == regimes_of(plain)


@pytest.mark.parametrize("economy", [EndowedPlanner(3, 2), EndowedMarket(3, atomistic=True)])
def test_an_endowment_leaves_the_steady_state_where_it_is(economy):
    at_rest, root = steady_state(economy), steady_state(economy, method="root finder")
    assert root.capital == pytest.approx(economy.efficient_capital, rel=1e-12)
    spent = economy.n_goods * at_rest.price * at_rest.investment
    income = at_rest.output + economy.endowment
    assert at_rest.consumption == pytest.approx(income - spent, rel=1e-12)
    assert at_rest.saving_share == pytest.approx(spent / income, rel=1e-12)


def test_an_endowed_economy_that_has_not_registered_is_refused():
    class Gifted(EndowedMarket):
        endowment = 3.0

    with pytest.raises(TypeError, match="Gifted has other rules than EndowedMarket"):
        solve(Gifted(2))
