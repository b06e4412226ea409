// The table of methods: groups of columns, baseline, benchmark, filter, pins and order, all kept in the address.
const MINUS = "\u2212", NONE = "–";
const signed = (value) => {
  const text = Math.abs(100 * value).toFixed(1);
  return (text === "0.0" ? "" : value < 0 ? MINUS : "+") + text;
};
const pText = (p) => (p < 0.001 ? "<\u00a00.001" : p.toFixed(3));
const written = (value, format) => {
  if (value == null) return NONE;
  if (format === "tokens") return value.toFixed(1);
  if (format === "seconds") return value.toFixed(value < 1 ? 4 : 1);
  return (100 * value).toFixed(1);
};

// Write a cell: the text, the smaller text after it, and the number it is sorted by.
function fill(cell, text, small = "", value = null) {
  cell.textContent = text;
  if (small) {
    const after = document.createElement("small");
    after.textContent = small;
    cell.append(" ", after);
  }
  cell.dataset.value = value ?? "";
}

function methodsTable(table, form, data) {
  const rows = Array.from(table.tBodies[0].rows); // as Python made them: the order of the data
  const heads = Array.from(table.tHead.rows[0].cells);
  const column = (id) => heads.findIndex((head) => head.dataset.id === id);
  const chosen = {};
  const start = { base: form.base.value, on: form.on.value };
  const title = (select) => select.selectedOptions[0]?.textContent ?? "";

  function fillMetrics(on) {
    for (const [index, head] of heads.entries()) {
      const values = data.values[head.dataset.metric];
      if (!values) continue;
      const name = values[on] ? on : data.first;
      const of = head.querySelector(".of");
      if (of) of.textContent = form.querySelector(`[name=on] option[value="${CSS.escape(name)}"]`).textContent;
      const format = head.dataset.format;
      for (const [at, row] of rows.entries()) {
        const [value, low, high] = values[name]?.[at] ?? [];
        const interval = format === "estimate" && low != null;
        const small = interval ? `${written(low, format)}–${written(high, format)}` : "";
        fill(row.cells[index], written(value, format), small, value);
      }
    }
  }

  function fillDifferences(base, on) {
    const found = data.differences[base]?.[on] ?? [];
    const bounds = found.flatMap((one) => (one ? one.slice(0, 3) : [])).filter((one) => one != null);
    let low = Math.min(0, ...bounds), high = Math.max(0, ...bounds);
    const margin = 0.06 * (high - low) || 0.5;
    [low, high] = [low - margin, high + margin];
    const x = (value) => 6 + (168 * (Math.min(Math.max(value, low), high) - low)) / (high - low);
    table.querySelector(".axis").textContent = `${signed(low)} to ${signed(high)}`;
    table.querySelector(".against").textContent = title(form.base);
    for (const [at, row] of rows.entries()) {
      const one = found[at];
      const [difference, left, right, p, detectable, improvement] = one ?? [];
      const cell = (id) => row.cells[column(id)];
      const interval = left == null ? "" : `${signed(left)} to ${signed(right)}`;
      fill(cell("difference"), one ? signed(difference) : NONE, interval, difference);
      fill(cell("p"), one ? pText(p) : NONE, "", p);
      fill(cell("detectable"), written(detectable, "percent"), "", detectable);
      if (column("improvement") >= 0) fill(cell("improvement"), improvement?.toFixed(2) ?? NONE, "", improvement);
      drawDifference(cell("plot"), one, x);
    }
  }

  function drawDifference(cell, one, x) {
    const [svg] = cell.children;
    svg.setAttribute("visibility", one ? "visible" : "hidden");
    if (!one) return;
    const [difference, low, high, p, detectable] = one;
    cell.classList.toggle("apart", p < 0.05 && (low > 0 || high < 0));
    const set = (name, attributes) => {
      for (const [key, value] of Object.entries(attributes)) svg.querySelector(name).setAttribute(key, value.toFixed(1));
    };
    const band = detectable ?? 0;
    set("rect", { x: x(-band), width: x(band) - x(-band) });
    set(".zero", { x1: x(0), x2: x(0) });
    set(".whisker", { x1: x(low ?? difference), x2: x(high ?? difference) });
    set("circle", { cx: x(difference) });
  }

  function order() {
    const [id, direction] = state.get("sort") ? state.get("sort").split(".") : ["avg", "down"];
    const head = heads[column(id)] ?? heads[0];
    for (const other of heads) if (other.ariaSort) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", direction === "up" ? "ascending" : "descending");
    const pins = state.list("pin"), find = state.get("find").toLowerCase();
    const keyed = rows.map((row) => ({ row, key: sortKey(row, head.cellIndex), pinned: pins.includes(row.dataset.v) }));
    const sign = direction === "up" ? 1 : -1;
    keyed.sort((a, b) => b.pinned - a.pinned || compare(a.key, b.key, sign));
    table.tBodies[0].append(...keyed.map(({ row }) => row));
    for (const { row, pinned } of keyed) {
      row.classList.toggle("pinned", pinned);
      row.hidden = !pinned && find !== "" && !row.textContent.toLowerCase().includes(find);
    }
  }

  state.watch(() => {
    const by = state.get("by", "accuracy"), base = state.get("base", start.base), on = state.get("on", start.on);
    table.dataset.by = by;
    for (const tab of form.querySelectorAll("[data-by]")) tab.setAttribute("aria-pressed", tab.dataset.by === by);
    [form.base.value, form.on.value, form.find.value] = [base, on, state.get("find")];
    if (on !== (chosen.on ?? start.on)) fillMetrics(on);
    if (on !== (chosen.on ?? start.on) || base !== (chosen.base ?? start.base)) fillDifferences(base, on);
    Object.assign(chosen, { base, on });
    order();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => {
    state.set({ [target.name]: target.value === start[target.name] ? "" : target.value }, "methods");
  });
  form.addEventListener("click", ({ target }) => {
    if (target.dataset.by) state.set({ by: target.dataset.by }, "methods");
  });
}

{
  const table = document.getElementById("methods-table");
  if (table) methodsTable(table, document.querySelector('[data-table="methods-table"]'), DATA.methods);
}
