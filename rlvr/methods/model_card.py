"""The model card of an export: what was trained, on what, and how to load it."""

from dataclasses import dataclass
from typing import Any

import yaml

from rlvr.config.resolved import TrainConfig
from rlvr.environment import package_versions
from rlvr.models.origin import Origin


@dataclass(frozen=True)
class Export:
    """What a folder holds, besides what the configuration of its run says."""

    config: TrainConfig
    origin: Origin
    formula: str
    """How the trained weights follow from the base's."""
    citation: str
    trainable: int
    """Trained parameters."""
    folder: str
    """Name of the folder, for the code that loads it."""
    whole: bool
    """Whether it is a whole model; else an adapter."""
    stored: str
    """Precision of the weights in the folder, in words."""
    loaded_as_base: bool
    """Whether PEFT rounds the trained weights to the precision in which the base is loaded."""


def model_card(export: Export) -> str:
    """Return the card: front matter that the Hugging Face hub reads, and Markdown."""
    header = yaml.safe_dump(_front_matter(export), sort_keys=False, allow_unicode=True)
    parts = [f"---\n{header}---\n", _summary(export), _facts(export), _loading(export), _versions()]
    return "\n".join(parts)


def _front_matter(export: Export) -> dict[str, Any]:
    base = {
        "base_model": export.origin.name,
        "base_model_relation": "finetune" if export.whole else "adapter",
    }
    return {
        "library_name": "transformers" if export.whole else "peft",
        **(base if export.origin.on_hub else {}),
        **export.origin.licence,
        "pipeline_tag": "text-generation",
        "tags": ["rlvr", export.config.training.algorithm, export.config.trains_as],
    }


def _summary(export: Export) -> str:
    config = export.config
    what = "whole model" if export.whole else "adapter"
    return (
        f"# {config.method} on {export.origin.name}\n\n"
        f"This {what} was trained by reinforcement learning with verifiable rewards (RLVR). "
        f"Its accuracy is in `results/{config.study}/tables/summary.csv` of the study `{config.study}`, "
        f"model `{config.model}`, method `{config.method}`, preset `{config.preset}`, setting "
        f"`{config.setting}`: it is measured after this export.\n"
    )


def _facts(export: Export) -> str:
    config, origin, training = export.config, export.origin, export.config.training
    licence = ", ".join(str(value) for value in origin.licence.values())
    trained = (
        f"`{config.trains_as}`"
        if config.trains_as == config.method
        else f"`{config.trains_as}` (the preset trains it under the name `{config.method}`)"
    )
    rows = {
        "base model": f"`{origin.name}`",
        "revision": f"`{origin.revision}`" if origin.revision else "not on the hub",
        "licence of the base": licence or "not stated in the prepared folder",
        "method": trained,
        "formula": f"`{export.formula}`",
        "reference": export.citation,
        "preset": config.preset,
        "faults of the released code": ", ".join(config.faults) or "none",
        "settings": ", ".join(f"{key} {_shown(value)}" for key, value in config.parameters.items()) or "none",
        "trained parameters": f"{export.trainable:,}",
        "study, setting, run": f"{config.study}, {config.setting}, `{config.run}`",
        "training data": config.dataset,
        "system message": _quoted(config.prompt.system) if config.prompt.system is not None else "none",
        "user message": _quoted(config.prompt.user),
        "algorithm": training.algorithm,
        "steps": f"{training.steps} steps of {training.prompts_per_step} x {training.group_size} completions",
        "learning rate": f"{training.learning_rate:g}",
        "training seed": str(config.train_seed),
        "precision": f"base and forward pass {training.dtype}, trained weights float32",
        "stored as": export.stored,
    }
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(["## Training", "", "| | |", "|---|---|", *lines, ""])


def _shown(value: Any) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)


def _quoted(text: str) -> str:
    return f'"{text}"'


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|").replace("\n", "<br>")


def _loading(export: Export) -> str:
    dtype = export.config.training.dtype
    revision = f', revision="{export.origin.revision}"' if export.origin.revision else ""
    base = f'"{export.origin.name}"{revision}' if export.origin.on_hub else '"FOLDER-OF-THE-BASE"'
    if export.whole:
        code = f"""from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{export.folder}")
tokenizer = AutoTokenizer.from_pretrained("{export.folder}")"""
    else:
        exact = "float32" if export.loaded_as_base else dtype
        why = f"  # in {dtype} PEFT would round what was trained" if exact != dtype else ""
        code = f"""from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained({base}, dtype="{exact}"){why}
model = PeftModel.from_pretrained(base, "{export.folder}")
tokenizer = AutoTokenizer.from_pretrained({base})"""
    return f"## Load it\n\n```python\n{code}\n```\n"


def _versions() -> str:
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    return f"Exported with {versions}.\n"
