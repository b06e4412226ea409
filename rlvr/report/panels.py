"""Panels of lines on the page, one or more per model, with what their menus and their script need."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from rlvr.config.resolved import BASE, Variant
from rlvr.report.charts.lines import LinePanel
from rlvr.report.inputs import Inputs
from rlvr.report.queries import seeds_of_model
from rlvr.report.ranking import LORA


class Found(NamedTuple):
    """A panel of a model; ``name`` is its name in the data of its section."""

    model: str
    name: str
    panel: LinePanel


@dataclass(frozen=True, kw_only=True, slots=True)
class PagePanel:
    """One panel on the page.

    Attributes:
        section: id of its section.
        name: its name in the data of the section.
        key: of its menus in links: that of the section, for all but the first panel with the name.
        seeds: how many training seeds it is of, in words.
    """

    section: str
    name: str
    key: str
    model: str
    seeds: str
    panel: LinePanel

    @property
    def figure(self) -> Markup:
        """The first view."""
        return self.panel.figure()


@dataclass(frozen=True, kw_only=True, slots=True)
class Panels:
    """Context of a section that is panels alone; ``data`` has them by name."""

    panels: list[PagePanel]
    data: dict[str, Any]


def page_panels(inputs: Inputs, section: str, found: Iterable[Found]) -> Panels:
    """Return the panels of a section, in order."""
    panels = [
        PagePanel(
            section=section,
            name=one.name,
            key=f"{section}.{one.name}" if number else section,
            model=one.model,
            seeds=seeds_of_model(inputs, one.model),
            panel=one.panel,
        )
        for number, one in enumerate(found)
    ]
    return Panels(panels=panels, data={one.name: one.panel.data() for one in panels})


def line_kind(variant: Variant) -> str:
    """Return how the line of a variant is drawn: the untrained model dashed, LoRA dark."""
    return {BASE: "base", LORA: "lora"}.get(variant.method, "")
