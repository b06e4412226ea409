"""What the command line prints about methods."""

import json
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rlvr.config.catalogue import Architecture, ModelCatalogue
from rlvr.config.loading import load_yaml, unknown_name
from rlvr.methods import methods
from rlvr.methods.citations import short_citation
from rlvr.methods.presets import PRESETS, method_presets, model_size
from rlvr.models.architecture import find_architecture

DEFAULT_MODEL = "deepseek-r1-distill-qwen-1.5b"
"""Model of the table of methods by default: the paper's."""


def describe_methods(config: Path, architecture: Architecture | None = None) -> list[dict[str, Any]]:
    """Return name, category, citation and presets of every method in the registry.

    With the sizes of a model also, for each preset, the method that is really trained under the name, and the
    number of its trainable parameters, and their share of the model in percent.
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
        if architecture:
            counts = {key: preset.trainable_parameters(architecture) for key, preset in presets.items()}
            size = model_size(architecture)
            row["trains_as"] = {key: preset.trained.name for key, preset in presets.items()}
            row["trainable_parameters"] = counts
            row["trainable_percent"] = {key: 100 * count / size for key, count in counts.items()}
        rows.append(row)
    return rows


def named_architecture(model: str, config: Path, resources: Path) -> Architecture:
    """Return the sizes of a model of the catalogue.

    Raises:
        UserError: no such model, or its sizes are not known before it is prepared.
    """
    models = load_yaml(config / "models.yaml", ModelCatalogue).models
    if model not in models:
        raise unknown_name(str(config / "models.yaml"), "--model", model, models.keys())
    return find_architecture(model, models[model], resources)


def methods_as_json(config: Path, architecture: Architecture | None = None) -> str:
    """Return :func:`describe_methods` as JSON text."""
    return json.dumps(describe_methods(config, architecture), indent=2, ensure_ascii=False)


def print_methods(config: Path, model: str, architecture: Architecture) -> None:
    """Print the methods as a table: one line each, trainable parameters by preset."""
    title = f"trainable parameters of {model} ({model_size(architecture):,} in total)"
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", expand=True, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    table.add_column("category", no_wrap=True)
    for preset in PRESETS:
        table.add_column(preset, justify="right", no_wrap=True)
    table.add_column("citation", no_wrap=True, overflow="ellipsis", ratio=1)  # may be truncated
    others = {}
    for row in describe_methods(config, architecture):
        counts = []
        for preset in PRESETS:
            count, trained = row["trainable_parameters"].get(preset), row["trains_as"].get(preset)
            if count is not None and trained != row["name"]:
                others[row["name"]] = trained
            mark = "*" if trained != row["name"] else " "
            counts.append("" if count is None else f"{count:,}{mark}")
        table.add_row(row["name"], row["category"], *counts, short_citation(row["citation"]))
    console = Console()
    console.print(table)
    if others:
        console.print("* trains: " + ", ".join(f"{name} -> {trained}" for name, trained in others.items()))
