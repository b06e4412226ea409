"""Whether methods fit models, told before the first job that costs anything."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from rlvr.config.catalogue import ModelCatalogue
from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.base.spec import Method
from rlvr.methods.base.targets import target_names
from rlvr.methods.registry import make_method, methods
from rlvr.methods.shape_cache import shape_of_architecture
from rlvr.models.architecture import known_architecture, read_architecture


def check_fits(configs: Iterable[TrainConfig], models: ModelCatalogue, resources: Path) -> None:
    """Check the method of every run against its model, where the architecture of that is known.

    Args:
        configs: the training runs of a study.
        models: the catalogue that their models are from.
        resources: folder with the prepared models (``models/NAME``).

    Raises:
        UserError: some do not fit; the message names all of them.
    """
    by_model: dict[str, dict[str, Method]] = defaultdict(dict)
    for config in configs:
        method = make_method(config.trains_as, config.parameters, config.run)
        by_model[config.model][repr(method)] = method
    refused = []
    for name, planned in by_model.items():
        architecture = known_architecture(name, models.models[name], resources)
        if architecture:
            shape = shape_of_architecture(architecture, f"model {name!r}")
            refused += [f"model {name!r}: {text}" for text in refusals(planned.values(), shape)]
    if refused:
        raise UserError("\n".join(refused))


def check_folder_fit(method: Method, folder: Path) -> None:
    """Check a method against the model in a folder without loading its weights.

    Raises:
        UserError: it does not fit.
    """
    method.check_fit(shape_of_folder(folder))


def shape_of_folder(folder: Path) -> ModelShape:
    """Return the shape of the model in a Hugging Face folder."""
    return shape_of_architecture(read_architecture(folder), str(folder / "config.json"))


def refusals(chosen: Iterable[Method], shape: ModelShape) -> list[str]:
    """Return why methods do not fit a model, those with the same reason together."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for method in chosen:
        try:
            method.check_fit(shape)
        except UserError as error:
            name = repr(method.name)
            by_reason[str(error).removeprefix(f"method {name}")].append(name)
    return [
        f"method {names[0]}{reason}"
        if len(names) == 1
        else f"methods {', '.join(names)}{reason.replace('does not fit', 'do not fit', 1)}"
        for reason, names in ((reason, list(dict.fromkeys(names))) for reason, names in by_reason.items())
    ]


def family_notice(folder: Path) -> str:
    """Return what a prepared model consists of, and which methods do not fit it with their default settings.

    Raises:
        UserError: it is not a decoder of text that Transformers knows.
    """
    shape = shape_of_folder(folder)
    unfit = []
    for name in methods():
        try:
            make_method(name, {}).check_fit(shape)
        except UserError:
            unfit.append(name)
    norms = dict.fromkeys(norm.rpartition(".")[2] for norm in shape.norms)
    return (
        f"family {shape.model_type}: {shape.depth} blocks, "
        f"linear layers {', '.join(target_names(shape)) or 'none'}, "
        f"norms {', '.join(norms) or 'none'}; methods that do not fit with their default settings: "
        f"{', '.join(unfit) or 'none'}"
    )
