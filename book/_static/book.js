// What scrolls can be reached with the keyboard, and what is printed is black on white.

const SCROLLING =
  ".bd-article :is(pre, table, figure, .output, .algorithm, div.math), mjx-container[display]";

function makeScrollable(element) {
  if (element.scrollWidth > element.clientWidth + 1) {
    element.tabIndex = 0;
  } else {
    element.removeAttribute("tabindex");
  }
}

// Also when equations are set, boxes are unfolded or the window changes: then sizes change.
const sizes = new ResizeObserver((entries) => entries.forEach((e) => makeScrollable(e.target)));

function watch() {
  document.querySelectorAll(SCROLLING).forEach((element) => sizes.observe(element));
}

document.addEventListener("DOMContentLoaded", () => {
  watch();
  window.MathJax?.startup?.promise?.then(watch);
});

let themeOfScreen;

matchMedia("print").addEventListener("change", ({ matches }) => {
  const page = document.documentElement.dataset;
  if (matches) {
    themeOfScreen = page.theme;
    page.theme = "light";
  } else {
    page.theme = themeOfScreen;
  }
});
