"""Every figure has labelled axes, names every policy, and shows what it is given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from lectures_lib import plotting
from lectures_lib.agents import PPO, PPOConfig
from lectures_lib.economies import BrockMirman, Market, Planner
from lectures_lib.solvers import solve

ECONOMIES = {"planner": Planner(), "growth": BrockMirman()}


@pytest.fixture(scope="module", params=list(ECONOMIES))
def economy(request):
    return ECONOMIES[request.param]


@pytest.fixture(scope="module")
def agent(economy):
    config = PPOConfig(groups=1, replicates=2, horizon=2, hidden=(4,), warm_up=1)
    agent = PPO(economy, seeds=[1, 2], device="cpu", config=config)
    losses = iter([[2.0, 4.0], [1.0, 3.0], [0.5, 2.0], [0.1, 1.0]])
    agent.learn(
        4 * agent.steps_per_iteration,
        callback=lambda _: {"loss, %": next(losses)},
        callback_every=1,
    )
    return agent


@pytest.fixture(scope="module")
def policies(economy, agent):
    return {"exact": solve(economy).policy, "single": agent.policy[0], "runs": agent.policy}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def labels(ax):
    return {text.get_text() for text in ax.get_legend().get_texts()}


def check(figure):
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_ylabel()
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.lines and all(np.isfinite(line.get_ydata()).all() for line in ax.lines)
    figure.canvas.draw()


def test_decision_rules(economy, policies):
    figure = plotting.decision_rules(economy, policies, points=7)
    check(figure)
    assert len(figure.axes) == len(economy.aggregate)
    assert figure.axes[0].get_ylabel() == "saving share of output"
    assert labels(figure.axes[-1]) == set(policies)
    own = len(economy.idiosyncratic) if isinstance(economy, Planner) else 1
    for ax, level in zip(figure.axes, economy.aggregate.values, strict=True):
        assert f"{level:g}" in ax.get_title()
        assert len(ax.lines) == own * len(policies) + 1, "and a line at the steady state"
        assert len(ax.collections) == own, "a band for the policy with several runs alone"


def test_the_exact_rule_that_is_drawn_is_the_exact_rule():
    economy = BrockMirman()
    figure = plotting.decision_rules(economy, {"exact": solve(economy).policy}, points=5)
    shares = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(shares, economy.alpha * economy.beta, rtol=1e-12)


GAMES = {
    "planner": Planner(3),
    "market": Market(2),
    "two goods": Market(2, 2),
    "atomistic": Market(2, atomistic=True),
    "half informed": Market(2, n_uninformed=1),
}


class SavesWhenRich:
    """A rule of own capital and productivity alone, in every role."""

    def __init__(self, economy):
        self.economy = economy

    def __call__(self, state, moved=None):
        share = 0.05 + 0.001 * state.capital + 0.02 * state.idiosyncratic.unsqueeze(-1)
        share = share + 0.03 * state.aggregate[..., None, None]
        first = {name: r for name, r in self.economy.roles.items() if r.follows is None}
        parts = share.split([r.n_agents for r in first.values()], -2)
        return dict(zip(first, parts, strict=True))


@pytest.mark.parametrize("economy", list(GAMES.values()), ids=list(GAMES))
def test_decision_rules_of_several_households_are_those_of_the_first(economy):
    rule = SavesWhenRich(economy)
    figure = plotting.decision_rules(economy, {"rule": rule}, points=5, width=0.2)
    check(figure)
    for a, ax in enumerate(figure.axes):
        assert ax.get_xlabel() == "own capital"
        for z, line in enumerate(ax.lines[:-1]):
            k, share = line.get_data()
            assert k.max() / k.min() == pytest.approx(np.exp(0.4))
            expected = economy.n_goods * (0.05 + 0.001 * k + 0.02 * z + 0.03 * a)
            np.testing.assert_allclose(share, expected, rtol=1e-7)


def test_the_others_are_in_the_steady_state_of_the_solution_that_comes_first():
    economy = Market(2)
    nash = solve(economy, "nash")
    figure = plotting.decision_rules(economy, {"Nash": nash, "again": nash.policy}, points=3)
    ax = figure.axes[0]
    centre = nash.steady_state.capital
    assert ax.lines[-1].get_xdata()[0] == centre and ax.lines[0].get_xdata()[1] == centre
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), ax.lines[1].get_ydata())
    state = economy.State(
        torch.full((1, 2, 1), centre, dtype=torch.float64),
        torch.tensor([[0, 1]]),  # the other one's productivity is the chain's second
        torch.tensor([0]),
    )
    share = nash.policy(state)["household"][0, 0, 0].item()
    assert ax.lines[0].get_ydata()[1] == pytest.approx(share, rel=1e-12)


def test_markets_have_prices_in_every_figure():
    economy = Market(2, n_uninformed=1)
    rules = {"one": SavesWhenRich(economy)}
    figure = plotting.ergodic_distributions(economy, rules, "price", paths=8, periods=20)
    check(figure)
    assert figure.axes[0].get_xlabel() == "price of capital"
    shown = {}
    for household in (None, 0):
        figure = plotting.impulse_responses(
            economy, rules, "idiosyncratic", ("price",), periods=3, paths=64, household=household
        )
        check(figure)
        assert figure.axes[0].get_title() == "price"
        shown[household] = figure.axes[0].lines[0].get_ydata()[0]
    assert shown[None] > 1.5 * shown[0] > 0


@pytest.mark.parametrize(
    ("against", "unit"), [("seconds", "seconds"), ("steps", "per run (millions)")]
)
def test_learning_curves(agent, against, unit):
    history = agent.history
    figure = plotting.learning_curves(
        {"PPO": history}, "loss, %", "loss (%)", against=against, references={"best": 0.5}
    )
    check(figure)
    (ax,) = figure.axes
    assert unit in ax.get_xlabel() and ax.get_ylabel() == "loss (%)"
    assert ax.get_yscale() == "log"
    assert labels(ax) == {"PPO"} and len(ax.collections) == 1
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3.0, 2.0, 1.25, 0.55])
    x = history.seconds if against == "seconds" else np.array(history.steps) / 1e6
    np.testing.assert_allclose(ax.lines[0].get_xdata(), x)
    assert list(ax.lines[1].get_ydata()) == [0.5, 0.5]


def test_learning_curves_can_be_drawn_into_a_given_panel(agent):
    figure, (_, right) = plt.subplots(1, 2)
    assert plotting.learning_curves({"PPO": agent.history}, "loss, %", "y", ax=right) is (figure)
    assert right.get_ylabel() == "y"


def test_ergodic_distributions(economy, policies):
    figure = plotting.ergodic_distributions(economy, policies, paths=8, periods=40)
    check(figure)
    (ax,) = figure.axes
    assert ax.get_xlabel() == "capital (units of the capital good)"
    assert ax.get_ylabel() == "density" and labels(ax) == set(policies)
    assert len(ax.lines) == 1 + 1 + 2, "a line for each run"
    x, density = ax.lines[0].get_data()
    # The histogram is bounded by quantiles of the exact sample that leave out 0.1%.
    assert 0.99 < density.sum() * (x[1] - x[0]) <= 1 + 1e-9
    for line in ax.lines[1:]:
        assert line.get_ydata().sum() * (x[1] - x[0]) <= 1 + 1e-9


def test_impulse_responses(economy, policies):
    figure = plotting.impulse_responses(economy, policies, periods=5, paths=16)
    check(figure)
    assert [ax.get_title() for ax in figure.axes] == ["capital", "consumption", "saving share"]
    assert figure.axes[0].get_ylabel() == "deviation (%)"
    assert figure.axes[0].get_xlabel() == "periods after the shock"
    assert labels(figure.axes[-1]) == set(policies)
    for ax in figure.axes:
        assert len(ax.lines) == 3 and len(ax.collections) == 1
        assert all(len(line.get_ydata()) == 5 for line in ax.lines)


def test_the_style_gives_every_line_a_colour_and_dashes_of_its_own():
    with plt.rc_context():
        plotting.use_style()
        cycle = list(plt.rcParams["axes.prop_cycle"])
    assert len({c["color"] for c in cycle}) == len(cycle) == len(plotting.COLOURS)
    assert len({str(c["linestyle"]) for c in cycle}) == len(cycle)
    assert plotting.EXACT not in plotting.COLOURS


def test_a_table_is_html_on_a_page_and_aligned_text_in_a_terminal():
    table = plotting.Table(["rule", "loss, %"], [["best < exact", 0.09], ["PPO", "0.0001"]])
    assert repr(table).splitlines() == [
        "rule          loss, %",
        "best < exact  0.09",
        "PPO           0.0001",
    ]
    page = table._repr_html_()
    assert page.count("<tr>") == 3 and page.count("<th>") == 2
    assert "best &lt; exact" in page and "best < exact" not in page


def test_capital_by_regime_draws_closed_forms_and_ranges_over_seeds():
    """Every regime's formula at N = 2, and a point's median with the range of its seeds."""
    figure = plotting.capital_by_regime({"learned": {2: [0.8, 0.9, 0.82]}}, largest=20)
    (ax,) = figure.axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    power = 1 / (2 - Market().alpha)
    expected = {
        "competitive": 1.0,
        "Nash in spending": (3 / 4) ** power,
        "Nash in quantities": (2 / 3) ** power,
        "joint monopsony": (1 / 2) ** power,
    }
    for label, value in expected.items():
        x, y = lines[label].get_data()
        assert y[list(x).index(2)] == pytest.approx(value)
    (bars,) = ax.containers
    marker, caps, _ = bars
    assert marker.get_data()[1] == pytest.approx([0.82])
    assert sorted(cap.get_ydata()[0] for cap in caps) == pytest.approx([0.8, 0.9])


@pytest.mark.parametrize("taken", [{"action": "quantity"}, {"n_households": 3}], ids=str)
def test_capital_by_regime_says_which_parameters_it_varies(taken):
    ((name, value),) = taken.items()
    with pytest.raises(TypeError, match=f"{name}={value!r}: capital_by_regime draws a line for"):
        plotting.capital_by_regime(**taken)


def test_capital_by_regime_takes_another_calibration():
    """The lines move with alpha, and nothing has to be learned to draw them."""
    (ax,) = plotting.capital_by_regime(largest=5, alpha=0.36).axes
    monopsony = ax.get_lines()[3].get_ydata()
    assert monopsony == pytest.approx(np.full(len(monopsony), 0.5 ** (1 / 1.64)))
