"""The figures of the page as files of their own."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from rlvr.report.figures import figures, write_figures

SVG = "{http://www.w3.org/2000/svg}"
PAGE = """
<section id="one"><figure><figcaption>A long text.</figcaption>
<svg viewBox="0 0 100 50" role="img" y="7"><title>a &lt; b</title><path d="M0,0" class="line"/></svg>
<section class="part" id="two"><h2>Cost</h2>
<svg width="10" viewBox="0 0 90 40.5"><title>Cost &amp; accuracy</title></svg>
<svg viewBox="0 0 10 10" aria-hidden="true"><title>no</title></svg><svg viewBox="0 0 10 10"><path/></svg>
<table><tr><td><svg viewBox="0 0 10 10"><title>sparkline</title></svg></td></tr></table>
<details><summary>More</summary><svg viewBox="0 0 10 10"><title>Cost &amp; accuracy</title></svg></details>
</section>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    write_figures(page, tmp_path / "figures")
    return tmp_path / "figures"


def test_a_file_for_each_figure_named_after_section_and_title(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["one--a-b.svg", "two--cost-accuracy-2.svg", "two--cost-accuracy.svg"]


def test_a_figure_stands_below_its_title_and_has_the_style_of_the_page(folder):
    root = ElementTree.parse(folder / "one--a-b.svg").getroot()
    assert root.findtext(f"{SVG}text") == "a < b"
    (drawing,) = root.findall(f"{SVG}svg")
    assert drawing.find(f"{SVG}path") is not None and drawing.attrib["viewBox"] == "0 0 100 50"
    assert float(root.attrib["height"]) == 50 + float(drawing.attrib["y"])
    assert "--ink" in (root.findtext(f"{SVG}style") or "")


def test_every_figure_of_a_real_page_is_found_and_is_well_formed(html, tmp_path):
    found = list(figures(html))
    assert {"verdict", "training", "cost"} <= {figure.section for figure in found}
    page = tmp_path / "page.html"
    page.write_text(html)
    write_figures(page, tmp_path / "figures")
    files = list((tmp_path / "figures").iterdir())
    assert len(files) == len(found) > 5
    for path in files:
        text = path.read_text()
        ElementTree.fromstring(text)
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
