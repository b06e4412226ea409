"""Where a prepared model is from: its name and licence, as an export gives them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from rlvr.config.catalogue import GgufModel, HubModel, LocalModel, ModelEntry
from rlvr.files import read_json

LICENCE_KEYS = ("license", "license_name", "license_link")
"""Keys of a model card's front matter that state its licence."""


@dataclass(frozen=True)
class Origin:
    """The published model that a prepared folder holds."""

    name: str
    """Repository on the hub, path or file as `models.yaml` names it."""
    revision: str | None = None
    """Commit on the hub."""
    on_hub: bool = False
    """Whether ``name`` is a repository on the hub."""
    licence: dict[str, Any] = field(default_factory=dict)
    """Entries of the model card that state the licence; empty if it is not known."""


def origin_of(folder: Path, name: str) -> Origin:
    """Return the origin of a prepared folder; ``name`` is its name in `models.yaml`.

    Raises:
        UserError: `provenance.json` is missing or damaged.
    """
    licence = _licence(folder)
    try:
        entry: ModelEntry = TypeAdapter(ModelEntry).validate_python(
            read_json(folder / "provenance.json").get("entry")
        )
    except ValidationError:  # prepared by another version
        return Origin(f"{name} of models.yaml", licence=licence)
    if isinstance(entry, HubModel):
        return Origin(entry.repo, entry.revision, on_hub=True, licence=licence)
    if isinstance(entry, LocalModel):
        return Origin(entry.path, licence=licence)
    if isinstance(entry, GgufModel):
        return Origin(f"{entry.package}/{entry.file}" if entry.package else entry.file, licence=licence)
    return Origin(f"{name} of models.yaml", licence=licence)


def _licence(folder: Path) -> dict[str, Any]:
    """Read the licence in the front matter of a model card, if there is one."""
    path = folder / "README.md"
    parts = path.read_text(encoding="utf-8", errors="replace").split("---\n", 2) if path.exists() else []
    if len(parts) < 3 or parts[0].strip("\ufeff \n"):
        return {}
    try:
        found = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return {}
    return {key: found[key] for key in LICENCE_KEYS if key in found} if isinstance(found, dict) else {}
