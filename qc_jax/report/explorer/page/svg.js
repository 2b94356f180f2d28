// Elements of the page and of pictures, axes and ticks.
function make(space, tag, attributes, children) {
  const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(9).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}
const html = (tag, attributes, ...children) => make(null, tag, attributes, children);
const svg = (tag, attributes, ...children) =>
  make("http://www.w3.org/2000/svg", tag, attributes, children);

// A picture with its text alternative.
function picture(width, height, words, ...children) {
  return svg("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words, class: "drawing",
    style: `max-width: ${width}px`,
  }, ...children);
}
const text = (x, y, words, more = {}) => svg("text", { x, y, ...more }, words);
const line = (x1, y1, x2, y2, more = {}) => svg("line", { x1, y1, x2, y2, ...more });

// About `count` round numbers between two.
function ticks(low, high, count = 5) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((one) => one >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * span; k++) {
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}
const linear = (low, high, from, to) => (value) => from + ((value - low) / (high - low)) * (to - from);
const tickText = (value) => minus(String(Number(value.toPrecision(6))));

// A plot area with a grid, ticks and the names of both axes.
function axes({ x, y, xTicks, yTicks, xName, yName, box, xText = tickText }) {
  const [left, top, right, bottom] = box;
  return svg("g", { class: "axes" },
    yTicks.map((value) => [
      line(left, y(value), right, y(value), { class: "grid" }),
      text(left - 6, y(value) + 4, tickText(value), { "text-anchor": "end" }),
    ]),
    xTicks.map((value) => [
      line(x(value), bottom, x(value), bottom + 4, { class: "tick" }),
      text(x(value), bottom + 17, xText(value), { "text-anchor": "middle" }),
    ]),
    line(left, bottom, right, bottom, { class: "tick" }),
    text((left + right) / 2, bottom + 35, xName, { "text-anchor": "middle", class: "name" }),
    text(0, 0, yName, {
      "text-anchor": "middle", class: "name",
      transform: `translate(${left - 38} ${(top + bottom) / 2}) rotate(-90)`,
    }));
}

// A card of the pair's view: a title, what it shows, words below, and what it exports.
function card(title, { id, wide = false, place = "", words = null, save = null }, ...children) {
  return html("section", { class: `card ${wide ? "wide" : place}`, id, "aria-labelledby": `${id}-title` },
    html("div", { class: "head" },
      html("h3", { id: `${id}-title` }, title),
      save && html("button", { type: "button", class: "small", onclick: save,
        "aria-label": `CSV of: ${title}` }, "CSV")),
    ...children,
    words && html("p", { class: "soft" }, words));
}

function select(label, value, options, onchange) {
  return html("label", { class: "field" }, html("span", {}, label),
    html("select", { onchange: (event) => onchange(event.target.value) },
      options.map(([key, words]) => html("option", { value: key, selected: key === value }, words))));
}
const targetOptions = () => TARGETS.map((one) =>
  [one.name, `${titleOf(one)}${one.unit ? ` (${one.unit})` : ""}`]);
