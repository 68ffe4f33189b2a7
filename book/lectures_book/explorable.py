"""Figures that a reader of the built book can move.

A chapter draws such a figure as any other, and says besides, in Vega-Lite's words, what moves and
by which controls. The figure is what readers see on paper, without scripts, and wherever a notebook
is shown that does not know Vega-Lite; `book/_ext/explorables.py` puts what moves on the page.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from numbers import Real

import matplotlib.pyplot as plt
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from matplotlib.figure import Figure

__all__ = ["choice", "explorable", "records", "slider"]

#: What JupyterLab shows by itself; the book's own Vega-Lite, a version later, reads it as well.
MIME = "application/vnd.vegalite.v5+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
#: The name of the parameter that says in a sentence what is seen.
SAYS = "says"
MOST = 200_000  # bytes
ALONE, BESIDE = 480, 280  # pixels of a view's width in a notebook; a page fits them to its column


def slider(name: str, label: str, first: float, last: float, step: float, value: float) -> dict:
    """A parameter of a specification with a slider, which starts at `value`.

    Examples
    --------
    >>> slider("n", "Replicates", 1, 9, 1, value=4)["bind"]["input"]
    'range'
    """
    bind = {"input": "range", "name": label, "min": first, "max": last, "step": step}
    return {"name": name, "value": value, "bind": bind}


def choice(name: str, label: str, options: Mapping | Sequence, value=None) -> dict:
    """A parameter with a list to choose from.

    Parameters
    ----------
    options : mapping or sequence
        Strings or numbers; of a mapping, each with what readers see in its place.
    value : optional
        The one with which it starts, if not the first.
    """
    bind = {"input": "select", "name": label, "options": list(options)}
    if isinstance(options, Mapping):
        bind["labels"] = list(options.values())
    value = bind["options"][0] if value is None else value
    return {"name": name, "value": value, "bind": bind}


def records(rows: Sequence[Mapping]) -> dict:
    """Data of a specification: rows as lines of text, which are a fraction of their size in JSON.

    Parameters
    ----------
    rows : sequence of mapping
        All with the keys of the first, and with numbers where it has numbers.

    Examples
    --------
    >>> records([{"k": 1, "place": "low"}, {"k": 2, "place": "high"}])["values"]
    'k,place\\n1,low\\n2,high\\n'
    """
    text = io.StringIO()
    lines = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    # Left to itself Vega-Lite takes numbers for words where it puts them in an order.
    parse = {key: "number" for key, x in rows[0].items() if isinstance(x, Real)}
    return {"values": text.getvalue(), "format": {"type": "csv", "parse": parse}}


def explorable(figure: Figure, spec: Mapping) -> None:
    """Show a figure, and with it what a reader of the book's pages can move.

    Parameters
    ----------
    figure : Figure
        The picture for those whose page does not move: the movable one before anybody moves it.
    spec : mapping
        A specification in Vega-Lite: one view, or several in `concat`, which stand side by side
        where there is room. One of its `params` is called `says`: an expression for the sentence
        that tells in words what is seen.

    Raises
    ------
    ValueError
        If the specification has no sentence, no control, or too many numbers.
    """
    params = spec.get("params", ())
    if not any(param["name"] == SAYS for param in params):
        raise ValueError(
            f"Readers who cannot see the picture hear a sentence of it: add a parameter {SAYS!r} "
            "whose `expr` says what is seen."
        )
    if not any("bind" in param for param in params):
        raise ValueError("Nothing can be moved: add a parameter made by `slider` or `choice`.")
    spec = {"$schema": SCHEMA} | json.loads(json.dumps(spec))
    for view in spec.get("concat", [spec]):
        view.setdefault("width", BESIDE if "concat" in spec else ALONE)
    size = len(json.dumps(spec))
    if size > MOST:
        raise ValueError(
            f"The specification has {size:,} bytes, and a page gets at most {MOST:,}: round its "
            "numbers, or leave some out."
        )
    data, metadata = InteractiveShell.instance().display_formatter.format(figure)
    plt.close(figure)
    display({MIME: spec, **data}, metadata=metadata, raw=True)
