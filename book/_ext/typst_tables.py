"""Tables on paper: their rows, read from HTML, and how their columns share a page's width."""

import html.parser
import re

FITTING = 100  # letters that a line of a table holds, with some for each gap between columns
GAP = 2.5
CROWDED = 1.15  # of what a line holds: that much fits in smaller letters
SMALLEST = 0.75  # of the usual size; before letters are smaller, numbers break lines, too
NARROW = 16  # letters of a column that breaks no line
HEAD = 8  # letters of a column's title that break no line
NUMBER = re.compile(r"[-−+±]?[\d.,]+(e[-+]?\d+)?%?(\s*\(.*\))?|[–—-]|")


class HTMLTable(html.parser.HTMLParser):
    """Rows of the plainest HTML table, that of `lectures_lib.plotting.Table`."""

    KNOWN = frozenset({"table", "thead", "tbody", "tr", "th", "td"})

    def __init__(self, text: str):
        super().__init__()
        self.head, self.rows = [], []
        self.unknown = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.KNOWN or attrs:
            self.unknown.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "thead":
            self.head, self.rows = self.rows, []

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data
        elif data.strip():
            self.unknown.add(data)


def columns_of(head: list[str], rows: list[list[str]], whole: list[bool]) -> tuple[str, str]:
    """Widths of a table's columns, and by how much it has to be smaller than others.

    Columns take what they need, or share the room where lines have to break: those that are not
    whole do so, and the more they have to say the more room they get.
    """
    columns = list(zip(head, *rows, strict=True))
    natural = sum(GAP + max(map(len, column)) for column in columns)
    if natural <= CROWDED * FITTING:
        return f"({'auto, ' * len(columns)})", f"{min(1, FITTING / natural):.2f}"
    widths, shares = [], []
    for (title, *cells), one in zip(columns, whole, strict=True):
        most = max(map(len, cells), default=0)
        breaks = most > NARROW and not one
        words = [*title.split(), *(" ".join(cells).split() if breaks else [])]
        least = max(min(most, NARROW) if breaks else most, min(len(title), HEAD))
        widths.append(GAP + max(least, *map(len, words), 0))
        shares.append(sum(len(cell) ** 2 for cell in cells) ** 0.5 if breaks else 0)
    room = FITTING - sum(width for width, share in zip(widths, shares, strict=True) if not share)
    room, total = max(0, room), sum(shares) or 1
    taken = [max(width, room * share / total) for width, share in zip(widths, shares, strict=True)]
    made = "".join(f"{width:.0f}fr, " for width in taken)
    return f"({made})", f"{max(SMALLEST, min(1, FITTING / sum(widths))):.2f}"
