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
  const numeric = header.dataset.kind !== "text";
  const previous = header.getAttribute("aria-sort");
  const next = previous === "none"
    ? (numeric ? "descending" : "ascending")
    : (previous === "ascending" ? "descending" : "ascending");
  for (const other of table.querySelectorAll("thead th[aria-sort]")) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", next);
  const column = header.cellIndex;
  const direction = next === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, key: sortKey(row, column) }));
  rows.sort((a, b) => compare(a.key, b.key, direction));
  body.append(...rows.map(({ row }) => row));
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
