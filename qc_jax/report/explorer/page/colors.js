// Colour scales of matplotlib that colour-blind readers tell apart, and colours of series.
const SHADES = Object.fromEntries(ABOUT.shades.map((name, k) => {
  const count = BASE.shades.shape[1];
  return [name, BASE.shades.subarray(3 * count * k, 3 * count * (k + 1))];
}));
// M. Okabe and K. Ito's set, without its yellow; the last ones are dashed where they come twice.
const SERIES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];
const SERIES_DARK = ["#5db4ec", "#ff9a56", "#3fcf9f", "#eda3cb", "#9fd6f7", "#f5c04a"];
const DASHES = ["", "6 3", "2 3"];

function isDark() {
  const own = document.documentElement.dataset.theme;
  if (own) return own === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}
const seriesColor = (k) => (isDark() ? SERIES_DARK : SERIES)[k % SERIES.length];
const seriesDash = (k) => DASHES[Math.floor(k / SERIES.length) % DASHES.length];

const scaleOf = (name) => SHADES[name === "signed" && isDark() ? "signed_dark" : name];

// Shade at 0 … 1 as [red, green, blue]; of pictures, `table` is looked up once.
function shade(name, part, table = scaleOf(name)) {
  const last = table.length / 3 - 1;
  const at = 3 * Math.round(Math.min(Math.max(part, 0), 1) * last);
  return [table[at], table[at + 1], table[at + 2]];
}
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

// Black or white, whichever has the higher contrast on a colour (WCAG's relative luminance).
function inkOn(rgb) {
  const [r, g, b] = rgb.map((v) => {
    const part = v / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

// A scale of values: 'linear' between the 1 % and 99 % quantiles, 'log', or 'rank'. A target of
// both signs is shown by a diverging scale about zero where that is what it is about.
function makeScale(values, kind, name) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  const shown = kind === "log" ? sorted.filter((value) => value > 0) : sorted;
  if (!shown.length) return { name, part: () => NaN, low: NaN, high: NaN, at: () => NaN, kind };
  let low = quantile(shown, 0.01);
  let high = quantile(shown, 0.99);
  if (low === high) [low, high] = [shown[0], shown.at(-1)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  if (name === "signed") {
    high = Math.max(Math.abs(low), Math.abs(high));
    low = -high;
  }
  if (kind === "rank" && name !== "signed") {
    const part = (value) => {
      let [from, to] = [0, sorted.length];
      while (from < to) {
        const middle = (from + to) >> 1;
        if (sorted[middle] < value) from = middle + 1; else to = middle;
      }
      return from / Math.max(sorted.length - 1, 1);
    };
    return { name, kind, low: sorted[0], high: sorted.at(-1), part, at: (p) => quantile(sorted, p) };
  }
  if (kind === "log" && name !== "signed") {
    const [from, to] = [Math.log(low), Math.log(high)];
    return {
      name, kind, low, high,
      part: (value) => (value > 0 ? (Math.log(value) - from) / (to - from) : 0),
      at: (part) => Math.exp(from + part * (to - from)),
    };
  }
  return {
    name, kind: "linear", low, high,
    part: (value) => (value - low) / (high - low), at: (part) => low + part * (high - low),
  };
}
