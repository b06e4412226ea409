"""Write what is generated from the configuration models: JSON Schemas and the key reference.

Run it as ``python -m rlvr.config.reference``.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from rlvr.config.algorithms import ALGORITHM_DEFAULTS
from rlvr.config.catalogue import (
    DataCatalogue,
    EvaluationCatalogue,
    MethodSets,
    ModelCatalogue,
    PromptCatalogue,
)
from rlvr.config.claims import ClaimsFile, RelatedFile
from rlvr.config.devices import DeviceCatalogue
from rlvr.config.presets import MethodFile
from rlvr.config.rates import TunedRates
from rlvr.config.schema import Selection, Study
from rlvr.config.training import Training
from rlvr.files import write_text

FILES: dict[str, tuple[type[BaseModel], str]] = {
    "config": (Selection, "config/config.yaml"),
    "study": (Study, "config/studies/NAME.yaml"),
    "models": (ModelCatalogue, "config/models.yaml"),
    "datasets": (DataCatalogue, "config/datasets.yaml"),
    "prompts": (PromptCatalogue, "config/prompts.yaml"),
    "evaluations": (EvaluationCatalogue, "config/evaluations.yaml"),
    "method_sets": (MethodSets, "config/method_sets.yaml"),
    "devices": (DeviceCatalogue, "config/devices.yaml"),
    "method": (MethodFile, "config/methods/NAME.yaml"),
    "rates": (TunedRates, "config/rates/NAME.yaml"),
    "claims": (ClaimsFile, "config/claims/paper.yaml"),
    "related": (RelatedFile, "config/claims/related.yaml"),
}
"""Schema name -> (model, the files it describes)."""

EXTENDING_STUDY = "study-extends"
"""Schema of a study that `extends` another: every key is optional, and null takes it out."""

INTRODUCTION = """\
# Configuration

`config.yaml` names the studies of `snakemake all`. Each file in `studies/` is a grid of model x method x
setting x training seed with its benchmarks. `models.yaml` and `datasets.yaml` are the catalogues of models
and data sets, `prompts.yaml` of prompts, `evaluations.yaml` of evaluation presets, `method_sets.yaml` of
lists of methods, `devices.yaml` of devices to plan for; `methods/` holds the presets of each method.

- Run another study: `snakemake all --config 'studies=[smollm2]'`. Show its grid and what it
  costs without running it: `rlvr plan smollm2` (`docs/planning.md`).
- Write a study: a new file in `studies/` with `extends: demo` and what differs, or a changed copy. Check it
  with `rlvr plan NAME` and `snakemake -n all --config 'studies=[NAME]'`.
- Vary one thing: add a setting. `settings` maps a name to what differs from the study and its presets, for
  all methods or for those listed:

  ```yaml
  settings:
    main: {}
    rank4: {methods: [lora], parameters: {rank: 4, alpha: 8}}
    grpo: {training: {algorithm: grpo}}
  ```

  Tables and figures show settings side by side, and `comparisons.csv` has the paired difference of each
  setting to the first one, on the same problems and samples, with its interval. `contrasts` compares with
  others: `contrasts: {methods: [base, dora], presets: [paper], settings: [rank4]}`. `studies/grid.yaml` holds
  LoRA at four ranks, three learning rates and three algorithms.
- Take something out of the study that is extended: `null` removes a benchmark, a setting or a key, whose
  default then counts. Where `null` is itself a value (`soft_overlong`, `dynamic_sampling`, `importance_cap`),
  it is that value: off.

  ```yaml
  extends: demo
  title: The demo without differences, warm-up and punishment of long answers
  training: {warmup_steps: null, soft_overlong: null}
  evaluation:
    benchmarks:
      differences: null
  ```

- Put a study at another scale: `extends: ablations` and `scale: mini` lay `scales/mini.yaml` (another model,
  data, length and cost) over the study, below what the new file itself gives. What is compared stays the
  same; a setting's `learning_rate_factor` makes a rate relative for that. The studies of the paper are
  `paper-1.5b`, `ablations`, `paper-7b` and `spectra`; `shows` says which tables and figures each makes, and
  `snakemake table5 --config 'studies=[ablations-mini]'` makes one of them.
- `claims/` holds the statements of the paper and how each is tested (`docs/claims.md`).
- Evaluate greedily: `evaluation: {sampling: {temperature: 0}}` with `samples_per_problem: 1`.
- Train a named set of methods: `methods: {set: paper, preset: paper}`.
- Work without network: put a data set at the path under `local` of its entry in `datasets.yaml`
  (`docs/data.md`); for a model use `source: local` with its `path` in `models.yaml`.
- An unknown key, a key given twice, or a value that is wrong or cannot work stops the workflow before the
  first job; the message names file, line, key, value and the way out. `rlvr plan` and the workflow warn of
  values that work and are rarely meant.
- A run of which the first steps (`training.stop_after_uninformative_steps`, 5) train on no group whose
  completions differ cannot learn: it fails with what the verifier said of the completions (truncated, no
  answer, gold not readable, incorrect, correct), each with its share and an example.
- A training run that fails for good (it cannot be trained as configured, diverges, or cannot learn) is not
  tried again, and the study goes on without it: tables and report are made of the other runs, name it with
  its reason, and the exit code of `snakemake` says so at the end. To train it again, change its
  configuration, or delete its `results/<study>/runs/<run>/run.json`. Any other error, such as too little
  memory, counts as such only in the last attempt that the profile allows (`retries`); a full disk never.
- Editing a value reruns what depends on it and nothing else: every job reads a resolved configuration
  (`results/<study>/configs/`) that holds only its own settings. `compute` is part of none: changing it
  reruns nothing.
- The learning rate of a run is `training.learning_rate` of the study, which is LoRA's, times
  `learning_rate_factor` of the preset. The resolved configuration holds the product. With `rates` it is the
  one that another study has chosen for the method on validation problems, and `rates/` holds the choices
  (`docs/tuning.md`).
- Editors complete keys from the schema named in the first line of each file (`workflow/schemas/`); a study
  that `extends` another names `study-extends.schema.json`, in which no key is required.

The rest of this page is generated from `rlvr/config/` by `make schemas`.
"""


def schema_texts() -> dict[str, str]:
    """Return the JSON Schemas by name."""
    schemas = {name: model.model_json_schema() for name, (model, _) in FILES.items()}
    schemas[EXTENDING_STUDY] = _extending(Study.model_json_schema())
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def _extending(schema: Any) -> Any:
    """Return a schema in which every key is optional and may be null, those of nested blocks too."""
    if isinstance(schema, list):
        return [_extending(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: _extending(value)
        for key, value in schema.items()
        if not (key == "required" and isinstance(value, list))
    }
    if isinstance(found.get("properties"), dict):
        found["properties"] = {key: _or_null(value) for key, value in found["properties"].items()}
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = _or_null(found["additionalProperties"])
    if isinstance(found.get("patternProperties"), dict):  # a mapping whose keys are names
        found["patternProperties"] = {
            key: _or_null(value) for key, value in found["patternProperties"].items()
        }
    return found


def _or_null(schema: Any) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


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
            if title == Training.__name__:
                parts.append(_algorithm_table())
    return "\n".join(parts)


def write_all(schemas: Path = Path("workflow/schemas"), reference: Path = Path("config/README.md")) -> None:
    """Write every schema and the reference."""
    for name, text in schema_texts().items():
        write_text(schemas / f"{name}.schema.json", text)
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


def _algorithm_table() -> str:
    """Return what each algorithm sets where a study does not."""
    keys = list(ALGORITHM_DEFAULTS["dapo"])
    rows = [
        [f"`{name}`", *("`null`" if brings[key] is None else f"`{brings[key]}`" for key in keys)]
        for name, brings in ALGORITHM_DEFAULTS.items()
    ]
    table = markdown_table(["algorithm", *(f"`{key}`" for key in keys)], rows)
    return f"What an algorithm sets where the study does not (`rlvr/config/algorithms.py`):\n\n{table}"


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    first, *others = ("| " + " | ".join(map(_cell, cells)) + " |" for cells in [head, *rows])
    return "\n".join([first, "|" + "---|" * len(head), *others]) + "\n"


def type_text(value: dict[str, Any], pages: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the type of a key, with links to blocks; ``pages`` maps those on another page to that page."""
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
