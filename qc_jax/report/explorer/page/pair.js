// The view of one pair.
const pairParts = {};
const TITLES = {
  density: "valence density", deformation: "deformation density", s: "s part", p: "p part",
  d: "d part", homo: "HOMO density", lumo: "LUMO density", homo_amplitude: "HOMO amplitude",
  lumo_amplitude: "LUMO amplitude", potential: "potential of charges",
};

function buildPair() {
  const { view } = state;
  const slots = [0, 1].map((k) => html("button", { type: "button", class: "slot",
    onclick: () => { state.slot = k; showPair(); } }));
  const bar = html("div", {});
  const colorBy = html("div", {});
  const words = html("p", { class: "soft" });
  Object.assign(pairParts, { slots, bar, colorBy, words, body: html("div", { class: "cards" }) });
  return [
    html("h2", { class: "hidden" }, "A pair of atoms"),
    html("div", { class: "choose" },
      periodicTable(),
      html("div", { class: "side" },
        html("div", { class: "slots", role: "group", "aria-label": "Which atom the table chooses" }, slots),
        colorBy, bar, words)),
    pairParts.body,
  ];
}

function showPair() {
  const { pair, slot, color } = state;
  const target = TARGET.get(color);
  pairParts.slots.forEach((one, k) => {
    one.setAttribute("aria-pressed", slot === k ? "true" : "false");
    one.replaceChildren(html("small", {}, k ? "second" : "first"), " ", pair[k]);
    one.setAttribute("aria-label", `${k ? "second" : "first"} ${pair[k]}: the table chooses this atom`);
  });
  const scale = colorTable(pair, slot, target);
  pairParts.colorBy.replaceChildren(
    select("Colour", color, targetOptions(), (value) => go({ color: value })));
  pairParts.bar.replaceChildren(colorBar(scale, target.unit));
  pairParts.words.textContent = `${titleOf(target)} of each element with ${pair[1 - slot]}: ${target.definition}.`;
  const row = rowOf(...pair);
  const name = pairName(...pair);
  pairParts.body.replaceChildren(...(row < 0 ? [missing(name)] : cardsOf(row)));
  document.title = `${shown(name)} · QuantumCanvas explorer`;
}

function missing(name) {
  const reason = ABOUT.left_out[name] ?? "it was not computed";
  return html("section", { class: "card wide" }, html("h3", {}, shown(name)),
    html("p", {}, `Not in ${ABOUT.data}: ${reason}.`));
}

function cardsOf(row) {
  const [first, second] = [0, 1].map((k) => ELEMENTS[BASE.atoms[2 * row + k] - 1]);
  const name = NAMES[row];
  const facts = [];
  if (BASE.metal_like?.[row]) facts.push("one level is HOMO and LUMO: no gap");
  if (BASE.geom_converged && !BASE.geom_converged[row]) facts.push("held by no bond: no minimum");
  const made = ABOUT.made;
  const source = `${made.method ?? made.engine ?? ABOUT.data}`;
  const orbital = HAS_ORBITALS
    ? [
      card("Levels", { id: "levels", save: () => saveLevels(row),
        words: "Bars are coloured by each atom's share; an arrow is one electron, a pale one a part. Point at a level for its numbers." },
      levelDiagram(row)),
      card("Energy curve", { id: "curve", save: () => saveCurve(row),
        words: `Mermin free energy by tight binding at ${curveOf(row).length} distances, from that at the bond length; smooth tables.` },
      energyCurve(row)),
    ]
    : [card("Levels, orbitals, energy curve", { id: "levels" }, html("p", {}, ABOUT.orbitals.reason))];
  return [
    html("div", { class: "title wide" },
      html("p", { class: "pairname", id: "pairname" }, shown(name)),
      html("p", {}, `${first.name}–${second.name.toLowerCase()}`, html("span", { class: "soft" }, ` · ${source}`)),
      facts.map((words) => html("span", { class: "badge" }, words))),
    html("div", { class: "column" }, card("Charges and dipole", { id: "molecule" }, molecule(row)), orbital.at(-1)),
    orbital.length > 1 && html("div", { class: "column" }, orbital[0]),
    targetCard(row),
    canvasCard(row),
    HAS_ORBITALS && orbitalCard(row),
    nearestCard(row),
  ].filter(Boolean);
}

// The middle of a bond with its nuclei, as dots over an image, and a bar of 2 Å.
function overlay(row, width) {
  const part = (50 * TARGET.get("distance_ang").values[row]) / width;
  return svg("svg", { viewBox: "0 0 100 100", class: "over", "aria-hidden": "true" },
    [50 - part, 50 + part].map((x) => svg("circle", { cx: x, cy: 50, r: 1.3 })),
    line(6, 94, 6 + 200 / width, 94), text(6 + 100 / width, 91, "2 Å", { "text-anchor": "middle" }));
}

// Canvases are drawn on again for the next pair: a browser is slow to give their memory back.
const kept = new Map();
function canvasOf(name) {
  if (!kept.has(name)) kept.set(name, html("canvas", { role: "img" }));
  return kept.get(name);
}

const tile = (canvas, title, words) => html("figure", { class: "tile" }, canvas,
  html("figcaption", {}, title, html("span", { class: "soft" }, words)));

function canvasCard(row) {
  const known = Number.isFinite(BASE.features[row * FEATURES]);
  const body = known ? html("div", { class: "tiles" }) : html("p", {}, "Its populations are not known, so no canvas can be drawn.");
  if (known) {
    const image = renderCanvas(row);
    const wide = CHANNELS.length;
    CHANNELS.forEach((title, c) => {
      const values = Float32Array.from({ length: SIZE * SIZE }, (_, k) => image[k * wide + c]);
      const canvas = canvasOf(title);
      canvas.classList.add("pixels");
      const { most, least } = paint(canvas, values, SIZE, { power: 0.5 });
      const words = least ? `${number(least, 3)} … ${number(most, 3)}` : `0 … ${number(most, 3)}`;
      canvas.setAttribute("aria-label", `Canvas channel ${title} of ${shown(NAMES[row])}, values ${words}`);
      body.append(tile(canvas, title, most - least > 1e-9 ? words : "empty"));
    });
  }
  return card("Canvas", { id: "canvas", wide: true, save: known ? () => saveFeatures(row) : null,
    words: "The ten published channels, 32 × 32; colours go with the square root of the value, each channel by its own largest." }, body);
}

function orbitalCard(row) {
  const body = html("div", { class: "tiles" });
  const width = windowOf(row);
  const images = renderOrbitals(row, PIXELS, width);
  for (const { name, unit } of ORB.channels) {
    const canvas = canvasOf(name);
    const { most, least } = paint(canvas, images[name], PIXELS,
      { power: name.endsWith("amplitude") ? 0.6 : 0.35 });
    const words = `${least ? `${number(least, 3)} … ` : ""}${number(most, 3)} ${unit.replace("^(3/2)", "³ᐟ²")}`;
    canvas.setAttribute("aria-label", `${TITLES[name]} of ${shown(NAMES[row])} in the plane of the bond, ${words}`);
    body.append(tile(html("div", { class: "stack" }, canvas, overlay(row, width)), TITLES[name], most - least > 1e-9 ? words : "none"));
  }
  return card("Orbitals and densities", { id: "orbitals", wide: true, save: () => saveOrbitals(row, images, width),
    words: `Tight binding, a plane through the bond, ${number(width, 2)} Å wide and high, ${shown(NAMES[row]).split("–")[0]} on the left. Blue and red are the two signs.` },
  body);
}

// What a reader must know of a model by the part of its split that a pair is in; "" is not known.
const SEEN = {
  train: "A model with “train pair” in its head has learned this pair: its error is not what to expect of new ones.",
  validation: "A validation pair chose the epoch of the training: its error is not quite honest.",
  "": "Of a model with “part not known” in its head nothing tells whether it has learned this pair.",
};

// A row a target: computed, and each model's prediction with its error and part of the split.
function targetCard(row) {
  const head = html("tr", {}, html("th", { scope: "col" }, "target"), html("th", { scope: "col", class: "num" }, "computed"),
    MODELS.map((model) => html("th", { scope: "col", class: "num", colspan: 2, title: model.about },
      model.name, html("small", {}, partInWords(partOfPair(model, row))))));
  let [given, bounded] = [false, false];
  const rows = TARGETS.map((target) => {
    const value = target.values[row];
    return html("tr", {},
      html("th", { scope: "row", title: target.definition },
        html("a", { href: `#map=${target.name}` }, titleOf(target)), html("span", { class: "soft" }, ` ${target.unit}`)),
      html("td", { class: "num" }, Number.isFinite(value) ? number(value) : "undefined"),
      MODELS.map((model) => {
        const found = prediction(model, target, row);
        const leaked = leaks(model, target).length > 0;
        const mark = leaked ? html("sup", { title: `leaked by ${leaks(model, target).join(", ")}` }, "†") : null;
        const width = halfWidth(model, target, row);
        given ||= leaked && Number.isFinite(found);
        bounded ||= Number.isFinite(width);
        const error = errorOf(model, target, row);
        return [
          html("td", { class: leaked ? "num given" : "num" }, number(found),
            Number.isFinite(found) ? mark : null,
            Number.isFinite(width) && html("span", { class: "soft" }, ` ± ${number(width, 2)}`)),
          html("td", { class: "num soft" }, Number.isFinite(error) ? `${error > 0 ? "+" : ""}${number(error, 2)}` : ""),
        ];
      }));
  });
  const parts = MODELS.map((model) => partOfPair(model, row));
  const warned = Object.entries(SEEN).filter(([part]) => parts.includes(part)).map(([, words]) => words);
  const seen = MODELS.length && !warned.length ? ["No model was trained on this pair."] : warned;
  const words = [
    "Signed numbers are predicted less computed.",
    bounded ? `± spans the computed value for ${100 * ABOUT.coverage} % of new pairs.` : "", ...seen,
    given ? "† follows from what the model reads, and says nothing." : "",
  ];
  return card("Targets and predictions", { id: "targets", place: HAS_ORBITALS ? "half" : "half rest", save: () => saveTargets(row), words: words.join(" ") },
    html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of targets" },
      html("table", {}, html("thead", {}, head), html("tbody", {}, rows))));
}

function nearestCard(row) {
  const found = Number.isFinite(BASE.features[row * FEATURES]) ? nearest(row, 8) : [];
  const columns = ["distance_ang", "e_homo_ev", "e_g_ev", "total_energy_ev"].map((key) => TARGET.get(key)).filter(Boolean);
  return card("Nearest pairs by their canvases", { id: "nearest", wide: true, save: () => csv(`${NAMES[row]}_nearest`,
    ["pair", "canvas_distance", ...columns.map((one) => one.name)],
    found.map((one) => [NAMES[one.row], exact(one.distance), ...columns.map((t) => exact(t.values[one.row]))])),
  words: "Root mean square over pixels and channels, each channel in units of its own root mean square over all pairs." },
  html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of nearest pairs" }, html("table", {},
    html("thead", {}, html("tr", {}, ["pair", "distance of canvases"].map((one) => html("th", { scope: "col" }, one)),
      columns.map((one) => html("th", { scope: "col", class: "num" }, titleOf(one), html("small", {}, one.unit))))),
    html("tbody", {}, found.map((one) => html("tr", {},
      html("th", { scope: "row" }, html("a", { href: `#pair=${NAMES[one.row]}` }, shown(NAMES[one.row]))),
      html("td", {}, html("span", { class: "length", style: `width: ${(60 * one.distance) / (found.at(-1).distance || 1)}px` }),
        number(one.distance, 3)),
      columns.map((t) => html("td", { class: "num" }, number(t.values[one.row])))))))));
}

const saveTargets = (row) => csv(NAMES[row],
  ["target", "unit", "computed", ...MODELS.flatMap((m) => [m.name, `${m.name} half width`, `${m.name} split`, `${m.name} leaked by`])],
  TARGETS.map((target) => [target.name, target.unit, exact(target.values[row]),
    ...MODELS.flatMap((m) => [exact(prediction(m, target, row)), exact(halfWidth(m, target, row)), partOf(m, target, row), leaks(m, target).join(" ")])]));
const saveLevels = (row) => csv(`${NAMES[row]}_levels`, ["kind", "energy_ev", "electrons", "share_of_first_atom"],
  levelsOf(row).map((one) => [KINDS_OF_LEVELS[one.m], exact(one.energy), exact((one.m ? 2 : 1) * one.held), exact(one.share)]));
const saveCurve = (row) => csv(`${NAMES[row]}_curve`, ["distance_ang", "energy_ev"],
  curveOf(row).map((p) => [exact(p.x), exact(p.y)]));
const saveFeatures = (row) => csv(`${NAMES[row]}_canvas`, ["feature", "value", "unit", "definition"],
  ABOUT.canvas.features.map((one, f) => [one.name, exact(BASE.features[row * FEATURES + f]), one.unit, one.definition]));

// A line a pixel: its place from the middle of the bond, and the value of each channel there.
function saveOrbitals(row, images, width) {
  const place = (k) => exact((k + 0.5 - PIXELS / 2) * (width / PIXELS));
  return csv(`${NAMES[row]}_orbitals`, ["along_ang", "across_ang", ...ORB.channels.map((one) => one.name)],
    Array.from({ length: PIXELS * PIXELS }, (_, k) => [place(k % PIXELS), place(Math.floor(k / PIXELS)),
      ...ORB.channels.map((one) => exact(images[one.name][k]))]));
}
