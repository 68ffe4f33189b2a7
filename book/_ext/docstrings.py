"""Two courtesies of the API reference, so that docstrings and signatures can be written plainly."""

import re


def escape_stars(line: str) -> str:
    """Put a backslash before each star of a shape that does not stand in ``literal`` text.

    Docstrings write shapes as the chapters do, (*batch, households), and to reStructuredText a
    lone star opens an emphasis that never ends.
    """
    parts = re.split(r"(``.*?``)", line)
    parts[::2] = [re.sub(r"(?<=[(,\s])\*(?=[a-z]+[,)])", r"\\*", part) for part in parts[::2]]
    return "".join(parts)


def process_docstring(app, what, name, obj, options, lines):
    lines[:] = map(escape_stars, lines)


def process_signature(app, what, name, obj, options, signature, return_annotation):
    """Show a dataclass's default factory as an ellipsis: <factory> is no Python."""
    if signature:
        return signature.replace("<factory>", "..."), return_annotation


def setup(app):
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
