"""The sections of the page, one module and one template each.

To add a section, add a module with a ``SECTION`` (:class:`rlvr.report.section.Section`) and its template in
`templates/sections/`. Both are found automatically.
"""

import importlib
import pkgutil

from rlvr.report.section import PARTS, Section


def all_sections() -> list[Section]:
    """Return the sections in the order of the page: by part, then by their order in it."""
    names = [module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.")]
    sections: list[Section] = [importlib.import_module(name).SECTION for name in names]
    return sorted(sections, key=lambda section: (list(PARTS).index(section.part), section.order))
