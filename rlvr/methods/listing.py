"""What the command line prints about methods."""

import json
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rlvr.config.catalogue import ModelCatalogue
from rlvr.config.known import unknown_name
from rlvr.config.loading import load_yaml
from rlvr.errors import UserError
from rlvr.methods import methods
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.citations import short_citation
from rlvr.methods.fits import refusals
from rlvr.methods.presets import PRESETS, ResolvedPreset, method_presets
from rlvr.methods.shape_cache import shape_of_architecture
from rlvr.models.architecture import find_architecture

DEFAULT_MODEL = "deepseek-r1-distill-qwen-1.5b"
"""Model of the table of methods by default: the paper's."""


def describe_methods(config: Path, shape: ModelShape | None = None) -> list[dict[str, Any]]:
    """Return name, category, citation and presets of every method in the registry.

    With the shape of a model also, for each preset, the method that is really trained under the name, and the
    number of its trainable parameters, and their share of the model in percent. A preset that does not fit
    the model has no numbers (None); ``refused`` says why.
    """
    rows = []
    for name, spec in methods().items():
        presets = method_presets(config, name)
        row: dict[str, Any] = {
            "name": name,
            "category": spec.category,
            "citation": spec.citation,
            "presets": sorted(presets),
        }
        if shape:
            refused = {key: text for key, preset in presets.items() if (text := _refusal(preset, shape))}
            counts = {
                key: None if key in refused else preset.trainable_parameters(shape)
                for key, preset in presets.items()
            }
            row["refused"] = refused
            row["trains_as"] = {key: preset.trained.name for key, preset in presets.items()}
            row["trainable_parameters"] = counts
            row["trainable_percent"] = {
                key: None if count is None else 100 * count / shape.parameters
                for key, count in counts.items()
            }
        rows.append(row)
    return rows


def _refusal(preset: ResolvedPreset, shape: ModelShape) -> str:
    try:
        preset.trained.check_fit(shape)
    except UserError as error:
        return str(error)
    return ""


def named_shape(model: str, config: Path, resources: Path) -> ModelShape:
    """Return the shape of a model of the catalogue.

    Raises:
        UserError: no such model, or it is not known before the model is prepared.
    """
    models = load_yaml(config / "models.yaml", ModelCatalogue).models
    if model not in models:
        raise unknown_name(str(config / "models.yaml"), "--model", model, models.keys())
    architecture = find_architecture(model, models[model], resources)
    return shape_of_architecture(architecture, f"model {model!r}")


def methods_as_json(config: Path, shape: ModelShape | None = None) -> str:
    """Return :func:`describe_methods` as JSON text."""
    return json.dumps(describe_methods(config, shape), indent=2, ensure_ascii=False)


def print_methods(config: Path, model: str, shape: ModelShape) -> None:
    """Print the methods as a table: one line each, trainable parameters by preset."""
    title = f"trainable parameters of {model} ({shape.parameters:,} in total)"
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", expand=True, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    table.add_column("category", no_wrap=True)
    for preset in PRESETS:
        table.add_column(preset, justify="right", no_wrap=True)
    table.add_column("citation", no_wrap=True, overflow="ellipsis", ratio=1)  # may be truncated
    others = {}
    for row in describe_methods(config, shape):
        counts = []
        for preset in PRESETS:
            count, real = row["trainable_parameters"].get(preset), row["trains_as"].get(preset)
            if count is not None and real != row["name"]:
                others[row["name"]] = real
            mark = "*" if real != row["name"] else " "
            if preset in row["refused"]:
                counts.append("- ")
            else:
                counts.append("" if count is None else f"{count:,}{mark}")
        table.add_row(row["name"], row["category"], *counts, short_citation(row["citation"]))
    console = Console()
    console.print(table)
    if others:
        console.print("* trains: " + ", ".join(f"{name} -> {real}" for name, real in others.items()))
    trained = [preset.trained for name in methods() for preset in method_presets(config, name).values()]
    for reason in refusals(trained, shape):
        console.print(f"- {reason}", markup=False)
