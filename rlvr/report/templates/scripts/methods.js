// The table of methods: groups of columns, baseline, benchmark, filter, pins and order, all kept in the address.
{
  const { values, differences } = DATA.methods;
  const table = document.getElementById("methods-table"), form = document.querySelector('form[data-anchor="methods"]');
  const rows = Array.from(table.tBodies[0].rows); // as Python made them: the order of the data
  const heads = Array.from(table.tHead.rows[0].cells);
  const place = (id) => heads.findIndex((head) => head.dataset.id === id);
  const [base, on, find] = ["base", "on", "find"].map((key) => form.querySelector(`[data-key=${key}]`));
  let shown = [firstValue(base), firstValue(on)];

  function fillColumns(columns = {}) {
    for (const [id, [below, cells]] of Object.entries(columns)) {
      const column = place(id), under = heads[column]?.querySelector("small");
      if (under) under.textContent = below;
      for (const [index, [text, small, value]] of cells.entries()) {
        const cell = rows[index].cells[column];
        cell.replaceChildren(text, ...(small ? [" ", make("small", small)] : []));
        cell.dataset.value = value ?? "";
      }
    }
  }

  function movePlots(plots = []) {
    for (const [index, places] of plots.entries()) {
      const cell = rows[index].cells[place("plot")], [svg] = cell.children, [band, axis, whisker, dot] = svg.children;
      const [zero, left, right, low, high, value, apart] = places ?? [0, 0, 0, 0, 0, 0, false];
      put(svg, { visibility: places ? "visible" : "hidden" });
      put(band, { x: left, width: right - left });
      put(axis, { x1: zero, x2: zero });
      put(whisker, { x1: low, x2: high });
      put(dot, { cx: value });
      cell.classList.toggle("apart", apart);
    }
  }

  state.watch(() => {
    table.dataset.by = state.get("by", "accuracy");
    for (const tab of all("[data-by]", form)) put(tab, { "aria-pressed": tab.dataset.by === table.dataset.by });
    if (on.value !== shown[1]) fillColumns(values[on.value]);
    if (on.value !== shown[1] || base.value !== shown[0]) {
      const found = differences[base.value]?.[on.value];
      fillColumns(found?.columns);
      movePlots(found?.plots);
    }
    shown = [base.value, on.value];
    const [id, direction] = state.get("sort", "avg.down").split(".");
    orderRows(table, heads[place(id)] ?? heads[0], direction === "up" ? "ascending" : "descending", rows);
    for (const row of rows) {
      row.classList.toggle("pinned", state.list("pin").includes(row.dataset.v));
      row.hidden = !row.matches(".pinned") && !row.textContent.toLowerCase().includes(find.value.toLowerCase());
    }
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("click", ({ target }) => target.dataset.by && state.set({ by: target.dataset.by }, "methods"));
}
