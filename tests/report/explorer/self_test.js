// Runs within the page's own scope, behind its last line, and posts what it found.
const wait = () => new Promise((done) => setTimeout(done, 0));
const to = async (hash) => { location.hash = hash; await wait(); await wait(); };
const told = () => document.getElementById("told").textContent;
const overflow = () => document.documentElement.scrollWidth - innerWidth;
async function selfTest() {
  const out = { errors: [], wide: [], pairs: 0, inner: innerWidth };
  addEventListener("error", (event) => out.errors.push(event.message));
  const table = [...document.querySelectorAll(".element:enabled")];
  out.covered = table.length;
  for (const name of NAMES) {
    try {
      // By its fragment a browser would refuse so many in so short a time.
      Object.assign(state, { view: "pair", pair: name.split("_"), slot: 0 });
      show();
      await wait();
      if (document.getElementById("pairname").textContent !== shown(name)) throw new Error("another");
      if (/NaN|Infinity|undefined [0-9]/.test(document.getElementById("targets").textContent)) throw new Error("NaN");
      out.pairs++;
    } catch (error) { out.errors.push(`${name}: ${error.stack}`); }
    if (out.pairs % 97 === 0 && overflow() > 0) out.wide.push(name);
  }
  // By keys: from hydrogen to the right, where helium is next.
  await to("#pair=H_O");
  const cell = table.find((one) => one.textContent === "H");
  cell.focus();
  cell.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  out.arrow = document.activeElement.textContent;
  document.activeElement.click();
  await wait();
  out.chosen = document.getElementById("pairname").textContent;
  out.tabstops = table.filter((one) => one.tabIndex === 0).length;
  // By the field, and what is wrong there.
  const search = async (words) => {
    document.getElementById("query").value = words;
    document.querySelector("#search button").click();
    await wait();
    return told();
  };
  out.unknown = await search("Xx O");
  out.uncovered = await search("Ce O");
  out.found = [await search("hydrogen oxygen"), document.getElementById("pairname").textContent];
  // By fragments.
  await to("#map=e_homo_ev&show=error&part=test");
  out.map = [document.title, document.querySelector(".map").getAttribute("aria-label"), overflow()];
  const map_ = document.querySelector(".map");
  map_.focus();
  map_.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  out.readout = document.getElementById("map-read").textContent;
  map_.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  await wait();
  out.opened = location.hash;
  await to("#trend=distance_ang&partner=H");
  out.trend = [document.title, overflow(), document.querySelectorAll(".series circle").length];
  await to("#map=nothing");
  out.wrong = told();
  await to("#pair=H_O");
  out.daggers = document.querySelectorAll("#targets sup").length;
  out.split = document.getElementById("targets").textContent.match(/(train|validation|test) pair/)?.[1];
  out.unnamed = [...document.querySelectorAll("[role=img]")].filter((one) => !one.getAttribute("aria-label")).length;
  out.csv = saveTargets(rowOf("H", "O"));
  const row = rowOf("H", "O");
  out.canvas = Array.from(renderCanvas(row));
  if (HAS_ORBITALS) {
    out.images = Object.values(renderOrbitals(row, 32, 12)).map((values) => Array.from(values));
    out.names = Object.keys(renderOrbitals(row, 4, 12));
  }
  out.axe = [];
  for (const hash of typeof axe === "undefined" ? [] : ["#pair=H_O", "#map=e_g_ev", "#trend=e_homo_ev"]) {
    await to(hash);
    const found = await axe.run(document);
    out.axe.push([hash, found.passes.length, found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`)]);
  }
  return out;
}
selfTest().catch((error) => ({ broken: error.stack })).then((out) => parent.postMessage(out, "*"));
