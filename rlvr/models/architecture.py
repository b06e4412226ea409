"""The sizes of a model, from the catalogue or from its `config.json`; no weights are needed."""

from pathlib import Path

from rlvr.config.catalogue import Architecture, HubModel, LocalModel, ModelEntry
from rlvr.config.loading import parse
from rlvr.errors import UserError
from rlvr.files import read_json


def read_architecture(folder: Path) -> Architecture:
    """Return the sizes of the model in a Hugging Face folder.

    Raises:
        UserError: `config.json` is missing or damaged, or lacks a size.
    """
    path = folder / "config.json"
    found = read_json(path)
    heads = found.get("num_attention_heads")
    sizes = {key: found[key] for key in Architecture.model_fields if found.get(key) is not None}
    sizes.setdefault("num_key_value_heads", heads)  # the default of Transformers for old Llama files
    if heads and sizes.get("head_dim") == found.get("hidden_size", 0) // heads:
        del sizes["head_dim"]
    return parse(Architecture, sizes, str(path))


def find_architecture(name: str, entry: ModelEntry, resources: Path) -> Architecture:
    """Return the sizes of a model of the catalogue; it must be prepared unless they are declared.

    Args:
        name: its name in `models.yaml`.
        entry: its entry there.
        resources: folder with the prepared models (``models/NAME``).

    Raises:
        UserError: the sizes are not declared, and the model is not prepared.
    """
    if isinstance(entry, HubModel) and entry.architecture:
        return entry.architecture
    folders = [resources / "models" / name]
    if isinstance(entry, LocalModel):
        folders.append(Path(entry.path))
    for folder in folders:
        if (folder / "config.json").exists():
            return read_architecture(folder)
    raise UserError(
        f"model {name!r}: its sizes are unknown until it is prepared; run: snakemake --cores 1 {folders[0]}"
    )


def check_architecture(entry: HubModel, folder: Path) -> None:
    """Compare a downloaded model with the sizes that the catalogue declares.

    Raises:
        UserError: a size differs; the message names it with both values.
    """
    if entry.architecture is None:
        return
    declared, found = entry.architecture.model_dump(), read_architecture(folder).model_dump()
    for key, value in declared.items():
        if found[key] != value:
            raise UserError(
                f"model {entry.repo} at {entry.revision}: config.json has {key}: {found[key]}, "
                f"models.yaml declares architecture.{key}: {value}; "
                "correct `architecture`, `repo` or `revision`"
            )
