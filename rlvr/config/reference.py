"""Write what is generated from the configuration models: JSON Schemas and the key reference.

Run it as ``python -m rlvr.config.reference``.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from rlvr.config.catalogue import DataCatalogue, ModelCatalogue
from rlvr.config.schema import EvaluationCatalogue, MethodFile, PromptCatalogue, Selection, Study
from rlvr.files import write_text

FILES: dict[str, tuple[type[BaseModel], str]] = {
    "config": (Selection, "config/config.yaml"),
    "study": (Study, "config/studies/NAME.yaml"),
    "models": (ModelCatalogue, "config/models.yaml"),
    "datasets": (DataCatalogue, "config/datasets.yaml"),
    "prompts": (PromptCatalogue, "config/prompts.yaml"),
    "evaluations": (EvaluationCatalogue, "config/evaluations.yaml"),
    "method": (MethodFile, "config/methods/NAME.yaml"),
}
"""Schema name -> (model, the files it describes)."""

INTRODUCTION = """\
# Configuration

What to run is data; how to run it is code. `config.yaml` names the studies of `snakemake all`; each study in
`studies/` is a grid of model x method x setting x training seed with its benchmarks; `models.yaml` and
`datasets.yaml` say where things come from, `prompts.yaml` how problems are asked and `evaluations.yaml` how
answers are drawn and judged; `methods/` holds the presets of every method.

- Another study: `snakemake all --config studies=[smollm2]`. Its grid, without a run: `rlvr plan smollm2`.
- A study of your own: a new file in `studies/` with `extends: demo` and what differs (as `studies/audit.yaml`
  does), or a changed copy; look at it with `snakemake -n all --config studies=[NAME]`.
- Without network: put a data set where `local` of its entry in `datasets.yaml` says (`docs/data.md`); for a
  model give `source: local` with its `path` in `models.yaml`.
- A wrong key or value stops everything before the first job, with file, line, key and the nearest known key.
- Editing a value reruns what depends on it and nothing else, because every job reads a resolved cell
  (`results/<study>/configs/`) that holds only its own settings. `compute` is in no cell: changing it reruns
  nothing.
- The learning rate of a run is `training.learning_rate` of the study (which is LoRA's) times the preset's
  `learning_rate_factor`.
- Editors complete keys through the schema named in each file's first line (`workflow/schemas/`).

The rest of this page is generated from `rlvr/config/schema.py` and `rlvr/config/catalogue.py` by `make schemas`.
"""


def schema_text(model: type[BaseModel]) -> str:
    """Return the JSON Schema of a configuration file."""
    return json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference_text() -> str:
    """Return the page that lists every key."""
    parts = [INTRODUCTION]
    shown: set[str] = set()
    for name, (model, path) in FILES.items():
        schema = model.model_json_schema()
        parts.append(f"\n## `{path}`\n\nSchema: `workflow/schemas/{name}.schema.json`\n")
        for title, block in blocks(schema):
            if title not in shown:
                shown.add(title)
                parts.append(_table(title, block))
    return "\n".join(parts)


def write_all(schemas: Path = Path("workflow/schemas"), reference: Path = Path("config/README.md")) -> None:
    """Write every schema and the reference."""
    for name, (model, _) in FILES.items():
        write_text(schemas / f"{name}.schema.json", schema_text(model))
    write_text(reference, reference_text())


def blocks(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield title and schema of every block of keys in a JSON Schema, the outermost first."""
    yield schema["title"], schema
    for title, block in schema.get("$defs", {}).items():
        if "properties" in block:
            yield title, block


def _table(title: str, block: dict[str, Any]) -> str:
    required = set(block.get("required", []))
    rows = [
        [
            f"`{key}`",
            type_text(value),
            "required" if key in required else _default(value),
            value.get("description", ""),
        ]
        for key, value in block["properties"].items()
    ]
    table = markdown_table(["key", "type", "default", "meaning"], rows)
    return f"### {title}\n\n{block.get('description', '')}\n\n{table}"


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    first, *others = ("| " + " | ".join(map(_cell, cells)) + " |" for cells in [head, *rows])
    return "\n".join([first, "|" + "---|" * len(head), *others]) + "\n"


def type_text(value: dict[str, Any], pages: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the type of a key, with links to blocks; ``pages`` says which of these are on another page."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}]({pages.get(name, '')}#{name.lower()})"
    if "enum" in value:
        return ", ".join(f"`{option}`" for option in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    for key in ("anyOf", "oneOf"):
        if key in value:
            return " or ".join(type_text(option, pages) for option in value[key])
    if value.get("type") == "array":
        return f"list of {type_text(value['items'], pages)}" if "items" in value else "list"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"name -> {type_text(value['additionalProperties'], pages)}"
    return str(value.get("type", "any"))


def _default(value: dict[str, Any]) -> str:
    return f"`{json.dumps(value.get('default'))}`" if "default" in value else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    write_all()
