"""The architecture of a model, from the catalogue or from its `config.json`; no weights are needed."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlvr.config.catalogue import Architecture, HubModel, LocalModel, ModelEntry, TinyModel
from rlvr.config.loading import parse
from rlvr.errors import UserError
from rlvr.files import read_json
from rlvr.models.quantised import refuse_quantised_folder

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

NOT_ARCHITECTURE = {"auto_map", "quantization_config", "transformers_version"}
"""Keys of a `config.json` that say nothing about the modules of a model."""
INFINITE = "'__float__'"
"""How Transformers writes an infinite number; no shape depends on one."""
ROPE = ("rope_theta", "rope_scaling")
"""Keys of older files that Transformers turns into `rope_parameters`."""
SAME = {"torch_dtype": "dtype"}
"""Old names of keys, under which older files have them."""


class StoredArchitecture(Architecture):
    """The keys of a `config.json`; published files have some that Transformers does not know."""


def read_architecture(folder: Path) -> StoredArchitecture:
    """Return the architecture of the model in a Hugging Face folder.

    Raises:
        UserError: `config.json` is missing or damaged, or is not that of a text model.
    """
    path = folder / "config.json"
    found = {
        key: value
        for key, value in read_json(path).items()
        if not key.startswith("_") and key not in NOT_ARCHITECTURE and INFINITE not in str(value)
    }
    return parse(StoredArchitecture, found, str(path))


def known_architecture(name: str, entry: ModelEntry, resources: Path) -> Architecture | None:
    """Return the architecture of a model of the catalogue, or None if only its preparation will tell.

    Args:
        name: its name in `models.yaml`.
        entry: its entry there.
        resources: folder with the prepared models (``models/NAME``).

    Raises:
        UserError: a local folder holds a quantised model, or its `config.json` is damaged.
    """
    if isinstance(entry, HubModel) and entry.architecture:
        return entry.architecture
    folders = [resources / "models" / name]
    if isinstance(entry, LocalModel):
        folders.append(Path(entry.path))
    for folder in folders:
        if (folder / "config.json").exists():
            if isinstance(entry, LocalModel):
                refuse_quantised_folder(folder)
            return read_architecture(folder)
    return _tiny(entry) if isinstance(entry, TinyModel) else None


def find_architecture(name: str, entry: ModelEntry, resources: Path) -> Architecture:
    """Return what :func:`known_architecture` does.

    Raises:
        UserError: nothing is declared, and the model is not prepared.
    """
    found = known_architecture(name, entry, resources)
    if found is None:
        raise UserError(
            f"model {name!r}: its architecture is unknown until it is prepared; run: "
            f"snakemake --cores 1 {resources / 'models' / name}"
        )
    return found


def transformers_config(architecture: Architecture, place: str) -> "PretrainedConfig":
    """Return the configuration in Transformers; keys that are not given have the defaults of the family.

    Args:
        architecture: the keys.
        place: where they are from, for messages.

    Raises:
        UserError: Transformers does not know the family or accept a value, the model is not a text model, or
            a key that a person declared is misspelt.
    """
    import transformers
    from transformers import AutoConfig

    values = architecture.model_dump()
    family = values.pop("model_type")
    if family not in transformers.CONFIG_MAPPING:
        raise UserError(
            f"{place}: model_type {family!r} is not known to Transformers {transformers.__version__}; "
            "correct it, or update Transformers; models that bring their own code are not supported"
        )
    try:
        config = AutoConfig.for_model(family, **values)
    except Exception as error:  # every family checks its values in its own way
        raise UserError(f"{place}: not a configuration of {family!r}: {error}") from None
    if config.get_text_config() is not config:
        parts = [key for key in values if key.endswith("_config")]
        raise UserError(
            f"{place}: model_type {family!r} has parts ({', '.join(parts) or 'text_config'}); "
            "only text models are trained: store the text model alone, `text_config` as its config.json"
        )
    if not isinstance(architecture, StoredArchitecture):
        _refuse_misspelt(config, values, place)
    return config


def meta_model(architecture: Architecture, place: str) -> "PreTrainedModel":
    """Build a causal language model without memory for its weights (on the meta device).

    Raises:
        UserError: there is no such model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = transformers_config(architecture, place)
    try:
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # families without a language model, sizes that do not fit one another
        raise UserError(
            f"{place}: no causal language model of model_type {config.model_type!r} can be built: {error}"
        ) from None
    return model


def check_architecture(entry: HubModel, folder: Path) -> None:
    """Compare a downloaded model with the keys that the catalogue declares; defaults count as written.

    Raises:
        UserError: a key differs; the message names it with both values.
    """
    if entry.architecture is None:
        return
    place = f"model {entry.repo} at {entry.revision}"
    found = read_architecture(folder)
    declared = entry.architecture
    if declared.model_type == found.model_type:
        wanted, present = _values(declared, "models.yaml"), _values(found, f"{place}: config.json")
    else:
        wanted, present = declared.model_dump(), found.model_dump()
    for key in declared.model_dump():
        if wanted.get(key) != present.get(key):
            raise UserError(
                f"{place}: config.json has {key}: {present.get(key)}, "
                f"models.yaml declares architecture.{key}: {wanted.get(key)}; "
                "correct `architecture`, `repo` or `revision`"
            )


def _values(architecture: Architecture, place: str) -> dict[str, Any]:
    """Return the keys of an architecture, and the defaults of its family, under all names of a key."""
    config = transformers_config(architecture, place)
    values = {**architecture.model_dump(), **config.to_dict()}
    rope = {key: values["rope_parameters"] for key in ROPE if "rope_parameters" in values}
    synonyms = {name: values.get(own) for name, own in {**config.attribute_map, **SAME}.items()}
    return {**values, **rope, **synonyms}


def _refuse_misspelt(config: "PretrainedConfig", values: dict[str, Any], place: str) -> None:
    """Refuse a declared key that nearly is one of the family's, which would silently have its default."""
    known = {*type(config)().to_dict(), *config.attribute_map, *ROPE, *SAME}
    for key in values.keys() - known:
        near = difflib.get_close_matches(key, known - values.keys(), n=1, cutoff=0.85)
        if near:
            raise UserError(f"{place}: {key}: {config.model_type} has no such key; did you mean {near[0]!r}?")


def _tiny(entry: TinyModel) -> Architecture:
    from rlvr.models.tiny import tiny_sizes

    sizes = tiny_sizes(entry.hidden_size, entry.layers, entry.heads, entry.intermediate_size)
    return Architecture(model_type="qwen2", **sizes)
