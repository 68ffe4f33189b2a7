"""Show the running times and the memory that `make execute` records in each notebook's metadata.

The role `running-time` prints those of the notebook it stands in; the directive
`running-times` prints a table of all notebooks, in the order of the table of contents.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

KEY = "running_time"  # in the notebook's metadata: {"cpu": {...}, "gpu": {...}}
KINDS = {"cpu": "CPU", "gpu": "GPU"}
NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}

logger = logging.getLogger(__name__)


def read(path: str | Path) -> dict:
    """The running times that are stored in a notebook, by kind of device."""
    return json.loads(Path(path).read_text(encoding="utf-8"))["metadata"].get(KEY, {})


def device(record: dict) -> str:
    """Name of a record's device, with the number of threads where that matters."""
    if "threads" not in record:
        return record["device"]
    threads = record["threads"]
    return f"{NUMBERS.get(threads, threads)} thread{'s' * (threads > 1)}, {record['device']}"


def sentence(times: dict) -> str:
    """All of a notebook's running times in words, with its memory where that has been measured."""
    measured = {KINDS[kind]: times[kind] for kind in KINDS if kind in times}
    return "; ".join(
        f"{record['seconds']} s on a {name} ({device(record)})"
        + (f", with {record['memory']} GB of memory" if "memory" in record else "")
        for name, record in measured.items()
    )


class RunningTime(SphinxRole):
    def run(self):
        path = self.env.doc2path(self.env.docname)
        if not path.endswith(".ipynb"):
            message = "the role running-time belongs in a notebook"
            logger.warning(message, location=self.get_location())
            return [], []
        return [nodes.Text(sentence(read(path)))], []


class RunningTimes(SphinxDirective):
    def run(self):
        self.env.note_reread()  # the table changes when any notebook does
        rows = []
        for docname in self.env.external_site_map:
            if (path := self.env.doc2path(docname)).endswith(".ipynb"):
                rows.append(self.row(docname, read(path)))
        seconds = [f"{name}, seconds" for name in KINDS.values()]
        head = ["Chapter", *seconds, "Memory, GB", "Measured on"]
        return [table(head, rows)]

    def row(self, docname: str, times: dict) -> list:
        title = addnodes.pending_xref(
            "",
            nodes.inline(),
            refdomain="std",
            reftype="doc",
            reftarget=f"/{docname}",
            refdoc=self.env.docname,
            refexplicit=False,
            refwarn=True,
        )
        seconds = [str(times[kind]["seconds"]) if kind in times else "–" for kind in KINDS]
        measured = [f"{device(r)} ({r['date']})" for kind in KINDS if (r := times.get(kind))]
        memory = str(times.get("cpu", {}).get("memory", "–"))
        cells = [*seconds, memory, "; ".join(measured) or "–"]
        return [title, *map(nodes.Text, cells)]


def table(head: list[str], rows: list[list[nodes.Node]]) -> nodes.table:
    def row(entries):
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", e)) for e in entries))

    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    group += nodes.thead("", row(nodes.Text(text) for text in head))
    group += nodes.tbody("", *map(row, rows))
    return nodes.table("", group)


def setup(app):
    app.add_role("running-time", RunningTime())
    app.add_directive("running-times", RunningTimes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
