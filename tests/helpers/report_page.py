"""A parsed page, for tests."""

import json
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """The elements of a page with attributes and text, and its tables by caption."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[dict] = []
        self._open: list[dict] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        element = {"tag": tag, "attributes": dict(attrs), "text": "", "within": [*self._open]}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.elements.append({"tag": tag, "attributes": dict(attrs), "text": "", "within": [*self._open]})

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1]["tag"] == tag, f"</{tag}> closes {self._open[-1]['tag']}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element["text"] += data

    def all(self, tag: str, within: dict | None = None) -> list[dict]:
        found = [element for element in self.elements if element["tag"] == tag]
        return [
            element
            for element in found
            if within is None or any(within is outer for outer in element["within"])
        ]

    def by_id(self, name: str) -> dict:
        """Return the element with an id."""
        (found,) = [element for element in self.elements if element["attributes"].get("id") == name]
        return found

    @property
    def data(self) -> dict[str, Any]:
        """What is embedded for the script, by section."""
        return json.loads(self.by_id("data")["text"])

    def methods(self) -> dict[str, dict[str, str]]:
        """Return the table of methods: label -> column -> text; ``note`` is beside the label."""
        table = self.by_id("methods-table")
        (head, *rows) = self.all("tr", table)
        columns = [th["attributes"]["data-id"] for th in self.all("th", head)]
        found = {}
        for row in rows:
            cells = [e for e in self.elements if e["tag"] in ("th", "td") and e["within"][-1] is row]
            texts = [" ".join(cell["text"].split()) for cell in cells]
            notes = [" ".join(one["text"].split()) for one in self.all("small", cells[0])]
            label = texts[0].removesuffix(" ".join(notes)).strip()
            found[label] = {**dict(zip(columns, texts, strict=True)), "note": " ".join(notes)}
        return found

    def columns(self) -> dict[str, str]:
        """Return the headings of the table of methods by column."""
        (head, *_) = self.all("tr", self.by_id("methods-table"))
        return {th["attributes"]["data-id"]: " ".join(th["text"].split()) for th in self.all("th", head)}

    def table(self, caption: str) -> list[list[str]]:
        """Return the body rows of the table whose caption starts so, without the texts of figures."""
        (table,) = [
            t for t in self.all("table") if self.all("caption", t)[0]["text"].strip().startswith(caption)
        ]
        (body,) = self.all("tbody", table)
        rows = []
        for row in self.all("tr", body):
            cells = [
                cell for cell in self.elements if cell["tag"] in ("th", "td") and cell["within"][-1] is row
            ]
            plots = [[drawing["text"] for drawing in self.all("svg", cell)] for cell in cells]
            texts = [cell["text"] for cell in cells]
            for index, drawn in enumerate(plots):
                for drawing in drawn:
                    texts[index] = texts[index].replace(drawing, "")
            rows.append([" ".join(cell.split()) for cell in texts])
        return rows
