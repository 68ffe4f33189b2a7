"""Figures that can be moved, by a reader at a keyboard, on the pages of the built book."""

import csv
import io
import json
import re
from pathlib import Path

import axe_playwright_python
import pytest
from explorables import SCRIPTS

HTML = Path(__file__).parents[2] / "_build" / "html"
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.glob("book/*/*.html")
    if 'class="explorable"' in path.read_text(encoding="utf-8")
)
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 800}
MOST = 1.5e6  # bytes of scripts

FIGURE = "figure:has(div.explorable)"
DRAWN = f"{FIGURE} .explorable-picture svg"
SAYS = f"{FIGURE} .explorable-says"
# All that the picture is drawn with, without names that are new each time.
PICTURE = f"""() => document.querySelector("{DRAWN}").outerHTML.replace(/clip[0-9]+/g, "")"""
VIOLATIONS = """async () => (await axe.run("div.explorable", {resultTypes: ["violations"]}))
  .violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 200)}`))"""


def test_the_book_has_four_or_more(html):
    assert len(PAGES) >= 4


@pytest.fixture(scope="module", params=PAGES or [None])
def page(request, address, browser):
    tab = browser.new_page(viewport=DESK, color_scheme="light")
    tab.goto(address + request.param)
    tab.wait_for_selector(DRAWN)
    yield tab
    tab.close()


def controls(tab):
    return tab.locator(f"{FIGURE} .explorable-controls :is(select, input)").all()


def move(tab, control):
    """One key, or two where the first leads nowhere."""
    before = control.input_value()
    control.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        tab.keyboard.press(key)
        if control.input_value() != before:
            break
    tab.wait_for_timeout(100)


def test_each_control_has_a_label_and_its_keys_move_the_picture_and_what_is_said(page):
    assert controls(page)
    for control in controls(page):
        assert control.evaluate("(e) => e.labels[0].innerText.trim()")
        picture, sentence = page.evaluate(PICTURE), page.inner_text(SAYS)
        # A slider may have steps between which nothing differs.
        for _ in range(9):
            move(page, control)
            if page.evaluate(PICTURE) != picture:
                break
        assert page.evaluate(PICTURE) != picture
        colours_only = control.evaluate("(e) => e.labels[0].innerText").startswith("Colours")
        assert colours_only or page.inner_text(SAYS) != sentence


def test_the_tabulator_key_reaches_all_controls_in_their_order(page):
    first, *others = controls(page)
    first.focus()
    for control in others:
        page.keyboard.press("Tab")
        assert control.evaluate("(e) => e === document.activeElement")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_it_fits_and_axe_finds_no_violation(page, theme, screen):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size(screen)
    page.wait_for_timeout(300)
    place = page.locator("div.explorable").bounding_box()
    drawn = page.locator(DRAWN).bounding_box()
    assert drawn["width"] > 0.8 * place["width"]
    assert drawn["x"] + drawn["width"] <= place["x"] + place["width"] + 1
    assert place["x"] + place["width"] <= screen["width"]
    page.evaluate(AXE)
    assert page.evaluate(VIOLATIONS) == []


def test_what_was_chosen_stays_when_the_screen_turns(page):
    control = controls(page)[-1]
    move(page, control)
    chosen, sentence = control.input_value(), page.inner_text(SAYS)
    width = page.viewport_size["width"]
    page.set_viewport_size(PHONE if width == DESK["width"] else DESK)
    page.wait_for_timeout(300)
    assert controls(page)[-1].input_value() == chosen and page.inner_text(SAYS) == sentence


def test_the_still_picture_is_for_paper_alone(page):
    still, moving = page.locator(f"{FIGURE} > img"), page.locator("div.explorable")
    assert moving.is_visible() and not still.is_visible()
    page.emulate_media(media="print")
    assert still.is_visible() and not moving.is_visible()
    page.emulate_media(media="screen")


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_the_still_picture_with_its_text_is_shown(name, address, browser):
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    tab = context.new_page()
    tab.goto(address + name)
    still = tab.locator(f"{FIGURE} > img")
    assert still.is_visible() and len(still.get_attribute("alt")) > 50
    assert tab.locator("div.explorable").inner_text() == ""
    context.close()


def test_no_other_page_loads_the_scripts_and_these_load_little(html, address, browser):
    script = re.compile("|".join(map(re.escape, SCRIPTS)))
    loading = {
        path.relative_to(html).as_posix()
        for path in html.rglob("*.html")
        if script.search(path.read_text(encoding="utf-8"))
    }
    assert loading == set(PAGES)
    context, sizes = browser.new_context(), []
    tab = context.new_page()
    tab.on("response", lambda got: sizes.append((got.url, len(got.body()))))
    tab.goto(address + PAGES[0])
    tab.wait_for_selector(DRAWN)
    own = [size for url, size in sizes if script.search(url)]
    assert len(own) == len(SCRIPTS) and sum(own) <= MOST
    assert all(url.startswith(address) for url, _ in sizes)
    context.close()


def test_lines_at_a_point_of_the_grid_are_those_of_the_specification(address, browser):
    """What Vega-Lite interpolates is, at a grid point, the number that is stored."""
    tab = browser.new_page(viewport=DESK)
    tab.goto(address + next(name for name in PAGES if "framework" in name))
    tab.wait_for_selector(DRAWN)
    spec = json.loads(tab.locator("div.explorable script").text_content())
    rules, long_run = (
        list(csv.DictReader(io.StringIO(view["data"]["values"]))) for view in spec["concat"]
    )
    (slider, luck) = controls(tab)
    slider.focus()
    for key in ["ArrowRight"] * 30 + ["ArrowLeft"] * 10:  # and back to 2, a point of the grid
        tab.keyboard.press(key)
    tab.wait_for_timeout(200)
    assert float(slider.input_value()) == 2 and float(luck.input_value()) == 0.2
    rules, long_run = (
        [x for x in rows if (float(x["aversion"]), float(x["luck"])) == (2, 0.2)]
        for rows in (rules, long_run)
    )
    heights = tab.evaluate(
        """() => [".mark-line", ".mark-area"].map((mark) =>
          [...document.querySelectorAll(`.explorable-picture svg ${mark} path`)].map(
            (e) => [...e.getAttribute("d").matchAll(/[ML][^,]+,([^ML]+)/g)].map((y) => +y[1])))"""
    )

    def shown(pixels, view):
        low, high = spec["concat"][view]["encoding"]["y"]["scale"]["domain"]
        return low + (high - low) * (1 - pixels / spec["concat"][view]["height"])

    names = [key for key in rules[0] if key not in ("aversion", "luck", "capital")]
    first = sorted(shown(line[0], 0) for line in heights[0])
    assert first == pytest.approx(sorted(float(rules[0][name]) for name in names), abs=0.01)
    top = shown(min(heights[1][0]), 1)
    assert top == pytest.approx(max(float(x["often"]) for x in long_run), abs=0.01)
    tab.close()
