"""Read a study: its own values over those of the study that it extends and of its evaluation preset."""

from pathlib import Path
from typing import Any

import yaml

from rlvr.config.catalogue import EvaluationCatalogue
from rlvr.config.loading import load_yaml, parse, read_yaml, unknown_name
from rlvr.config.schema import Study
from rlvr.errors import UserError


def load_study(path: Path) -> Study:
    """Read a study, over the one that it extends and the evaluation preset that it names.

    Raises:
        UserError: see :func:`rlvr.config.loading.load_yaml`, or studies extend each other circularly.
    """
    data, node = _read_extended(path)
    evaluation = data.get("evaluation") if isinstance(data, dict) else None
    if isinstance(evaluation, dict) and evaluation.get("preset") is not None:
        preset = _evaluation_preset(path, evaluation["preset"])
        data = {**data, "evaluation": merged(preset, evaluation)}
    return parse(Study, data, str(path), node)


def _read_extended(path: Path) -> tuple[Any, yaml.Node | None]:
    """Return the values of a study laid over those of the studies that it extends, and its own YAML nodes."""
    own, node = read_yaml(path)
    layers: list[dict[str, Any]] = []
    data, place, visited = own, path, [path]
    while isinstance(data, dict) and data.get("extends"):
        layers.append({key: value for key, value in data.items() if key != "extends"})
        place = place.with_name(f"{data['extends']}.yaml")
        if place in visited:
            raise UserError(f"{path}: extends: {' -> '.join(p.stem for p in [*visited, place])} is circular")
        visited.append(place)
        data, _ = read_yaml(place)
    for layer in reversed(layers):
        data = merged(data, layer)
    return data, node


def _evaluation_preset(study: Path, name: Any) -> dict[str, Any]:
    """Return the values that a preset of `evaluations.yaml` gives, without its reason."""
    catalogue = load_yaml(study.parent.parent / "evaluations.yaml", EvaluationCatalogue).evaluations
    if name not in catalogue:
        raise unknown_name(str(study), "evaluation.preset", str(name), catalogue.keys())
    return catalogue[name].model_dump(exclude_unset=True, exclude={"reason"})


def merged(below: Any, above: Any) -> Any:
    """Return ``below`` with the keys of ``above`` replaced; mappings are merged, lists are not."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}
