// Sorting for every table with a role="button" in its header; without the script tables stay in their order.
function sortKey(row, column) {
  const cell = row.cells[column];
  const raw = cell.dataset.value;
  if (raw === undefined) return cell.textContent.trim();
  return raw === "" ? null : Number(raw);
}

function compare(a, b, direction) {
  if (a === null || b === null) return (a === null) - (b === null); // what was not run stays last
  const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  return direction * order;
}

function sortBy(header) {
  const table = header.closest("table");
  const previous = header.getAttribute("aria-sort");
  const first = header.dataset.kind === "text" ? "ascending" : "descending";
  const next = previous === "none" ? first : previous === "ascending" ? "descending" : "ascending";
  if (header.dataset.id) {
    state.set({ sort: `${header.dataset.id}.${next === "ascending" ? "up" : "down"}` }, "methods");
    return;
  }
  for (const other of table.querySelectorAll("thead th[aria-sort]")) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", next);
  const rows = Array.from(table.tBodies[0].rows, (row) => ({ row, key: sortKey(row, header.cellIndex) }));
  rows.sort((a, b) => compare(a.key, b.key, next === "ascending" ? 1 : -1));
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

// A header cell has no <button>, because Chromium does not repeat one at the top of the next printed page.
for (const button of document.querySelectorAll('thead [role="button"]')) {
  button.tabIndex = 0;
  button.addEventListener("click", () => sortBy(button.closest("th")));
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    sortBy(button.closest("th"));
  });
}
