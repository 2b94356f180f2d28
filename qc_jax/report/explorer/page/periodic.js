// The periodic table: two elements are chosen by mouse, arrow keys or touch. Its colours are those
// of a target of each element's pair with the atom that is not being chosen.
const F_ROWS = { 6: 9, 7: 10 }; // rows of the f block, below the others and a gap
const PLACES = ELEMENTS.map((one) => {
  if (one.group) return [one.period, one.group];
  const first = one.period === 6 ? 57 : 89;
  return [F_ROWS[one.period], one.z - first + 3];
});
const cells = [];

function periodicTable() {
  const table = html("div", { class: "periodic", role: "group",
    "aria-label": "Periodic table; arrow keys move, Enter chooses", onkeydown: moveByKey });
  ELEMENTS.forEach((one, k) => {
    const [row, column] = PLACES[k];
    const cell = html("button", {
      type: "button", class: "element", tabindex: -1,
      style: `grid-row: ${row}; grid-column: ${column}`, disabled: one.row < 0,
      title: one.row < 0 ? `${one.name}: not in ${ABOUT.data}` : null,
      onclick: () => chooseElement(one.symbol), onfocus: () => moveTo(cell),
      "data-z": one.z,
    }, one.symbol);
    cells.push(cell);
    table.append(cell);
  });
  return table;
}

function moveTo(cell) {
  for (const other of cells) other.tabIndex = other === cell ? 0 : -1;
}

// The nearest covered element in the direction of an arrow key.
function moveByKey(event) {
  const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const at = cells.indexOf(event.target);
  if (at < 0) return;
  let next = null;
  if (event.key === "Home") next = COVERED[0].z - 1;
  if (event.key === "End") next = COVERED.at(-1).z - 1;
  if (way) {
    let best = Infinity;
    for (const one of COVERED) {
      const k = one.z - 1;
      const [down, right] = [PLACES[k][0] - PLACES[at][0], PLACES[k][1] - PLACES[at][1]];
      const ahead = down * way[0] + right * way[1];
      const aside = Math.abs(down * way[1]) + Math.abs(right * way[0]);
      if (ahead > 0 && ahead + 40 * aside < best) [best, next] = [ahead + 40 * aside, k];
    }
  }
  if (next === null) return;
  event.preventDefault();
  cells[next].focus();
}

// Colours and marks of the cells, and the line that says what the colours are.
function colorTable(pair, slot, target) {
  const partner = pair[1 - slot];
  const values = COVERED.map((one) => {
    const row = rowOf(one.symbol, partner);
    if (row < 0) return NaN;
    const sign = isDirected(target) && one.symbol > partner ? -1 : 1;
    return sign * target.values[row];
  });
  const signed = isDirected(target);
  const scale = makeScale(values, "linear", signed ? "signed" : "value");
  COVERED.forEach((one, k) => {
    const cell = cells[one.z - 1];
    const known = Number.isFinite(values[k]);
    const rgb = known ? shade(scale.name, scale.part(values[k])) : null;
    cell.style.background = rgb ? css(rgb) : "";
    cell.style.color = rgb ? inkOn(rgb) : "";
    const at = pair.indexOf(one.symbol);
    cell.classList.toggle("chosen", at >= 0);
    cell.setAttribute("aria-pressed", at >= 0 ? "true" : "false");
    const words = known ? `${number(values[k])}${unitOf(target)}` : "not known";
    cell.setAttribute("aria-label", `${one.symbol}, ${one.name}: ${words} with ${partner}`);
    cell.title = `${one.name}: ${titleOf(target)} with ${partner} ${words}`;
  });
  if (!cells.some((cell) => cell.tabIndex === 0)) moveTo(cells[BY_SYMBOL.get(pair[slot]).z - 1]);
  return scale;
}

// A bar of a scale with its two ends and the middle.
function colorBar(scale, unit) {
  const stops = Array.from({ length: 21 }, (_, k) => css(shade(scale.name, k / 20)));
  return html("div", { class: "bar" },
    html("div", { class: "ramp", style: `background: linear-gradient(to right, ${stops.join(", ")})` }),
    html("div", { class: "ends" },
      [0, 0.5, 1].map((part) => html("span", {}, number(scale.at(part), 3))),
      html("span", {}, unit)));
}
