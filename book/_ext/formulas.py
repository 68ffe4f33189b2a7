"""Turn TeX formulas into Typst's, all of a book in one call of pandoc."""

import json
import re
import subprocess
from collections.abc import Iterable

from sphinx.errors import ExtensionError

API = [1, 23, 1]  # of pandoc's own tree, in which formulas are handed over
END = "// end of formula"

# What pandoc reads but cannot say in Typst goes through as accents that no formula has here.
SMALL, LARGE = "\\breve", "\\grave"
BARS = re.compile(r"\\([bB]igg?)m\s*(\\?.)")
SCALED = re.compile(r"#scale\(x: (\d+)%, y: \1%\)\[(\\?.)\]")
# By Typst, since pandoc learned its names; and two spaces that pandoc rounds to whole letters.
RENAMED = {"dot.circle": "dot.o", "#h(0em)": "thick", "#h(-1em)": "#h(-0.1667em)"}
# Typst keeps the space that stands beside a bar in its source; TeX has none, but around \bigm.
RELATION = re.compile(r'thick class\("normal", (lr\([^()]*\))\) thick')
SPACED_BAR = re.compile(r"(?:(?<!^\$) )?(\\\|)(?: (?!\$$))?")  # and never a formula's own space
SIDES = {"(": "opening", "[": "opening", "{": "opening", ")": "closing", "]": "closing"}
SIDES |= {"}": "closing"}


def arguments(tex: str, count: int) -> tuple[list[str], str]:
    """The first arguments of a command from what follows it, and the rest.

    >>> arguments("1{2n}+x", 2)
    (['{1}', '{2n}'], '+x')
    """
    found = []
    for _ in range(count):
        tex = tex.lstrip()
        if tex.startswith("{"):
            depth, end = 0, 0
            for end, sign in enumerate(tex, 1):
                escaped = end > 1 and tex[end - 2] == "\\"
                depth += 0 if escaped else (sign == "{") - (sign == "}")
                if depth == 0:
                    break
            found.append(tex[:end])
        else:
            end = re.match(r"\\[A-Za-z]+|\\?.", tex, re.S).end()
            found.append(f"{{{tex[:end]}}}")
        tex = tex[end:]
    return found, tex


def before(tex: str) -> str:
    """TeX as pandoc reads it: fractions of a forced size are marked, and bars get their space."""
    if taken := re.search(r"\\(breve|grave)\b", tex):
        raise ExtensionError(f"The accent {taken[0]} of {tex!r} is taken: see formulas.py.")
    tex = BARS.sub(r"\\;\\\1\2\\;", tex)
    while match := re.search(r"\\([td])frac(?![A-Za-z])", tex):
        parts, rest = arguments(tex[match.end() :], 2)
        mark = SMALL if match[1] == "t" else LARGE
        tex = f"{tex[: match.start()]}{mark}{{\\frac{''.join(parts)}}}{rest}"
    return tex


def after(typst: str) -> str:
    """Typst as it is best set: sized fences are the font's own, and not magnified letters."""

    def fence(match):
        side = SIDES.get(match[2].removeprefix("\\"), "normal")
        sign = f"\\{match[2].removeprefix(chr(92))}"
        return f'class("{side}", lr({sign}, size: #{int(match[1]) / 100}em))'

    typst = SCALED.sub(fence, typst)
    for old, new in RENAMED.items():
        typst = typst.replace(old, new)
    typst = SPACED_BAR.sub(r"\1", RELATION.sub(r'class("relation", \1)', typst))
    return typst.replace("breve(", "inline(").replace("grave(", "display(")


def convert(formulas: Iterable[tuple[str, bool]]) -> dict[tuple[str, bool], str]:
    """Typst of each formula, given as its TeX and whether it is displayed.

    Raises
    ------
    ExtensionError
        If pandoc is not installed, or does not understand a formula, which it then names.
    """
    try:
        import pypandoc

        pandoc = pypandoc.get_pandoc_path()
    except (ImportError, OSError) as error:
        raise ExtensionError(
            "Formulas are turned into Typst's by pandoc: pip install pypandoc_binary."
        ) from error
    formulas, blocks = list(dict.fromkeys(formulas)), []
    for tex, displayed in formulas:
        kind = {"t": "DisplayMath" if displayed else "InlineMath"}
        blocks += [
            {"t": "Para", "c": [{"t": "Math", "c": [kind, before(tex)]}]},
            {"t": "RawBlock", "c": ["typst", END]},
        ]
    document = json.dumps({"pandoc-api-version": API, "meta": {}, "blocks": blocks})
    command = [pandoc, "-f", "json", "-t", "typst", "--wrap=none"]
    done = subprocess.run(command, input=document, capture_output=True, text=True)
    made = [text.strip() for text in done.stdout.split(END)[:-1]]
    if done.returncode or len(made) != len(formulas):
        raise ExtensionError(f"pandoc could not turn formulas into Typst's: {done.stderr}")
    for (tex, _), text in zip(formulas, made, strict=True):
        if not (text.startswith("$") and text.endswith("$")):
            raise ExtensionError(
                f"pandoc does not understand the formula {tex!r}: write it with commands that it "
                f"knows, or teach book/_ext/formulas.py. {done.stderr}"
            )
    return dict(zip(formulas, map(after, made), strict=True))
