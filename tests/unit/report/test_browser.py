"""The page in a browser."""

import base64
import csv
import io
import os
import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from rlvr.report.text import p_value, points
from tests.helpers.browser import Tab
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree


def test_the_browser_has_nothing_to_complain_about(tab: Tab, path: Path, html: str, tmp_path: Path):
    bad = tmp_path / "bad.html"
    bad.write_text(html.replace("</body>", "<script src='https://example.org/x.js'></script></body>"))
    tab.open(bad)
    assert tab.complaints(), "this browser reports nothing: the test is blind"
    tab.open(path)
    assert tab.complaints() == []
    assert tab.run("document.title") == "Which method should one train with? <Demo & check>"  # not "owned"


def test_what_escapes_into_the_page_does_nothing(tab: Tab, html: str, tmp_path: Path):
    attack = (
        "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
        "<base href='https://example.org/'><form action='https://example.org/'><button id=go></button></form>"
    )
    written = tmp_path / "attacked.html"
    written.write_text(html.replace("</header>", f"</header>{attack}"))
    tab.open(written)
    tab.run("document.getElementById('go').click()")
    assert tab.run("document.title") == "Which method should one train with? <Demo & check>"
    assert tab.run("document.baseURI").startswith(written.as_uri())
    assert tab.run("location.href").startswith(written.as_uri())
    complaints = " ".join(tab.complaints())
    for directive in ("script-src", "base-uri", "form-action"):
        assert directive in complaints, complaints


def test_a_stranger_finds_the_answer_on_the_first_screen(tab: Tab, path: Path, tree: Tree):
    tab.open(path)
    seen = tab.run("""(() => {
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), texts = [];
      const range = document.createRange();
      while (walker.nextNode()) {
        range.selectNodeContents(walker.currentNode);
        const box = range.getBoundingClientRect();
        const inside = box.bottom > 0 && box.bottom <= 800 && box.right <= 1366;
        if (box.width > 1 && inside) texts.push(walker.currentNode.data);
      }
      return texts.join(" ").replace(/\\s+/g, " ").replaceAll("\u00a0", " ");
    })()""")
    leader = pd.read_csv(tree.folder.table("leader"))
    assert "arXiv 2512.23165" in seen and "Which parameter-efficient method" in seen
    assert f"Best here {leader.leader[0]} , +" in seen
    assert "Not told apart from it:" in seen and "1 training seed per method, 3 wanted" in seen
    assert re.search(r"0 replicated 0 not replicated \d+ not tested", seen)
    assert "9 runs, 0 failed" in seen and "commit 4f1c0de" in seen
    figure = tab.run("document.querySelector('svg.ranking').getBoundingClientRect().bottom")
    assert figure < 800


def test_no_sideways_scrolling_on_a_telephone(tab: Tab, path: Path):
    tab.resize(380, 900)
    tab.open(path)
    widths = tab.run("""(() => {
      document.querySelectorAll("details").forEach((d) => { d.open = true; });
      return [document.documentElement.scrollWidth, innerWidth];
    })()""")
    tab.resize(1366, 800)
    assert widths[0] <= widths[1] == 380


def shown(tab: Tab, column: str) -> list[str]:
    """The texts of a column of the table of methods, in the order of its rows."""
    return tab.run(f"""(() => {{
      const table = document.getElementById("methods-table");
      const at = Array.from(table.tHead.rows[0].cells).findIndex((cell) => cell.dataset.id === "{column}");
      return Array.from(table.tBodies[0].rows).filter((row) => !row.hidden)
        .map((row) => row.cells[at].textContent.replace(/\\s+/g, " ").trim());
    }})()""")


def test_the_menus_show_the_numbers_of_the_tables(tab: Tab, path: Path, tree: Tree):
    tab.open(path, "#methods?base=full&on=products&sort=p.up")
    frame = pd.read_csv(tree.folder.table("comparisons"))
    here = frame[(frame.baseline == "full") & (frame.benchmark == "products")].set_index("method")
    methods = shown(tab, "method")
    assert sorted(methods[: len(here)]) == sorted(here.index)
    for method, difference, p in zip(methods, shown(tab, "difference"), shown(tab, "p"), strict=True):
        if method in here.index:
            row = here.loc[method]
            low, high = points(row.ci_low, ""), points(row.ci_high, "")
            assert difference == f"{points(row.difference, '')} {low} to {high}"
            assert p == p_value(row.p_holm).replace("\xa0", " ")
        else:
            assert difference == p == "–"
    values = [float(one.split()[-1]) for one in shown(tab, "p")[: len(here)]]
    assert values == sorted(values)
    summary = pd.read_csv(tree.folder.table("summary"))
    tokens = summary[(summary.metric == "tokens_mean") & (summary.benchmark == "products")].set_index(
        "method"
    )
    for method, mean in zip(methods, shown(tab, "tokens_mean"), strict=True):
        name = method.split(" ")[0]
        assert mean == (f"{tokens.loc[name, 'value']:.1f}" if name in tokens.index else "–")


def test_groups_filter_and_pins_are_kept_in_the_address(tab: Tab, path: Path):
    tab.open(path)
    visible = """Array.from(document.querySelectorAll('#methods-table thead th'))
      .filter((th) => th.checkVisibility()).map((th) => th.dataset.group ?? '')"""
    assert set(tab.run(visible)) == {"", "accuracy"}
    tab.run("document.querySelector('[data-by=cost]').click()")
    tab.run("document.querySelector('[data-pin=vera]').click()")
    tab.run(
        """(() => {
          const find = document.querySelector('#methods [data-key=find]');
          find.value = 'lora';
          find.dispatchEvent(new Event('input', { bubbles: true }));
        })()"""
    )
    assert set(tab.run(visible)) == {"", "cost"}
    assert shown(tab, "method")[0] == "vera" and all("lora" in name for name in shown(tab, "method")[1:])
    query = tab.run("location.hash")
    assert query.startswith("#methods?") and {"by=cost", "pin=vera", "find=lora"} <= set(query[9:].split("&"))
    coloured = tab.run("Array.from(document.querySelectorAll('svg .pin-0'), (g) => g.dataset.v)")
    assert set(coloured) == {"vera"} and len(coloured) >= 4
    tab.open(path, query)
    assert shown(tab, "method")[0] == "vera" and set(tab.run(visible)) == {"", "cost"}


def test_sorting_by_keyboard(tab: Tab, path: Path):
    tab.open(path)
    tab.run("""document.querySelector('#methods-table [data-id=p] [role=button]')
      .dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }))""")
    values = [float(one.split()[-1]) for one in shown(tab, "p") if one != "–"]
    assert values == sorted(values, reverse=True) and shown(tab, "p")[-1] == "–"
    assert tab.run("document.querySelectorAll('#methods-table [aria-sort=descending]').length") == 1


def test_other_quantities_are_drawn_from_the_data(tab: Tab, path: Path, page: Page):
    tab.open(path, "#training?training.y=length&training.x=tokens")
    line = next(line for line in page.data["training"]["tiny"]["lines"] if line["key"] == "dora")
    drawn = tab.run("""(() => {
      const svg = document.querySelector('[data-lines=training] svg');
      const path = svg.querySelector('[data-v=dora] .line').getAttribute('d');
      const d = path.slice(1).split('L').map((p) => p.split(',').map(Number));
      return { d, titles: Array.from(svg.querySelectorAll('.axes .head'), (t) => t.textContent) };
    })()""")
    view = page.data["training"]["tiny"]["views"]["tokens|length"]
    assert drawn["titles"] == ["tokens sampled"] and len(drawn["d"]) == len(line["y"]["length"])
    low, high, start, end, _ = view["y"]
    heights = [start + (value - low) / (high - low) * (end - start) for value in line["y"]["length"]]
    assert [y for _, y in drawn["d"]] == pytest.approx(heights, abs=0.06)
    tab.run(
        """Array.from(document.querySelectorAll('[data-lines=training] button'))
          .find((button) => button.textContent === 'As a table').click()"""
    )
    rows = tab.run(
        """Array.from(document.querySelectorAll('[data-lines=training] table tr'),
          (row) => row.cells[0].textContent)"""
    )
    assert rows[0] == "Completion length (tokens), by tokens sampled" and set(rows[1:]) == {
        line["label"] for line in page.data["training"]["tiny"]["lines"]
    }


def test_a_share_is_read_in_the_unit_of_its_axis(tab: Tab, path: Path, page: Page):
    tab.open(path, "#training?training.y=correct")
    rows = tab.run("""(() => {
      const figure = document.querySelector("[data-lines=training]");
      return figure.asTable();
    })()""")
    (line,) = [line for line in page.data["training"]["tiny"]["lines"] if line["key"] == "dora"]
    (shown,) = [row for row in rows if row[0] == "dora"]
    assert rows[0][0] == "Correct completions (%), by step"
    assert shown[-1] == pytest.approx(100 * line["y"]["correct"][-1], rel=0.01)


def test_tables_and_figures_can_be_saved(tab: Tab, path: Path):
    tab.open(path)
    tab.run("""(() => {
      window.saved = [];
      URL.createObjectURL = (blob) => {
        blob.text().then((text) => saved.push([blob.type, text]));
        return "#";
      };
      HTMLAnchorElement.prototype.click = () => {};
      const buttons = Array.from(document.querySelectorAll(".controls button, .exports button"));
      for (const text of ["CSV", "SVG"]) buttons.find((button) => button.textContent === text).click();
    })()""")
    saved = dict(tab.run("new Promise((done) => setTimeout(() => done(saved), 100))"))
    rows = list(csv.reader(saved["text/csv"].splitlines()))
    assert len({len(row) for row in rows}) == 1 and len(rows) > 5
    assert ElementTree.fromstring(saved["image/svg+xml"]).tag == "{http://www.w3.org/2000/svg}svg"
    assert "--accent" in saved["image/svg+xml"]


def test_printed_pages_repeat_the_titles_of_columns(tab: Tab, path: Path):
    pypdf = pytest.importorskip("pypdf", reason="needs pypdf (make install-dev)")
    tab.open(path)
    tab.run("""(() => {
      const body = document.querySelector("#methods-table tbody"), rows = [...body.rows];
      for (let copies = 0; copies < 12; copies += 1) body.append(...rows.map((row) => row.cloneNode(true)));
    })()""")
    pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    texts = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
    texts = [unicodedata.normalize("NFKC", text) for text in texts]  # ligatures
    continued = [text for text in texts[1:] if text.count("rslora") > 1 and "Cost" not in text]
    assert len(continued) >= 2
    for text in continued:
        assert "Difference" in text and "Holm" in text and "Method" in text


def test_the_ranking_is_whole_on_paper(tab: Tab, path: Path):
    tab.resize(690, 1000)  # A4 between its margins
    tab.open(path)
    tab.call("Emulation.setEmulatedMedia", media="print")
    found = tab.run("""(() => {
      const figure = document.querySelector("svg.ranking"), boxes = [figure, figure.closest("figure")];
      return [...boxes.map((box) => box.getBoundingClientRect().right), document.documentElement.clientWidth];
    })()""")
    tab.call("Emulation.setEmulatedMedia", media="")
    tab.resize(1366, 800)
    assert found[0] <= found[1] <= found[2] == 690


def test_a_summary_is_printed_on_few_pages(tab: Tab, path: Path):
    tab.open(path)
    pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert len(re.findall(rb"/Type\s*/Page[^s]", pdf)) <= 5
    assert tab.run("(document.documentElement.classList.add('print-all'), 1)")
    whole = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert len(re.findall(rb"/Type\s*/Page[^s]", whole)) > 5


def axe() -> str:
    """The source of axe-core: of the package for tests, or the file in AXE_CORE."""
    if named := os.environ.get("AXE_CORE"):
        return Path(named).read_text()
    package = pytest.importorskip("axe_core_python", reason="needs axe-core-python (make install-dev)")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1366), ("dark", 1366), ("light", 380)])
def test_axe_finds_nothing(tab: Tab, path: Path, scheme: str, width: int):
    source = axe()
    tab.resize(width, 800)
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.open(path)
    tab.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    tab.run(source + ";1")
    found = tab.run(
        """axe.run().then((found) => found.violations.map((one) =>
          [one.id, one.impact, one.nodes.map((node) => node.html.slice(0, 200) + node.failureSummary)]))"""
    )
    tab.call("Emulation.setEmulatedMedia", features=[])
    tab.resize(1366, 800)
    assert found == []
    landmarks = "main, nav, header, footer, section[aria-labelledby], [role=region]"
    assert tab.run(f"document.querySelectorAll('{landmarks}').length") <= 25


def test_only_what_scrolls_is_a_region_and_a_tab_stop(tab: Tab, path: Path):
    tab.resize(700, 900)
    tab.open(path)
    stops = tab.run("""Array.from(document.querySelectorAll("[data-scroll]"), (box) =>
      [box.tabIndex === 0, box.tagName === "FIGURE" ? box.tabIndex === 0
         : box.getAttribute("role") === "region",
       box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1])""")
    tab.resize(1366, 800)
    assert {tuple(stop) for stop in stops} == {(True, True, True), (False, False, False)}


def test_the_fragment_opens_what_it_names_and_keeps_what_was_chosen(tab: Tab, path: Path):
    tab.open(path, "#methods?pin=dora,pissa")
    assert tab.run("[state.target, state.list('pin').join()]") == ["methods", "dora,pissa"]
    assert tab.run("Math.abs(document.getElementById('methods').getBoundingClientRect().top)") < 100
    tab.run("state.set({ by: 'cost', pin: 'vera' })")
    assert tab.run("location.hash") == "#methods?pin=vera&by=cost"
    tab.run("new Promise((done) => { location.hash = '#cost'; setTimeout(done, 50); })")
    assert tab.run("location.hash") == "#cost?pin=vera&by=cost"


def test_a_choice_that_the_page_does_not_know_is_the_first_one(tab: Tab, path: Path):
    tab.open(path, "#methods?base=gone&on=nothing&cost=gold&training.y=none&show=odd&sort=odd.up")
    values = (
        "Array.from(document.querySelectorAll('select[data-key]'), (one) => [one.dataset.key, one.value])"
    )
    known = dict(tab.run(values))
    tab.open(path)
    assert dict(tab.run(values)) == known and "" not in {known["base"], known["on"], known["cost"]}
    assert tab.complaints() == []


def test_the_filter_of_methods_is_not_that_of_samples(tab: Tab, path: Path):
    tab.open(path)
    counted = "document.getElementById('sample-count').textContent"
    before = tab.run(counted)
    tab.open(path, "#methods?find=vera")
    assert tab.run(counted) == before and shown(tab, "method") == ["vera"]
