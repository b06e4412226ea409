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
SECTION = re.compile(r'<section\b[^>]*\bid="(?P<id>[\w-]+)"')
DRAWING = re.compile(r"<svg(?P<attributes>[^>]*)>(?P<content>.*?)</svg>", re.DOTALL)
SIZE = re.compile(r'\bviewBox="0 0 (?P<width>[\d.]+) (?P<height>[\d.]+)"')
TITLE = re.compile(r"<title>(?P<text>.*?)</title>", re.DOTALL)
HEAD = 36
"""Height of the title above a figure."""
LONGEST = 80
"""Characters of a title in the name of its file."""


@dataclass(frozen=True)
class Figure:
    """One drawing of the page, in units of its view box.

    Attributes:
        section: id of the section that it is in.
        title: its title.
        attributes: of its ``<svg>``, but for its place.
        content: inside its ``<svg>``.
    """

    section: str
    title: str
    attributes: str
    content: str
    width: float
    height: float


def write_figures(page: Path, output: Path) -> None:
    """Write every figure of a page, as it opens, as an SVG file that needs no other: ``SECTION--TITLE.svg``.

    Drawings in tables repeat the numbers beside them, and those without a title only decorate: left out.

    Args:
        page: the report.
        output: folder to write; it appears whole, and replaces one that is there.
    """
    style = jinja2.PackageLoader("rlvr.report").get_source(jinja2.Environment(), "report.css")[0]
    names: Counter[str] = Counter()
    with replacing_folder(output) as folder:
        for figure in figures(page.read_text(encoding="utf-8")):
            name = f"{figure.section}--{_slug(figure.title)}"
            names[name] += 1
            number = f"-{names[name]}" if names[name] > 1 else ""
            write_text(folder / f"{name}{number}.svg", _file(figure, style))


def figures(html: str) -> Iterator[Figure]:
    """Yield the figures of a page."""
    html = TABLE.sub("", html)
    sections = list(SECTION.finditer(html))
    for drawing in DRAWING.finditer(html):
        size, title = SIZE.search(drawing["attributes"]), TITLE.search(drawing["content"])
        if size and title and 'aria-hidden="true"' not in drawing["attributes"]:
            before = [match["id"] for match in sections if match.start() < drawing.start()]
            yield Figure(
                section=before[-1] if before else "page",
                title=Markup(re.sub(r"\s+", " ", title["text"])).striptags(),
                attributes=re.sub(r'\s(?:width|height|x|y)="[^"]*"', "", drawing["attributes"]),
                content=drawing["content"],
                width=float(size["width"]),
                height=float(size["height"]),
            )


def _file(figure: Figure, style: str) -> str:
    """Return one SVG document: the drawing below its title, with the style of the page."""
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'width="{width}" height="{height}" style="font: 13px system-ui, sans-serif">'
        "<style>{style}</style>"
        '<rect width="100%" height="100%" style="fill: var(--paper)"/>'
        '<text x="8" y="22" style="font-weight: 600; fill: var(--ink)">{title}</text>'
        '<svg y="{head}" width="{width}" height="{inner}"{attributes}>{content}</svg></svg>\n'
    ).format(
        width=figure.width,
        height=figure.height + HEAD,
        style=Markup("<![CDATA[{}]]>").format(Markup(style)),
        title=figure.title,
        head=HEAD,
        inner=figure.height,
        attributes=Markup(figure.attributes),
        content=Markup(figure.content),
    )


def _slug(title: str) -> str:
    """Return a title as part of a file name."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return words[:LONGEST].rstrip("-") or "figure"
