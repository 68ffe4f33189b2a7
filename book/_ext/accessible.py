"""What a page's HTML lacks for readers who hear it, where no option of its makers mends it."""

import re

# The role that docutils gives to an entry is deprecated; the list around it expects this one.
ENTRY = ('role="doc-biblioentry"', 'role="listitem"')

# A table's upper left corner heads nothing.
EMPTY_HEADER = re.compile(r"<th(?: [^>]*)?>\s*(?:<p>\s*</p>\s*)?</th>")


# Every algorithm of a page has its steps in a section of this one name.
STEPS = (' id="proof-content"', "")


def mend(body: str) -> str:
    """HTML of a page, with its bibliography's roles, tables' corners and names put right."""
    return EMPTY_HEADER.sub("<td></td>", body.replace(*ENTRY).replace(*STEPS))


def mend_page(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = mend(context["body"])


def setup(app):
    app.connect("html-page-context", mend_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
