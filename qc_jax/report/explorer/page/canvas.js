// The published canvas: thirteen numbers of a pair times fixed pictures (qc_jax.canvas.render).
const SIZE = ABOUT.canvas.size;
const CHANNELS = ABOUT.canvas.channels;
const FEATURES = ABOUT.canvas.features.length;

// [size × size × channels] of a row, in the order (row, column, channel).
function renderCanvas(row) {
  const wide = SIZE * CHANNELS.length;
  const line = new Float64Array(wide);
  for (let f = 0; f < FEATURES; f++) {
    const value = BASE.features[row * FEATURES + f];
    if (value === 0) continue;
    for (let k = 0; k < wide; k++) line[k] += value * BASE.line[f * wide + k];
  }
  const image = new Float32Array(SIZE * wide);
  for (let y = 0; y < SIZE; y++) {
    for (let k = 0; k < wide; k++) image[y * wide + k] = BASE.picture[y * wide + k] * line[k];
  }
  return image;
}

// Root mean square distance of canvases (`canvas_metric`) from one row to all, NaN if not known.
function canvasDistances(row) {
  const found = new Float64Array(COUNT);
  const delta = new Float64Array(FEATURES);
  for (let other = 0; other < COUNT; other++) {
    for (let f = 0; f < FEATURES; f++) {
      delta[f] = BASE.features[other * FEATURES + f] - BASE.features[row * FEATURES + f];
    }
    let total = 0;
    for (let f = 0; f < FEATURES; f++) {
      for (let g = 0; g < FEATURES; g++) total += delta[f] * BASE.metric[f * FEATURES + g] * delta[g];
    }
    found[other] = Math.sqrt(Math.max(total, 0));
  }
  return found;
}

function nearest(row, count) {
  const distances = canvasDistances(row);
  return Array.from(distances.keys())
    .filter((other) => other !== row && Number.isFinite(distances[other]))
    .sort((a, b) => distances[a] - distances[b])
    .slice(0, count)
    .map((other) => ({ row: other, distance: distances[other] }));
}

// Draw values of a square image; colours go with a power of the value, of both signs about zero.
function paint(canvas, values, size, { power, unipolar = "density" }) {
  let most = 0;
  let least = 0;
  for (const value of values) {
    if (value > most) most = value;
    if (value < least) least = value;
  }
  const signed = least < -1e-6 * Math.max(most, -least, 1e-9) && least < -1e-7;
  const top = Math.max(most, -least);
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const table = scaleOf(signed ? "signed" : unipolar);
  const last = table.length / 3 - 1;
  for (let k = 0; k < values.length; k++) {
    let part = top > 1e-9 ? (Math.abs(values[k]) / top) ** power : 0;
    if (signed) part = 0.5 + (Math.sign(values[k]) * part) / 2;
    const at = 3 * Math.round(part * last);
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = table[at + c];
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return { most, least: signed ? least : 0 };
}
