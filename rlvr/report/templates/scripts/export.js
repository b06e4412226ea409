// What can leave the page: tables as CSV, figures as SVG and as tables, a link to what is shown, all of it on paper.
function save(name, type, text) {
  make("a", "", { href: URL.createObjectURL(new Blob([text], { type })), download: name }).click();
}

const asCsv = (rows) => rows.map((row) => row.map((cell) => `"${String(cell).replaceAll('"', '""')}"`).join(",")).join("\r\n");
const cellText = (cell) => cell.textContent.replace(/\s+/g, " ").trim();
const rowsOf = (table) => Array.from(table.rows, (row) => Array.from(row.cells, cellText));

// A standalone figure: with the style of the page, in the colours of light paper.
function asSvg(svg) {
  const copy = svg.cloneNode(true), { width, height } = svg.viewBox.baseVal;
  for (const [key, value] of Object.entries({ xmlns: SVG, width, height, "font-family": "sans-serif" })) copy.setAttribute(key, value);
  copy.prepend(make("svg:style", document.querySelector("style").textContent));
  return new XMLSerializer().serializeToString(copy);
}

function tableOf(rows) {
  const lines = rows.map((row, at) => make("tr", "", {}, ...row.map((cell) => make(at ? "td" : "th", cell, { class: "number" }))));
  return make("div", "", { class: "scroll as-table", "data-scroll": "The figure as a table" }, make("table", "", {}, make("tbody", "", {}, ...lines)));
}

function button(text, action) {
  const made = make("button", text, { type: "button" });
  made.addEventListener("click", action);
  return made;
}

const study = document.body.dataset.study;
for (const box of document.querySelectorAll(".scroll[data-scroll]")) {
  const table = box.querySelector("table"), name = `${study}-${box.dataset.scroll.toLowerCase().replaceAll(" ", "-")}.csv`;
  if (!table) continue;
  if (!box.previousElementSibling?.matches(".controls")) box.before(make("p", "", { class: "exports" }));
  box.previousElementSibling.append(button("CSV", () => save(name, "text/csv", asCsv(rowsOf(table)))));
}
for (const figure of document.querySelectorAll("figure.chart")) {
  const tools = make("p", "", { class: "exports" }), shown = () => [...figure.querySelectorAll("svg")].find((svg) => svg.checkVisibility());
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
  navigator.clipboard.writeText(location.href).then(() => { target.textContent = "Copied"; });
});
document.querySelector('[data-do="copy-link"]').hidden = !navigator.clipboard;

// Printed: a summary with all claims, or everything; what is unfolded for it is folded again.
function unfold(selector) {
  const folded = Array.from(document.querySelectorAll(selector)).filter((details) => !details.open);
  for (const details of folded) details.open = true;
  window.addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
    document.documentElement.classList.remove("print-all");
  }, { once: true });
}
window.addEventListener("beforeprint", () => unfold("#claims > .more"));
document.querySelector('[data-do="print-all"]').addEventListener("click", () => {
  document.documentElement.classList.add("print-all");
  unfold("details");
  window.print();
});
