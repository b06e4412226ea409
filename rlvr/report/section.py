"""The interface of a section of the page, and the parts of the page that sections belong to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rlvr.report.inputs import Inputs

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Part = Literal["verdict", "claims", "methods", "training", "cost", "samples", "audit", "provenance"]
PARTS: dict[Part, str] = {
    "verdict": "Verdict",
    "claims": "Claims",
    "methods": "Methods",
    "training": "Training",
    "cost": "Cost",
    "samples": "Samples",
    "audit": "Audit",
    "provenance": "Provenance",
}
"""Anchor of each part of the page -> its heading and its entry in the navigation, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One section of the page; `rlvr/report/sections/` has one module per section with one ``SECTION`` each.

    Attributes:
        part: the part of the page that it is in; a part without sections is left out of page and navigation.
        order: position within the part, ascending.
        id: anchor of the section.
        title: its heading; empty where the heading of the part is enough.
        template: file in `templates/sections/`. It sees the fields of the context by name, the manifest as
            ``study``, and ``several_models``.
        build: makes the context; None leaves the section out. A field ``data`` of the context is what the
            script of the page needs of the section: it is not shown, but embedded as JSON under the ``id`` of
            the section.
    """

    part: Part
    order: int
    id: str
    title: str
    template: str
    build: "Callable[[Inputs], DataclassInstance | None]"
