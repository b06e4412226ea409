"""The interface of a section of the page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlvr.report.inputs import Inputs

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One section of the page; `rlvr/report/sections/` has one module per section with one ``SECTION`` each.

    Attributes:
        order: position on the page, ascending.
        id: anchor of the section.
        title: heading of the section and its entry in the navigation.
        template: file in `templates/sections/`. It sees the fields of the context by name, the manifest as
            ``study``, and ``several_models``.
        build: makes the context; None leaves the section out of page and navigation.
    """

    order: int
    id: str
    title: str
    template: str
    build: "Callable[[Inputs], DataclassInstance | None]"
