"""Set the whole book on paper: one PDF, by Typst.

    jupyter-book build . --builder custom --custom-builder paper        (or: make pdf)

Chapters come in the order of the table of contents, with the numbers, references and citations of
the built pages. Code that the pages fold is left out, and the solutions of a chapter's exercises
stand at its end.
"""

import re
import shutil
from datetime import date
from pathlib import Path

import formulas
from docutils import nodes
from repository import ask_git, find_repository
from sphinx import addnodes
from sphinx.builders import Builder
from sphinx.environment.adapters.indexentries import IndexEntries
from sphinx.errors import ExtensionError
from sphinx.util import logging
from typst_page import FORMULA, TypstPage, call, escape, quote
from vectors import FOLDER, stored_pixels, vector

DESIGN = Path(__file__).with_name("paper.typ")
INDEX = "genindex"  # the page in whose place Sphinx puts the index
UNIT = 0.6  # points of a drawing's unit
FONTS = {"sans-serif": "DejaVu Sans", "monospace": "DejaVu Sans Mono", "serif": "Libertinus Serif"}

logger = logging.getLogger(__name__)


class Paper(Builder):
    name = "paper"
    format = "typst"
    epilog = "The book on paper is %(outdir)s/book.pdf."
    supported_image_types = ("image/svg+xml", "image/png", "image/gif", "image/jpeg")

    def init(self):
        self.anchors, self.links = set(), {}
        self.formulas, self.pages = {}, {}
        self.references = set()  # pages that describe the package
        self.members = set()  # places of names that stand with the class that they belong to
        self.drawn = {}  # of each figure with a name, whether it is a vector

    def get_outdated_docs(self):
        return self.env.found_docs  # one file has them all

    def get_target_uri(self, docname, typ=None):
        return docname

    def get_relative_uri(self, from_, to, typ=None):
        return to

    def prepare_writing(self, docnames):
        Path(self.outdir).mkdir(parents=True, exist_ok=True)

    def write_doc(self, docname, doctree):
        # Where Sphinx's own builder of pages keeps them, for what is shared with it.
        self.docname = docname
        self.fignumbers = self.env.toc_fignumbers.get(docname, {})
        self.secnumbers = self.env.toc_secnumbers.get(docname, {})
        self.post_process_images(doctree)
        source = Path(self.env.doc2path(docname))
        self.pixels = stored_pixels(source) if source.suffix == ".ipynb" else {}
        page = TypstPage(self, docname)
        self.pages[docname] = page.page(doctree), page.contents

    # What a page asks for

    def note_formula(self, tex: str, displayed: bool) -> str:
        return FORMULA.format(self.formulas.setdefault((tex, displayed), len(self.formulas)))

    def note_link(self, key: str, node: nodes.Node) -> None:
        self.links.setdefault(key, f"{node.source}:{node.line}")

    def get_image(self, node: nodes.image) -> tuple[str, float | None]:
        """Where the image lies for Typst, which reads nothing outside of its own folder.

        And of a drawing its width in points, at which its letters are about as large as the
        page's. A chapter's figure is a vector where one is stored: see `vectors.py`.
        """
        path, width = Path(self.srcdir, node["uri"]), None
        if name := next(iter(node.parent.get("ids", ())), None):
            drawn = vector(name, self.pixels[name]) if name in self.pixels else None
            path = drawn or path
            self.drawn[name] = drawn is not None or path.suffix == ".svg"
        copy = Path(self.outdir, "images", f"{path.parent.name}-{path.name}")
        copy.parent.mkdir(exist_ok=True)
        if path.suffix != ".svg":
            shutil.copyfile(path, copy)
            return f"/images/{copy.name}", None
        text = path.read_text(encoding="utf-8")
        if path.parent != FOLDER:
            width = UNIT * float(re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+)', text)[1])
            for generic, font in FONTS.items():
                text = text.replace(f'"{generic}"', f'"{font}"')
        copy.write_text(text, encoding="utf-8")
        return f"/images/{copy.name}", width

    # The book

    def parts(self):
        """Captions of the parts, None for what stands before them, and the pages of each."""
        root = self.config.root_doc
        yield None, [root]
        for toctree in self.env.get_doctree(root).findall(addnodes.toctree):
            pages = [page for page in toctree["includefiles"] if page != INDEX]
            yield toctree.get("caption"), [page for top in pages for page in self.below(top)]

    def below(self, docname):
        yield docname
        for child in self.env.toctree_includes.get(docname, ()):
            yield from self.below(child)

    def finish(self):
        for key, place in self.links.items():
            if key not in self.anchors:
                raise ExtensionError(f"{place} refers to {key}, and the book on paper lacks it.")
        body, contents = [], []
        for number, (caption, docnames) in enumerate(self.parts()):
            if caption:
                key = f"part-{number}"
                body.append(call("part", quote(key), body=escape(caption)))
                contents.append(call("contents-part", quote(key), body=escape(caption)))
            for docname in docnames:
                text, sections = self.pages[docname]
                body.append(text)
                contents.append(self.entry(docname, sections))
        logger.info("%d of %d figures are vectors", sum(self.drawn.values()), len(self.drawn))
        if pixels := [name for name, drawn in self.drawn.items() if not drawn]:
            logger.info("make slides-figures makes vectors of %s", ", ".join(pixels))
        indices = []
        for title, in_code in {"Index": False, "Names in code": True}.items():
            if found := self.index(in_code):
                key = quote(f"{INDEX}#{title}")
                indices.append(call("index-of", f"[{title}]", key, body=found))
                contents.append(call("contents-chapter", quote(""), key, "()", body=title))
        main = self.fill(
            "\n\n".join(
                [
                    '#import "/paper.typ": *',
                    self.front(),
                    call("contents", body="\n".join(contents)),
                    "#show: main-matter",
                    *body,
                    *indices,
                ]
            )
        )
        source = Path(self.outdir, "book.typ")
        source.write_text(main + "\n", encoding="utf-8")
        shutil.copyfile(DESIGN, Path(self.outdir, DESIGN.name))
        compile_pdf(source)

    def fill(self, text: str) -> str:
        """Put the formulas into their places."""
        made = list(formulas.convert(self.formulas).values())
        begin, end = FORMULA.split("{}")
        return re.sub(f"{begin}(\\d+){end}", lambda match: made[int(match[1])], text)

    @property
    def title(self) -> str:
        return self.config.html_title or self.config.project

    def front(self) -> str:
        repository = find_repository(self.srcdir)
        commit = ask_git(self.srcdir, "rev-parse", "--short", "HEAD")
        day = ask_git(self.srcdir, "log", "-1", "--format=%cs") or date.today().isoformat()
        return (
            "#show: book.with("
            + ", ".join(
                [
                    f"title: {quote(self.title)}",
                    f"authors: {quote(self.config.author)}",
                    f"edition: {quote(day + (f', commit {commit}' if commit else ''))}",
                    f"address: {quote(repository.pages if repository else '')}",
                    f"year: {quote(self.config.copyright or day[:4])}",
                ]
            )
            + ")"
        )

    def entry(self, docname, sections) -> str:
        """A chapter of the table of contents, and its sections in a row."""
        (_, number, title, _), *others = sections or [(1, "", escape(docname), "")]
        inside = "".join(
            f"(title: [{words}], key: {quote(key)}), "
            for level, _, words, key in others
            if level == 2
        )
        key = quote(f"{docname}#")
        return call("contents-chapter", quote(number), key, f"({inside})", body=title)

    def index(self, in_code: bool) -> str:
        """Words with their places, as Sphinx has sorted them: of the book, or of its package."""
        groups = []
        for letter, entries in IndexEntries(self.env).create_index(self):
            hyphenated = {word.replace("-", " ") for word, _ in entries if "-" in word}
            lines = [
                call("index-word", quote(level), self.places(links), body=break_dots(escape(word)))
                for name, (first, below, _) in entries
                if name not in hyphenated
                for level, word, links in [("0", name, first), *(("1", *of) for of in below)]
                if not self.is_member(links)
                and self.is_in_code([*first, *(link for _, links in below for link in links)])
                == in_code
            ]
            if lines:
                groups.append(call("index-letter", quote(letter), body="\n".join(lines)))
        return "\n".join(groups)

    def is_in_code(self, links) -> bool:
        return all(uri.partition("#")[0] in self.references for _, uri in links)

    def is_member(self, links) -> bool:
        return bool(links) and all(uri in self.members for _, uri in links)

    def places(self, links) -> str:
        keys = [uri if "#" in uri else f"{uri}#" for _, uri in links]
        return "".join(
            ["(", *(f"{quote(key)}, " for key in dict.fromkeys(keys) if key in self.anchors), ")"]
        )


def break_dots(typst: str) -> str:
    """Let long names in the index end a line after a dot."""
    return typst.replace("\\.", "\\.\u200b")


def compile_pdf(source: Path) -> None:
    """Set a Typst file in the fonts that come with Typst and, for drawings, with matplotlib."""
    try:
        import typst
    except ImportError as error:
        raise ExtensionError(
            f"{source} is written. Typst makes a PDF of it: pip install typst."
        ) from error
    import matplotlib

    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    compiler = typst.Compiler(
        str(source), root=str(source.parent), font_paths=[str(fonts)], ignore_system_fonts=True
    )
    try:
        _, warnings = compiler.compile_with_warnings(output=str(source.with_suffix(".pdf")))
    except typst.TypstError as error:
        raise ExtensionError(f"Typst cannot set {source}: {error} {error.diagnostic}") from error
    for warning in warnings:
        logger.warning("Typst: %s", warning)


def made(app) -> Path | None:
    """The book on paper, where it has been made before pages that can offer it."""
    pdf = Path(app.outdir).parent / Paper.name / "book.pdf"
    return pdf if app.builder.name == "html" and pdf.exists() else None


def announce(app):
    if made(app):
        app.tags.add("with_pdf")


def read_front_again(app, env, *changes):
    """Its link to the book on paper comes and goes with that."""
    return [app.config.root_doc]


def offer(app, exception):
    if exception is None and (pdf := made(app)):
        shutil.copyfile(pdf, Path(app.outdir, pdf.name))


def setup(app):
    app.add_builder(Paper)
    app.connect("builder-inited", announce)
    app.connect("env-get-outdated", read_front_again)
    app.connect("build-finished", offer)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
