// State, the fragment that names it, keyboard and theme.
const state = {
  view: "pair", pair: ["C", "O"], slot: 0, color: "e_homo_ev",
  target: "e_g_ev", show: "value", model: "", order: "z", among: "all", part: "all", scale: "linear",
  from: "", to: "", partner: "O", beside: "", groups: "main",
};
const DEFAULTS = { ...state };
const FIELDS = { map: ["show", "model", "order", "among", "part", "scale", "from", "to"],
  trend: ["partner", "beside", "groups"], pair: ["color"] };
// What a field may be; targets and elements are checked as they are read.
const OF_MODELS = ["", ...MODELS.map((one) => one.name)];
const CHOICES = {
  model: OF_MODELS, beside: OF_MODELS, show: Object.keys(SHOWS), order: Object.keys(ORDERS),
  among: Object.keys(AMONG), part: Object.keys(PARTS), scale: Object.keys(SCALES), groups: Object.keys(GROUP_SETS),
};
const VIEWS = {
  pair: { build: buildPair, show: showPair, value: () => pairName(...state.pair) },
  map: { build: buildMap, show: showMap, value: () => state.target },
  trend: { build: buildTrend, show: showTrend, value: () => state.target },
};
const section = (view) => document.getElementById(`view-${view}`);
const tell = (words) => { document.getElementById("told").textContent = words; };

function fragment(view = state.view) {
  const fields = FIELDS[view].filter((key) => state[key] !== DEFAULTS[key]);
  const more = fields.map((key) => `&${key}=${encodeURIComponent(state[key])}`).join("");
  return `#${view}=${VIEWS[view].value()}${more}`;
}

// Change the state and what is shown; the address follows, so that Back goes back.
function go(changes) {
  Object.assign(state, changes);
  tell("");
  const next = fragment();
  if (next === location.hash) show();
  else location.hash = next;
}

function chooseElement(symbol) {
  const pair = [...state.pair];
  pair[state.slot] = symbol;
  state.slot = 1 - state.slot;
  go({ pair });
}

// Take the state from the fragment; a wrong one is told in a line, and changes nothing.
function read() {
  const words = new URLSearchParams(location.hash.slice(1));
  const view = Object.keys(VIEWS).find((key) => words.has(key));
  if (!view) return location.hash.length > 1 ? `No such view: ${location.hash}` : "";
  const value = words.get(view);
  const next = { view };
  if (view === "pair") {
    const found = parsePair(value.replace("_", " "));
    if (found.error) return found.error;
    if (pairName(...found.symbols) !== pairName(...state.pair)) next.pair = found.symbols;
  } else {
    if (!TARGET.has(value)) return `“${value}” is no target of ${ABOUT.data}.`;
    next.target = value;
  }
  for (const key of FIELDS[view]) next[key] = words.get(key) ?? DEFAULTS[key];
  if (!TARGET.has(next.color ?? state.color)) return `“${next.color}” is no target of ${ABOUT.data}.`;
  for (const [key, choices] of Object.entries(CHOICES)) {
    if (key in next && !choices.includes(next[key])) return `“${next[key]}” is no choice of ${key}.`;
  }
  if (next.partner && next.partner !== "self" && !(BY_SYMBOL.get(next.partner)?.row >= 0)) {
    return `“${next.partner}” is not among the elements of ${ABOUT.data}.`;
  }
  Object.assign(state, next);
  return "";
}

function show() {
  for (const view of Object.keys(VIEWS)) {
    const here = view === state.view;
    section(view).hidden = !here;
    const tab = document.getElementById(`tab-${view}`);
    if (here) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
    tab.setAttribute("href", fragment(view));
    if (here && !section(view).childElementCount) section(view).append(...VIEWS[view].build());
  }
  VIEWS[state.view].show();
}

function start() {
  const first = rowOf(...state.pair) >= 0 ? state.pair : NAMES[0].split("_");
  state.pair = first;
  if (!BY_SYMBOL.get(state.partner) || BY_SYMBOL.get(state.partner).row < 0) {
    state.partner = DEFAULTS.partner = first[1];
  }
  for (const key of ["color", "target"]) {
    if (!TARGET.has(state[key])) state[key] = DEFAULTS[key] = TARGETS[0].name;
  }
  document.getElementById("subtitle").textContent =
    `${COUNT.toLocaleString("en")} pairs of ${COVERED.length} elements · ${ABOUT.data}`;
  document.getElementById("footer").textContent =
    `qc_jax ${ABOUT.version}, ${ABOUT.date}; data ${ABOUT.data} (${ABOUT.fingerprint}). `
    + [...MODELS.map((one) => `${one.name}: ${one.about}`), ...ABOUT.not_shown].map((one) => `${one}.`).join(" ");
  document.getElementById("names").append(...NAMES.map((name) => html("option", { value: name.replace("_", " ") })));
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = document.getElementById("query");
    const found = parsePair(input.value);
    if (found.error) { tell(found.error); return; }
    input.value = "";
    go({ view: "pair", pair: found.symbols, slot: 0 });
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment is a view's
    document.getElementById("main").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|SELECT/.test(event.target.tagName)) {
      event.preventDefault();
      document.getElementById("query").focus();
    }
  });
  setUpTheme();
  addEventListener("hashchange", () => { tell(read()); show(); });
  tell(read());
  show();
}

function setUpTheme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  let kept = null;
  try { kept = localStorage.getItem("qc-theme"); } catch { /* no storage from disk */ }
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  name();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("qc-theme", root.dataset.theme); } catch { /* no storage from disk */ }
    name();
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { name(); show(); });
}

start();
