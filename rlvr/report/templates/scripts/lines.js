// Panels with a line per method: other quantities on the axes, the value under the pointer, the numbers as a table.
function pixel([low, high, start, end, log], value) {
  const at = log ? Math.log10 : Number;
  return start + ((end - start) * (at(value) - at(low))) / (at(high) - at(low) || 1);
}

// The known points of a line in one view.
function pointsOf(line, x, y) {
  const xs = line.x[`${x}:${y}`] ?? line.x[x] ?? [];
  return (line.y[y] ?? []).map((value, at) => [xs[at], value]).filter(([a, b]) => a != null && b != null);
}

function drawLines(svg, panel, x, y) {
  const view = panel.views[`${x}|${y}`], across = (value) => pixel(view.x, value), up = (value) => pixel(view.y, value);
  svg.querySelector(".axes").innerHTML = view.axes; // made by Python, which escapes every text
  svg.querySelector(".lines").replaceChildren(...panel.lines.map((line) => {
    const d = pointsOf(line, x, y).map(([a, b]) => `${across(a).toFixed(1)},${up(b).toFixed(1)}`).join("L");
    const row = make("svg:g", "", { class: `row ${line.kind}`, "data-v": line.key });
    row.append(make("svg:path", "", { class: "line", d: d && `M${d}` }));
    const end = { x: panel.right + 8, y: view.ends[line.key] + 4, class: "end", "data-pin": line.key };
    if (d) row.append(make("svg:text", line.label, end));
    for (const [place, value] of line.marks[y] ?? []) {
      row.append(make("svg:text", "✗", { x: across(place[x]), y: up(value) + 4, class: "failed", "text-anchor": "middle" }));
    }
    return row;
  }));
}

// A value as it is read, in the unit of its axis.
const reading = (panel, name, value) => Number((panel.times[name] * value).toPrecision(3));

// Name the line nearest to the pointer, with its value there.
function readValue(figure, panel, event, x, y) {
  const svg = figure.querySelector("svg"), view = panel.views[`${x}|${y}`];
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  let best = { distance: 900 };
  for (const line of panel.lines) {
    for (const [a, b] of pointsOf(line, x, y)) {
      const distance = (pixel(view.x, a) - at.x) ** 2 + (pixel(view.y, b) - at.y) ** 2;
      if (distance < best.distance) best = { distance, line, a, b };
    }
  }
  const { line, a, b } = best;
  for (const row of all(".row", svg)) row.classList.toggle("hovered", row.dataset.v === line?.key);
  figure.querySelector("output").textContent = line ? `${line.label}: ${reading(panel, y, b)} at ${reading(panel, x, a)}` : "";
}

// The same numbers as a table: every line at a few places.
function linesAsTable(panel, x, y) {
  const lines = panel.lines.map((line) => [line.label, pointsOf(line, x, y)]);
  const places = [...new Set(lines.flatMap(([, points]) => points.map(([a]) => a)))].sort((a, b) => a - b);
  const few = places.filter((_, at) => places.length <= 9 || at % Math.ceil(places.length / 8) === 0 || at === places.length - 1);
  const cell = (point) => (point ? reading(panel, y, point[1]) : "–");
  return [
    [`${panel.y[y]}, by ${panel.x[x]}`, ...few.map((a) => reading(panel, x, a))],
    ...lines.map(([label, points]) => [label, ...few.map((a) => cell(points.findLast(([place]) => place <= a)))]),
  ];
}

for (const figure of all("[data-lines]")) {
  const panel = DATA[figure.dataset.lines][figure.dataset.of], svg = figure.querySelector("svg");
  const first = (axis) => Object.keys(panel[axis])[0];
  const view = () => ["x", "y"].map((axis) => figure.querySelector(`[data-key$=".${axis}"]`)?.value ?? first(axis));
  let shown = `${first("x")},${first("y")}`;
  state.watch(() => {
    if (shown !== `${view()}`) drawLines(svg, panel, ...view());
    shown = `${view()}`;
  });
  svg.addEventListener("pointermove", (event) => readValue(figure, panel, event, ...view()));
  figure.asTable = () => linesAsTable(panel, ...view());
}
