"""The book's figures: one style, colours that the colour-blind can tell apart, lines that differ
in print. Alt text stands beside the cell that calls these functions."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from .agents import History
from .economies import Market
from .economies.base import Economy
from .economies.play import Policy
from .evaluation import burn_in, impulse_response, initial_states
from .evaluation.simulation import as_policy, each_run, walk
from .solvers import Solution, steady_state

# Okabe and Ito's palette, darkest first; black is kept for what is exact.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
EXACT = "#000000"
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
LABELS = {
    "capital": "capital (units of the capital good)",
    "saving_share": "saving share of output",
    "consumption": "consumption",
    "output": "output",
    "investment": "investment",
    "price": "price of capital",
}


def use_style() -> None:
    """Set the book's fonts, sizes and colours for all figures that follow."""
    plt.rcParams.update(
        {
            "figure.figsize": (7.0, 3.6),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.6,
            "axes.prop_cycle": plt.cycler(color=COLOURS) + plt.cycler(linestyle=DASHES),
            "lines.linewidth": 1.8,
            "legend.frameon": False,
        }
    )


class Table:
    """A table made by code: HTML on a page, aligned text in a terminal.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of sequences
        Entries are shown as `str` writes them, so numbers come rounded.
    """

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[object]]):
        self.head = [str(x) for x in head]
        self.rows = [[str(x) for x in row] for row in rows]

    def _repr_html_(self) -> str:
        def line(cells, tag):
            return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "".join(line(row, "td") for row in self.rows)
        return f"<table><thead>{line(self.head, 'th')}</thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
            for row in lines
        )


def decision_rules(
    economy: Economy,
    policies: Mapping[str, Policy | Solution],
    width: float = 0.45,
    points: int = 60,
) -> Figure:
    """Saving shares against own capital, one panel for each aggregate productivity.

    With several households they are those of the first. The others own the capital of the
    deterministic steady state, and their productivities are spread over the chain's values. A
    massless household owns what its member of the crowd owns.

    Parameters
    ----------
    economy : Economy
        Of several goods, households own the same of each.
    policies : dict of str to policy or Solution
        The first is drawn in black as the exact one; a policy with several runs is drawn as the
        median with a band from the smallest to the largest.
    width : float
        Half-width of the range of capital around the steady state, in logs; the steady state is
        the first policy's if that is a Solution, and otherwise the planner's.
    points : int

    Raises
    ------
    TypeError
        If the economy has no capital, aggregate productivity or `efficient_capital`.
    """
    missing = [name for name in ("capital", "aggregate") if name not in economy.fields]
    missing += [name for name in ("efficient_capital",) if not hasattr(economy, name)]
    if missing:
        raise TypeError(
            f"{type(economy).__name__} has no {' and no '.join(missing)}: decision_rules draws "
            "saving shares on a grid of capital, for each aggregate productivity."
        )
    first = next(iter(policies.values()))
    calibrated: Any = economy  # with what was asked for above
    centre = calibrated.efficient_capital
    if isinstance(first, Solution):
        centre = first.steady_state.capital
    households = economy.fields["capital"].shape[0]
    grid = centre * torch.linspace(-width, width, points, dtype=torch.float64).exp()
    common = calibrated.aggregate.values
    own = getattr(economy, "idiosyncratic", None)
    figure, axes = plt.subplots(1, len(common), sharey=True, squeeze=False)
    for a, ax in enumerate(axes[0]):
        for z in range(len(own) if own else 1):
            for i, (label, policy) in enumerate(policies.items()):
                shares = _saving_shares(economy, as_policy(policy), grid, centre, z, a)
                middle = np.median(shares, 0)
                colour, dashes = _look(i)
                ax.plot(
                    grid, middle, color=colour, linestyle=dashes, label=label if z == 0 else None
                )
                if len(shares) > 1:
                    ax.fill_between(
                        grid, shares.min(0), shares.max(0), color=colour, alpha=0.25, linewidth=0
                    )
            if own:
                ax.annotate(f"$z={own.values[z]:g}$", (grid[0], middle[0]), fontsize=8, va="bottom")
        ax.axvline(centre, color="#888888", linewidth=0.8, linestyle=":")
        xlabel = "capital" if households == 1 else "own capital"
        ax.set(title=f"aggregate productivity $Z={common[a]:g}$", xlabel=xlabel)
    axes[0, 0].set_ylabel(LABELS["saving_share"])
    axes[0, -1].legend()
    return figure


def _saving_shares(economy, policy, grid, centre, z, a) -> np.ndarray:
    """The first household's saving shares on a grid of its capital, shape (runs, points)."""
    generator = torch.Generator().manual_seed(0)
    state = economy.reset((len(grid),), generator, torch.float64)
    capital = torch.full_like(state.capital, centre)
    capital.reshape(len(grid), capital.shape[1], -1)[:, 0] = grid[:, None]
    changes = dict.fromkeys(economy.fields.moved_by("choice"), capital)
    changes["aggregate"] = torch.full_like(state.aggregate, a)
    if hasattr(state, "idiosyncratic"):
        luck = torch.arange(state.idiosyncratic.shape[-1]) % len(economy.idiosyncratic)
        changes["idiosyncratic"] = luck.repeat(len(grid), 1)
        changes["idiosyncratic"][:, 0] = z
    state = state._replace(**changes)
    shares = []
    for single in each_run(policy):
        (period,) = walk(single, economy, state, 1, seed=0)
        shares.append(period.step.info["saving_share"][:, 0].numpy())
    return np.array(shares)


def learning_curves(
    histories: Mapping[str, History],
    record: str,
    ylabel: str,
    *,
    against: str = "seconds",
    references: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Figure | SubFigure:
    """What was recorded while learning, on a logarithmic axis: medians and extremes over runs.

    Parameters
    ----------
    histories : dict of str to History
    record : str
        Name of the record.
    ylabel : str
        With its unit.
    against : {"seconds", "steps"}
        Training time of all runs together, or environment steps of each.
    references : dict of str to float, optional
        Horizontal lines.
    ax : Axes, optional
    """
    ax = ax or plt.subplots()[1]
    for i, (label, history) in enumerate(histories.items()):
        values = history[record]
        x = history.seconds if against == "seconds" else np.array(history.steps) / 1e6
        colour, dashes = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        ax.plot(x, np.median(values, 1), color=colour, linestyle=dashes, label=label)
        ax.fill_between(x, values.min(1), values.max(1), color=colour, alpha=0.25, linewidth=0)
    for label, level in (references or {}).items():
        ax.axhline(level, color=EXACT, linewidth=1, linestyle=":")
        ax.annotate(
            label,
            (1, level),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            va="bottom",
            ha="right",
        )
    xlabel = "training time, all runs together (seconds)"
    if against == "steps":
        xlabel = "environment steps per run (millions)"
    ax.set(yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return ax.figure


def ergodic_distributions(
    economy: Economy,
    policies: Mapping[str, Policy | Solution],
    quantity: str = "capital",
    *,
    paths: int = 512,
    periods: int = 500,
    seed: int = 0,
) -> Figure:
    """Densities of a quantity in the long run, all policies under the same shocks.

    Parameters
    ----------
    economy : Economy
    policies : dict of str to policy or Solution
        The first is drawn in black as the exact one; each run of the others is a line.
    quantity : str
        A name in the economy's info.
    paths, periods, seed : int
        Of the simulation; periods in which the beginning is forgotten are left out beforehand.

    Raises
    ------
    TypeError
        If the economy does not report the quantity.
    """
    samples = []
    for policy in map(as_policy, policies.values()):
        state, first = initial_states(policy, economy, paths, seed), burn_in(policy, economy)
        kept = [
            _reported(economy, period.step.info, quantity).reshape(
                getattr(policy, "runs", None) or 1, -1
            )
            for period in walk(policy, economy, state, first + periods, seed)
            if period.t >= first
        ]
        samples.append(torch.cat(kept, 1).numpy())
    low, high = np.quantile(samples[0], [0.0005, 0.9995])
    # What does not move is drawn as a bar of some width.
    margin = max(1e-6 * abs(high) - (high - low), 0.0) / 2
    edges = np.linspace(low - margin, high + margin, 51)
    figure, ax = plt.subplots()
    for i, (label, sample) in enumerate(zip(policies, samples, strict=True)):
        colour, dashes = _look(i)
        entry: str | None = label
        for run in sample:
            # What lies outside the figure counts, so that densities can be compared.
            density = np.histogram(run, edges)[0] / (run.size * (edges[1] - edges[0]))
            ax.plot(
                (edges[1:] + edges[:-1]) / 2,
                density,
                color=colour,
                linestyle=dashes,
                linewidth=1.8 if len(sample) == 1 else 1.0,
                label=entry,
            )
            entry = None  # one entry in the legend for all runs of a policy
    ax.set(xlabel=LABELS.get(quantity, quantity), ylabel="density")
    ax.legend()
    return figure


def impulse_responses(
    economy: Economy,
    policies: Mapping[str, Policy | Solution],
    shock: str = "aggregate",
    quantities: tuple[str, ...] = ("capital", "consumption", "saving_share"),
    periods: int = 60,
    paths: int = 4096,
    household: int | None = None,
) -> Figure:
    """Generalised impulse responses in per cent, one panel for each quantity.

    Parameters
    ----------
    economy : Economy
    policies : dict of str to policy or Solution
        The first is drawn in black as the exact one; of several runs the median and extremes.
    shock : str
        The chain that jumps to its highest value in period 0.
    quantities : tuple of str
    periods, paths : int
    household : int, optional
        The one whose own productivity jumps and whose quantities respond; by default all of them.

    Raises
    ------
    TypeError
        If the economy has no chain, or does not report a quantity.
    """
    figure, axes = plt.subplots(1, len(quantities), figsize=(8.2, 3.0), squeeze=False)
    for i, (label, policy) in enumerate(policies.items()):
        colour, dashes = _look(i)
        responses = impulse_response(policy, economy, shock, periods, paths, household=household)
        for ax, name in zip(axes[0], quantities, strict=True):
            response = 100 * np.atleast_2d(_reported(economy, responses, name).numpy())
            ax.plot(np.median(response, 0), color=colour, linestyle=dashes, label=label)
            if len(response) > 1:
                ax.fill_between(
                    range(periods),
                    response.min(0),
                    response.max(0),
                    color=colour,
                    alpha=0.25,
                    linewidth=0,
                )
    for ax, name in zip(axes[0], quantities, strict=True):
        ax.set(title=name.replace("_", " "), xlabel="periods after the shock")
    axes[0, 0].set_ylabel("deviation (%)")
    axes[0, -1].legend()
    return figure


def _reported(economy, quantities, name):
    """What an economy reports under a name."""
    if name not in quantities:
        raise TypeError(
            f"{type(economy).__name__} reports no {name!r}; it reports {sorted(quantities)}."
        )
    return quantities[name]


def _look(i: int):
    """Colour and dashes of the i-th policy; the first is the exact one."""
    return (EXACT, "-") if i == 0 else (COLOURS[(i - 1) % len(COLOURS)], DASHES[i % len(DASHES)])


#: The label, the regime and what households choose, of each line that `capital_by_regime` draws.
REGIME_LINES = (
    ("competitive", "competitive", "spending"),
    ("Nash in spending", "nash", "spending"),
    ("Nash in quantities", "nash", "quantity"),
    ("joint monopsony", "monopsony", "spending"),
)


def capital_by_regime(
    points: Mapping[str, Mapping[int, Sequence[float]]] | None = None,
    *,
    largest: int = 100,
    ax: Axes | None = None,
    **calibration,
) -> Figure | SubFigure:
    """Capital against the number of buyers: every regime's steady state, and what was found.

    Parameters
    ----------
    points : dict of str to dict of int to sequence of float, optional
        For each label and number of households, capital relative to the competitive level, one
        number for each seed: drawn as the median with a bar from the smallest to the largest. A
        label that begins with "exact" is drawn in black.
    largest : int
        The largest number of households on the logarithmic axis.
    ax : Axes, optional
    **calibration
        Parameters of the :class:`~lectures_lib.economies.Market` whose closed forms are drawn,
        other than `n_households` and `action`, which the lines are about.

    Returns
    -------
    Figure

    Raises
    ------
    TypeError
        If `n_households` or `action` is among the parameters.

    Examples
    --------
    >>> figure = capital_by_regime({"learned": {2: [0.83, 0.84], 5: [0.93]}})
    >>> len(figure.axes[0].get_lines()) >= len(REGIME_LINES)
    True
    """
    for name in ("n_households", "action"):
        if name in calibration:
            raise TypeError(
                f"{name}={calibration[name]!r}: capital_by_regime draws a line for each action and "
                "all numbers of households up to `largest`; give other parameters of the Market."
            )
    ax = ax or plt.subplots(figsize=(7.4, 4.6))[1]
    numbers = np.unique(np.geomspace(1, largest, 60).round().astype(int))
    efficient = [steady_state(Market(int(n), **calibration)).capital for n in numbers]
    for (label, regime, action), dashes in zip(REGIME_LINES, DASHES, strict=False):
        economies = [Market(int(n), action=action, **calibration) for n in numbers]
        capital = [steady_state(e, regime).capital for e in economies]
        line = np.array(capital) / np.array(efficient)
        ax.plot(numbers, line, color="#555555", linestyle=dashes, linewidth=1.3, label=label)
    points = points or {}
    for i, (label, found) in enumerate(points.items()):
        exact = label.startswith("exact")
        colour, mark = EXACT if exact else COLOURS[i % len(COLOURS)], "osD^vP*X"[i % 8]
        values = [np.asarray(found[n], dtype=float) for n in found]
        middle = np.array([np.median(v) for v in values])
        ends = [middle - [v.min() for v in values], [v.max() for v in values] - middle]
        # Nearly side by side, so that points of one N do not hide each other.
        place = np.array(list(found)) * (1 if exact else 1.02 ** (i - (len(points) - 1) / 2))
        # Filled and hollow in turn: shapes alone are hard to tell apart where they overlap.
        face = colour if i % 2 == 0 else "white"
        ax.errorbar(
            place,
            middle,
            np.abs(ends),
            fmt=mark,
            color=colour,
            markerfacecolor=face,
            markersize=6,
            linestyle="none",
            capsize=2.5,
            label=label,
            zorder=3,
        )
    ticks = [n for n in (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= largest]
    ax.set(
        xscale="log",
        xlabel="number of households",
        ylabel="capital per household, relative to competition",
    )
    ax.set_xticks(ticks, [str(n) for n in ticks])
    ax.minorticks_off()
    # The room between the cartel and the others, where there are many households.
    ax.legend(fontsize=8, loc="center right", bbox_to_anchor=(1.0, 0.42))
    return ax.figure
