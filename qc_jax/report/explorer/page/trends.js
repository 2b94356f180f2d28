// Trends along periods and groups: a target of the pairs of one element, or of each with itself.
const GROUP_SETS = { main: [1, 2, 13, 14, 15, 16, 17, 18], transition: [3, 4, 5, 6, 7, 8, 9, 10, 11, 12] };
const trend = {};

function buildTrend() {
  trend.title = html("h2", {});
  trend.controls = html("div", { class: "controls" });
  trend.body = html("div", { class: "cards" });
  return [trend.title, trend.controls, trend.body];
}

function trendValue(one) {
  const target = TARGET.get(state.target);
  const partner = state.partner === "self" ? one.symbol : state.partner;
  const row = rowOf(one.symbol, partner);
  if (row < 0) return { row, value: NaN, predicted: NaN };
  const sign = isDirected(target) && one.symbol > partner ? -1 : 1;
  const model = MODELS.find((each) => each.name === state.beside);
  return { row, value: sign * target.values[row], predicted: model ? sign * prediction(model, target, row) : NaN };
}

function showTrend() {
  const target = TARGET.get(state.target);
  const partner = state.partner === "self" ? "itself" : state.partner;
  const beside = MODELS.find((one) => one.name === state.beside);
  trend.title.textContent = `${titleOf(target)} of each element with ${partner}${target.unit ? `, ${target.unit}` : ""}`;
  document.title = `${titleOf(target)} with ${partner} · QuantumCanvas explorer`;
  trend.controls.replaceChildren(
    select("Target", state.target, targetOptions(), (value) => go({ target: value })),
    select("With", state.partner, [["self", "itself"], ...COVERED.map((one) => [one.symbol, `${one.symbol}, ${one.name}`])],
      (value) => go({ partner: value })),
    select("Groups", state.groups, [["main", "main groups"], ["transition", "transition metals"]], (value) => go({ groups: value })),
    MODELS.length ? select("Beside", state.beside, [["", "no model"], ...MODELS.map((m) => [m.name, m.name])], (value) => go({ beside: value })) : "");
  const points = COVERED.filter((one) => one.group).map((one) => ({ ...one, ...trendValue(one) }));
  const periods = [...new Set(points.map((one) => one.period))].sort();
  const byPeriod = periods.map((period) => ({ name: `period ${period}`,
    points: points.filter((one) => one.period === period).map((one) => ({ ...one, x: one.group })) }));
  const byGroup = GROUP_SETS[state.groups].map((group) => ({ name: `group ${group}`,
    points: points.filter((one) => one.group === group).map((one) => ({ ...one, x: one.period })) }));
  const save = () => csv(`${state.target}_with_${partner}`, ["element", "group", "period", state.target, "predicted"],
    points.map((one) => [one.symbol, String(one.group), String(one.period), exact(one.value), exact(one.predicted)]));
  const note = [`${target.definition}.`, isDirected(target) ? "Positive: from the element to its partner." : "",
    beside ? "Crosses are predictions." : "",
    beside && leaks(beside, target).length ? "† the model's inputs give this target away." : "", "A click on a point opens the pair."].join(" ");
  trend.body.replaceChildren(
    card("Along the periods", { id: "periods", wide: true, save, words: note },
      series(byPeriod, { xName: "group", low: 0.5, high: 18.5, ticks: Array.from({ length: 18 }, (_, k) => k + 1) })),
    card("Down the groups", { id: "groups", wide: true, save },
      series(byGroup, { xName: "period", low: 0.8, high: 7.2, ticks: [1, 2, 3, 4, 5, 6, 7] })),
    card("The numbers", { id: "numbers", wide: true, save },
      html("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": "The numbers of the trends" },
        html("table", {}, html("thead", {}, html("tr", {},
          ["element", "group", "period"].map((one) => html("th", { scope: "col" }, one)),
          html("th", { scope: "col", class: "num" }, titleOf(target), html("small", {}, target.unit)),
          state.beside && html("th", { scope: "col", class: "num" }, state.beside, leaks(beside, target).length ? " †" : ""))),
        html("tbody", {}, points.map((one) => html("tr", {},
          html("th", { scope: "row" }, one.row < 0 ? one.symbol : html("a", { href: `#pair=${NAMES[one.row]}` }, one.symbol)),
          html("td", {}, one.group), html("td", {}, one.period), html("td", { class: "num" }, number(one.value)),
          state.beside && html("td", { class: "num" }, number(one.predicted)))))))));
}

function series(lines, { xName, low, high, ticks: xTicks }) {
  const narrow = trend.body.clientWidth < 560;
  const [width, height] = narrow ? [360, 300] : [1150, 400];
  const box = [64, 14, width - (narrow ? 12 : 92), height - 46];
  const values = lines.flatMap((one) => one.points.flatMap((p) => [p.value, p.predicted])).filter(Number.isFinite);
  if (!values.length) return html("p", {}, "None of these pairs is in this table.");
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const pad = 0.07 * (most - least) || 0.5;
  const x = linear(low, high, box[0], box[2]);
  const y = linear(least - pad, most + pad, box[3], box[1]);
  const target = TARGET.get(state.target);
  const drawn = lines.map((one, k) => {
    const known = one.points.filter((p) => Number.isFinite(p.value));
    const color = seriesColor(k);
    return svg("g", { class: "series" },
      known.length > 1 && svg("path", { d: `M${known.map((p) => `${x(p.x).toFixed(1)} ${y(p.value).toFixed(1)}`).join("L")}`,
        stroke: color, "stroke-dasharray": seriesDash(k) || null }),
      known.map((p) => svg("a", { href: `#pair=${NAMES[p.row]}`, tabindex: -1 },
        svg("title", {}, `${p.name} (${one.name}): ${number(p.value)}${unitOf(target)}`
          + (Number.isFinite(p.predicted) ? `, predicted ${number(p.predicted)}` : "")),
        Number.isFinite(p.predicted) && svg("path", { stroke: color, class: "cross",
          d: `M${x(p.x) - 4} ${y(p.predicted) - 4}l8 8m0 -8l-8 8` }),
        svg("circle", { cx: x(p.x), cy: y(p.value), r: narrow ? 3.5 : 4.5, fill: color }),
        !narrow && text(x(p.x) + 6, y(p.value) - 6, p.symbol, { class: "pointname" }))));
  });
  const words = `${titleOf(target)} by ${xName}: ${lines.map((one) => `${one.name}: `
    + one.points.filter((p) => Number.isFinite(p.value)).map((p) => `${p.symbol} ${number(p.value, 3)}`).join(", ")).join("; ")}`;
  return html("div", {},
    html("ul", { class: "keys" }, lines.map((one, k) => html("li", {},
      svg("svg", { viewBox: "0 0 26 10", width: 26, height: 10, "aria-hidden": "true" },
        line(0, 5, 26, 5, { stroke: seriesColor(k), "stroke-width": 2.5, "stroke-dasharray": seriesDash(k) || null })), one.name))),
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": words, class: "drawing", style: `max-width: ${width}px` },
      axes({ x, y, box, xTicks: xTicks.filter((v) => !narrow || v % 2), yTicks: ticks(least - pad, most + pad, 6), xName,
        yName: `${titleOf(target)}${target.unit ? `, ${target.unit}` : ""}` }),
      drawn));
}
