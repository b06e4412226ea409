"""The terms of the page."""

from dataclasses import dataclass

from rlvr.report.inputs import Inputs
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class Glossary:
    """Context of the section: nothing, its text is the same for every study."""


def build(inputs: Inputs) -> Glossary:
    """Return the empty context."""
    return Glossary()


SECTION = Section(
    part="provenance", order=20, id="glossary", title="Glossary", template="glossary.html", build=build
)
