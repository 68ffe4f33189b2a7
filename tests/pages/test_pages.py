"""The book as readers see it: every page in a browser, on a desk and on a phone, by day and night.

Each page is opened once and everything on it unfolded; what is found then is judged test by test.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import axe_playwright_python
import pytest

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# The package's sources are listings of one kind, and the door leads on to the first page.
PAGES = sorted(
    page
    for path in HTML.rglob("*.html")
    if not (page := path.relative_to(HTML).as_posix()).startswith(("_modules/", "_static/"))
    and page != "index.html"
)

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 800}

# And nothing fades from one colour into another while it is looked at.
UNFOLD = """() => {
  document.head.append(Object.assign(document.createElement("style"), {
    textContent: "* { transition: none !important; }" }));
  document.querySelectorAll("details").forEach((e) => (e.open = true));
  document.querySelectorAll(".toggle-hidden").forEach((e) => e.classList.remove("toggle-hidden"));
}"""

# In a frame after the next one all sizes have been looked at, also by the page's own observers.
SETTLE = """async () => {
  await window.MathJax?.startup?.promise;
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  await new Promise((done) => setTimeout(done));
}"""

MISSING_IMAGES = """() => [...document.images]
  .filter((e) => !(e.complete && e.naturalWidth)).map((e) => e.src)"""

WIDTH = "() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"

CUT_CODE = """() => [...document.querySelectorAll("article pre")]
  .filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)"""

# Numbers of figures and equations that are not the chapter's, and links that say another number.
WRONG_NUMBERS = """() => {
  const chapter = parseInt(document.querySelector("h1 .section-number")?.textContent);
  const number = (e) => e?.textContent.match(/[0-9.]*[0-9]/)?.[0];
  const own = [...document.querySelectorAll("article :is(.caption-number, .eqno)")];
  const links = [...document.querySelectorAll("article a.internal[href^='#']")];
  const target = (e) => document.getElementById(e.hash.slice(1))
    ?.querySelector(":scope > .eqno, :scope > figcaption .caption-number");
  return [
    ...own.filter((e) => chapter && !number(e).startsWith(`${chapter}.`)),
    ...links.filter((e) => target(e) && number(e) != number(target(e))),
  ].map((e) => e.textContent);
}"""

LACKING = """() => [
  "meta[name=description]", "meta[property='og:title']", "meta[property='og:image']",
  "link[rel=icon]"].filter((what) => !document.querySelector(what))"""

PRINTED = """() => ({
  ground: getComputedStyle(document.body).backgroundColor,
  cut: [...document.querySelectorAll("article pre")]
    .filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)})"""

# Contrast is the same for all words of one colour, ground, size and weight: one of each is enough.
FIND_VIOLATIONS = """async (options) => {
  const grounds = new Map();
  function ground(e) {
    if (!e) return "";
    if (!grounds.has(e)) {
      const { backgroundColor, opacity } = getComputedStyle(e);
      const seen = opacity + backgroundColor;
      grounds.set(e, seen == "1rgba(0, 0, 0, 0)" ? ground(e.parentElement) : seen);
    }
    return grounds.get(e);
  }
  function kindsOfWords() {
    const kinds = new Map();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const e = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || !e.checkVisibility()) continue;
      const { color, fontSize, fontWeight } = getComputedStyle(e);
      kinds.set([color, fontSize, fontWeight, ground(e)].join(), e);
    }
    return [...kinds.values()];
  }
  const axeOptions = { ...options, resultTypes: ["violations"], preload: false };
  const where = options.runOnly == "color-contrast" ? { include: kindsOfWords() } : document;
  const { violations } = await axe.run(where, axeOptions);
  return violations.flatMap((v) => v.nodes.map(
    (n) => `${v.id}: ${n.failureSummary.split("\\n").pop().trim()} ${n.html.slice(0, 200)}`));
}"""

CONTRAST = {"runOnly": "color-contrast"}
ALL_BUT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
SCROLLING = {"runOnly": "scrollable-region-focusable"}


# Where several processes share the pages, each page is opened by one of them.
@pytest.fixture(
    scope="module",
    params=[pytest.param(page, marks=pytest.mark.xdist_group(page)) for page in PAGES or [None]],
)
def page(request, address, browser):
    """What is found on a page, looked at in all the ways that the tests ask about."""
    found = SimpleNamespace(name=request.param, said=[], asked=[], widths={}, violations=[])
    context = browser.new_context(viewport=DESK, color_scheme="light")
    tab = context.new_page()
    tab.on("console", lambda said: found.said.append((said.type, said.text)))
    tab.on("pageerror", lambda error: found.said.append(("error", str(error))))
    tab.on("request", lambda asked: found.asked.append(asked.url))
    tab.goto(address + found.name)
    tab.evaluate(UNFOLD)
    tab.evaluate(SETTLE)
    found.missing = tab.evaluate(MISSING_IMAGES)
    found.cut = tab.evaluate(CUT_CODE)
    found.lacking = tab.evaluate(LACKING)
    found.wrong_numbers = tab.evaluate(WRONG_NUMBERS)
    tab.evaluate(AXE)
    found.violations += tab.evaluate(FIND_VIOLATIONS, ALL_BUT_CONTRAST)
    for theme in ("light", "dark"):
        tab.emulate_media(color_scheme=theme)
        for screen in (PHONE, DESK):
            tab.set_viewport_size(screen)
            tab.evaluate(SETTLE)
            found.widths[theme, screen["width"]] = tab.evaluate(WIDTH)
            # What has room on a desk may have to scroll on a phone.
            if (theme, screen) == ("light", PHONE):
                found.violations += tab.evaluate(FIND_VIOLATIONS, SCROLLING)
        found.violations += tab.evaluate(FIND_VIOLATIONS, CONTRAST)
    tab.emulate_media(media="print")
    tab.evaluate(SETTLE)
    found.printed = tab.evaluate(PRINTED)
    found.asked = [url for url in found.asked if not url.startswith((address, "data:", "blob:"))]
    context.close()
    return found


def test_the_console_has_no_complaint(page):
    assert [text for kind, text in page.said if kind in ("error", "warning")] == []


def test_no_image_is_missing(page):
    assert page.missing == []


def test_nobody_else_is_asked_for_anything(page):
    assert page.asked == []


def test_the_page_is_no_wider_than_the_screen(page):
    assert {seen: width for seen, width in page.widths.items() if width > seen[1]} == {}


def test_code_fits_into_its_column_on_a_desk(page):
    assert page.cut == []


def test_figures_and_equations_have_the_chapters_number_and_links_to_them_say_it(page):
    assert page.wrong_numbers == []


def test_the_page_says_what_it_is_where_its_address_is_shared(page):
    if page.name.startswith("book/"):
        assert page.lacking == []


def test_the_books_address_leads_to_a_page(html):
    door = (html / "index.html").read_text(encoding="utf-8")
    assert re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', door)[1] in PAGES


def test_axe_finds_no_violation(page):
    assert sorted(set(page.violations)) == []


def test_what_is_printed_in_the_dark_is_whole_and_on_white(page):
    assert page.printed == {"ground": "rgb(255, 255, 255)", "cut": []}
