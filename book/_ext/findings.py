"""Show what was measured on pages, so that no number is typed there.

The role `finding` prints one of the numbers of :mod:`lectures_book.findings`; the directive
`planner-learners` prints a table of what every learner reached with one household.
"""

from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from running_times import table
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from lectures_book import stored
from lectures_book.findings import PRIVILEGES, findings, middle, percent

CAPTION = "What learners reach with one household"

logger = logging.getLogger(__name__)


class Finding(SphinxRole):
    def run(self):
        self.env.note_reread()  # the number changes when the benchmark does
        if self.text not in findings():
            known = ", ".join(findings())
            logger.warning(
                "no finding %r; there are: %s", self.text, known, location=self.get_location()
            )
            return [], []
        return [nodes.Text(findings()[self.text])], []


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
