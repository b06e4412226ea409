// The problem maps and the browser of samples. Every text is set as text, never as markup.
if (DATA.samples) {
  const { command, statuses, reasons, methods, runs, benchmarks, maps, chosen } = DATA.samples;

  // Samples, unpacked as `EmbeddedSample.packed` packs them.
  for (const problem of chosen) {
    problem.samples = problem.samples.map(([run, index, flags, tokens, extracted, text = extracted]) => ({
      problem, run, ...runs[run], index, tokens, extracted, text, status: statuses[flags >> 3],
      correct: Boolean(flags & 1), second: Boolean(flags & 2), truncated: Boolean(flags & 4),
    })).sort((a, b) => a.run - b.run || a.index - b.index);
  }
  const verdict = (correct) => (correct ? "correct" : "incorrect");

  // Correct samples of a method on a problem, over all training seeds.
  const tally = (benchmark, method, problem) => {
    const { counts, k } = benchmarks[benchmark];
    const graded = counts.filter((count, run) => count && runs[run].method === method);
    const [correct, of] = [graded.reduce((sum, count) => sum + count[problem], 0), k * graded.length];
    return { share: of ? correct / of : NaN, text: of ? `${correct} of ${of}` : "" };
  };
  const counted = (...of) => (tally(...of).text ? `${tally(...of).text} correct` : "no samples");

  // #sample=BENCHMARK/PROBLEM/METHOD/SEED/SAMPLE, where the last parts may be absent.
  const linkTo = (benchmark, problem, ...rest) => `#sample=${
    [benchmarks[benchmark].name, benchmarks[benchmark].ids[problem], ...rest].map(encodeURIComponent).join("/")}`;
  const linkOf = ({ problem, method, seed, index }) => (
    linkTo(problem.benchmark, problem.problem, methods[method].key, seed, index));
  const decoded = (part) => new URLSearchParams(`=${part.replaceAll("+", "%2B")}`).get(""); // never throws
  const opened = () => {
    if (!state.target.startsWith("sample=")) return null;
    const parts = state.target.slice(7).split("/").map(decoded);
    const [name, id, key, seed, index] = parts;
    const benchmark = benchmarks.findIndex((one) => one.name === name);
    const problem = benchmarks[benchmark]?.ids.indexOf(id) ?? -1, method = methods.findIndex((one) => one.key === key);
    return { address: parts.join("/"), benchmark, problem, method, seed, index };
  };

  // The list of problems with samples that pass the filters.
  const shares = ({ benchmark, problem }) => methods.map((_, method) => tally(benchmark, method, problem).share);
  const baseOf = (method) => methods.findIndex((one) => one.base && one.model === methods[method].model);
  const FILTERS = {
    correct: (sample) => sample.correct,
    incorrect: (sample) => !sample.correct,
    truncated: (sample) => sample.truncated,
    "no-answer": (sample) => sample.status === "no_answer",
    "methods-disagree": (_, of) => of.some((share) => share > 0.5) && of.some((share) => share < 0.5),
    lost: (sample, of) => !sample.correct && baseOf(sample.method) !== sample.method && of[baseOf(sample.method)] > 0.5,
    "graders-disagree": (sample) => sample.correct !== sample.second,
  };
  const matching = (problem) => {
    const [inside, method, text, show] = ["in", "of", "text", "show"].map((key) => state.get(key));
    if (inside && benchmarks[problem.benchmark].name !== inside) return [];
    const [wanted, of] = [FILTERS[show] ?? (() => true), shares(problem)];
    const holds = (one) => one !== null && one.toLowerCase().includes(text.toLowerCase());
    return problem.samples.filter((sample) => (!method || methods[sample.method].key === method)
      && wanted(sample, of) && (!text || holds(sample.text) || holds(problem.text)));
  };
  const showList = () => {
    const found = chosen.map((problem) => [problem, matching(problem)]).filter(([, samples]) => samples.length);
    const total = (lists) => lists.flat().length.toLocaleString("en");
    document.getElementById("sample-list").replaceChildren(...found.map(([problem, samples]) => {
      const { title, ids } = benchmarks[problem.benchmark], why = problem.reasons.map((reason) => reasons[reason]).join(", ");
      const said = `${samples.length} of ${problem.samples.length} samples (${why})`;
      const link = make("a", `${title}, ${ids[problem.problem]}`, { href: linkOf(samples[0]) });
      return make("li", "", {}, link, make("span", said, { class: "soft" }));
    }));
    document.getElementById("sample-count").textContent = `${total(found.map(([, samples]) => samples))} of the ${
      total(chosen.map(({ samples }) => samples))} samples on this page, of ${found.length} problems`;
  };

  // One problem, with a card for each method.
  const isAt = (at, { seed }) => !at.seed || [at.seed, "base"].includes(seed);
  const linkIn = (card, sample, current) => make("a", `${sample.index}${sample.correct ? "✓" : "✗"}`, {
    href: linkOf(sample), class: verdict(sample.correct), ...(current && { "aria-current": "true" }),
    "aria-label": `${card}, ${sample.seed}, sample ${sample.index}: ${verdict(sample.correct)}`,
  });
  const sampleIn = (card, { seed, index, status, tokens, truncated, correct, second, extracted, text }) => {
    const facts = [`${seed}, sample ${index}`, `status ${status}`, `${tokens} tokens`];
    if (truncated) facts.push("truncated");
    if (correct !== second) facts.push(`second grader: ${verdict(second)}`);
    const grade = make("span", `${correct ? "✓" : "✗"} ${verdict(correct)}`, { class: verdict(correct) });
    return [
      make("p", "", {}, grade, ` ${facts.join(", ")}`),
      make("p", "Extracted answer: ", {}, extracted === null ? "none" : make("code", extracted)),
      make("pre", text, { dir: "auto", "data-scroll": `Completion of ${card}` }),
    ];
  };
  const commandFor = (at, method) => {
    const { name, ids, words, counts } = benchmarks[at.benchmark];
    const run = runs.find((one, number) => one.method === method && counts[number] && isAt(at, one));
    const call = [command, ...(at.index ? ["--sample", at.index] : []), run?.word, name, words[at.problem] ?? ids[at.problem]];
    return run ? [make("p", "Not on this page:"), make("pre", call.join(" "))] : [];
  };
  const card = (at, problem, method) => {
    const { label } = methods[method];
    const samples = problem?.samples.filter((one) => one.method === method) ?? [];
    const sample = at.index ? samples.find((one) => String(one.index) === at.index && isAt(at, one)) : samples[0];
    const picks = samples.flatMap((one, place) => (
      [one.run === samples[place - 1]?.run ? "" : `${one.seed} `, linkIn(label, one, one === sample)]));
    return make("article", "", { class: method === at.method ? "card named" : "card" },
      make("h5", label), make("p", counted(at.benchmark, method, at.problem), { class: "soft" }),
      make("p", "", { class: "picks" }, ...picks), ...(sample ? sampleIn(label, sample) : commandFor(at, method)));
  };
  const showProblem = (at) => {
    const view = document.getElementById("sample-view");
    view.replaceChildren();
    if (at?.problem < 0) view.append(make("p", `This study has no problem ${at.address}.`, { class: "absent" }));
    if (!at || at.problem < 0) return null;
    const problem = chosen.find((one) => one.benchmark === at.benchmark && one.problem === at.problem);
    const map = maps.find((one) => one.benchmark === at.benchmark && (at.method < 0 || one.methods.includes(at.method)));
    const { title, ids } = benchmarks[at.benchmark];
    const heading = make("h4", `${title}, problem ${ids[at.problem]}`, { tabindex: -1 });
    view.append(heading, ...(problem ? [
      make("pre", problem.text, { class: "problem", dir: "auto", "data-scroll": "Problem" }),
      make("p", "Gold answer: ", {}, make("code", problem.answer)),
    ] : []), make("div", "", { class: "cards" }, ...map.methods.map((method) => card(at, problem, method))));
    return heading;
  };

  // A cell of a map is found by its place in the rectangle `area`.
  for (const box of all(".map-box")) {
    const { problems, benchmark, methods: ordered } = maps[box.dataset.map], { ids, contaminated } = benchmarks[benchmark];
    const [drawing, area, cursor, readout] = ["svg.map", ".area", ".cursor", "output"].map((one) => box.querySelector(one));
    const [columns, rows] = [area.width.baseVal.value, area.height.baseVal.value]; // without methods that have no samples
    let [column, row] = [0, 0];
    const point = (toColumn, toRow) => {
      column = Math.min(Math.max(toColumn, 0), columns - 1);
      row = Math.min(Math.max(toRow, 0), rows - 1);
      put(cursor, { x: column, y: row });
      const [problem, method] = [problems[column], ordered[row]];
      readout.textContent = `Problem ${ids[problem]}: ${methods[method].label} ${counted(benchmark, method, problem)}${
        contaminated.includes(problem) ? "; also in the training data" : ""}`;
    };
    const pointAt = ({ clientX, clientY }) => {
      const { left, top, width, height } = area.getBoundingClientRect();
      const [x, y] = [(clientX - left) / width, (clientY - top) / height];
      const inside = x >= 0 && x < 1 && y >= 0 && y < 1;
      if (inside) point(Math.floor(x * columns), Math.floor(y * rows));
      return inside;
    };
    const open = () => { location.hash = linkTo(benchmark, problems[column], methods[ordered[row]].key); };
    const keys = {
      ArrowLeft: () => point(column - 1, row), ArrowRight: () => point(column + 1, row), Home: () => point(0, row),
      ArrowUp: () => point(column, row - 1), ArrowDown: () => point(column, row + 1), End: () => point(Infinity, row),
      Enter: open, " ": open,
    };
    const description = "map: arrow keys move, Enter opens the samples";
    put(drawing, { tabindex: 0, role: "application", "aria-roledescription": description });
    drawing.addEventListener("pointermove", pointAt);
    drawing.addEventListener("click", (event) => pointAt(event) && open());
    drawing.addEventListener("focus", () => point(column, row));
    drawing.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    const shares = (problem) => ordered.map((method) => tally(benchmark, method, problem).text);
    const head = ["Problem", ...ordered.map((method) => methods[method].label)];
    box.asTable = () => [head, ...problems.map((problem) => [ids[problem], ...shares(problem)])];
  }

  // The controls follow the address, and the address the controls.
  let shown = null;
  all("#sample-browser").forEach((browser) => {
    browser.hidden = false;
    state.watch(() => {
      showList();
      const at = opened(), heading = showProblem(at);
      if (heading && at.address !== shown) {
        heading.focus({ preventScroll: true });
        heading.scrollIntoView();
      }
      shown = at && at.address;
      markRegions();
    });
  });
}
