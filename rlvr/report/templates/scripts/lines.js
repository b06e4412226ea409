// Panels with a line per method: other quantities on the axes, the value under the pointer, the numbers as a table.
function pixel([low, high, start, end, log], value) {
  const at = log ? Math.log10 : (one) => one;
  return start + ((end - start) * (at(value) - at(low))) / (at(high) - at(low) || 1);
}

// The known points of a line in one view.
function pointsOf(line, x, y) {
  const xs = line.x[`${x}:${y}`] ?? line.x[x] ?? [];
  return (line.y[y] ?? []).map((value, at) => [xs[at], value]).filter(([a, b]) => a != null && b != null);
}

// Places at least `gap` apart, in the same order.
function spread(ends, gap, top, bottom) {
  ends.sort((a, b) => a.place - b.place);
  ends.forEach((one, at) => { one.place = Math.max(one.place, at ? ends[at - 1].place + gap : top); });
  for (let at = ends.length - 1; at >= 0; at -= 1) {
    ends[at].place = Math.min(ends[at].place, at < ends.length - 1 ? ends[at + 1].place - gap : bottom);
  }
}

function drawLines(svg, panel, x, y) {
  const view = panel.views[`${x}|${y}`];
  const [, top, right, bottom, gap] = panel.frame;
  svg.querySelector(".axes").innerHTML = view.axes; // made by Python, which escapes every text
  const across = (value) => pixel(view.x, value), up = (value) => pixel(view.y, value);
  const drawn = panel.lines.map((line) => ({ line, points: pointsOf(line, x, y) }));
  const ends = drawn.filter(({ points }) => points.length).map(({ line, points }) => ({ line, place: up(points.at(-1)[1]) }));
  spread(ends, gap, top, bottom);
  const places = new Map(ends.map(({ line, place }) => [line, place]));
  svg.querySelector(".lines").replaceChildren(...drawn.map(({ line, points }) => {
    const row = make("svg:g", "", { class: `row ${line.kind}`, "data-v": line.key });
    const d = points.map(([a, b]) => `${across(a).toFixed(1)},${up(b).toFixed(1)}`).join("L");
    row.append(make("svg:path", "", { class: "line", d: d && `M${d}` }));
    if (places.has(line)) {
      row.append(make("svg:text", line.label, { x: right + 8, y: places.get(line) + 4, class: "end", "data-pin": line.key }));
    }
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
  for (const row of svg.querySelectorAll(".row")) row.classList.toggle("hovered", row.dataset.v === best.line?.key);
  figure.querySelector("output").textContent = best.line ? `${best.line.label}: ${reading(panel, y, best.b)} at ${reading(panel, x, best.a)}` : "";
}

// The same numbers as a table: every line at a few places.
function linesAsTable(panel, x, y) {
  const places = [...new Set(panel.lines.flatMap((line) => pointsOf(line, x, y).map(([a]) => a)))].sort((a, b) => a - b);
  const few = places.filter((_, at) => places.length <= 9 || at % Math.ceil(places.length / 8) === 0 || at === places.length - 1);
  const near = (points, a) => points.findLast(([place]) => place <= a);
  const cell = (point) => (point ? reading(panel, y, point[1]) : "–");
  return [[`${panel.y[y]}, by ${panel.x[x]}`, ...few.map((a) => reading(panel, x, a))], ...panel.lines.map((line) => {
    const points = pointsOf(line, x, y);
    return [line.label, ...few.map((a) => cell(near(points, a)))];
  })];
}

for (const figure of document.querySelectorAll("[data-lines]")) {
  const panel = DATA[figure.dataset.lines][figure.dataset.of], svg = figure.querySelector("svg");
  const chosen = (axis) => figure.querySelector(`[data-key$=".${axis}"]`)?.value ?? Object.keys(panel[axis])[0];
  const view = () => [chosen("x"), chosen("y")];
  let shown = `${Object.keys(panel.x)[0]}|${Object.keys(panel.y)[0]}`;
  state.watch(() => {
    const [x, y] = view();
    if (shown !== `${x}|${y}`) drawLines(svg, panel, x, y);
    shown = `${x}|${y}`;
  });
  svg.addEventListener("pointermove", (event) => readValue(figure, panel, event, ...view()));
  figure.asTable = () => linesAsTable(panel, ...view());
}
