"""Drawings can be read on white and on dark, on a phone, and by who cannot see them."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from drawings import FOLDER, SVG, inline

from lectures_lib.economies import Market
from lectures_lib.solvers import steady_state

ROOT = Path(__file__).parents[2]
DRAWINGS = sorted((ROOT / FOLDER).glob("*.svg"))
WIDTH = 420  # units; a phone's column has some 350 pixels
SMALLEST_TEXT = 14  # units, hence nearly 12 pixels there
LIGHT, DARK = "#ffffff", "#14181e"  # the pages of the theme
LEAST_CONTRAST = 3  # of lines, by WCAG 2.1, 1.4.11


@pytest.fixture(params=DRAWINGS, ids=lambda p: p.stem)
def drawing(request):
    return ET.parse(request.param).getroot()


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_drawing_fits_a_phone(drawing):
    assert drawing.get("viewBox").split()[2] == str(WIDTH)
    sizes = [float(e.get("font-size")) for e in drawing.iter() if e.get("font-size")]
    assert sizes and min(sizes) >= SMALLEST_TEXT


def test_its_lines_stand_out_on_white_and_on_dark(drawing):
    lines = {e.get("stroke") for e in drawing.iter()} - {None, "none", "currentColor"}
    for colour in lines:
        assert min(contrast(colour, page) for page in (LIGHT, DARK)) >= LEAST_CONTRAST, colour


def test_it_brings_paper_and_needs_nothing_from_elsewhere(drawing):
    paper = drawing.find(f"{{{SVG}}}rect")
    size = drawing.get("viewBox").split()[2:]
    assert paper.get("class") == "paper" and [paper.get("width"), paper.get("height")] == size
    text = ET.tostring(drawing, encoding="unicode")
    assert not re.search(r"href|<style|@import|url\((?!#)", text)


def test_drawings_on_one_page_do_not_share_names():
    names = [name for path in DRAWINGS for name in re.findall(r'\bid="(.+?)"', path.read_text())]
    assert names and len(names) == len(set(names))


def test_a_page_shows_the_drawing_with_its_own_ink_and_says_what_it_is():
    html = inline(DRAWINGS[0], 'says "what" it is')
    shown = ET.fromstring(html)
    assert shown.get("role") == "img" and shown.get("aria-label") == 'says "what" it is'
    assert "paper" not in html and "currentColor" in html


def test_a_drawing_without_paper_is_refused(tmp_path):
    path = tmp_path / "bare.svg"
    path.write_text(f'<svg xmlns="{SVG}"/>')
    with pytest.raises(ValueError, match=r"bare\.svg has no"):
        inline(path, "nothing")


def test_the_bars_of_the_regimes_are_as_long_as_the_formula_says():
    bars = ET.parse(ROOT / FOLDER / "regimes.svg").findall(f".//{{{SVG}}}g/{{{SVG}}}rect")
    lengths = [float(bar.get("width")) for bar in bars]
    spending, quantities = Market(2), Market(2, action="quantity")
    regimes = [
        (spending, "competitive"),
        (spending, "nash"),
        (quantities, "nash"),
        (spending, "monopsony"),
    ]
    capital = [steady_state(economy, regime=regime).capital for economy, regime in regimes]
    expected = [400 * k / capital[0] for k in [capital[0], *capital]]
    assert lengths == pytest.approx(expected, abs=0.1)
