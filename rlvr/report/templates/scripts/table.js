// Sorting for every table with a role="button" in its header; without the script tables stay in their order.
function sortKey(row, column) {
  const { dataset: { value }, textContent } = row.cells[column];
  if (value === undefined) return textContent.trim();
  return value === "" ? null : Number(value);
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null); // what was not run stays last
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
}

// Sort the rows of a table by a column, pinned ones first.
function orderRows(table, header, direction, rows = Array.from(table.tBodies[0].rows)) {
  for (const other of all("thead th[aria-sort]", table)) put(other, { "aria-sort": other === header ? direction : "none" });
  const pins = state.list("pin"), sign = direction === "ascending" ? 1 : -1;
  const keyed = rows.map((row) => ({ row, key: sortKey(row, header.cellIndex), pinned: pins.includes(row.dataset.v) }));
  keyed.sort((a, b) => b.pinned - a.pinned || compare(a.key, b.key, sign));
  table.tBodies[0].append(...keyed.map(({ row }) => row));
}

function sortBy(header) {
  const first = header.dataset.kind === "text" ? "ascending" : "descending";
  const next = { none: first, ascending: "descending", descending: "ascending" }[header.getAttribute("aria-sort")];
  if (header.dataset.id) state.set({ sort: `${header.dataset.id}.${next === "ascending" ? "up" : "down"}` }, "methods");
  else orderRows(header.closest("table"), header, next);
}

// A header cell has no <button>, because Chromium does not repeat one at the top of the next printed page.
for (const button of all('thead [role="button"]')) {
  button.tabIndex = 0;
  button.addEventListener("click", () => sortBy(button.closest("th")));
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    button.click();
  });
}
