"""The figures of the page as files, for readers of Snakemake's own report and for papers."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from rlvr.files import replacing_folder, write_text

TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
BLOCK = re.compile(
    r"<figure\b.*?</figure>|<details\b.*?</details>|<svg\b.*?</svg>",
    re.DOTALL,
)
"""A figure with all its panels, or a drawing outside of figures."""
SECTION = re.compile(r'<section\b[^>]*\bid="(?P<id>[\w-]+)"')
DRAWING = re.compile(r"<svg(?P<attributes>[^>]*)>(?P<content>.*?)</svg>", re.DOTALL)
SIZE = re.compile(r'\bviewBox="0 0 (?P<width>[\d.]+) (?P<height>[\d.]+)"')
TITLE = re.compile(r"<title>(?P<text>.*?)</title>", re.DOTALL)
HEADING = re.compile(r"<(?P<tag>h\d|figcaption|summary)\b[^>]*>(?P<text>.*?)</(?P=tag)>", re.DOTALL)
COLUMNS = 4
"""Panels side by side."""
GAP = 16
HEAD = 30
"""Height of a heading above panels."""


@dataclass(frozen=True)
class Drawing:
    """One ``<svg>`` of the page, in units of its view box."""

    attributes: str
    content: str
    width: float
    height: float


def write_figures(page: Path, output: Path) -> None:
    """Write every figure of a page as an SVG file that needs no other: ``SECTION--TITLE.svg``.

    A figure of several panels is one file. Drawings in tables repeat the numbers beside them: left out.

    Args:
        page: the report.
        output: folder to write; it appears whole, and replaces one that is there.
    """
    style = jinja2.PackageLoader("rlvr.report").get_source(jinja2.Environment(), "report.css")[0]
    names: Counter[str] = Counter()
    with replacing_folder(output) as folder:
        for section, title, drawings in figures(page.read_text(encoding="utf-8")):
            name = f"{section}--{_slug(title)}"
            names[name] += 1
            number = f"-{names[name]}" if names[name] > 1 else ""
            write_text(folder / f"{name}{number}.svg", _file(title, drawings, style))


def figures(html: str) -> Iterator[tuple[str, str, list[Drawing]]]:
    """Yield section, title and panels of every figure of a page."""
    html = TABLE.sub("", html)
    sections = list(SECTION.finditer(html))
    for block in BLOCK.finditer(html):
        drawings = [drawing for match in DRAWING.finditer(block[0]) if (drawing := _drawing(match))]
        if drawings:
            title = HEADING.search(block[0]) or TITLE.search(drawings[0].content)
            section = [match["id"] for match in sections if match.start() < block.start()]
            yield section[-1] if section else "page", _plain(title["text"] if title else ""), drawings


def _drawing(match: re.Match[str]) -> Drawing | None:
    """Return a drawing; None for one without a title, which only decorates."""
    size = SIZE.search(match["attributes"])
    if size is None or not TITLE.search(match["content"]) or 'aria-hidden="true"' in match["attributes"]:
        return None
    attributes = re.sub(r'\s(?:width|height|x|y)="[^"]*"', "", match["attributes"])
    return Drawing(attributes, match["content"], float(size["width"]), float(size["height"]))


def _file(title: str, drawings: list[Drawing], style: str) -> str:
    """Return one SVG document: the panels in rows, below the title of the figure."""
    columns = min(COLUMNS, len(drawings))
    cell_width = max(drawing.width for drawing in drawings) + GAP
    cell_height = max(drawing.height for drawing in drawings) + GAP
    rows = -(-len(drawings) // columns)
    width, height = columns * cell_width + GAP, HEAD + rows * cell_height + GAP
    panels = Markup("").join(
        Markup('<svg x="{}" y="{}" width="{}" height="{}"{}>{}</svg>').format(
            GAP + index % columns * cell_width,
            HEAD + GAP + index // columns * cell_height,
            drawing.width,
            drawing.height,
            Markup(drawing.attributes),
            Markup(drawing.content),
        )
        for index, drawing in enumerate(drawings)
    )
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'width="{width}" height="{height}" style="font: 12px system-ui, sans-serif">'
        "<style>{style}</style>"
        '<rect width="100%" height="100%" style="fill: var(--paper)"/>'
        '<text x="{gap}" y="{baseline}" style="font-weight: 600; fill: var(--ink)">{title}</text>'
        "{panels}</svg>\n"
    ).format(
        width=width, height=height, style=Markup(f"<![CDATA[{style}]]>"), gap=GAP, baseline=HEAD, title=title,
        panels=panels,
    )  # fmt: skip


def _plain(html: str) -> str:
    return Markup(re.sub(r"\s+", " ", html)).striptags()


def _slug(title: str) -> str:
    """Return a title as part of a file name, without the number of training seeds."""
    short = re.sub(r", [^,]*training seeds? per \w+$", "", title)
    return re.sub(r"[^a-z0-9]+", "-", short.lower()).strip("-") or "figure"
