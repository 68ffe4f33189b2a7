"""Write a page of the book as the plain Markdown that every notebook service shows.

Sphinx has resolved the page: its references, numbers and citations are those of the built book.
What is left is to say in Markdown what each node says, and the smallest dialect is enough: no
directives, no roles, no footnotes, tags only where Markdown has nothing (`<details>`, `<sup>`).
"""

import re

from docutils import nodes
from resolved_page import ResolvedPage, formula_lines
from sphinx.locale import admonitionlabels
from sphinx.util.math import get_node_equation_number
from sphinx_exercise.nodes import solution_node

FOLDED = {"dropdown", "toggle"}  # classes of boxes that the book's pages show closed


def is_folded(node: nodes.Element) -> bool:
    """Whether a box is to be opened by the reader."""
    return isinstance(node, solution_node) or not FOLDED.isdisjoint(node.get("classes", ()))


def is_indented(node: nodes.Node) -> bool:
    """Whether what a node is written as stands within a quote or a list."""
    whole = nodes.document | nodes.section | nodes.container
    while node := node.parent:
        if not (isinstance(node, whole) or is_folded(node)):
            return True
    return False


def escape(text: str) -> str:
    """Let characters that Markdown would read as markup stand for themselves."""
    return re.sub(r"([\\`*$~]|(?<!\w)_|_(?!\w)|<(?=[\w/!?]))", r"\\\1", text)


def indent(text: str, first: str, others: str) -> str:
    """Begin the first line with one thing and the others with another, and leave no blanks."""
    begin, *lines = text.split("\n")
    return "\n".join([first + begin, *((others + line).rstrip() for line in lines)])


class PlainMarkdown(ResolvedPage):
    """Turns nodes of one resolved page into Markdown.

    Parameters
    ----------
    builder : Builder
        Has, beyond what a resolved page needs, its address `page`, and `get_image_uri`, where an
        image of the book is published.
    """

    product = "A notebook for readers"

    def heading(self, title: nodes.title, level: int) -> str:
        number = self.section_number(title, level)
        number = f"{number}. " if number else ""
        return f"{'#' * level} {number}{self.inline(title)}"

    # Blocks

    def block_paragraph(self, node):
        # What would begin a list, a heading or a quote is said to be itself.
        return re.sub(r"^(\d*)([-+>.)]|#+)(?=\s)", r"\1\\\2", self.inline(node).strip())

    def block_math_block(self, node):
        tex = formula_lines(node)
        if node.get("nowrap"):
            return tex
        tag = get_node_equation_number(self, node) if node["number"] else ""
        tag = f" \\tag{{{tag}}}" if tag else ""
        # Indented on one line, because notebooks take the marks of a quote or a list for formula.
        if is_indented(node):
            return f"$${tex}{tag}$$".replace("\n", " ")
        return f"$$\n{tex}{tag}\n$$"

    def block_literal_block(self, node):
        language = node.get("language", "").replace("ipython3", "python")
        language = "" if language in ("default", "none", "text") else language
        lines = node.astext().rstrip().split("\n")
        if node.get("linenos"):
            lines = [f"{i:>{len(str(len(lines)))}}  {line}" for i, line in enumerate(lines, 1)]
        return "\n".join([f"```{language}", *lines, "```"])

    def block_doctest_block(self, node):
        return f"```python\n{node.astext()}\n```"

    def block_bullet_list(self, node):
        return self.items(node, ("- " for _ in node))

    def block_enumerated_list(self, node):
        return self.items(node, (f"{i}. " for i, _ in enumerate(node, node.get("start", 1))))

    def items(self, node, marks) -> str:
        loose = any(len(item) > 1 for item in node)
        return ("\n\n" if loose else "\n").join(
            indent(self.blocks(item), mark, " " * len(mark))
            for item, mark in zip(node, marks, strict=True)
        )

    def block_definition_list(self, node):
        return "\n\n".join(
            indent(f"**{self.inline(item[0])}**\n\n{self.blocks(item[-1])}", "- ", "  ")
            for item in node
        )

    def block_block_quote(self, node):
        return indent(self.blocks(node), "> ", "> ")

    def block_attribution(self, node):
        return f"— {self.inline(node)}"

    def block_Admonition(self, node):
        return self.box(node, node.children)

    def box(self, node, children, note: str = "") -> str:
        """A titled box: a block quote, or for one that the book's pages fold, `<details>`.

        `children` may be a part of the box, and `note` says in its title that it is one.
        """
        title = str(admonitionlabels.get(node.tagname, ""))
        for child in node.children:
            if isinstance(child, nodes.title):
                title = self.inline(child).strip()
        title = " ".join(filter(None, [self.number(node), title, note]))
        body = self.blocks(child for child in children if not isinstance(child, nodes.title))
        if not body:
            return f"**{title}**"
        if is_folded(node):
            return f"<details>\n<summary><b>{title}</b></summary>\n\n{body}\n\n</details>"
        return indent(
            "\n\n".join(filter(None, [f"**{title}**" if title else "", body])), "> ", "> "
        )

    def block_topic(self, node):
        return self.box(node, node.children)

    block_sidebar = block_topic

    def block_container(self, node):
        return self.blocks(node)

    block_compound = block_glossary = block_legend = block_section = block_container

    def block_figure(self, node):
        return self.blocks(node)

    def block_caption(self, node):
        return (
            f"*{number}.* {self.inline(node)}"
            if (number := self.number(node.parent))
            else (self.inline(node))
        )

    def block_image(self, node):
        return self.inline_image(node)

    def block_reference(self, node):
        return self.inline_reference(node)

    def block_rubric(self, node):
        return f"**{self.inline(node)}**"

    def block_transition(self, node):
        return "---"

    def block_line_block(self, node):
        return "  \n".join(self.inline(line) for line in node)

    def block_table(self, node):
        title = [child for child in node if isinstance(child, nodes.title)]
        rows = list(node.findall(nodes.row))
        head, *body = [[self.cell(entry) for entry in row] for row in rows]
        rules = [" ---: " if "text-right" in entry["classes"] else " --- " for entry in rows[0]]
        lines = [f"| {' | '.join(row)} |" for row in (head, *body)]
        table = "\n".join([lines[0], f"|{'|'.join(rules)}|", *lines[1:]])
        if not title:
            return table
        return f"*{self.number(node)}.* {self.inline(title[0])}\n\n{table}"

    def cell(self, entry) -> str:
        """Text of a table's cell, in which a bar would end it, even one of a formula."""
        text = self.blocks(entry, "<br>").replace("\n", " ")
        parts = re.split(r"(\$[^$]*\$)", text)
        bars = [(r"\|", r"\Vert "), ("|", r"\vert ")]
        for i, part in enumerate(parts):
            for bar, word in bars if i % 2 else [("|", r"\|")]:
                part = part.replace(bar, word)
            parts[i] = part
        return "".join(parts)

    def block_footnote(self, node):
        label, *text = node.children
        return f"<sup>{label.astext()}</sup> {self.blocks(text)}"

    def block_raw(self, node):
        text = node.astext().strip()  # an extension's scripts are for the book's pages
        is_html = "html" in node.get("format", "").split() and not text.startswith("<script")
        return text if is_html else ""

    def nothing(self, node):
        return ""

    block_comment = block_target = block_index = block_toctree = block_substitution_definition = (
        nothing
    )
    inline_comment = inline_target = inline_index = nothing

    # Within a paragraph

    def inline_Text(self, node):
        return escape(node.astext()).replace("\n", " ")

    def inline_inline(self, node):
        return self.inline(node)

    inline_abbreviation = inline_generated = inline_inline

    def inline_emphasis(self, node):
        return f"*{self.inline(node)}*"

    inline_literal_emphasis = inline_title_reference = inline_emphasis

    def inline_strong(self, node):
        return f"**{self.inline(node)}**"

    def inline_literal(self, node):
        text = node.astext().replace("\n", " ")
        fence = "``" if "`" in text else "`"
        pad = " " if "`" in text else ""
        return f"{fence}{pad}{text}{pad}{fence}"

    def inline_math(self, node):
        return f"${' '.join(node.astext().split())}$"

    def inline_subscript(self, node):
        return f"<sub>{self.inline(node)}</sub>"

    def inline_superscript(self, node):
        return f"<sup>{self.inline(node)}</sup>"

    def inline_reference(self, node):
        # Where the reader is already, a number or a name is enough: services drop anchors.
        uri, text = node.get("refuri", "#"), self.inline(node)
        return text if uri.startswith(("#", f"{self.builder.page}#")) else f"[{text}]({uri})"

    def inline_footnote_reference(self, node):
        return f"<sup>{node.astext()}</sup>"

    def inline_image(self, node):
        return f"![{escape(node.get('alt', ''))}]({self.builder.get_image_uri(node)})"

    def inline_raw(self, node):
        return self.block_raw(node)
