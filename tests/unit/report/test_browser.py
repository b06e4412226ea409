"""The page in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import Tab, chromium


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    """One browser for all tests of the file."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def path(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    written = tmp_path_factory.mktemp("page") / "page.html"
    written.write_text(html)
    return written


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


def test_sorting_by_keyboard_and_no_sideways_scrolling_on_a_telephone(tab: Tab, path: Path):
    tab.resize(380, 900)
    tab.open(path)
    found = tab.run("""(() => {
      const header = document.querySelectorAll("#methods thead [role=button]")[1];
      header.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
      const table = header.closest("table");
      const rows = Array.from(table.tBodies[0].rows, (row) => row.cells[1].dataset.value);
      const sorts = Array.from(table.tHead.rows[0].cells, (cell) => cell.ariaSort);
      document.querySelectorAll("details").forEach((d) => { d.open = true; });
      return { rows, sorts, widths: [document.documentElement.scrollWidth, innerWidth] };
    })()""")
    tab.resize(1366, 800)
    values = [float(value) for value in found["rows"][:-1]]
    assert values == sorted(values, reverse=True) and found["rows"][-1] == ""
    assert found["sorts"].count("descending") == 1 and found["sorts"][1] == "descending"
    assert found["widths"][0] <= found["widths"][1]


def test_only_what_scrolls_is_a_region_and_a_tab_stop(tab: Tab, path: Path):
    tab.open(path)
    stops = tab.run("""Array.from(document.querySelectorAll("[data-scroll]"), (box) =>
      [box.tabIndex === 0, box.getAttribute("role") === "region",
       box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1])""")
    assert {tuple(stop) for stop in stops} == {(True, True, True), (False, False, False)}


def test_the_fragment_opens_what_it_names_and_keeps_what_was_chosen(tab: Tab, path: Path):
    tab.open(path, "#methods?pin=dora,pissa")
    assert tab.run("[state.target, state.list('pin').join(), Math.abs(scrollY) > 100]")[:2] == [
        *("methods", "dora,pissa")
    ]
    tab.run("state.set({ by: 'cost', pin: 'vera' })")
    assert tab.run("location.hash") == "#methods?pin=vera&by=cost"
    tab.run("new Promise((done) => { location.hash = '#cost'; setTimeout(done, 50); })")
    assert tab.run("location.hash") == "#cost?pin=vera&by=cost"
