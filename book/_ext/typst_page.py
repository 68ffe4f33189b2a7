"""Write a page of the book in Typst, which sets it on paper.

What things look like is said in `paper.typ`; here each node only names the function that shows it.
"""

import re
import textwrap

from docutils import nodes
from resolved_page import ResolvedPage, formula_lines
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.locale import admonitionlabels
from sphinx.util.math import get_node_equation_number
from sphinx_exercise.nodes import is_exercise_node, solution_node
from typst_tables import FITTING, NUMBER, HTMLTable, columns_of

# What stands between these is the number of a formula, which pandoc turns into Typst's later.
FORMULA = "\ue000{}\ue001"
HIDDEN_CODE = ("input", "input+output", "all")
HIDDEN_OUTPUT = ("output", "input+output", "all")
LONG = 20  # letters from which on a name in code may break
PRINTED = 84  # letters of a line that code prints


def escape(text: str) -> str:
    """Let characters that Typst would read as markup stand for themselves."""
    return re.sub(r"([\\#$*_`<>@\[\]()~\"'=+/\-.;:])", r"\\\1", text)


def quote(text: str) -> str:
    """A string of Typst's."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def call(function: str, *arguments: str, body: str | None = None) -> str:
    """A call that ends where it ends, whatever follows."""
    inside = f"({', '.join(filter(None, arguments))})" if any(arguments) or body is None else ""
    return f"#{function}{inside}" + ("" if body is None else f"[{body}]") + ";"


def wrap(line: str) -> str:
    """Break a long line that code has printed, unless its words are set in columns."""
    if len(line) <= PRINTED or re.search(r"\S\s{2,}\S", line):
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, PRINTED, subsequent_indent=indent, drop_whitespace=True)


class TypstPage(ResolvedPage):
    """Turns nodes of one resolved page into Typst.

    Parameters
    ----------
    builder : Builder
        Has, beyond what a resolved page needs, `note_formula` and `note_link`, which hear of what
        is to be converted and to be found, the book's `title`, and `get_image`, the
        path of an image and, of a drawing, its width in points.
    docname : str
        The page, whose name is the first part of all its anchors.
    """

    product = "The book on paper"

    def __init__(self, builder, docname: str):
        super().__init__(builder)
        self.docname = docname
        self.level = 0
        self.contents = []  # sections: number, title and key
        self.solutions = []
        self.in_solutions = False

    # Places

    def key(self, name: str = "", docname: str | None = None) -> str:
        return f"{docname or self.docname}#{name}"

    def anchors(self, node: nodes.Element, *names: str) -> str:
        """Invisible marks, to which references and the index lead."""
        names = [*names, *node.get("ids", ())]
        return "".join(self.anchor(self.key(name)) for name in names)

    def anchor(self, key: str) -> str:
        if key in self.builder.anchors:
            return ""  # extensions call a part of each of their boxes by one name
        self.builder.anchors.add(key)
        return call("anchor", quote(key))

    def page(self, doctree: nodes.document) -> str:
        """The whole page, and its solutions at its end."""
        text = self.blocks(doctree.children)
        if self.solutions:
            self.in_solutions = True
            solutions, self.solutions = self.solutions, []
            text += "\n\n" + call("solutions", body="\n" + self.blocks(solutions) + "\n")
        return text

    # Blocks

    def block_section(self, node):
        if isinstance(node.parent, nodes.Admonition):
            return self.blocks(node)  # an algorithm's steps
        self.level += 1
        text = self.blocks(node)
        self.level -= 1
        return text

    def block_title(self, node):
        if not isinstance(node.parent, nodes.section):
            return ""  # boxes and tables have shown theirs
        number, title = self.section_number(node, self.level), self.inline(node).strip()
        if self.level == 1 and title == escape(self.builder.title):
            title = "Preface"  # the page that the book on the web begins with
        key = self.key(node.parent["ids"][0])
        first = [""] if self.level == 1 else []
        marks = self.anchors(node.parent, *first)
        self.contents.append((self.level, number, title, key))
        function = "chapter" if self.level == 1 else "heading-of"
        depth = "" if self.level == 1 else str(self.level + 1)
        return call(function, depth, quote(number), f"[{marks}]", body=title)

    def block_paragraph(self, node):
        text = self.anchors(node) + self.inline(node).strip()
        after = node.next_node(descend=False, siblings=True)
        if isinstance(after, nodes.table) and len(node.astext()) < FITTING:
            return call("lead", body=text)
        return text

    def block_math_block(self, node):
        number = f"({get_node_equation_number(self, node)})" if node["number"] else ""
        formula = self.builder.note_formula(formula_lines(node), True)
        return call("equation", quote(number), f"[{self.anchors(node)}]", body=formula)

    def block_literal_block(self, node):
        language = node.get("language", "").replace("ipython3", "python")
        text = node.astext().rstrip()
        if language.startswith("myst-ansi") or "output" in node.get("classes", ()):
            return call("output", quote("\n".join(map(wrap, text.split("\n"))))) if text else ""
        if node.get("linenos"):
            lines = text.split("\n")
            text = "\n".join(f"{i:>{len(str(len(lines)))}}  {x}" for i, x in enumerate(lines, 1))
        language = "" if language in ("default", "none", "text") else language
        return call("code", quote(language), quote(text))

    def block_doctest_block(self, node):
        return call("code", quote("python"), quote(node.astext().rstrip()))

    def block_container(self, node):
        """What only groups, and a cell of code, of which a page shows what it does not fold."""
        kind = node.get("nb_element")
        hidden = node.parent.get("hide_mode")
        if kind == "cell_code_source" and hidden in HIDDEN_CODE:
            return ""
        if kind == "cell_code_output" and hidden in HIDDEN_OUTPUT:
            return ""
        return self.anchors(node) + self.blocks(node)

    block_legend = block_glossary = block_compact_paragraph = block_container

    def block_compound(self, node):
        return "" if "toctree-wrapper" in node["classes"] else self.blocks(node)

    def block_bullet_list(self, node):
        return self.items("list", node)

    def block_enumerated_list(self, node):
        return self.items("enum", node, f"start: {node.get('start', 1)}")

    def items(self, function, node, *options):
        tight = all(len(item) == 1 for item in node)
        items = "".join(f"[{self.anchors(item)}{self.blocks(item)}]" for item in node)
        inside = ", ".join([*options, f"tight: {str(tight).lower()}"])
        return f"#{function}({inside}){items};"

    def block_definition_list(self, node):
        return "\n\n".join(map(self.definition, node))

    def definition(self, item):
        *terms, meaning = item.children
        terms = [self.anchors(term) + self.inline(term) for term in terms]
        return call("definition", f"[{', '.join(terms)}]", body=self.blocks(meaning))

    def block_block_quote(self, node):
        return call("quotation", body=self.blocks(node))

    def block_attribution(self, node):
        return call("attribution", body=self.inline(node))

    def block_Admonition(self, node):
        if isinstance(node, solution_node) and not self.in_solutions:
            self.solutions.append(node)
            return ""
        kind = node.tagname
        if is_exercise_node(node):
            kind = "exercise"
        elif isinstance(node, solution_node):
            kind = "solution"
        elif "algorithm" in node.get("classes", ()):
            kind = "algorithm"
        title = str(admonitionlabels.get(node.tagname, ""))
        for child in node.children:
            if isinstance(child, nodes.title):
                title = self.inline(child).strip()
        title = " ".join(filter(None, [escape(self.number(node)), title]))
        return call("box-of", quote(kind), f"[{self.anchors(node)}{title}]", body=self.blocks(node))

    block_topic = block_sidebar = block_Admonition

    def block_figure(self, node):
        caption = [child for child in node if isinstance(child, nodes.caption)]
        others = [child for child in node if child not in caption]
        number = self.number(node)
        words = self.inline(caption[0]) if caption else ""
        return call(
            "picture",
            quote(number),
            f"[{self.anchors(node)}{words}]",
            body=self.blocks(others),
        )

    def block_caption(self, node):
        number = self.number(node.parent)
        return call("listing-caption", quote(number), body=self.inline(node))

    def block_image(self, node):
        return self.inline_image(node)

    def block_reference(self, node):
        return self.inline_reference(node)

    def block_rubric(self, node):
        return call("rubric", body=self.anchors(node) + self.inline(node))

    def block_transition(self, node):
        return call("transition")

    def block_line_block(self, node):
        return " \\\n".join(self.inline(line) for line in node)

    def block_table(self, node):
        title = [child for child in node if isinstance(child, nodes.title)]
        head = [self.row(row) for part in node.findall(nodes.thead) for row in part]
        body = [self.row(row) for part in node.findall(nodes.tbody) for row in part]
        entries = next(iter(node.findall(nodes.row)))
        sides = ["right" if "text-right" in entry["classes"] else "left" for entry in entries]
        words = [[entry.astext() for entry in row] for row in node.findall(nodes.row)]
        first = words.pop(0) if head else [""] * len(sides)
        table = self.table(head, body, sides, columns_of(first, words, [False] * len(sides)))
        if not title:
            return self.anchors(node) + table
        caption = f"[{self.anchors(node)}{self.inline(title[0])}]"
        return call("titled-table", quote(self.number(node)), caption, body=table)

    def row(self, row) -> list[str]:
        for entry in row:
            if entry.get("morecols") or entry.get("morerows"):
                raise ExtensionError(
                    f"{self.product} cannot show a cell over several columns or rows, as in the "
                    f"table of {entry.source}:{entry.line}: write out the rows."
                )
        return [self.blocks(entry) for entry in row]

    def table(self, head, rows, sides, columns) -> str:
        def cells(lines):
            return "".join(f"[{cell}]" for line in lines for cell in line)

        aligned = f"align: ({', '.join(sides)},)"
        header = [f"table.header{cells(head)}"] if head else []
        body = ", ".join(f"[{cell}]" for row in rows for cell in row)
        widths, size = columns
        return call("data-table", widths, f"size: {size}", aligned, *header, body)

    def block_raw(self, node):
        """A table that code has made; what else is in HTML is for the book's pages."""
        text = node.astext().strip()
        if "html" not in node.get("format", "").split() or text.startswith(("<script", "<style")):
            return ""
        if not text.startswith("<table"):
            return self.no(node)
        made = HTMLTable(text)
        if made.unknown:
            return self.no(node, f" with {', '.join(sorted(made.unknown))}")
        head = [[call("strong", body=escape(cell)) for cell in row] for row in made.head]
        columns = list(zip(*made.rows, strict=True))
        sides = [
            "right" if i and all(NUMBER.fullmatch(cell) for cell in column) else "left"
            for i, column in enumerate(columns)
        ]
        first = made.head[0] if made.head else [""] * len(sides)
        columns = columns_of(first, made.rows, [side == "right" for side in sides])
        return self.table(head, [list(map(escape, row)) for row in made.rows], sides, columns)

    def no(self, node, what=""):
        raise ExtensionError(
            f"{self.product} cannot show the {node.get('format')} of {node.source}:{node.line}"
            f"{what}: {node.astext()[:80]!r}. Let code make a lectures_lib.plotting.Table."
        )

    def block_footnote(self, node):
        label, *text = node.children
        marks = self.anchors(node)
        return call("note", f"[{marks}{escape(label.astext())}]", body=self.blocks(text))

    def block_citation(self, node):
        _, *text = node.children
        return call("citation", body=self.anchors(node) + self.blocks(text))

    # The reference of the package: names and what they are in a sentence

    def block_desc(self, node):
        """A name and the first paragraph about it; its members are found in the same place."""
        self.builder.references.add(self.docname)
        first, *others = node.findall(addnodes.desc_signature)
        marks = self.anchors(first) + "".join(map(self.anchors, others))
        self.builder.members |= {self.key(name) for other in others for name in other["ids"]}
        name = re.sub(r"^lectures_lib\.", "", f"{first['module']}.{first['fullname']}")
        said = (child for child in node.children[-1] if isinstance(child, nodes.paragraph))
        said = next((text for text in said if not text.astext().startswith("Bases: ")), None)
        said = self.inline(said).strip() if said is not None else ""
        return call("described", f"[{marks}{escape(name)}]", body=said)

    def nothing(self, node):
        return ""

    def block_target(self, node):
        return self.anchors(node)

    block_index = block_target
    block_comment = block_toctree = block_substitution_definition = nothing
    block_meta = block_viewcode_anchor = block_tabular_col_spec = nothing
    inline_comment = inline_viewcode_anchor = nothing
    inline_exercise_subtitle = nothing

    def inline_target(self, node):
        return self.anchors(node) + self.inline(node)

    inline_index = inline_target

    # Within a paragraph

    def inline_Text(self, node):
        return escape(node.astext().replace("\n", " "))

    def inline_inline(self, node):
        return self.anchors(node) + self.inline(node)

    inline_abbreviation = inline_generated = inline_inline

    def inline_emphasis(self, node):
        return call("emph", body=self.inline(node))

    inline_literal_emphasis = inline_title_reference = inline_emphasis

    def inline_strong(self, node):
        return call("strong", body=self.inline(node))

    inline_literal_strong = inline_strong

    def inline_literal(self, node):
        text = node.astext().replace("\n", " ")
        if len(text) > LONG:
            text = re.sub(r"(?<=[\w\])])(?=[._/(\[])", "\u200b", text)
        return call("raw", quote(text))

    def inline_math(self, node):
        return self.builder.note_formula(" ".join(node.astext().split()), False)

    def inline_subscript(self, node):
        return call("sub", body=self.inline(node))

    def inline_superscript(self, node):
        return call("super", body=self.inline(node))

    def inline_reference(self, node):
        text = self.inline(node)
        if "refid" in node:
            return self.link(node, self.key(node["refid"]), text)
        uri = node.get("refuri", "")
        if re.match(r"[a-z]+:", uri):
            return call("link", quote(uri), body=text)
        docname, _, name = uri.partition("#")
        if docname.startswith("_modules/"):
            return ""  # the library's code, which is on the web
        key = self.key(name, docname or None)
        if not name and docname != self.docname:
            self.builder.note_link(key, node)
            return call("chapter-link", quote(key), body=text)
        return self.link(node, key, text)

    def link(self, node, key, text):
        self.builder.note_link(key, node)
        return call("link", f"label({quote(key)})", body=text)

    def inline_number_reference(self, node):
        return self.inline_reference(node)

    def inline_footnote_reference(self, node):
        return call("super", body=self.inline_reference(node))

    def inline_image(self, node):
        path, width = self.builder.get_image(node)
        width = f"width: {width:.0f}pt" if width else ""
        return call("image-of", quote(path), quote(node.get("alt", "")), width)

    def inline_raw(self, node):
        return self.block_raw(node)
