// What can leave the page: tables as CSV, figures as SVG and as tables, a link to what is shown, all of it on paper.
function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
}

const asCsv = (rows) => rows.map((row) => row.map((cell) => `"${String(cell).replaceAll('"', '""')}"`).join(",")).join("\r\n");
const cellText = (cell) => cell.textContent.replace(/\s+/g, " ").trim();
const rowsOf = (table) => Array.from(table.rows, (row) => Array.from(row.cells, cellText));

// A standalone figure: with the style of the page, in the colours of light paper.
function asSvg(svg) {
  const copy = svg.cloneNode(true), { width, height } = svg.viewBox.baseVal;
  for (const [key, value] of Object.entries({ xmlns: SVG, width, height, "font-family": "sans-serif" })) copy.setAttribute(key, value);
  copy.prepend(svgElement("style", {}, document.querySelector("style").textContent));
  return new XMLSerializer().serializeToString(copy);
}

function tableOf(rows) {
  const table = document.createElement("table");
  for (const [at, row] of rows.entries()) {
    const line = table.insertRow();
    for (const cell of row) line.append(Object.assign(document.createElement(at ? "td" : "th"), { textContent: cell, className: "number" }));
  }
  const box = Object.assign(document.createElement("div"), { className: "scroll as-table" });
  box.dataset.scroll = "The figure as a table";
  box.append(table);
  return box;
}

function button(text, action) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", action);
  return made;
}

const study = document.body.dataset.study;
for (const box of document.querySelectorAll(".scroll[data-scroll]")) {
  const table = box.querySelector("table"), name = `${study}-${box.dataset.scroll.toLowerCase().replaceAll(" ", "-")}.csv`;
  if (!table) continue;
  const tools = box.previousElementSibling?.matches(".controls") ? box.previousElementSibling : document.createElement("p");
  if (tools.tagName === "P") { tools.className = "exports"; box.before(tools); }
  tools.append(button("CSV", () => save(name, "text/csv", asCsv(rowsOf(table)))));
}
for (const figure of document.querySelectorAll("figure.chart")) {
  const tools = document.createElement("p"), shown = () => [...figure.querySelectorAll("svg")].find((svg) => svg.checkVisibility());
  tools.className = "exports";
  tools.append(button("SVG", () => save(`${study}-${shown().querySelector("title").textContent}.svg`, "image/svg+xml", asSvg(shown()))));
  if (figure.asTable) {
    tools.append(" ", button("As a table", () => {
      const before = figure.querySelector(".as-table");
      before ? before.remove() : tools.after(tableOf(figure.asTable()));
      markRegions();
    }));
  }
  figure.append(tools);
}

document.querySelector('[data-do="copy-link"]').addEventListener("click", ({ target }) => {
  navigator.clipboard?.writeText(location.href).then(() => { target.textContent = "Copied"; });
});
// Printed: a summary with all claims, or everything.
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("#claims > .more")) details.open = true;
});
document.querySelector('[data-do="print-all"]').addEventListener("click", () => {
  const closed = Array.from(document.querySelectorAll("details:not([open])"));
  for (const details of closed) details.open = true;
  document.documentElement.classList.add("print-all");
  window.print();
  document.documentElement.classList.remove("print-all");
  for (const details of closed) details.open = false;
});
