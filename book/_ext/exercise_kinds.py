"""Show on a page as a badge what kind of work an exercise is, which its title begins with."""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_exercise.nodes import is_exercise_node

KINDS = ("Warm-up", "By hand", "In code", "Open")


class ShowTheKind(SphinxPostTransform):
    default_priority = 25  # after sphinx_exercise has put the title's parts together
    formats = ("html",)

    def run(self, **kwargs):
        for exercise in self.document.findall(is_exercise_node):
            title = exercise[0]
            if len(title) < 3:
                continue  # "Exercise 1" is all it says
            _begin, first, *others, _end = title.children  # parentheses, around what it says
            kind, colon, rest = first.astext().partition(": ")
            if colon and kind in KINDS:
                badge = nodes.inline("", kind, classes=["exercise-kind"])
                title.children = []
                title += [badge, nodes.Text(rest[:1].upper() + rest[1:]), *others]


def setup(app):
    app.add_post_transform(ShowTheKind)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
