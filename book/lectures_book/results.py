"""The book's results, a row for each of its main questions.

A row's texts hold names of :func:`lectures_book.findings.findings` between braces. No number that
was measured is typed; a prediction may be, as the chapter says it.
"""

from string import Formatter
from typing import NamedTuple

from lectures_book.findings import findings
from lectures_book.predictions import chapters


class Row(NamedTuple):
    """A question, and what became of it."""

    chapter: str  # its name under `book`, such as "primer/q_learning"
    question: str
    predicted: str
    measured: str
    distance: str  # to what is exact


HEAD = ("Question", "Predicted", "Measured", "Distance to exact", "Chapter")

ROWS = (
    Row(
        "front/how_rules_are_judged",
        "Can a bad rule be nearly as good as the best?",
        "the best constant share loses {constant-predicted}, by a formula of second order",
        "it loses {constant-loss}, and capital fluctuates {constant-spread} less than it should",
        "policy error {constant-error}",
    ),
    Row(
        "primer/q_learning",
        "How near to exact is a table that is learned?",
        "its worst entry is off by {table-predicted}, or somewhat more",
        "{table-measured} in the median learner",
        "{table-measured} of the largest value",
    ),
    Row(
        "deep_rl/common_shocks",
        "What does it buy to share luck and to compare?",
        "an error of {luck-common-predicted} in place of {luck-own-predicted}",
        "{luck-common-measured} in place of {luck-own-measured}",
        "{luck-common-measured}",
    ),
    Row(
        "marl/algorithmic_collusion",
        "Do tables that learn charge a cartel's prices?",
        "as published, about 85% of the way from competition to monopoly",
        "{tables-gain}",
        "the best departure gains {tables-departure} in the median session",
    ),
    Row(
        "marl/do_deep_learners_collude",
        "Do networks charge them?",
        "not without memory, whatever the algorithm; with memory the start decides",
        "without memory PPO {memoryless-gain} and DQN {values-gain}; with memory PPO {deep-gain}, "
        "and {careful-gain} if it is most precise",
        "where it is most precise, the best departure gains at most {careful-departure}",
    ),
    Row(
        "marl/centralised_training",
        "Is a mixer of values worth its freedom?",
        "in the game of two steps a monotone mixer finds the best, and a sum does not",
        "{mixed-found} seeds with a monotone mixer, {added-found} with a sum",
        "policy error {mixed-error} with two households, where a list alone costs {list-error}",
    ),
    Row(
        "framework/how_exact",
        "How exact are the exact answers?",
        "residuals below 0.0001% of consumption, and larger with more households",
        "the largest residual is {exact-one} with one household, {exact-five} in a market of five",
        "the same",
    ),
    Row(
        "learning/planner_one_household",
        "Can a learner find the planner's rule?",
        "each seed of each learner gets far below the loss of a constant share",
        "policy errors of {probing-error} (Probing), {analytic-error} (Analytic) and "
        "{compared-error} (PPO that compares under common shocks); ordinary PPO {ordinary-error}",
        "{probing-error}",
    ),
    Row(
        "learning/planner_one_household",
        "What bounds the precision of a learner?",
        "the path's luck and scales that move, each of which makes the error three times as large",
        "{limit-error} in {limit-seconds} seconds of one core; in a shorter run {limit-short}, "
        "with scales that move {limit-scales}, with the path's luck alone {limit-luck}",
        "{limit-error}, at worst {limit-worst}",
    ),
    Row(
        "learning/what_makes_a_learner_precise",
        "What makes a learner precise?",
        "common shocks, if differences are there, divide the error by about {both-predicted}; "
        "differences alone by 1",
        "both together by {precise-factor}; common shocks alone by {common-factor}, differences "
        "alone by {differences-factor}; common shocks, all else at its best, by {best-factor} "
        "({best-interval})",
        "{compared-error} with both",
    ),
    Row(
        "learning/planner_many_households",
        "Does what was learned with few hold for many?",
        "with a hundred households the rule is about as precise as with few",
        "Euler residual {four-residual} with four, {transfer-residual} with a hundred; learned "
        "with a hundred from the start {scratch-residual}",
        "policy error {transfer-error}; from the start {scratch-error}",
    ),
    Row(
        "learning/planner_many_households",
        "Does it matter whose reward an action is judged by?",
        "judged by one's own, four households hold {perfect-capital} more than is best for all",
        "{own-capital} more",
        "{own-miss} from the equilibrium of their game",
    ),
    Row(
        "learning/planner_many_goods",
        "Do learners keep several goods in balance?",
        "what is out of balance shrinks to {goods-predicted} of itself in a period",
        "{goods-measured}, the median seed",
        "policy error {goods-two-error} with two and two, {goods-ten-error} with ten and ten",
    ),
    Row(
        "learning/centralised_critic",
        "Does a central critic make agents cooperate?",
        "no: capital of {critic-nash} for one's own reward and of {critic-cartel} for the team's",
        "{critic-own} and {critic-team}",
        "{critic-miss}, the larger of the two",
    ),
    Row(
        "learning/krusell_smith",
        "Do households who know no law learn Krusell and Smith's economy?",
        "nothing beforehand; tests keep a mean Euler residual of at most 0.2% and a law that is "
        "easier to describe than the exact one",
        "{ks-residual}, at worst {ks-residual-worst}; Den Haan's error {ks-denhaan}, the exact "
        "rule's {ks-denhaan-exact}",
        "policy error {ks-error}, a network's by the equations {ks-network}; capital {ks-gap} "
        "from the exact path",
    ),
    Row(
        "learning/parallel_framework",
        "What does the lag of actors cost?",
        "nothing if nothing is corrected; importance weights lose what common shocks brought",
        "errors of {lag-none} without lag and {lag-four} with a lag of four; {lag-weighted} with "
        "V-trace as published",
        "{lag-four}",
    ),
    Row(
        "learning/market_buyers",
        "Do buyers who learn find the equilibrium?",
        "yes, and capital comes to the competitive level as they become many",
        "below it by {two-short} with two, {five-short} with five and {hundred-short} with a "
        "hundred; the best departure gains at most {buyers-exploited} of consumption",
        "capital within {buyers-miss} with two and five",
    ),
    Row(
        "learning/market_buyers",
        "What did the outline's first runs report?",
        "a cartel's share of output, however many buyers there are",
        "a capital of {reported-capital} with two, where a cartel holds {cartel-capital} and "
        "strategic buyers {nash-capital}",
        "{reported-miss} from the cartel's",
    ),
    Row(
        "learning/sellers_trading_post",
        "Does trade among learners come to competition?",
        "no: markups of {post-two} with two patient sellers and of {post-five} with five; and no "
        "trade at all if sellers are judged as one",
        "no trade in {post-collapsed} markets if sellers are judged as one, in {post-stayed} if "
        "each by its own",
        "capital within {post-miss}",
    ),
    Row(
        "learning/sellers_posted_prices",
        "Can it be learned to post prices?",
        "markups within 3% in the median and 5% in the worst seed, one seller and one household; "
        "within 5% with two and two",
        "one and one: {posted-median} in the worst of four medians, {posted-worst} in the worst "
        "seed; ten and ten run away, to markups above {posted-ten}",
        "two and two: {posted-two} too much, {posted-quiet} with less noise",
    ),
    Row(
        "learning/what_is_information_worth",
        "What is it worth to see everything?",
        "a few hundredths of a per cent of consumption",
        "{known}, and {known-cost} where a cost moves that only the informed see",
        "the uninformed could still gain {known-learned}",
    ),
    Row(
        "learning/which_equilibrium",
        "Which of several equilibria is learned?",
        "the poor one below a capital of 34.5, the rich one above",
        "half of all end rich from {which-parts} on; of all, {which-low} poor, {which-high} rich, "
        "{which-middle} between. Rich are {which-high-low-order} if they first order little, "
        "{which-high-high-order} if much",
        "a threshold is no equilibrium: there is nothing exact to be near to",
    ),
    Row(
        "learning/bring_your_own_economy",
        "Do the tools work on an economy of one's own?",
        "at a borrowing limit learners stop 0.7% to 5% before it, unless they can reach it",
        "Probing {saver-probing}, PPO {saver-ppo}; {saver-reaching} if it can be reached",
        "a loss of {saver-loss} of consumption",
    ),
    Row(
        "design/spending_or_quantities",
        "Spending or quantities, is that a matter of taste?",
        "no: two buyers who choose quantities hold {units-predicted} less capital",
        "{units-measured} less; a rate of one's own capital is hardly learned, with an error of "
        "{units-rate}",
        "policy error {units-spending} with spending, {units-quantity} with quantities",
    ),
    Row(
        "design/specifying_markets",
        "Which markets can be learned?",
        "those in which constant actions that answer one another end inside what can be said",
        "so it is, but for sellers whom only tomorrow restrains; orders that cost nothing are "
        "{market-orders} times what is delivered",
        "with an auctioneer, capital within {market-capital}",
    ),
    Row(
        "design/imposing_constraints",
        "How should a limit be imposed?",
        "a penalty leaves no gap if it is below the limit's multiplier, and one of a per cent or "
        "more above it",
        "{limit-below} at a tenth of the multiplier, {limit-above} at ten times",
        "policy error {limit-clipped} by clipping, {limit-squashed} by squashing at the same noise",
    ),
    Row(
        "design/rates_and_algorithms",
        "What does a setting cost that is wrong by a factor of three?",
        "no number more than a factor of two, luck of one's own more than ten",
        "up to {settings-worst} in a short run, {settings-longer} in one three times as long; luck "
        "of its own {settings-alone}",
        "policy error {settings-default} at the defaults of the short run",
    ),
)


def results() -> list[Row]:
    """The rows with their numbers, in the order of the book."""
    order = [chapter.name for chapter in chapters()]
    filled = [Row(*(text.format_map(findings()) for text in row)) for row in ROWS]
    return sorted(filled, key=lambda row: order.index(row.chapter))


def names(rows: tuple[Row, ...] = ROWS) -> set[str]:
    """The names of all findings that rows hold."""
    texts = "".join(text for row in rows for text in row)
    return {name for _, name, _, _ in Formatter().parse(texts) if name}
