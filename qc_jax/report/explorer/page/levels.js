// Pictures of one pair: its atoms with charges and dipole, its levels with electrons, its curve.
const KINDS_OF_LEVELS = ["σ", "π", "δ"];

function molecule(row) {
  const [first, second] = [0, 1].map((k) => ELEMENTS[BASE.atoms[2 * row + k] - 1]);
  const charges = [0, 1].map((k) => BASE.charges[2 * row + k]);
  const known = charges.every(Number.isFinite);
  const length = TARGET.get("distance_ang").values[row];
  const dipole = TARGET.get("dipole_z_d")?.values[row] ?? NaN;
  const [width, height] = [290, 214];
  const scale = Math.min(56, 200 / (length + 0.3 * (first.radius + second.radius)));
  const middle = [width / 2 - (scale * length) / 2, width / 2 + (scale * length) / 2];
  const y = 84;
  const atoms = [first, second].map((one, k) => {
    const part = Math.max(-1, Math.min(1, charges[k]));
    const rgb = Number.isFinite(part) ? shade("signed", 0.5 + 0.42 * part) : [150, 150, 150];
    const radius = Math.min(46, Math.max(17, scale * one.radius * 0.62));
    return [
      svg("circle", { cx: middle[k], cy: y, r: radius, fill: css(rgb), class: "atom" }),
      text(middle[k], y + 6, one.symbol, { "text-anchor": "middle", class: "symbol", fill: inkOn(rgb) }),
      known && text(middle[k], 22, `${charges[k] > 0 ? "+" : ""}${minus(charges[k].toFixed(3))} e`, {
        "text-anchor": "middle", class: "charge", dx: k ? Math.max(0, 38 - scale * length / 2) : -Math.max(0, 38 - scale * length / 2),
      }),
    ];
  });
  const marks = [
    !known && text(width / 2, 22, "charges not known", { "text-anchor": "middle" }),
    line(middle[0], y, middle[1], y, { class: "bond" }), atoms,
    line(middle[0], 148, middle[1], 148, { class: "measure" }),
    middle.map((x) => line(x, 143, x, 153, { class: "measure" })),
    text(width / 2, 166, `${number(length)} Å`, { "text-anchor": "middle", class: "length" }),
  ];
  if (Math.abs(dipole) >= 0.005) {
    const size = Math.min(140, 26 + 11 * Math.abs(dipole));
    const way = Math.sign(dipole);
    const [from, to] = [width / 2 - (way * size) / 2, width / 2 + (way * size) / 2];
    marks.push(
      line(from, 187, to - 7 * way, 187, { class: "dipole" }),
      line(from + 9 * way, 181, from + 9 * way, 193, { class: "dipole" }),
      svg("path", { d: `M${to} 187 l${-11 * way} -5 v10 z`, class: "head" }),
      text(width / 2, 209, `dipole ${number(Math.abs(dipole))} D, from − to +`, { "text-anchor": "middle" }));
  } else {
    marks.push(text(width / 2, 196, Number.isFinite(dipole) ? "no dipole" : "dipole not known", { "text-anchor": "middle" }));
  }
  const charge = (k) => (known ? `charge ${number(charges[k], 3)} e` : "a charge that is not known");
  const words = `${first.name} with ${charge(0)} and ${second.name} with ${charge(1)}, ${number(length)} Å apart; `
    + (Number.isFinite(dipole) ? `dipole ${number(dipole)} Debye along the bond` : "dipole not known");
  return picture(width, height, words, marks);
}

// Levels of a row that are there, lowest first: energy (eV), electrons in one orbital, share of the
// first atom, and |m|.
function levelsOf(row) {
  const arrays = blob("orbitals");
  return ORB.blocks.map((m, k) => ({
    energy: arrays.levels[12 * row + k], held: arrays.held[12 * row + k],
    share: Math.min(1, Math.max(0, arrays.share[12 * row + k])), m,
  })).filter((one) => Number.isFinite(one.energy)).sort((a, b) => a.energy - b.energy);
}

function levelDiagram(row) {
  const levels = levelsOf(row);
  const homo = TARGET.get("e_homo_ev").values[row];
  const lumo = TARGET.get("e_lumo_ev").values[row];
  const [width, height, left, top, bottom] = [290, 560, 44, 32, 520];
  const full = levels.filter((one) => one.held > 1e-3);
  const ceiling = Math.max(homo, Number.isFinite(lumo) ? lumo : homo) + 9;
  const seen = levels.filter((one) => one.energy <= ceiling);
  const low = full[0].energy - 1.5;
  const high = Math.max(...seen.map((one) => one.energy)) + 1.5;
  const y = linear(low, high, bottom, top);
  const columns = [left + 34, left + 98, left + 162];
  const drawn = seen.map((one) => {
    const copies = one.m ? 2 : 1;
    const wide = copies === 2 ? 26 : 48;
    const starts = copies === 2 ? [columns[one.m] - 28, columns[one.m] + 2] : [columns[0] - 24];
    const held = one.held > 1e-3 ? `${number(copies * one.held, 3)} electrons` : "empty";
    const name = `${KINDS_OF_LEVELS[one.m]} ${number(one.energy)} eV, ${held}, `
      + `${Math.round(100 * one.share)} % ${symbolOf(BASE.atoms[2 * row])}`;
    return svg("g", {}, svg("title", {}, name), starts.map((x) => [
      svg("rect", { x, y: y(one.energy) - 2, width: wide * one.share, height: 4, fill: seriesColor(0) }),
      svg("rect", { x: x + wide * one.share, y: y(one.energy) - 2, width: wide * (1 - one.share),
        height: 4, fill: seriesColor(1) }),
      electron(x + wide / 2 - 4, y(one.energy), Math.min(1, one.held), -1),
      electron(x + wide / 2 + 4, y(one.energy), Math.max(0, one.held - 1), 1),
    ]));
  });
  const gap = Number.isFinite(lumo) && lumo - homo > 1e-3;
  const label = (value, words, below) => [
    line(left, y(value), width - 44, y(value), { class: "frontier" }),
    text(width, y(value) + (below ? 13 : -4), words, { class: "name halo", "text-anchor": "end" }),
  ];
  const near = gap && Math.abs(y(homo) - y(lumo)) < 18;
  const marks = gap
    ? [label(homo, "HOMO", near), label(lumo, "LUMO", false)]
    : [label(homo, Number.isFinite(lumo) ? "HOMO = LUMO" : "HOMO", false)];
  const above = levels.length - seen.length;
  const [first, second] = [0, 1].map((k) => symbolOf(BASE.atoms[2 * row + k]));
  const words = `Levels: HOMO ${number(homo)} eV, LUMO ${number(lumo)} eV; `
    + full.map((one) => `${KINDS_OF_LEVELS[one.m]} ${number(one.energy, 3)} eV with `
      + `${number((one.m ? 2 : 1) * one.held, 3)} electrons`).join("; ");
  return picture(width, height, words,
    ticks(low, high, 8).map((value) => [
      line(left - 4, y(value), left, y(value), { class: "tick" }),
      text(left - 8, y(value) + 4, tickText(value), { "text-anchor": "end" }),
    ]),
    line(left, top, left, bottom, { class: "tick" }),
    text(0, 0, "energy, eV", { class: "name", "text-anchor": "middle",
      transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)` }),
    KINDS_OF_LEVELS.map((name, m) => text(columns[m], 20, name, { "text-anchor": "middle", class: "name" })),
    marks, drawn,
    svg("rect", { x: left, y: bottom + 17, width: 14, height: 5, fill: seriesColor(0) }),
    text(left + 20, bottom + 24, `on ${first}`),
    svg("rect", { x: left + 66, y: bottom + 17, width: 14, height: 5, fill: seriesColor(1) }),
    text(left + 86, bottom + 24, first === second ? `on the other ${second}` : `on ${second}`),
    above > 0 && text(width, bottom + 36, `${above} more above`, { "text-anchor": "end" }));
}

// An arrow for one electron; paler for a part of one. `way` is −1 for up.
function electron(x, y, amount, way) {
  if (amount < 1e-3) return null;
  return svg("path", {
    d: `M${x} ${y - 9 * way} L${x} ${y + 9 * way} m-3.2 ${-4.5 * way} L${x} ${y + 9 * way} l3.2 ${-4.5 * way}`,
    class: "electron", opacity: 0.25 + 0.75 * amount,
  });
}

function curveOf(row) {
  const length = TARGET.get("distance_ang").values[row];
  const count = ORB.ratios.length;
  const values = blob("orbitals").curve.subarray(row * count, (row + 1) * count);
  return ORB.ratios.map((ratio, k) => ({ x: ratio * length, y: values[k] }))
    .filter((point) => Number.isFinite(point.y));
}

function energyCurve(row) {
  const points = curveOf(row);
  const length = TARGET.get("distance_ang").values[row];
  const [width, height] = [290, 285];
  const box = [52, 12, width - 8, height - 40];
  const rise = Math.max(...points.filter((p) => p.x >= length).map((p) => p.y), 0.02);
  const low = Math.min(...points.map((p) => p.y));
  const high = Math.max(1.35 * rise, 0.05);
  const pad = 0.06 * (high - low);
  const x = linear(points[0].x, points.at(-1).x, box[0], box[2]);
  const y = linear(low - pad, high, box[3], box[1]);
  const bound = !BASE.geom_converged || BASE.geom_converged[row] === 1;
  const dots = points.filter((p) => p.y <= high);
  const words = bound
    ? `Energy along the bond: minimum at ${number(length)} Å, ${number(points.at(-1).y, 3)} eV below `
      + `${number(points.at(-1).x, 3)} Å`
    : `Energy along the bond: no minimum; the pair stands at ${number(length)} Å, where the pull is weak`;
  return picture(width, height, words,
    svg("clipPath", { id: "inside" },
      svg("rect", { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1] })),
    axes({ x, y, box, xTicks: ticks(points[0].x, points.at(-1).x, 6), yTicks: ticks(low - pad, high, 5),
      xName: "distance, Å", yName: "energy, eV" }),
    svg("path", { d: smooth(points.map((p) => [x(p.x), y(p.y)])), class: "curve",
      "clip-path": "url(#inside)" }),
    dots.map((p) => svg("circle", { cx: x(p.x), cy: y(p.y), r: 2.5, class: "dot" },
      svg("title", {}, `${number(p.x)} Å: ${number(p.y)} eV`))),
    line(x(length), y(0), x(length), box[3], { class: "frontier" }),
    svg("circle", { cx: x(length), cy: y(0), r: 5, class: "minimum" }),
    text(x(length) + 9, y(0) - 9, `${bound ? "minimum" : "no minimum"}, ${number(length)} Å`, { class: "name halo" }));
}

// A path through points by monotone cubics (F. N. Fritsch, R. E. Carlson, 1980): no overshoot.
function smooth(points) {
  const n = points.length;
  const slope = points.slice(1).map((p, k) => (p[1] - points[k][1]) / (p[0] - points[k][0]));
  const m = points.map((_, k) => {
    if (k === 0) return slope[0];
    if (k === n - 1) return slope[n - 2];
    const [a, b] = [slope[k - 1], slope[k]];
    return a * b <= 0 ? 0 : (2 * a * b) / (a + b);
  });
  let path = `M${points[0].map((v) => v.toFixed(2)).join(" ")}`;
  for (let k = 1; k < n; k++) {
    const [p, q] = [points[k - 1], points[k]];
    const third = (q[0] - p[0]) / 3;
    path += `C${[p[0] + third, p[1] + third * m[k - 1], q[0] - third, q[1] - third * m[k], ...q]
      .map((v) => v.toFixed(2)).join(" ")}`;
  }
  return path;
}
