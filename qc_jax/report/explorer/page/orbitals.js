// Densities and orbitals of tight binding, drawn from a few numbers a pair (qc_jax.canvas.densities).
const ORB = ABOUT.orbitals;
const PIXELS = 120;
const AMPLITUDES = ["homo_amplitude", "lumo_amplitude"];

const scaled = (name, row, width) => {
  const arrays = blob("orbitals");
  const factor = arrays[`${name}_factor`][row];
  return Float64Array.from(arrays[name].subarray(row * width, (row + 1) * width), (v) => v * factor);
};

function elementOfRadial(row, atom) {
  return ELEMENTS[BASE.atoms[2 * row + atom] - 1].row;
}

// R_s, R_p, R_d of an element at r (bohr): a cubic through the neighbouring knots, evenly far in √r.
function radialOf(element, knots) {
  const tables = [0, 1, 2].map((l) => scaled("radial", 3 * element + l, knots));
  return (r, into) => {
    const place = Math.sqrt(r) / ORB.step;
    const k = Math.floor(place);
    const t = place - k;
    for (let l = 0; l < 3; l++) {
      const v = tables[l];
      if (k >= knots - 2) { into[l] = 0; continue; }
      const before = k ? v[k - 1] : 3 * v[0] - 3 * v[1] + v[2];
      const [a, b, after] = [v[k], v[k + 1], v[k + 2]];
      into[l] = a + 0.5 * t * (b - before + t * (2 * before - 5 * a + 4 * b - after
        + t * (3 * (a - b) + after - before)));
    }
  };
}

// Å, width and height of a pair's images: the bond, and room for the atoms' outer shells.
function windowOf(row) {
  return Math.min(12, Math.max(5, Math.round(TARGET.get("distance_ang").values[row] + 4)));
}

// Images by channel, [PIXELS × PIXELS] each, the first atom on the left, in units of `ORB.channels`.
function renderOrbitals(row, pixels, width) {
  const arrays = blob("orbitals");
  const knots = arrays.radial.shape[2];
  const bohr = ORB.bohr;
  const distance = TARGET.get("distance_ang").values[row] / bohr;
  const radial = [0, 1].map((atom) => radialOf(elementOfRadial(row, atom), knots));
  const products = ORB.products;
  const forms = formsOf(row);
  const names = Object.keys(forms);
  const amplitudes = AMPLITUDES.map((_, k) => scaled("amplitudes", 2 * row + k, 12));
  const images = Object.fromEntries(
    ORB.channels.map(({ name }) => [name, new Float32Array(pixels * pixels)]));
  const shells = [new Float64Array(3), new Float64Array(3)];
  const values = new Float64Array(12);
  const pixel = width / bohr / pixels;
  const s4 = Math.sqrt(1 / (4 * Math.PI));
  const s3 = Math.sqrt(3 / (4 * Math.PI));
  const half = pixels / 2;
  for (let y = 0; y < half; y++) {
    const x = (half - 0.5 - y) * pixel; // away from the axis
    for (let column = 0; column < pixels; column++) {
      const z = (column + 0.5 - half) * pixel;
      let potential = 0;
      for (let atom = 0; atom < 2; atom++) {
        const along = z - distance * (atom - 0.5);
        const r = Math.hypot(along, x);
        radial[atom](r, shells[atom]);
        const [c, s] = [along / r, x / r];
        const [rs, rp, rd] = shells[atom];
        const at = 3 * atom;
        values[at] = rs * s4;
        values[at + 1] = rp * s3 * c;
        values[at + 2] = rd * Math.sqrt(5 / (16 * Math.PI)) * (3 * c * c - 1);
        values[6 + 2 * atom] = rp * s3 * s;
        values[7 + 2 * atom] = rd * Math.sqrt(15 / (4 * Math.PI)) * c * s;
        values[10 + atom] = rd * Math.sqrt(15 / (16 * Math.PI)) * s * s;
        const decay = 3.2 * arrays.hubbards[2 * row + atom];
        const near = Math.exp(-decay * r);
        potential += arrays.charges[2 * row + atom] * ((1 - near) / r - (decay / 2) * near);
      }
      const place = y * pixels + column;
      const mirror = (pixels - 1 - y) * pixels + column;
      for (const name of names) {
        const weights = forms[name];
        let total = 0;
        for (let k = 0; k < products.length; k++) {
          const w = weights[k];
          if (w !== 0) total += w * values[products[k][0]] * values[products[k][1]];
        }
        images[name][place] = images[name][mirror] = total / bohr ** 3;
      }
      AMPLITUDES.forEach((name, k) => {
        let total = 0;
        for (let i = 0; i < 12; i++) total += amplitudes[k][i] * values[i];
        const value = total / bohr ** 1.5;
        images[name][mirror] = value;
        images[name][place] = value * arrays.sides[2 * row + k];
      });
      images.potential[place] = images.potential[mirror] = ORB.hartree * potential;
    }
  }
  return images;
}

// Quadratic forms of the densities: s, p and d are parts of the density, the deformation its rest.
function formsOf(row) {
  const arrays = blob("orbitals");
  const [density, homo, lumo] = [0, 1, 2].map((k) => scaled("forms", 3 * row + k, 34));
  const shell = (i) => ORB.functions[i][1];
  const forms = { density, deformation: density.slice(), s: null, p: null, d: null, homo, lumo };
  ORB.products.forEach(([i, j], k) => {
    if (i === j) {
      const [atom, l] = ORB.functions[i];
      forms.deformation[k] -= arrays.neutral[6 * row + 3 * atom + l];
    }
  });
  ["s", "p", "d"].forEach((name, l) => {
    forms[name] = density.map((value, k) => {
      const [i, j] = ORB.products[k];
      return shell(i) === l && shell(j) === l ? value : 0;
    });
  });
  return forms;
}
