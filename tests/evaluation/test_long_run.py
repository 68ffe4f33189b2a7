"""Whether the beginning is forgotten, in economies whose speed is known."""

import math
import warnings
from collections import namedtuple
from dataclasses import dataclass, replace

import pytest
import torch
from games import Borrower

from lectures_lib.economies import (
    AutoRegression,
    BrockMirman,
    Field,
    Fields,
    FixedAction,
    Market,
    MarkovChain,
    Monopolist,
    Planner,
    Step,
)
from lectures_lib.evaluation import (
    burn_in,
    dynamic_accuracy,
    ergodic_moments,
    evaluate,
    exploitability,
    impulse_response,
    initial_states,
    long_run,
)
from lectures_lib.evaluation.long_run import ergodic_states
from lectures_lib.solvers import solve, without_risk

# Where 1.7% of a difference in capital is forgotten per period.
SLOW = {"beta": 0.98, "delta": 0.02}


@dataclass(frozen=True)
class PlannerFrom(Planner):
    """Begins with given capital."""

    begin: float = 1.0

    def reset(self, batch, generator, dtype=torch.float32):
        state = super().reset(batch, generator, dtype)
        return state._replace(capital=torch.full_like(state.capital, self.begin))


@dataclass(frozen=True)
class MarketFrom(Market):
    """Begins with given capital."""

    begin: float = 1.0

    def reset(self, batch, generator, dtype=torch.float32):
        state = super().reset(batch, generator, dtype)
        return state._replace(capital=torch.full_like(state.capital, self.begin))


def where_at_rest(economy, share):
    """Capital at which a fixed share of output replaces what depreciates, found by bisection."""
    state = economy.reset((1,), torch.Generator().manual_seed(0), torch.float64)
    shocks = economy.draw((1,), torch.Generator().manual_seed(0), torch.float64)
    low, high = (math.log(x * economy.efficient_capital) for x in (1e-2, 1e2))
    while high - low > 1e-14:
        middle = (low + high) / 2
        now = state._replace(capital=torch.full_like(state.capital, math.exp(middle)))
        after = economy.step(now, FixedAction(economy, share)(now), shocks).state
        low, high = (low, middle) if after.capital.sum() < now.capital.sum() else (middle, high)
    return math.exp(low)


@pytest.fixture
def impatient(monkeypatch):
    """Alarms after fewer periods."""
    monkeypatch.setattr(long_run, "PATIENCE", 400)
    monkeypatch.setattr(long_run, "LONGEST", 1000)


@pytest.fixture
def no_alarm():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# ---------------------------------------------------------------------- how long it takes
@pytest.mark.parametrize("alpha", [0.36, 0.9, 0.95])
def test_without_shocks_the_burn_in_is_that_of_the_closed_form(alpha, no_alarm):
    # Of a difference in log capital, alpha^t is left after t periods.
    economy = without_risk(BrockMirman(alpha=alpha))
    expected = math.log(1e-12) / math.log(alpha)
    found = burn_in(solve(economy), economy, least=0)
    # Economies begin apart by less than one, and are looked at every 50 periods.
    assert expected - 2 / (1 - alpha) < found < expected + 50
    assert burn_in(solve(economy), economy, least=1234) == 1234


@pytest.mark.parametrize("low", [0.8, 0.99])
def test_with_shocks_what_is_left_is_small_beside_what_they_do(low, no_alarm):
    # log K' = log(alpha beta) + log Z + alpha log(K / K*), Z one of two values without memory.
    alpha, chain = 0.95, MarkovChain.symmetric((low, 1 / low), stay=0.5)
    economy = BrockMirman(alpha, aggregate=chain)
    spread = -math.log(low) / math.sqrt(1 - alpha**2)
    begin = initial_states(None, economy, 1000, 0).capital.log() - math.log(alpha * economy.beta)
    moved = math.sqrt(begin.square().mean() + spread**2)
    expected = math.log(0.01 * spread / moved) / math.log(alpha)
    # Economies are looked at every 50 periods, and their spread is known to an eighth.
    assert expected - 10 < burn_in(solve(economy), economy, least=0) < expected + 60


def test_what_a_persistent_chain_remembers_is_waited_for(no_alarm):
    quick, slow = (
        BrockMirman(aggregate=MarkovChain.symmetric((0.9, 1.1), stay=stay)) for stay in (0.9, 0.995)
    )
    assert burn_in(solve(quick), quick, least=0) <= 100
    # A share 0.99^t of pairs still differ in productivity; of 32 pairs, one after 345 periods.
    assert 250 <= burn_in(solve(slow), slow, least=0) <= 700


def test_the_papers_calibration_needs_no_more_than_it_was_given(exact, competitive, no_alarm):
    for solution in (exact, competitive):
        assert burn_in(solution, solution.economy) == long_run.SHORTEST
    assert burn_in(FixedAction(Planner(), 0.1), Planner()) == long_run.SHORTEST
    for share in (0.02, 0.9):  # which lead far away from where the economy begins
        assert burn_in(FixedAction(Planner(), share), Planner()) <= 300


def test_who_all_begin_alike_have_a_beginning_to_forget():
    same = PlannerFrom(**SLOW, begin=10.0)
    assert same.efficient_capital > 3 * same.begin
    assert burn_in(FixedAction(same, 0.1), same) >= 350


def test_the_slowest_run_counts(as_runs):
    economy = without_risk(BrockMirman())

    def forgets(power):
        def policy(state, moved=None):  # K' = K ** power / 2
            return {"planner": (economy.output(state) - 0.5 * state.capital**power).unsqueeze(-1)}

        return policy

    slow, fast = forgets(0.9), forgets(0.5)
    alone = [burn_in(policy, economy, least=0) for policy in (slow, fast)]
    assert burn_in(as_runs(fast, slow), economy, least=0) == alone[0] > 2 * alone[1]


# ---------------------------------------------------------------------- what it serves
def test_moments_of_a_slow_economy_without_shocks_are_where_it_is_at_rest(no_alarm):
    economy = without_risk(Planner(**SLOW))
    moments = ergodic_moments(FixedAction(economy, 0.08), economy, paths=4, periods=20)
    rest = where_at_rest(economy, 0.08)
    assert moments["mean of capital"].value == pytest.approx(rest, rel=1e-9)
    for name in ("capital", "output", "consumption", "investment", "saving share"):
        mean, (sd, error) = moments[f"mean of {name}"], moments[f"s.d. of {name}"]
        assert max(mean.standard_error, sd, error) < 1e-9 * mean.value
    assert math.isnan(moments["correlation of saving share and productivity"].value)


def test_gains_in_the_long_run_are_those_of_who_begins_there(no_alarm):
    slow, share = without_risk(Market(2, **SLOW)), 0.07
    rested = without_risk(MarketFrom(2, **SLOW, begin=where_at_rest(slow, share)))
    found, expected = (exploitability(FixedAction(e, share), e, paths=8) for e in (slow, rested))
    assert found.ergodic_gain == pytest.approx(expected.gain, rel=1e-2)
    assert found.ergodic_standard_error < 1e-9
    assert found.gain != pytest.approx(expected.gain, rel=0.1)


def test_losses_in_the_long_run_are_those_of_who_begins_there(no_alarm):
    slow, share = without_risk(Planner(**SLOW)), 0.2
    rested = without_risk(PlannerFrom(**SLOW, begin=where_at_rest(slow, share)))
    found, expected = (
        evaluate(FixedAction(e, 0.1), e, FixedAction(e, share), paths=2, start=start)
        for e, start in ((slow, "ergodic"), (rested, "initial"))
    )
    loss = expected.consumption_equivalent_loss
    assert found.consumption_equivalent_loss == pytest.approx(loss, rel=1e-9)
    assert found.reference_moments["mean of capital"] == pytest.approx(rested.begin, rel=1e-9)
    # Moments are those of the policy's long run wherever it begins.
    assert found.moments["mean of capital"] == pytest.approx(where_at_rest(slow, 0.1), rel=1e-9)
    assert max(m["s.d. of capital"] for m in (found.moments, found.reference_moments)) < 1e-9


def test_paths_of_the_euler_equation_start_where_the_policy_leads(no_alarm):
    slow = without_risk(Planner(**SLOW))
    rested = without_risk(PlannerFrom(**SLOW, begin=where_at_rest(slow, 0.1)))
    found, expected = (
        dynamic_accuracy(FixedAction(e, 0.1), e, paths=2, periods=20) for e in (slow, rested)
    )
    assert found.capital_max == pytest.approx(expected.capital_max, rel=1e-6)
    assert found.capital_mean == pytest.approx(expected.capital_mean, rel=1e-6)


def test_impulse_responses_start_where_the_policy_leads(no_alarm):
    # At rest investment replaces depreciation, and it is the root of output.
    low, high = 0.98, 1.02
    chain = MarkovChain.symmetric((low, high), stay=0.5)
    economy = Planner(
        beta=0.98, delta=0.005, aggregate=chain, idiosyncratic=MarkovChain((1.0,), ((1.0,),))
    )
    policy = FixedAction(economy, 0.6)  # twice and a half as much capital as it begins with
    response = impulse_response(policy, economy, periods=2, paths=2048)["capital"][1].item()
    mean = (math.sqrt(low) + math.sqrt(high)) / 2
    # Of 2,048 paths, half of them and 22 more or fewer are in a boom already.
    assert response == pytest.approx(0.005 * (math.sqrt(high) / mean - 1), rel=4 * 22 / 1024)


# ---------------------------------------------------------------------- who never forgets
def poor_stay_poor(state, moved=None):
    """Two places at rest, each of which some economies begin near to."""
    poor = state.capital < 0.8 * Planner().efficient_capital
    return {"planner": torch.where(poor, 0.02, 0.2).double()}


def replaces_what_depreciates(state, moved=None):
    """Consumes what leaves capital where it is."""
    output = BrockMirman().output(state)
    return {"planner": (output - state.capital).clamp(1e-3).unsqueeze(-1)}


NEVER = {
    "falls": (Planner(), FixedAction(Planner(), 0.0), r"100%.*a factor of [0-9.]+e-"),
    "poverty trap": (without_risk(Planner()), poor_stay_poor, r"\d+%.*a factor of"),
    "stays": (BrockMirman(), replaces_what_depreciates, r"100%.*a factor of 1\)"),
}


@pytest.mark.parametrize(("economy", "policy", "told"), list(NEVER.values()), ids=list(NEVER))
def test_what_is_never_forgotten_is_told(economy, policy, told, impatient):
    with pytest.warns(RuntimeWarning, match=rf"after 400 periods.*capital by {told}.*first="):
        assert burn_in(policy, economy) == 400
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ergodic_moments(policy, economy, paths=2, periods=3, first=10)  # somebody else's choice


def test_every_number_of_the_long_run_brings_the_warning(impatient):
    economy = Market(2)
    policy = FixedAction(economy, 1e-30)
    few = {"policy": policy, "economy": economy, "paths": 2}
    calls = [
        lambda: ergodic_moments(**few, periods=3),
        lambda: evaluate(**few),
        lambda: evaluate(**few, start="ergodic"),
        lambda: impulse_response(**few, periods=2),
        lambda: dynamic_accuracy(**few, periods=2),
    ]
    for call in calls:
        with pytest.warns(RuntimeWarning, match="has not forgotten where it began.*capital by"):
            call()


def test_who_is_too_slow_is_told(monkeypatch):
    monkeypatch.setattr(long_run, "LONGEST", 300)
    economy = without_risk(Planner(**SLOW))
    with pytest.warns(RuntimeWarning, match="after 300 periods.*merely slow"):
        assert burn_in(FixedAction(economy, 0.1), economy) == 300


def test_stocks_that_vanish_are_refused():
    def nothing(state, moved=None):
        return {"planner": torch.where(state.capital > 1e-3, 10.0, math.nan).double()[..., None]}

    with pytest.raises(ValueError, match="values of capital that are not positive and finite"):
        burn_in(nothing, BrockMirman())


# ---------------------------------------------------------------------- no false alarms
def overshoots(state, moved=None):
    """Jumps between two shares for ever, without risk in a cycle."""
    poor = state.capital < Planner().efficient_capital
    return {"planner": torch.where(poor, 0.2, 0.05).double()}


def dices(state, moved=None):
    """Explores: two copies never do the same."""
    luck = torch.rand(state.capital.shape, dtype=torch.float64)
    return {"planner": 0.05 + 0.1 * luck}


def in_single_precision(state, moved=None):
    """A rule with the rounding of a network, which keeps copies apart."""
    log = state.capital.float().log()
    return {"planner": (0.2 * torch.exp(-0.3 * log + 1e-6 * torch.sin(1e6 * log))).double()}


def test_copies_that_rounding_keeps_apart_are_the_same(no_alarm):
    economy = without_risk(BrockMirman())

    def sticks(state, moved=None):  # within a ten-millionth of where it leads
        log = (state.capital / 0.3).log()
        following = 0.3 * torch.exp(torch.where(log.abs() < 1e-7, log, 0.9 * log))
        return {"planner": (economy.output(state) - following).unsqueeze(-1)}

    assert burn_in(sticks, economy) <= 500


WILD = Planner(aggregate=MarkovChain.symmetric((0.5, 1.5), stay=0.98))


@pytest.mark.parametrize("economy", [Planner(), without_risk(Planner()), WILD])
@pytest.mark.parametrize("policy", [overshoots, dices, in_single_precision])
def test_rules_that_jump_explore_or_round_give_no_alarm(policy, economy, no_alarm):
    torch.manual_seed(0)
    assert burn_in(policy, economy) <= 1000


ALL = [
    BrockMirman(),
    Planner(1, 2),
    Planner(2, 2),
    Market(3, n_uninformed=1),
    Market(2, atomistic=True),
    Market(20),
    Monopolist(),
]


@pytest.mark.parametrize("economy", ALL, ids=lambda e: type(e).__name__)
def test_no_economy_gives_a_false_alarm(economy, no_alarm):
    assert 200 <= burn_in(FixedAction(economy, 0.1), economy) <= 300


def test_a_readers_function_of_a_list_of_paths_is_followed():
    # It indexes states as those of (paths, ...), which is what `simulate` says they are.
    def policy(state, moved=None):
        assert state.aggregate.dim() == 1
        return {"planner": 0.1 * (1 + 0.1 * state.aggregate[:, None, None].double())}

    def whole(state, moved=None):
        return {"planner": 0.1 * (1 + 0.1 * state.aggregate[..., None, None].double())}

    assert burn_in(policy, Planner()) == burn_in(whole, Planner())


@dataclass(frozen=True)
class Drifting(Borrower):
    """Two borrowers' assets move by what is left of 1, for ever, or by luck around zero."""

    State = namedtuple("DriftingState", "assets income")
    pulled: bool = False

    @property
    def fields(self):
        assets = Field((2,), "real", unit=0.5)
        return Fields(assets=assets, income=Field.of(self.income))

    @property
    def roles(self):
        return {"household": replace(super().roles["household"], n_agents=2)}

    def reset(self, batch, generator, dtype=torch.float32):
        uniform = torch.rand((*batch, 2), generator=generator, dtype=dtype)
        return self.State(uniform, super().reset(batch, generator, dtype).income)

    def transition(self, state, actions, shocks):
        assets = state.assets + (1 - actions["household"].squeeze(-1))
        if self.pulled:  # what both have together returns to their income, and their distance stays
            assets = state.assets - 0.5 * state.assets.mean(-1, keepdim=True) + self._y(state)
        following = self.State(assets, **self.move_chance(state, shocks))
        return Step(following, {"household": 0 * assets}, {})


def test_what_may_be_negative_has_moved_by_an_amount_and_not_by_a_factor():
    game = Drifting()
    # Half a unit of wealth in each of 5,000 periods.
    with pytest.warns(RuntimeWarning, match=r"differ in assets .*moved by 2\.5e\+03\)"):
        burn_in(FixedAction(game, 0.5), game)


def test_a_distribution_that_is_remembered_is_said_to_have_moved_by_nothing():
    game = Drifting(pulled=True)
    with pytest.warns(RuntimeWarning, match="the distribution of assets by 100%") as caught:
        burn_in(FixedAction(game, 0.5), game)
    assert "moved by" not in str(caught[0].message)


def test_luck_that_is_a_real_number_is_forgotten_too():
    economy = BrockMirman(aggregate=AutoRegression(0.9, 0.04))
    policy = solve(economy).policy
    start = initial_states(policy, economy, 512, seed=0)
    late = ergodic_states(policy, economy, start, seed=0)
    # log K' = alpha log K + x up to a constant: Var = alpha^2 Var + Var x + 2 alpha Cov.
    variance, alpha, rho = economy.aggregate.spread**2, economy.alpha, 0.9
    covariance = rho * variance / (1 - alpha * rho)
    expected = (variance + 2 * alpha * covariance) / (1 - alpha**2)
    assert late.capital.log().var().item() == pytest.approx(expected, rel=0.3)
