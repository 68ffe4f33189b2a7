"""Euler residuals from automatic differentiation against formulas written by hand."""

import importlib
from dataclasses import replace

import pytest
import torch

from lectures_lib.economies import (
    BrockMirman,
    FixedAction,
    Market,
    MarkovChain,
    Planner,
    map_state,
)
from lectures_lib.economies.play import in_actions
from lectures_lib.solvers import euler_residuals, marginal_values, solve
from lectures_lib.solvers.euler import NoEulerEquation, in_regime, in_state
from lectures_lib.solvers.steady_state import without_risk


def saves_more_when_rich(state, moved=None):
    """A rule that depends on everything in the state and solves nothing."""
    z = 0.02 * state.idiosyncratic.unsqueeze(-1) + 0.03 * state.aggregate[..., None, None]
    return {"planner": 0.05 + 0.002 * state.capital + z}


def residuals_by_hand(economy, policy, state):
    """phi I U'(C) = beta E[U'(C') (alpha Y'/K' + (1 - delta) phi I')], one household and good."""
    a, b, d, phi, sigma = (
        getattr(economy, n) for n in ("alpha", "beta", "delta", "phi", "risk_aversion")
    )
    own, common = economy.idiosyncratic, economy.aggregate

    def quantities(k, z, big_z):
        index = [torch.full(k.shape, z), torch.full(k.shape, big_z)]
        at = economy.State(k.reshape(-1, 1, 1), index[0].reshape(-1, 1), index[1])
        y = own.values[z] * common.values[big_z] * k**a
        spending = policy(at)["planner"].flatten() * y
        return y, y - spending, torch.sqrt(2 * spending / phi)

    residuals = []
    for i in range(state.capital.shape[0]):
        k = state.capital[i].flatten()
        z, big_z = state.idiosyncratic[i].item(), state.aggregate[i].item()
        _, c, invest = quantities(k, z, big_z)
        following, expected = (1 - d) * k + invest, 0.0
        for z1, p in enumerate(own.transition[z]):
            for big_z1, q in enumerate(common.transition[big_z]):
                y1, c1, invest1 = quantities(following, z1, big_z1)
                worth = a * y1 / following + (1 - d) * phi * invest1
                expected = expected + p * q * c1**-sigma * worth
        residuals.append(1 - (b * expected / (phi * invest * c**-sigma)) ** (-1 / sigma))
    return torch.stack(residuals)


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_residuals_are_those_of_the_hand_written_euler_equation(sigma, states):
    economy = Planner(risk_aversion=sigma)
    state = states(economy)
    by_code = euler_residuals(economy, saves_more_when_rich, state)
    by_hand = residuals_by_hand(economy, saves_more_when_rich, state)
    assert by_hand.abs().max() > 0.02
    torch.testing.assert_close(by_code, by_hand, rtol=1e-10, atol=1e-12)


def test_the_costate_solves_first_order_conditions_with_all_cross_household_terms(states):
    economy = Planner(2)
    phi = economy.phi
    state = states(economy)
    costate, _ = marginal_values(economy, saves_more_when_rich, state)
    output = economy.output(state)
    x = saves_more_when_rich(state)["planner"].squeeze(-1) * output
    total = x.sum(-1, keepdim=True)
    unit = torch.sqrt(phi / 2 * total)
    own = (1 - x / (2 * total)) / unit  # dI_i / dx_i
    other = -x.flip(-1) / (2 * total) / unit  # dI_k / dx_i
    assert (other < -0.01).all()
    gain = costate * own + costate.flip(-1) * other
    torch.testing.assert_close(gain, 1 / (output - x), rtol=1e-11, atol=0)


def test_the_value_of_capital_is_its_product_and_what_is_left_of_it(states):
    # Envelope theorem with spending shares fixed, dx = s dY: written for two goods, one household.
    economy = Planner(1, 2)
    state = states(economy)
    share = 0.1
    policy = FixedAction(economy, share)
    costate, value = marginal_values(economy, policy, state)
    k, y = state.capital.squeeze(-2), economy.output(state)
    x = share * y
    slope = 1 / torch.sqrt(economy.phi / 2 * x) / 2  # dI_j / dx_j when one household buys
    product = economy.alpha / 2 * y / k  # dY / dK_j
    c = y * (1 - 2 * share)
    torch.testing.assert_close(costate, (1 / (c * slope)).expand(-1, 2), rtol=1e-12, atol=0)
    direct = (1 - 2 * share) * product / c
    through = product * share * (slope * costate).sum(-1, keepdim=True)
    kept = (1 - economy.delta) * costate
    torch.testing.assert_close(value, direct + through + kept, rtol=1e-12, atol=0)


def test_the_closed_form_of_brock_and_mirman_has_no_residual(states):
    economy = BrockMirman()
    solution = solve(economy)
    assert solution.euler_residuals(states(economy, 200)).abs().max() < 1e-14


def test_a_share_that_is_not_the_closed_form_has_the_residual_of_its_formula(states):
    # With C = kappa Y and full depreciation, 1 = beta E[C/C' alpha Y'/K'] fails by the factor
    # alpha beta / (1 - kappa), whatever the state.
    economy = BrockMirman()
    kappa = 0.7

    def policy(state, moved=None):
        return {"planner": (kappa * economy.output(state)).unsqueeze(-1)}

    expected = 1 - (1 - kappa) / (economy.alpha * economy.beta)
    residual = euler_residuals(economy, policy, states(economy))
    torch.testing.assert_close(residual, torch.full_like(residual, expected), rtol=1e-12, atol=0)


# ---------------------------------------------------------------------- markets
def bids(state, moved=None):
    """Households' choices in a market: unequal, and of no equilibrium."""
    z = 0.02 * state.idiosyncratic.unsqueeze(-1) + 0.03 * state.aggregate[..., None, None]
    choice = 0.05 + 0.002 * state.capital + z
    return {"household": choice}


def market_residuals_by_hand(economy, regime, state):
    """Two households, one good: m = beta E[u'(C') alpha Y'/K' + (1 - delta) m'], m written out."""
    a, b, d, phi = economy.alpha, economy.beta, economy.delta, economy.phi

    def choose(k, z, big_z):
        """Investment, marginal utility and marginal cost of both households."""
        at = economy.State(
            torch.stack(k, -1).unsqueeze(-1), torch.tensor([z]), torch.tensor([big_z])
        )
        choice = bids(at)["household"][0, :, 0]
        level = [economy.idiosyncratic.values[i] * economy.aggregate.values[big_z] for i in z]
        y = [level[i] * k[i][0] ** a for i in range(2)]
        if economy.action == "quantity":
            invest = choice
        else:
            spent = [choice[i] * y[i] for i in range(2)]
            invest = [x / (phi * sum(spent)) ** 0.5 for x in spent]
        price = phi * sum(invest)
        utility = [1 / (y[i] - price * invest[i]) for i in range(2)]
        if regime == "competitive":
            cost = [price * u for u in utility]
        elif regime == "monopsony":
            # Everybody pays phi more for each unit that he buys himself.
            burden = sum(phi * u * x for u, x in zip(utility, invest, strict=True))
            cost = [price * u + burden for u in utility]
        elif economy.action == "spending":
            total = sum(price * x for x in invest)
            kept = [1 - price * x / (2 * total) for x in invest]
            cost = [price * u / n for u, n in zip(utility, kept, strict=True)]
        else:
            cost = [(price + phi * x) * u for x, u in zip(invest, utility, strict=True)]
        return y, invest, utility, cost

    residuals = []
    for s in range(len(state.aggregate)):
        k, big_z = state.capital[s], state.aggregate[s].item()
        z = state.idiosyncratic[s].tolist()
        _, invest, _, cost = choose(list(k), z, big_z)
        following, expected = [(1 - d) * k[i] + invest[i] for i in range(2)], [0.0, 0.0]
        for n0, p0 in enumerate(economy.idiosyncratic.transition[z[0]]):
            for n1, p1 in enumerate(economy.idiosyncratic.transition[z[1]]):
                for common, q in enumerate(economy.aggregate.transition[big_z]):
                    y1, _, utility1, cost1 = choose(following, [n0, n1], common)
                    for i in range(2):
                        product = utility1[i] * a * y1[i] / following[i]
                        expected[i] += p0 * p1 * q * (product + (1 - d) * cost1[i])
        residuals.append(torch.cat([1 - cost[i] / (b * expected[i]) for i in range(2)]))
    return torch.stack(residuals)


@pytest.mark.parametrize("regime", ["competitive", "nash", "monopsony"])
@pytest.mark.parametrize("action", ["spending", "quantity"])
def test_a_markets_residuals_are_those_of_hand_written_conditions(action, regime, states):
    economy = Market(2, action=action)
    state = states(economy, 12)
    by_code = euler_residuals(economy, bids, state, regime)
    by_hand = market_residuals_by_hand(economy, regime, state)
    assert by_hand.abs().max() > 0.02
    torch.testing.assert_close(by_code, by_hand, rtol=1e-9, atol=1e-12)


def test_the_economys_own_game_is_what_is_judged_by_default(states):
    finite, massless = Market(2), Market(2, atomistic=True)
    state = states(finite)
    residual = {r: euler_residuals(finite, bids, state, r) for r in ("competitive", "nash")}
    assert (residual["competitive"] - residual["nash"]).abs().min() > 1e-3
    assert torch.equal(euler_residuals(finite, bids, state), residual["nash"])
    crowded = massless.with_crowd(state)
    torch.testing.assert_close(euler_residuals(massless, bids, crowded), residual["competitive"])
    # Either kind of state and economy can be asked about either regime.
    torch.testing.assert_close(euler_residuals(massless, bids, crowded, "nash"), residual["nash"])
    planner = Planner(2)
    own = euler_residuals(planner, FixedAction(planner, 0.1), state)
    assert torch.equal(own, euler_residuals(planner, FixedAction(planner, 0.1), state, "planner"))


def test_roles_that_share_the_households_make_no_difference(states):
    plain, grouped = Market(2), Market(2, n_uninformed=1)
    state = states(plain)

    def by_role(state, moved=None):
        one, other = bids(state)["household"].split(1, -2)
        return {"informed": one, "uninformed": other}

    for regime in ("competitive", "nash", "monopsony"):
        expected = euler_residuals(plain, bids, state, regime)
        torch.testing.assert_close(euler_residuals(grouped, by_role, state, regime), expected)


def test_states_and_actions_are_those_of_the_economy_that_is_asked_about(states):
    finite, massless = Market(2), Market(2, atomistic=True)
    assert in_regime(finite, "competitive") == (massless, False)
    assert in_regime(massless, "monopsony") == (finite, True)
    assert in_regime(massless, None) == (massless, False)
    assert in_regime(Planner(), None) == (Planner(), True)
    state = states(finite, 3)
    crowded = in_state(massless, state)
    assert torch.equal(crowded.crowd, state.capital) and in_state(finite, state) is state
    poorer = crowded._replace(capital=0.5 * crowded.capital)
    assert torch.equal(in_state(finite, poorer).capital, state.capital), "the crowd stays"
    actions = in_actions(massless, bids(state))
    assert actions["household_crowd"] is actions["household"]


@pytest.mark.parametrize(
    ("economy", "regime"),
    [(Planner(), "nash"), (Market(), "planner"), (Market(), "cournot"), (BrockMirman(), "nash")],
)
def test_a_regime_that_the_economy_does_not_have_is_refused(economy, regime, states):
    with pytest.raises(
        ValueError, match=f"regime='{regime}': {type(economy).__name__} (has no|knows)"
    ):
        euler_residuals(economy, FixedAction(economy, 0.1), states(economy), regime)


# ---------------------------------------------------------------------- roles
class Impatient(BrockMirman):
    """A planner who is less patient than the economy says."""

    @property
    def roles(self):
        return {name: replace(role, discount=0.5) for name, role in super().roles.items()}


class Unlike(Market):
    """Informed and uninformed households that are not equally patient."""

    @property
    def roles(self):
        patience = {"informed": 0.9, "uninformed": 0.8}
        return {n: replace(role, discount=patience[n]) for n, role in super().roles.items()}


class TwoTeams(Market):
    """Two cartels."""

    @property
    def roles(self):
        return {name: replace(role, team=True) for name, role in super().roles.items()}


def grouped(state, moved=None):
    """What :func:`bids` does, by role: one household is informed, the others are not."""
    choice = bids(state)["household"]
    return {"informed": choice[..., :1, :], "uninformed": choice[..., 1:, :]}


def test_a_roles_own_discount_is_what_its_residuals_are_about(states):
    economy = Impatient()
    share = 1 - 0.5 * economy.alpha  # the closed form for its own discount factor

    def policy(state, moved=None):
        return {"planner": (share * economy.output(state)).unsqueeze(-1)}

    assert euler_residuals(economy, policy, states(economy)).abs().max() < 1e-14


def test_every_stock_is_discounted_by_its_owner(states):
    economy = Unlike(3, n_uninformed=2)
    state = states(economy)
    found = euler_residuals(economy, grouped, state)
    for beta, own in ((0.9, slice(0, 1)), (0.8, slice(1, 3))):
        plain = replace(Market(3, n_uninformed=2), beta=beta)
        expected = euler_residuals(plain, grouped, state)[:, own]
        torch.testing.assert_close(found[:, own], expected, rtol=1e-12, atol=0)


def test_who_decide_jointly_need_one_discount(states):
    economy = Unlike(3, n_uninformed=2)
    with pytest.raises(NoEulerEquation, match=r"'informed': 0.9, 'uninformed': 0.8}: .* need one"):
        euler_residuals(economy, grouped, states(economy), "monopsony")


def test_two_teams_are_not_one(states):
    economy = TwoTeams(3, n_uninformed=2)
    with pytest.raises(NoEulerEquation, match=r"\['informed', 'uninformed'\] decide as teams"):
        euler_residuals(economy, grouped, states(economy))


# ---------------------------------------------------------------------- expectations
@pytest.mark.parametrize("economy", [Market(3), Planner(3)], ids=["market", "planner"])
def test_expectations_over_draws_are_near_the_exact_ones(economy, states, monkeypatch):
    module, role = importlib.import_module(euler_residuals.__module__), next(iter(economy.roles))

    def policy(state, moved=None):
        return {role: bids(state)["household"] + 0.02 * state.capital.mean(-2, keepdim=True) ** 0.5}

    state = states(economy, 20)
    exact = euler_residuals(economy, policy, state)
    monkeypatch.setattr(module, "EXACT_OUTCOMES", 0)
    errors = [
        (euler_residuals(economy, policy, state, draws=n) - exact).abs().mean() for n in (20, 320)
    ]
    # Own luck and aggregate luck are exact; what is left is of the order of the root of 1 / draws.
    assert 0 < errors[1] < errors[0] / 2 and errors[0] < 0.1 * exact.abs().mean()


def test_every_household_is_weighed_by_the_chances_of_its_own_luck(states, monkeypatch):
    chain = MarkovChain.symmetric((0.5, 1.5), stay=0.9)
    economy, module = (
        Market(4, idiosyncratic=chain),
        importlib.import_module(euler_residuals.__module__),
    )
    state = states(economy, 20)
    exact = euler_residuals(economy, bids, state)
    monkeypatch.setattr(module, "EXACT_OUTCOMES", 0)
    draw, error = Market.sampled_outcomes, {}

    def same_for_everybody(*arguments):
        shocks, weight = draw(*arguments)
        return shocks, weight.mean(-1, keepdim=True).expand_as(weight)

    # A tenth of 25 draws is no whole number, so that the draws' own shares are not the chances.
    for name, method in (("own", draw), ("same", same_for_everybody)):
        monkeypatch.setattr(Market, "sampled_outcomes", method)
        sampled = euler_residuals(economy, bids, state, draws=25)
        error[name] = (sampled - exact).abs().mean()
    assert error["own"] < 0.7 * error["same"]


def test_a_hundred_households_have_residuals(states):
    economy = Market(100)
    residual = euler_residuals(economy, bids, states(economy, 2), draws=2)
    assert residual.shape == (2, 100) and torch.isfinite(residual).all()
    assert torch.equal(residual, euler_residuals(economy, bids, states(economy, 2), draws=2))


def test_many_states_are_taken_in_parts(states, monkeypatch):
    economy = Market(2)
    whole = euler_residuals(economy, bids, states(economy, 7))
    module = importlib.import_module(euler_residuals.__module__)
    monkeypatch.setattr(module, "STOCKS_AT_ONCE", 4)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 1)
    torch.testing.assert_close(euler_residuals(economy, bids, states(economy, 7)), whole)


def test_residuals_are_computed_in_double_precision_from_single_precision_states():
    economy = Planner()
    single = economy.reset((8,), torch.Generator().manual_seed(0))
    double = map_state(lambda x: x.double() if x.is_floating_point() else x, single)
    solution = solve(economy)
    assert torch.equal(solution.euler_residuals(single), solution.euler_residuals(double))


def test_residuals_have_one_entry_for_each_stock_and_free_leading_dimensions():
    economy = without_risk(Planner(2, 2))
    state = economy.reset((2, 3), torch.Generator(), torch.float64)
    residual = euler_residuals(economy, FixedAction(economy, 0.1), state)
    assert residual.shape == (2, 3, 4) and residual.dtype == torch.float64
    alone = euler_residuals(economy, FixedAction(economy, 0.1), map_state(lambda x: x[1, 2], state))
    torch.testing.assert_close(residual[1, 2], alone)


@pytest.mark.parametrize("regime", ["competitive", "nash", "monopsony"])
def test_a_markets_residuals_have_free_leading_dimensions(regime):
    economy = Market(2, 2)
    state = economy.reset((2, 3), torch.Generator(), torch.float64)
    policy = FixedAction(economy, 0.1)
    residual = euler_residuals(economy, policy, state, regime)
    assert residual.shape == (2, 3, 4) and residual.dtype == torch.float64
    alone = euler_residuals(economy, policy, map_state(lambda x: x[1, 2], state), regime)
    torch.testing.assert_close(residual[1, 2], alone)
    costate, value = marginal_values(economy, policy, state, regime)
    assert costate.shape == value.shape == (2, 3, 4) and (costate > 0).all() and (value > 0).all()
