"""Read a study: its values over those of its scale, the study that it extends and its evaluation preset."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlvr.config.annotations import accepts, parts_at
from rlvr.config.catalogue import EvaluationCatalogue
from rlvr.config.documents import Layer, Place
from rlvr.config.known import unknown_name
from rlvr.config.loading import load_yaml, parse, read_yaml
from rlvr.config.patterns import NAME, WORDS
from rlvr.config.schema import Study
from rlvr.config.tuning import tuning_grid
from rlvr.errors import UserError

NOT_INHERITED = ("extends", "scale", "rates")
"""Keys that hold for the file that gives them, not for studies that extend it."""


def load_study(path: Path) -> tuple[Study, Place]:
    """Read a study, over the one that it extends and the evaluation preset that it names, and its place.

    Raises:
        UserError: see :func:`rlvr.config.loading.load_yaml`, or studies extend each other circularly.
    """
    data, place = _read_extended(path)
    evaluation = data.get("evaluation") if isinstance(data, dict) else None
    if isinstance(evaluation, dict) and isinstance(evaluation.get("preset"), str):
        preset, layer = _evaluation_preset(path, place, evaluation["preset"])
        data = merged({"evaluation": preset}, data, Study)
        place = Place(place.name, (*place.layers, layer))
    study = parse(Study, data, place)
    if study.tune:
        study = parse(Study, tuning_grid(study, place), place)
    return study, place


def _read_extended(path: Path) -> tuple[Any, Place]:
    """Return the values of a study laid over those of the studies that it extends, and their place."""
    data, place = read_yaml(path)
    below, visited, layers = data, [path], [data]
    origins = [place]
    while isinstance(below, dict) and below.get("extends"):
        name, where = below["extends"], Place(str(visited[-1]), origins[-1].layers).at("extends")
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise UserError(f"{where}: {WORDS[NAME]} (the value is {name!r})")
        parent = path.with_name(f"{name}.yaml")
        if parent in visited:
            raise UserError(f"{where}: {' -> '.join(one.stem for one in [*visited, parent])} is circular")
        if not parent.exists():
            studies = [one.stem for one in path.parent.glob("*.yaml")]
            raise unknown_name(replace(where, label=""), "extends", name, studies)
        below, origin = read_yaml(parent)
        if not isinstance(below, dict):
            raise UserError(f"{parent}: a study must be a mapping of keys to values")
        visited.append(parent)
        layers.append(below)
        origins.append(origin)
    files = list(origins[-1].layers)
    if len(layers) > 1:
        below = {key: value for key, value in below.items() if key not in NOT_INHERITED}
    for above, origin in reversed(list(zip(layers[:-1], origins[:-1], strict=True))):
        if above.get("scale"):
            scaled, scale = _scale(path, origin, above["scale"])
            below = merged(below, scaled, Study)
            files[:0] = scale.layers
        else:
            below = {key: value for key, value in below.items() if key != "shows"}
        own = {key: value for key, value in above.items() if key not in NOT_INHERITED}
        below = merged(below, own, Study)
        files[:0] = origin.layers
    if len(layers) > 1:
        below = {**below, **{key: data[key] for key in NOT_INHERITED if key in data}}
    return below, Place(place.name, tuple(files))


def _scale(study: Path, place: Place, name: Any) -> tuple[dict[str, Any], Place]:
    """Return the values of a scale and their place."""
    folder = study.parent.parent / "scales"
    path = folder / f"{name}.yaml"
    if not isinstance(name, str) or not path.exists():
        known = [one.stem for one in folder.glob("*.yaml")]
        raise unknown_name(place.at("scale", label=""), "scale", str(name), known)
    data, where = read_yaml(path)
    if not isinstance(data, dict) or data.keys() & set(NOT_INHERITED):
        raise UserError(f"{path}: a scale must be a mapping of a study's keys, without `extends` and `scale`")
    return data, where


def _evaluation_preset(study: Path, place: Place, name: str) -> tuple[dict[str, Any], Layer]:
    """Return the values that a preset of `evaluations.yaml` gives, without its reason, and where it does."""
    path = study.parent.parent / "evaluations.yaml"
    catalogue = load_yaml(path, EvaluationCatalogue).evaluations
    if name not in catalogue:
        raise unknown_name(
            place.at("evaluation", "preset", label=""), "evaluation.preset", name, catalogue.keys()
        )
    _, origin = read_yaml(path)
    layer = Layer(path, origin.layers[0].part("evaluations", name), ("evaluation",))
    return catalogue[name].model_dump(exclude_unset=True, exclude={"reason"}), layer


def merged(below: Any, above: Any, kind: Any = Any) -> Any:
    """Return ``below`` with the keys of ``above`` replaced; mappings are merged, lists are not.

    A key that is null in ``above`` is taken out of ``below``, unless null is one of its values: then it is
    that.

    Args:
        below: mapping, or any other value.
        above: what replaces it.
        kind: type of both, which tells where null is a value; without it, it is one everywhere.
    """
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    result = dict(below)
    for key, value in above.items():
        part = next(parts_at(kind, (key,)), Any)
        if value is None and key in below and not accepts(part, type(None)):
            del result[key]
        else:
            result[key] = merged(below.get(key), value, part)
    return result
