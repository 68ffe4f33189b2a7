"""Show what benchmarks have stored in running text, so that no number is typed there.

The role `finding` prints one of the numbers of the front page, or of those that the introduction
has besides; the directive `planner-learners` prints a table of what every learner reached with one
household.
"""

from functools import cache
from statistics import median
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from running_times import table
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from lectures_book import stored

SMALLEST = 1e-6  # in per cent; nobody reads more digits

CAPTION = "What learners reach with one household"

#: Learners of the factorial whose neighbours differ in one privilege, and their cells.
PRIVILEGES = {
    "PPO, its own luck": "planner",
    "PPO, critic on differences": "planner+differences",
    "PPO, common shocks": "planner+common",
    "PPO, common shocks and differences": "planner+common+differences",
    "SAC, its own luck, critic of its choice": "sac",
    "SAC, common shocks, critic of its choice": "sac+common",
}

logger = logging.getLogger(__name__)


def percent(x: float) -> str:
    """A number that is in per cent already, with two digits and no power of ten."""
    if x < SMALLEST:
        return f"below {SMALLEST:.6f}%"
    return f"{float(f'{x:.2g}'):.7f}".rstrip("0").rstrip(".") + "%"


def middle(rows: list[dict], key: str) -> float:
    """The median over seeds."""
    return median(row[key] for row in rows)


def factor(without: float, having: float) -> str:
    """How many times smaller."""
    times = without / having
    return f"{times:.1f}" if times < 10 else f"{times:.0f}"


def share(x: float) -> str:
    return f"{100 * x:.0f}%"


def collapsed(cell: dict) -> str:
    """How many seeds' markets fell to nothing, of how many."""
    return f"{cell['collapsed'] * cell['seeds']:.0f} of {cell['seeds']}"


@cache
def findings() -> dict[str, str]:
    """The numbers of the front page, each as it is printed there."""
    planner, market, solvers = stored("planner"), stored("market"), stored("solvers")
    (constant,) = planner["learners"]["best constant share"]
    four, hundred = planner["planner_4"], planner["planner_100"]
    own = planner["credit"]["4 households, own credit"]
    (perfect,) = planner["credit"]["4 households, Markov-perfect"]
    few = [row for n in (2, 5) for row in market["market"][f"N = {n}, Probing"]]
    crowd = market["market_100"]["N = 100, Probing"]
    exact = {row["seed"]: row for row in market["collusion"]["exact, N = 2"]}
    error = {
        name: middle(stored("factorial")[name]["tuned"], "policy_error")
        for name in PRIVILEGES.values()
    }
    best = stored("factorial")["effects"]["planner: common, others at their best"]
    marl, sellers, information = stored("marl"), stored("sellers"), stored("information")
    post = {f: sellers[f"trading_post_{f}"] for f in (2, 3, 5)}
    careful = marl["deep_how"]["common random numbers"]
    half = information["half"]
    societies, guesses = stored("equilibria")["history"], stored("equilibria")["guesses"]
    usual = societies["scatter 0.0515"]  # the chapter's own
    return {
        "constant-loss": percent(constant["loss"]),
        "constant-error": percent(constant["policy_error"]),
        "constant-spread": percent(100 - constant["capital_spread"]),
        "precise-factor": factor(error["planner"], error["planner+common+differences"]),
        "common-factor": factor(error["planner"], error["planner+common"]),
        "best-factor": f"{best['factor']:.0f}",
        "best-interval": f"{best['low']:.0f} to {best['high']:.0f}",
        "differences-factor": factor(error["planner"], error["planner+differences"]),
        "exact-one": percent(100 * solvers["grids"]["planner, 1 x 1"]["largest"]),
        "exact-five": percent(100 * solvers["grids"]["market, 5 x 1"]["largest"]),
        "four-residual": percent(middle(four["Probing"], "euler_residual")),
        "transfer-residual": percent(
            middle(hundred["Probing with 4, unchanged"], "euler_residual")
        ),
        "scratch-residual": percent(middle(hundred["Probing, from scratch"], "euler_residual")),
        "own-capital": f"{100 * (middle(own, 'mean') - 1):.0f}%",
        "perfect-capital": f"{100 * (perfect['mean'] - 1):.0f}%",
        "buyers-miss": percent(max(abs(row["to markov perfect"]) for row in few)),
        "buyers-exploited": percent(max(row["exploitability"] for row in few)),
        "two-short": percent(-middle(few[:3], "to competitive")),
        "five-short": percent(-middle(few[3:], "to competitive")),
        "hundred-short": percent(-middle(crowd, "to competitive")),
        "reported-capital": f"{middle(market['published']['N = 2'], 'capital'):.1f}",
        "cartel-capital": f"{exact['monopsony']['capital']:.1f}",
        "nash-capital": f"{exact['nash']['capital']:.1f}",
        "tables-gain": f"{100 * marl['baseline']['two firms']['gain']:.0f}%",
        "deep-gain": f"{100 * median(marl['deep_memory']['PPO']['gain']):.0f}%",
        "careful-gain": f"{100 * median(careful['gain']):.0f}%",
        "careful-departure": percent(max(careful["departure"])),
        "post-miss": percent(
            max(abs(row["to_capital"]) for f in post for row in post[f][f"F = {f}"])
        ),
        "post-two": f"{post[2]['F = 2, exact']['markup']:.1f}",
        "post-five": f"{post[5]['F = 5, exact']['markup']:.1f}",
        "post-collapsed": collapsed(sellers["trading_post_credit"]["firms as one"]),
        "post-stayed": collapsed(sellers["trading_post_credit"]["own gain"]),
        "known": percent(middle(half["constant cost"], "value")),
        "known-cost": percent(middle(half["cost process"], "value")),
        "which-low": share(usual["share_low"]),
        "which-high": share(usual["share_high"]),
        "which-middle": share(usual["share_middle"]),
        "which-high-low-order": share(guesses["history, guess 24"]["share_high"]),
        "which-high-high-order": share(guesses["history, guess 46"]["share_high"]),
        "known-learned": percent(middle(half["constant cost"], "unlearned")),
    }


def whole(x: float) -> str:
    """A large number with two digits, in words from a million on."""
    x = float(f"{x:.2g}")
    return f"{x / 1e6:.0f} million" if x >= 1e6 else f"{x:,.0f}"


@cache
def of_the_introduction() -> dict[str, str]:
    """The numbers of the introduction that the front page does not have."""
    planner, libraries, marl = stored("planner"), stored("libraries"), stored("marl")
    factorial = stored("factorial")
    one, batch = (
        1e6 * libraries["interfaces"][f"planner: bare, {copies}"]["million steps per second"]
        for copies in (1, 4096)
    )
    plain, longer = factorial["planner"]["tuned"], factorial["longer"]["tuned"]
    precise = factorial["planner+common+differences"]["tuned"]
    probing = [row["policy_error"] for row in planner["learners"]["Probing"]]
    (listed,) = marl["pair"]["2 households, nearest share"]
    return {
        "steps-one": whole(one),
        "steps-batch": whole(batch),
        "steps-factor": whole(batch / one),
        "steps-learned": whole(libraries["throughput"]["ours"]["learning"]),
        "seeds-worst": percent(max(probing)),
        "list-error": percent(listed["policy_error"]),
        "list-loss": percent(listed["loss"]),
        "plain-error": percent(middle(plain, "policy_error")),
        "plain-loss": percent(middle(plain, "loss")),
        "longer-error": percent(middle(longer, "policy_error")),
        "precise-error": percent(middle(precise, "policy_error")),
        "hundred-error": percent(
            middle(planner["planner_100"]["Probing, from scratch"], "policy_error")
        ),
        "goods-error": percent(middle(planner["goods"]["10 x 10"], "policy_error")),
    }


class Finding(SphinxRole):
    def run(self):
        self.env.note_reread()  # the number changes when the benchmark does
        known = findings() | of_the_introduction()
        if self.text not in known:
            logger.warning(
                "no finding %r; there are: %s",
                self.text,
                ", ".join(known),
                location=self.get_location(),
            )
            return [], []
        return [nodes.Text(known[self.text])], []


class PlannerLearners(SphinxDirective):
    option_spec: ClassVar = {"name": directives.unchanged}

    def run(self):
        self.env.note_reread()
        searched, learners = stored("factorial"), stored("planner")["learners"]
        rows = {"best constant share": learners["best constant share"]}
        rows |= {name: searched[cell]["tuned"] for name, cell in PRIVILEGES.items()}
        rows |= {name: learners[name] for name in ("Probing", "Analytic")}
        head = [
            "Learner",
            "Policy error",
            "Euler residual",
            "Loss",
            "Steps, millions",
            "Seconds",
        ]
        shown = table(head, [self.row(name, found) for name, found in rows.items()])
        shown.insert(0, nodes.title("", "", nodes.Text(CAPTION)))
        self.add_name(shown)
        return [shown]

    @staticmethod
    def row(name: str, found: list[dict]) -> list[nodes.Node]:
        cells = [percent(middle(found, key)) for key in ("policy_error", "euler_residual", "loss")]
        learns = "steps" in found[0]
        cells.append(f"{middle(found, 'steps') / 1e6:.2g}" if learns else "–")
        cells.append(f"{middle(found, 'seconds'):.0f}" if learns else "–")
        return [nodes.Text(cell) for cell in [name, *cells]]


def setup(app):
    app.add_role("finding", Finding())
    app.add_directive("planner-learners", PlannerLearners)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
