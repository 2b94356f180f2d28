// A number of every pair over element × element: targets, predictions and errors of models.
const SHOWS = { value: "computed", predicted: "predicted", error: "error, size", signed: "error, signed" };
const ORDERS = { z: "atomic number", group: "group, then period", en: "electronegativity", symbol: "alphabet" };
const AMONG = { all: "all elements", mm: "metal with metal", mn: "metal with non-metal", nn: "non-metals" };
const SCALES = { linear: "linear", log: "logarithmic", rank: "by rank" };
const PARTS = { all: "all parts", ...Object.fromEntries(ABOUT.parts.map((one) => [one, one])) };
const map = { cell: null, order: [], values: [], grid: null, scale: null };

function buildMap() {
  map.canvas = html("canvas", { tabindex: 0, role: "application", class: "map", "aria-describedby": "map-read",
    onmousemove: (event) => point(cellAt(event)), onmouseleave: () => point(null),
    onclick: (event) => openCell(cellAt(event)), onkeydown: mapKey,
    onfocus: () => map.cell ?? point([0, 0]) });
  map.readout = html("p", { id: "map-read", class: "readout", role: "status" });
  map.controls = html("div", { class: "controls" });
  map.legend = html("div", { class: "legend" });
  map.extremes = html("div", { class: "extremes" });
  map.title = html("h2", {});
  new ResizeObserver(() => { if (state.view === "map" && map.grid) drawMap(); }).observe(section("map"));
  return [
    map.title, map.controls,
    html("div", { class: "mapbox" },
      html("div", { class: "mapside" }, map.canvas, map.readout),
      html("div", { class: "aside" }, map.legend, map.extremes,
        html("button", { type: "button", onclick: saveMap }, "CSV of what is shown"))),
  ];
}

function elementsInOrder() {
  const by = {
    z: (one) => one.z, group: (one) => 100 * (one.group ?? 3.5) + one.period,
    en: (one) => one.electronegativity ?? 99, symbol: (one) => one.row,
  }[state.order];
  return [...COVERED].sort((a, b) => by(a) - by(b) || a.z - b.z);
}
const mapModel = () => MODELS.find((one) => one.name === state.model) ?? MODELS[0];

// What is shown of a row, before filters.
function mapValue(target, row) {
  if (state.show === "value") return target.values[row];
  const model = mapModel();
  const found = model ? prediction(model, target, row) : NaN;
  if (state.show === "predicted") return found;
  return state.show === "error" ? Math.abs(found - target.values[row]) : found - target.values[row];
}

function passes(target, row, value) {
  const metals = [0, 1].filter((k) => ELEMENTS[BASE.atoms[2 * row + k] - 1].metal).length;
  if (state.among !== "all" && metals !== { mm: 2, mn: 1, nn: 0 }[state.among]) return false;
  if (state.part !== "all" && mapModel() && partOf(mapModel(), target, row) !== state.part) return false;
  if (state.from !== "" && !(value >= Number(state.from))) return false;
  if (state.to !== "" && !(value <= Number(state.to))) return false;
  return Number.isFinite(value);
}

function showMap() {
  const target = TARGET.get(state.target);
  const options = Object.entries(SHOWS).filter(([key]) => key === "value" || MODELS.length);
  const ofModel = state.show !== "value";
  map.controls.replaceChildren(
    select("Target", state.target, targetOptions(), (value) => go({ target: value })),
    select("Show", state.show, options, (value) => go({ show: value })),
    MODELS.length > 0 && (ofModel || state.part !== "all") ? select("Model", mapModel().name, MODELS.map((m) => [m.name, m.name]), (value) => go({ model: value })) : "",
    select("Order", state.order, Object.entries(ORDERS), (value) => go({ order: value })),
    select("Pairs", state.among, Object.entries(AMONG), (value) => go({ among: value })),
    MODELS.length ? select("Split", state.part, Object.entries(PARTS), (value) => go({ part: value })) : "",
    select("Colours", state.scale, Object.entries(SCALES), (value) => go({ scale: value })),
    limit("From", "from"), limit("To", "to"));
  const leaked = ofModel && mapModel() && leaks(mapModel(), target).length ? " †" : "";
  const words = { value: "", predicted: ` by ${mapModel()?.name}`, error: `: error of ${mapModel()?.name}`,
    signed: `: ${mapModel()?.name} less computed` }[state.show];
  map.words = `${titleOf(target)}${words}${leaked}`;
  map.title.textContent = `${map.words}${target.unit ? `, ${target.unit}` : ""}`;
  document.title = `${map.words} · QuantumCanvas explorer`;
  map.order = elementsInOrder();
  map.values = Float64Array.from({ length: COUNT }, (_, row) => {
    const value = mapValue(target, row);
    return passes(target, row, value) ? value : NaN;
  });
  const n = map.order.length;
  map.grid = map.order.flatMap((a) => map.order.map((b) => rowOf(a.symbol, b.symbol)));
  const directed = isDirected(target) && state.show !== "error";
  map.cells = map.grid.map((row, k) => {
    if (row < 0) return NaN;
    const [a, b] = [map.order[Math.floor(k / n)], map.order[k % n]];
    return (directed && a.symbol > b.symbol ? -1 : 1) * map.values[row];
  });
  const signed = state.show === "signed" || directed;
  const name = signed ? "signed" : state.show === "error" ? "error" : "value";
  map.scale = makeScale(map.values, state.scale, name);
  drawMap();
  legendOfMap(target, leaked, directed);
  point(map.cell);
}

function limit(label, key) {
  return html("label", { class: "field" }, html("span", {}, label),
    html("input", { type: "number", step: "any", value: state[key], placeholder: "any",
      onchange: (event) => go({ [key]: event.target.value }) }));
}

function drawMap() {
  const n = map.order.length;
  const wide = Math.min(map.canvas.parentElement.clientWidth, 860);
  const edge = wide < 520 ? 15 : 24;
  const cell = Math.max(1, (wide - edge) / n);
  const dpr = devicePixelRatio || 1;
  Object.assign(map, { edge, size: cell });
  map.canvas.width = map.canvas.height = Math.round(wide * dpr);
  map.canvas.style.width = map.canvas.style.height = `${wide}px`;
  const context = map.canvas.getContext("2d");
  context.scale(dpr, dpr);
  const style = getComputedStyle(map.canvas);
  context.fillStyle = getComputedStyle(document.body).backgroundColor; // the axes' margins
  context.fillRect(0, 0, wide, edge);
  context.fillRect(0, 0, edge, wide);
  const edgeOf = (k) => Math.round((edge + k * cell) * dpr) / dpr;
  const table = scaleOf(map.scale.name);
  map.cells.forEach((value, k) => {
    if (!Number.isFinite(value)) return;
    const [i, j] = [Math.floor(k / n), k % n];
    context.fillStyle = css(shade(map.scale.name, map.scale.part(value), table));
    context.fillRect(edgeOf(j), edgeOf(i), edgeOf(j + 1) - edgeOf(j), edgeOf(i + 1) - edgeOf(i));
  });
  context.fillStyle = style.color;
  const font = Math.max(7, Math.min(11, 0.96 * cell));
  const every = Math.ceil(font / cell);
  context.font = `${font}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  map.order.forEach((one, k) => {
    if (k % every) return;
    const at = edge + (k + 0.5) * cell;
    context.textAlign = "right";
    context.fillText(one.symbol, edge - 3, at);
    context.save();
    context.translate(at, edge - 3);
    if (cell < 12) context.rotate(-Math.PI / 2);
    context.textAlign = cell < 12 ? "left" : "center";
    if (cell >= 12) context.translate(0, -5);
    context.fillText(one.symbol, 0, 0);
    context.restore();
  });
  if (map.cell) {
    const [i, j] = map.cell;
    context.strokeStyle = style.color;
    context.lineWidth = 2;
    context.strokeRect(edge + j * cell - 1, edge + i * cell - 1, cell + 2, cell + 2);
  }
}

function cellAt(event) {
  const box = map.canvas.getBoundingClientRect();
  const [i, j] = [event.clientY - box.top, event.clientX - box.left]
    .map((v) => Math.floor((v - map.edge) / map.size));
  const n = map.order.length;
  return i >= 0 && j >= 0 && i < n && j < n ? [i, j] : null;
}

function point(cell) {
  map.cell = cell;
  drawMap();
  const target = TARGET.get(state.target);
  if (!cell) {
    map.readout.textContent = "Point at a cell, or move by arrow keys; a click or Enter opens the pair.";
    return;
  }
  const [a, b] = cell.map((k) => map.order[k]);
  const k = cell[0] * map.order.length + cell[1];
  const row = map.grid[k];
  let words = `${a.symbol}–${b.symbol}: `;
  if (row < 0) words += ABOUT.left_out[pairName(a.symbol, b.symbol)] ?? "not in this table";
  else if (!Number.isFinite(map.cells[k])) words += "not shown: undefined, or filtered out";
  else words += `${number(map.cells[k])}${unitOf(target)}`;
  if (row >= 0 && state.show !== "value" && mapModel()) {
    words += ` (computed ${number(target.values[row])}, predicted ${number(prediction(mapModel(), target, row))}; `
      + `${partInWords(partOf(mapModel(), target, row))})`;
  }
  map.readout.textContent = words;
}

function mapKey(event) {
  const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const n = map.order.length;
  if (way) {
    const [i, j] = map.cell ?? [0, 0];
    point([Math.min(n - 1, Math.max(0, i + way[0])), Math.min(n - 1, Math.max(0, j + way[1]))]);
  } else if (event.key === "Enter" || event.key === " ") openCell(map.cell);
  else return;
  event.preventDefault();
}

function openCell(cell) {
  if (cell) go({ view: "pair", pair: cell.map((k) => map.order[k].symbol), slot: 0 });
}

function legendOfMap(target, leaked, directed) {
  const rows = Array.from(map.values.keys()).filter((row) => Number.isFinite(map.values[row]));
  rows.sort((a, b) => map.values[a] - map.values[b]);
  const values = rows.map((row) => map.values[row]);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const [summary, bins] = [html("p", { class: "soft" }), 40];
  summary.textContent = values.length
    ? `${values.length.toLocaleString("en")} pairs: median ${number(quantile(values, 0.5), 3)}, mean ${number(mean, 3)}, `
      + `from ${number(values[0], 3)} to ${number(values.at(-1), 3)}${unitOf(target)}.`
    : "No pair is left by these filters.";
  const heights = new Array(bins).fill(0);
  for (const value of values) heights[Math.min(bins - 1, Math.max(0, Math.floor(bins * map.scale.part(value))))]++;
  const top = Math.sqrt(Math.max(...heights, 1)); // roots, so that rare values are seen
  const bars = picture(bins * 7, 56, `Histogram of ${values.length} values; ${summary.textContent}`,
    heights.map((count, k) => svg("rect", { x: 7 * k, y: 56 - (54 * Math.sqrt(count)) / top, width: 6.4,
      height: (54 * Math.sqrt(count)) / top, class: "count" })));
  const ends = map.scale.kind === "linear" ? "Colours end at the 1 % and 99 % quantiles." : "";
  map.legend.replaceChildren(bars, colorBar(map.scale, target.unit), summary,
    html("p", { class: "soft" }, target.definition, ". ", ends,
      directed ? " The sign is that of the row's element named first." : "",
      leaked ? " † the model's inputs give this target away: its errors say nothing." : "",
      state.show !== "value" && state.part === "all" ? " Pairs that were trained on are among these; choose the split's part test for honest errors." : ""));
  map.canvas.setAttribute("aria-label", `Heat map of ${map.words}, ${map.order.length} × ${map.order.length} elements. ${summary.textContent}`);
  const list = (title, some) => html("div", {}, html("h3", {}, title), html("ol", {}, some.map((row) => html("li", {},
    html("a", { href: `#pair=${NAMES[row]}` }, shown(NAMES[row])), " ", html("span", { class: "num" }, number(map.values[row]))))));
  map.extremes.replaceChildren(...(values.length
    ? [list("Largest", rows.slice(-8).reverse()), list("Smallest", rows.slice(0, 8))] : []));
}

function saveMap() {
  const target = TARGET.get(state.target);
  const model = mapModel();
  const rows = Array.from(map.values.keys()).filter((row) => Number.isFinite(map.values[row]));
  return csv(`${state.target}_${state.show}`, ["pair", `${state.show}_${target.unit || "1"}`, "computed", "predicted", "model", "split"],
    rows.map((row) => [NAMES[row], exact(map.values[row]), exact(target.values[row]),
      ...(state.show === "value" || !model ? [NaN, "", ""] : [exact(prediction(model, target, row)), model.name, partOf(model, target, row)])]));
}
