// Figures that can be moved. Vega-Lite draws them and their controls; here they get the page's
// inks, its width, and a sentence for those who cannot see them. The figure that does not move
// stays for paper.

const NARROW = 560; // pixels of a page on which views stand one below the other
const BESIDE = 70; // pixels beside a view for its axis

const LINES = { domainColor: "currentColor", tickColor: "currentColor", gridColor: "currentColor" };
const WORDS = { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
const LOOK = {
  background: null,
  view: { stroke: null },
  axis: { ...LINES, ...WORDS, gridOpacity: 0.15, labelColor: "currentColor", titleColor: "currentColor" },
  legend: { ...WORDS, labelColor: "currentColor", titleColor: "currentColor", orient: "top" },
  title: { color: "currentColor", fontSize: 13, fontWeight: "normal", anchor: "start" },
  text: { fill: "currentColor" },
};

function fit(spec, room, font) {
  const narrow = room < NARROW;
  // By name, since letters are measured before they are drawn.
  const config = {
    ...LOOK,
    font,
    axisX: narrow ? { titleAnchor: "end" } : {}, // long titles end where the axis does
    legend: { ...LOOK.legend, columns: narrow ? 2 : 4 },
  };
  if (!spec.concat) {
    return { ...spec, width: room, autosize: { type: "fit-x", contains: "padding" }, config };
  }
  const columns = narrow ? 1 : spec.concat.length;
  const width = Math.floor(room / columns) - BESIDE;
  const concat = spec.concat.map((view) => ({ ...view, width }));
  return { ...spec, columns, concat, config };
}

function add(parent, tag, properties) {
  return parent.appendChild(Object.assign(document.createElement(tag), properties));
}

class Explorable {
  constructor(place) {
    this.place = place;
    this.spec = JSON.parse(place.querySelector("script").textContent);
    this.controls = add(place, "form", { className: "explorable-controls" });
    this.controls.addEventListener("submit", (event) => event.preventDefault());
    this.picture = add(place, "div", { className: "explorable-picture" });
    this.words = add(place, "p", { className: "explorable-says" });
    this.words.setAttribute("aria-live", "polite");
    this.chosen = {};
    this.room = 0;
    new ResizeObserver(() => this.redraw()).observe(place);
  }

  draw() {
    this.room = this.place.clientWidth;
    this.view?.finalize();
    this.controls.replaceChildren();
    const { fontFamily } = getComputedStyle(this.place);
    const { spec } = vegaLite.compile(fit(this.spec, this.room, fontFamily));
    for (const signal of spec.signals) {
      if (signal.name in this.chosen) signal.value = this.chosen[signal.name];
      if (signal.bind) signal.bind.element = this.controls;
    }
    this.view = new vega.View(vega.parse(spec), {
      renderer: "svg",
      container: this.picture,
      logLevel: vega.Warn,
    });
    for (const { name, bind } of spec.signals) {
      if (bind) this.view.addSignalListener(name, (_, value) => (this.chosen[name] = value));
    }
    const say = () => {
      this.words.textContent = this.view.signal("says").replaceAll(" %", "\u00a0%");
    };
    this.view.addSignalListener("says", say);
    this.view.runAsync().then(() => {
      say();
      // One image with one text, and the sentence; hundreds of points are not read aloud.
      this.picture.setAttribute("role", "img");
      this.picture.firstElementChild.setAttribute("aria-hidden", "true");
      this.place.parentElement.classList.add("is-explorable"); // from now on it can be seen
    });
  }

  redraw() {
    // A scrollbar that comes or goes is no reason, and on paper or in a closed box there is no room.
    const room = this.place.clientWidth;
    if (room && Math.abs(room - this.room) > 20) this.draw();
  }
}

document.querySelectorAll("div.explorable").forEach((place) => new Explorable(place));
