"""What all writers of resolved pages share: how a node finds its method, and its number."""

import re

from docutils import nodes
from sphinx.errors import ExtensionError


class ResolvedPage:
    """Says what each node of a page says, in another language; `block` and `inline` are its verbs.

    Sphinx has resolved the page: its references, numbers and citations are those of the built
    book. A writer has one short method for each kind of node, named after the verb and the class,
    such as `block_paragraph`; a node of a kind that it does not know is an error.

    Parameters
    ----------
    builder : Builder
        Has `fignumbers` and `secnumbers` of the page, as Sphinx's own builder of pages has.
    """

    product = "What is written here"  # for the error

    def __init__(self, builder):
        self.builder = builder

    def find(self, verb: str, node: nodes.Node):
        for kind in type(node).__mro__:
            if method := getattr(self, f"{verb}_{kind.__name__}", None):
                return method(node)
        raise ExtensionError(
            f"{self.product} cannot show <{node.tagname}> of {node.source}:{node.line}: write it "
            f"in plainer Markdown, or teach {type(self).__name__}.{verb}_{type(node).__name__}."
        )

    def block(self, node: nodes.Node) -> str:
        return self.find("block", node)

    def blocks(self, siblings, between: str = "\n\n") -> str:
        return between.join(filter(None, map(self.block, siblings)))

    def inline(self, node: nodes.Node) -> str:
        return "".join(self.find("inline", child) for child in node.children)

    def number(self, node: nodes.Element) -> str:
        """What the page prints before a title or caption: `Fig. 3.1`, `Exercise 2`, or nothing."""
        kind = self.builder.env.get_domain("std").get_enumerable_node_type(node)
        numbers = self.builder.fignumbers.get(kind, {}).get((node["ids"] or [None])[0])
        if numbers is None:
            return ""
        number = self.builder.config.numfig_format[kind] % ".".join(map(str, numbers))
        return number[0].upper() + number[1:]

    def section_number(self, title: nodes.title, level: int) -> str:
        """The number of a section, or of the page where it is the first: `3.1`, or nothing."""
        numbers = self.builder.secnumbers
        number = numbers.get("#" + title.parent["ids"][0]) or (
            numbers.get("") if level == 1 else ()
        )
        return ".".join(map(str, number or ()))


def formula_lines(node: nodes.math_block) -> str:
    """A displayed formula as Sphinx sets it: paragraphs are lines, aligned where it says so.

    What brings its own environment is left as it is.
    """
    lines = [line.strip() for line in node.astext().split("\n\n") if line.strip()]
    if node.get("nowrap"):
        return "\n".join(lines)
    tex = " \\\\\n".join(lines)
    if re.search(r"\\\\|&", re.sub(r"\\begin\{(.*?)\}.*\\end\{\1\}", "", tex, flags=re.S)):
        tex = f"\\begin{{aligned}}\n{tex}\n\\end{{aligned}}"
    return tex
