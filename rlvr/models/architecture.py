"""A model's sizes: from the catalogue, or from its `config.json`; neither needs its weights."""

from pathlib import Path

from rlvr.config.catalogue import Architecture, HubModel, LocalModel, ModelEntry
from rlvr.config.loading import parse
from rlvr.errors import UserError
from rlvr.files import read_json


def read_architecture(folder: Path) -> Architecture:
    """Return the sizes of the model in a Hugging Face folder.

    Raises:
        UserError: `config.json` is missing or damaged, or of a family whose sizes are not known here.
    """
    path = folder / "config.json"
    found = read_json(path)
    heads = found.get("num_attention_heads")
    sizes = {key: found[key] for key in Architecture.model_fields if found.get(key) is not None}
    sizes.setdefault("num_key_value_heads", heads)  # as Transformers reads the older Llama files
    if heads and sizes.get("head_dim") == found.get("hidden_size", 0) // heads:
        del sizes["head_dim"]
    return parse(Architecture, sizes, str(path))


def find_architecture(name: str, source: ModelEntry, resources: Path) -> Architecture:
    """Return the sizes of a model of the catalogue, which need not be prepared if they are declared.

    Args:
        name: its name in `models.yaml`.
        source: its entry there.
        resources: folder with the prepared models (``models/NAME``).

    Raises:
        UserError: the sizes are neither declared nor on this machine yet.
    """
    if isinstance(source, HubModel) and source.architecture:
        return source.architecture
    folders = [resources / "models" / name]
    if isinstance(source, LocalModel):
        folders.append(Path(source.path))
    for folder in folders:
        if (folder / "config.json").exists():
            return read_architecture(folder)
    raise UserError(
        f"model {name!r}: its sizes are not known before it is prepared; "
        f"run: snakemake --cores 1 {folders[0]}"
    )


def check_architecture(source: HubModel, folder: Path) -> None:
    """Compare a downloaded model with what the catalogue declares.

    Raises:
        UserError: a size differs; the message names it with both values.
    """
    if source.architecture is None:
        return
    declared, found = source.architecture.model_dump(), read_architecture(folder).model_dump()
    for key, value in declared.items():
        if found[key] != value:
            raise UserError(
                f"model {source.repo} at {source.revision}: config.json says {key}: {found[key]}, "
                f"models.yaml declares architecture.{key}: {value}; correct models.yaml, or repo and revision"
            )
