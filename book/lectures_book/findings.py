"""What was measured, in the words and digits of the front page and of the conclusion.

The numbers are those of stored results, and where an experiment runs in a chapter itself, those
that the chapter prints.
"""

from functools import cache
from statistics import median

from lectures_book import stored
from lectures_book.predictions import predictions, printed

SMALLEST = 1e-6  # in per cent; nobody reads more digits

#: Learners of the factorial whose neighbours differ in one privilege, and their cells.
PRIVILEGES = {
    "PPO, its own luck": "planner",
    "PPO, critic on differences": "planner+differences",
    "PPO, common shocks": "planner+common",
    "PPO, common shocks and differences": "planner+common+differences",
    "SAC, its own luck, critic of its choice": "sac",
    "SAC, common shocks, critic of its choice": "sac+common",
}


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


def whole(x: float) -> str:
    """A large number with two digits, in words from a million on."""
    x = float(f"{x:.2g}")
    return f"{x / 1e6:.0f} million" if x >= 1e6 else f"{x:,.0f}"


def collapsed(cell: dict) -> str:
    """How many seeds' markets fell to nothing, of how many."""
    return f"{cell['collapsed'] * cell['seeds']:.0f} of {cell['seeds']}"


@cache
def findings() -> dict[str, str]:
    """All numbers, each as it is printed."""
    return _front() | _introduction() | _chapters() | _precise() | _lessons() | _predictions()


def _front() -> dict[str, str]:
    """Those of the front page, which the conclusion's table has, too."""
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
        "constant-loss": printed(
            "front/how_rules_are_judged", "dceffdc6: best constant share, without chance: #1"
        ),
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
        "which-none": share(usual["share_elsewhere"]),
        "which-high-low-order": share(guesses["history, guess 24"]["share_high"]),
        "which-high-high-order": share(guesses["history, guess 46"]["share_high"]),
        "known-learned": percent(middle(half["constant cost"], "unlearned")),
    }


def _introduction() -> dict[str, str]:
    """Those of the introduction alone."""
    libraries = stored("libraries")
    one, batch = (
        1e6 * libraries["interfaces"][f"planner: bare, {copies}"]["million steps per second"]
        for copies in (1, 4096)
    )
    (listed,) = stored("marl")["pair"]["2 households, nearest share"]
    plain = stored("factorial")["planner"]["tuned"]
    probing = stored("planner")["learners"]["Probing"]
    return {
        "steps-one": whole(one),
        "steps-batch": whole(batch),
        "steps-factor": whole(batch / one),
        "steps-learned": whole(libraries["throughput"]["ours"]["learning"]),
        "seeds-worst": percent(max(row["policy_error"] for row in probing)),
        "list-loss": percent(listed["loss"]),
        "ordinary-loss": percent(middle(plain, "loss")),
    }


def _precise() -> dict[str, str]:
    """How near learners come where all is done for it, and in Krusell and Smith's economy."""
    planner, crowd = stored("planner"), stored("krusell_smith")
    alone, limit = planner["precise"]["paper"], planner["limit"]
    learned = crowd["learned"]["Probing"] + crowd["more"]["Probing"]
    economy = "Den Haan, Judd and Juillard"
    exact, network = crowd["solved"][economy], crowd["network"][economy]
    return {
        "limit-error": percent(middle(alone, "policy_error")),
        "limit-worst": percent(max(row["policy_error"] for row in alone)),
        "limit-seconds": f"{middle(alone, 'seconds'):.0f}",
        "limit-short": percent(middle(limit["as PRECISE"], "policy_error")),
        "limit-luck": percent(middle(limit["luck of the path only"], "policy_error")),
        "limit-scales": percent(middle(limit["scales that never settle"], "policy_error")),
        "ks-residual": percent(middle(learned, "mean Euler residual, %")),
        "ks-residual-worst": percent(max(row["mean Euler residual, %"] for row in learned)),
        "ks-denhaan": percent(middle(learned, "largest error, %")),
        "ks-denhaan-exact": percent(exact["largest error, %"]),
        "ks-error": percent(middle(learned, "policy error, %")),
        "ks-gap": percent(middle(learned, "mean gap, %")),
        "ks-network": percent(middle(network, "mean error of consumption, %")),
    }


def _chapters() -> dict[str, str]:
    """Those that the conclusion's table has besides."""
    planner, marl, sellers = stored("planner"), stored("marl"), stored("sellers")
    learned, tuned, critic = planner["learners"], stored("factorial"), stored("critic")["critic"]
    own = middle(planner["credit"]["4 households, own credit"], "mean")
    (perfect,) = planner["credit"]["4 households, Markov-perfect"]
    hundred, goods = planner["planner_100"], planner["goods"]
    nash, cartel = (critic[f"paper, exact: {name}"][0] for name in ("markov perfect", "monopsony"))
    selfish, team = (
        critic[f"paper, Probing, {who} reward, central critic"] for who in ("own", "team")
    )
    market = stored("market")
    reported = middle(market["published"]["N = 2"], "capital")
    exact = {row["seed"]: row for row in market["collusion"]["exact, N = 2"]}
    late = stored("parallel")["common"]
    posted, two = sellers["posted_prices_one"], sellers["posted_prices_exact"]
    pair = two["strategic, discount 0.9, 2 x 2"]["markup"]
    tried, quiet = (
        sellers[f"posted_prices_two{name}"][f"2 x 2, discount 0.9{label}"]
        for name, label in (("", ""), ("_quiet", ", less noise"))
    )
    crowd = sellers["posted_prices_ten"]["10 x 10, patient"]

    def error(rows):
        return percent(middle(rows, "policy_error"))

    def too_much(rows):
        return share(middle(rows, "markup") / pair - 1)

    shocks, precise = "deep_rl/common_shocks", "learning/what_makes_a_learner_precise"
    many, chosen = "learning/planner_many_goods", "learning/which_equilibrium"
    informed = "learning/what_is_information_worth"
    saver, taught = "learning/bring_your_own_economy", "primer/q_learning"
    return {
        "constant-predicted": printed("framework/rules", "74eb07c0: predicted loss: #1"),
        "table-predicted": printed(taught, "q_l-n03: worst of all #1"),
        "table-measured": printed(taught, "q_l-n03: measured: worst of all #1"),
        "luck-own-predicted": printed(shocks, "c26: own shocks, noise 0.3 #1") + "%",
        "luck-own-measured": printed(shocks, "c26: own shocks, noise 0.3 #2") + "%",
        "luck-common-predicted": printed(shocks, "c26: common shocks, noise 0.3 #1") + "%",
        "luck-common-measured": printed(shocks, "c26: common shocks, noise 0.3 #2") + "%",
        "ordinary-error": error(tuned["planner"]["tuned"]),
        "compared-error": error(tuned["planner+common+differences"]["tuned"]),
        "probing-error": error(learned["Probing"]),
        "analytic-error": error(learned["Analytic"]),
        "sac-error": error(tuned["sac"]["tuned"]),
        "longer-error": error(tuned["longer"]["tuned"]),
        "elsewhere-error": percent(
            min(
                middle(rows, "error")
                for name, rows in stored("libraries")["time_to_accuracy"].items()
                if not name.startswith("ours") and not name.endswith("search")
            )
        ),
        "both-predicted": printed(precise, "precise-15: C, if D is there #4"),
        "transfer-error": error(hundred["Probing with 4, unchanged"]),
        "scratch-error": error(hundred["Probing, from scratch"]),
        "own-miss": percent(100 * abs(own / perfect["mean"] - 1)),
        "goods-predicted": printed(many, "c12: predicted #1"),
        "goods-measured": printed(many, "c12: predicted #4"),
        "goods-two-error": error(goods["2 x 2"]),
        "goods-ten-error": error(goods["10 x 10"]),
        "critic-nash": f"{nash['capital']:.2f}",
        "critic-cartel": f"{cartel['capital']:.2f}",
        "critic-own": f"{middle(selfish, 'capital'):.2f}",
        "critic-team": f"{middle(team, 'capital'):.2f}",
        "critic-miss": percent(
            100
            * max(
                abs(middle(selfish, "capital") / nash["capital"] - 1),
                abs(middle(team, "capital") / cartel["capital"] - 1),
            )
        ),
        "lag-none": error(late["no delay"]),
        "lag-four": error(late["4, none"]),
        "lag-weighted": error(late["4, V-trace as published"]),
        "reported-miss": percent(100 * abs(reported / exact["monopsony"]["capital"] - 1)),
        "tables-departure": printed(
            "marl/algorithmic_collusion", "f4b4f2b4: best departure: median #1"
        ),
        "memoryless-gain": share(median(marl["deep_memory"]["no memory"]["gain"])),
        "values-gain": share(median(marl["deep_others"]["DQN, no memory"]["gain"])),
        "mixed-found": found(marl["games"]["two steps, QMIX"]),
        "added-found": found(marl["games"]["two steps, VDN"]),
        "mixed-error": error(marl["pair"]["2 households, QMIX"]),
        "list-error": error(marl["pair"]["2 households, nearest share"]),
        "post-ppo": percent(middle(sellers["trading_post_2"]["F = 2"], "to_markup")),
        "posted-median": percent(
            max(abs(middle(rows, "markup_error")) for rows in posted.values())
        ),
        "posted-worst": percent(
            max(abs(row["markup_error"]) for rows in posted.values() for row in rows)
        ),
        "posted-two": too_much(tried),
        "posted-quiet": too_much(quiet),
        "posted-ten": f"{min(row['markup'] for row in crowd):.0f}",
        "memory-error": printed(informed, "information-32: constant cost: memory, longer #7") + "%",
        "memory-value": printed(informed, "information-32: constant cost: memory, longer #2") + "%",
        "which-parts": printed(chosen, "equil-17: history 0.052 #1"),
        "saver-probing": printed(saver, "own-28: Probing #1") + "%",
        "saver-ppo": printed(saver, "own-28: PPO #1") + "%",
        "saver-reaching": printed(saver, "own-28: Probing, reaching #1") + "%",
        "saver-loss": printed(saver, "own-28: Probing, reaching #13") + "%",
    }


def _lessons() -> dict[str, str]:
    """Those of the lessons on design."""
    design = stored("design")
    spending = design["quantities_probing_spending"]["market, Probing, share"]
    quantity = design["quantities_probing_quantity"]["market, Probing, quantity"]
    rates = design["quantities_ppo_planner"]["planner, PPO, rate"]
    traded = design["quantities_ppo_quantity"]["market, PPO, rate"]
    tended = design["markets_auctioneer"]["auctioneer, Probing"]
    free = design["markets_auctioneer"]["rationing, low, Probing"]
    fee = design["markets_fee"]
    chapter, run = "design/rates_and_algorithms", "rates-patience-run: "
    same = design["constraints_same_noise"]
    limit, penalty = design["constraints_limit_ppo"], "clip, penalty x{}".format
    usual = design["rates_planner_ppo"]["default"]
    alone = design["rates_planner_ppo_switches"]["common shocks, comparisons off"]

    def less(name):
        return percent(100 * (1 - middle(quantity, name) / middle(spending, name)))

    def times(part):
        """How many times the defaults' error the worst row has."""
        rows = design[part]
        errors = [middle(row, "policy_error") for row in rows.values()]
        return f"{max(errors) / middle(rows['default'], 'policy_error'):.2g}"

    return {
        "units-predicted": less("exact_capital"),
        "units-measured": less("capital"),
        "units-spending": percent(middle(spending, "policy_error")),
        "units-quantity": percent(middle(quantity, "policy_error")),
        "units-rate": percent(middle(rates, "policy_error")),
        "units-rate-market": percent(middle(traded, "policy_error")),
        "market-capital": percent(median(abs(row["capital_error"]) for row in tended)),
        "market-orders": whole(middle(free, "ordered")),
        "fee-ppo": f"{middle(fee['rationing, low with a fee, PPO'], 'ordered'):.2f}",
        "fee-probing": f"{middle(fee['rationing, low with a fee, Probing'], 'ordered'):.2f}",
        "limit-below": percent(middle(limit[penalty(0.1)], "bound")),
        "limit-above": percent(middle(limit[penalty(10)], "bound")),
        "limit-clipped": percent(middle(limit["clip"], "error")),
        "limit-squashed": percent(middle(same["squash, noise x1"], "error")),
        "settings-default": percent(middle(usual, "policy_error")),
        "settings-worst": times("rates_planner_ppo"),
        "settings-longer": times("rates_planner_ppo_longer"),
        "hasty-foretold": printed(chapter, run + "discounting by .97: #1"),
        "hasty-measured": printed(chapter, run + "discounting by .97: #4"),
        "ended-foretold": printed(chapter, run + "T = 50: saves #1"),
        "ended-measured": printed(chapter, run + "T = 50: saves #4"),
        "settings-alone": whole(middle(alone, "policy_error") / middle(usual, "policy_error")),
    }


def found(cell: dict) -> str:
    """In how many seeds the best was found, of how many."""
    return f"{cell['best']} of {cell['seeds']}"


def _predictions() -> dict[str, str]:
    """How many predictions there are, and how they fared."""
    made = predictions()
    missed = sum(not one.held for one in made)
    return {
        "predictions": str(len(made)),
        "predictions-held": str(len(made) - missed),
        "predictions-missed": str(missed),
        "predictions-share": share(missed / len(made)),
        "predictions-chapters": str(len({one.chapter for one in made})),
    }
