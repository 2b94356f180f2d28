// What the page holds: the words of ABOUT, and typed arrays that lie in base64 beside it.
const ABOUT = JSON.parse(document.getElementById("about").textContent);
const KINDS = {
  float32: Float32Array, int16: Int16Array, int8: Int8Array, uint8: Uint8Array,
};
const BLOBS = new Map();

function blob(name) {
  if (!BLOBS.has(name)) {
    const text = atob(document.getElementById(`blob-${name}`).textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const arrays = {};
    for (const [key, { kind, shape, at }] of Object.entries(ABOUT.places[name])) {
      const count = shape.reduce((a, b) => a * b, 1);
      arrays[key] = new KINDS[kind](bytes.buffer, at, count);
      arrays[key].shape = shape;
    }
    BLOBS.set(name, arrays);
  }
  return BLOBS.get(name);
}

const BASE = blob("base");
const COUNT = BASE.atoms.shape[0];
const ELEMENTS = ABOUT.elements;
const COVERED = ELEMENTS.filter((one) => one.row >= 0);
const BY_SYMBOL = new Map(ELEMENTS.map((one) => [one.symbol, one]));
const TARGETS = ABOUT.targets.map((one, column) => ({
  ...one, column, values: BASE.targets.subarray(column * COUNT, (column + 1) * COUNT),
}));
const TARGET = new Map(TARGETS.map((one) => [one.name, one]));
const MODELS = ABOUT.models.map((one, index) => ({ ...one, index }));
const HAS_ORBITALS = ABOUT.orbitals.reason === "";

const SHORT = {
  e_g_ev: "Gap", e_homo_ev: "HOMO", e_lumo_ev: "LUMO", band_energy_ev: "Band energy",
  repulsive_energy_ev: "Repulsive energy", mermin_free_energy_ev: "Mermin free energy",
  total_energy_ev: "Total energy", i_ev: "Ionisation potential I", a_ev: "Electron affinity A",
  chi_ev: "Electronegativity χ", mu_ev: "Chemical potential μ", eta_ev: "Hardness η",
  softness_evinv: "Softness", electrophilicity_ev: "Electrophilicity",
  dipole_mag_d: "Dipole, size", dipole_z_d: "Dipole along z", distance_ang: "Bond length",
  q_maxabs: "Largest |charge|", q_absmean: "Mean |charge|", q_std: "Deviation of charges",
  fermi_level_ev: "Fermi level",
};
const titleOf = (target) => SHORT[target.name] ?? target.name;
// A component along the bond turns its sign where the atoms are named the other way round.
const isDirected = (target) => target.name === "dipole_z_d";

const symbolOf = (z) => ELEMENTS[z - 1].symbol;
const NAMES = Array.from({ length: COUNT }, (_, row) =>
  `${symbolOf(BASE.atoms[2 * row])}_${symbolOf(BASE.atoms[2 * row + 1])}`);
const ROWS = new Map(NAMES.map((name, row) => [name, row]));

function pairName(first, second) {
  return first < second ? `${first}_${second}` : `${second}_${first}`;
}
const rowOf = (first, second) => ROWS.get(pairName(first, second)) ?? -1;
const shown = (name) => name.replace("_", "–");

// A prediction less the computed value; zero where they differ by float32's rounding alone.
function errorOf(model, target, row) {
  const found = prediction(model, target, row);
  const error = found - target.values[row];
  return Math.abs(error) < 1e-6 * Math.abs(found) ? 0 : error;
}
function prediction(model, target, row) {
  const column = model.targets.indexOf(target.name);
  if (column < 0) return NaN;
  return blob("base")[`predicted${model.index}`][column * COUNT + row];
}
// Half of the interval of a prediction; NaN where the model tells none.
function halfWidth(model, target, row) {
  const [widths, column] = [BASE[`width${model.index}`], model.targets.indexOf(target.name)];
  return widths && column >= 0 ? widths[column * COUNT + row] : NaN;
}
function partOf(model, target, row) {
  const column = model.targets.indexOf(target.name);
  if (column < 0) return "";
  return ABOUT.parts[BASE[`parts${model.index}`][column * COUNT + row]] ?? "";
}
// Of the first of a model's targets that are shown; its split is theirs, too.
const partOfPair = (model, row) => partOf(model, TARGETS.find((one) => model.targets.includes(one.name)), row);
const partInWords = (part) => ({ "": "part not known", unused: "pair in no split" }[part] ?? `${part} pair`);
const leaks = (model, target) => model.leaked_by[target.name] ?? [];

// Four significant digits; below a millionth of its unit a value is rounding.
function number(value, digits = 4) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size < 1e-6) return "0";
  if (size >= 1e6 || size < 1e-4) return minus(value.toExponential(2));
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return minus(value.toFixed(Math.min(places, 5)));
}
const minus = (text) => text.replace(/^-/, "−");
const unitOf = (target) => (target.unit ? ` ${target.unit}` : "");

function quantile(sorted, part) {
  const at = part * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

// The words of an input like "Ag Al", "AgAl", "silver-aluminium" or "O": symbols, or an error.
function parsePair(text) {
  const known = new Map();
  for (const one of ELEMENTS) {
    known.set(one.symbol.toLowerCase(), one);
    known.set(one.name.toLowerCase(), one);
  }
  let words = text.trim().split(/[^A-Za-z]+/).filter(Boolean);
  if (words.length === 1) {
    // CO is carbon and oxygen, CU copper: there is no uranium here.
    const parts = words[0].match(/^[A-Z][a-z]?[A-Z][a-z]?$/) ? words[0].match(/[A-Z][a-z]?/g) : [];
    const two = parts.length === 2 && parts.every((one) => BY_SYMBOL.get(one)?.row >= 0);
    if (two || !known.has(words[0].toLowerCase())) words = words[0].match(/[A-Z][a-z]?/g) ?? words;
  }
  if (words.length === 1) words = [words[0], words[0]];
  if (words.length !== 2) {
    return { error: `Expected two elements like Ag Al, got “${text.trim() || "nothing"}”.` };
  }
  const found = [];
  for (const word of words) {
    const one = known.get(word.toLowerCase());
    if (!one) return { error: `“${word}” is no element; expected symbols or names like Ag Al.` };
    if (one.row < 0) {
      return {
        error: `${one.name} (${one.symbol}) is not among the ${COVERED.length} elements of `
          + `${ABOUT.data}.`,
      };
    }
    found.push(one.symbol);
  }
  return { symbols: found };
}

function csv(name, header, rows) {
  const cell = (value) => {
    const text = typeof value === "number" ? (Number.isFinite(value) ? String(value) : "") : value;
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const text = [header, ...rows].map((row) => row.map(cell).join(",")).join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  return text;
}
// A float32 as text, without the digits that double precision would add.
const exact = (value) => (Number.isFinite(value) ? Number(value.toPrecision(7)) : NaN);
