// What can leave the page: tables as CSV, figures as SVG and as tables, a link to what is shown, all of it on paper.
function save(name, type, text) {
  make("a", "", { href: URL.createObjectURL(new Blob([text], { type })), download: `${document.body.dataset.study}-${name}` }).click();
}

function asCsv(table) {
  const quoted = (cell) => `"${cell.textContent.replace(/\s+/g, " ").trim().replaceAll('"', '""')}"`;
  return Array.from(table.rows, (row) => Array.from(row.cells, quoted).join(",")).join("\r\n");
}

// A standalone figure: with the style of the page, in the colours of light paper.
function asSvg(svg) {
  const { width, height } = svg.viewBox.baseVal;
  const copy = put(svg.cloneNode(true), { xmlns: SVG, width, height, "font-family": "sans-serif" });
  copy.prepend(make("svg:style", document.querySelector("style").textContent));
  return new XMLSerializer().serializeToString(copy);
}

function tableOf(rows) {
  const cell = (text, at) => make(at ? "td" : "th", text, { class: "number" });
  const lines = rows.map((row, at) => make("tr", "", {}, ...row.map((text) => cell(text, at))));
  const table = make("table", "", {}, make("tbody", "", {}, ...lines));
  return make("div", "", { class: "scroll as-table", "data-scroll": "The figure as a table" }, table);
}

function button(text, action) {
  const made = make("button", text, { type: "button" });
  made.addEventListener("click", action);
  return made;
}

for (const box of all(".scroll[data-scroll]:has(table)")) {
  const name = `${box.dataset.scroll.toLowerCase().replaceAll(" ", "-")}.csv`;
  if (!box.previousElementSibling?.matches(".controls")) box.before(make("p", "", { class: "exports" }));
  box.previousElementSibling.append(button("CSV", () => save(name, "text/csv", asCsv(box.querySelector("table")))));
}
for (const figure of all("figure.chart")) {
  const tools = make("p", "", { class: "exports" }, button("SVG", () => {
    const shown = all("svg", figure).find((svg) => svg.checkVisibility());
    save(`${shown.querySelector("title").textContent}.svg`, "image/svg+xml", asSvg(shown));
  }));
  if (figure.asTable) {
    tools.append(" ", button("As a table", () => {
      const before = figure.querySelector(".as-table");
      before ? before.remove() : tools.after(tableOf(figure.asTable()));
      markRegions();
    }));
  }
  figure.append(tools);
}

const copyLink = document.querySelector('[data-do="copy-link"]');
copyLink.hidden = !navigator.clipboard;
copyLink.addEventListener("click", () => navigator.clipboard.writeText(location.href).then(() => copyLink.replaceChildren("Copied")));

// Printed: a summary with all claims, or everything; what is unfolded for it is folded again.
function unfold(selector) {
  const folded = all(selector).filter((details) => !details.open);
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
