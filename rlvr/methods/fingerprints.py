"""What every preset really trains, recorded in `config/methods/fingerprints.json`.

The released code of the paper trained plain LoRA under other names for weeks, because nothing showed it. Here
every change of a preset, a method or PEFT's defaults shows in a committed file, which a test compares.
``python -m rlvr.methods.reference`` (`make schemas`) writes it.
"""

import json
import re
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.presets import ResolvedPreset, method_presets
from rlvr.methods.registry import methods

SHOWN_ELSEWHERE = {"target_modules"}
"""Settings that the list of modules shows."""
NOT_SHOWN = {
    *SHOWN_ELSEWHERE,
    "peft_type",
    "task_type",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
}
"""Fields of a PEFT configuration that add nothing about the method."""

Fingerprints = dict[str, dict[str, Any]]
"""``"METHOD, PRESET"`` -> fingerprint."""


def fingerprints(config: Path, shape: ModelShape) -> Fingerprints:
    """Return the fingerprint of every preset in a configuration folder, on a model of this shape."""
    return {
        f"{method}, {name}": fingerprint(preset, shape)
        for method in methods()
        for name, preset in method_presets(config, method).items()
    }


def fingerprint(preset: ResolvedPreset, shape: ModelShape) -> dict[str, Any]:
    """Return what a preset trains, where, how much of it and how fast."""
    kinds = Counter(re.sub(r"^model\.(layers\.\d+\.)?", "", name) for name in preset.modules(shape))
    return {
        "trains": preset.trained.name,
        "modules": [f"{kind} x{count}" for kind, count in sorted(kinds.items())],
        "trainable": preset.trainable_parameters(shape),
        "rate": preset.preset.learning_rate_factor,
        "parameters": preset.trained.parameters.model_dump(mode="json", exclude=SHOWN_ELSEWHERE),
        "peft": _peft_configuration(preset),
        "training": preset.preset.training,
        "faults": list(preset.preset.faults),
    }


def fingerprints_text(values: Fingerprints) -> str:
    """Return the file's text: one preset per line, so that a difference between versions is easy to read."""
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def changes(known: Fingerprints, found: Fingerprints) -> list[str]:
    """Return one line for every difference between two sets of fingerprints."""
    lines = [f"{name}: is new" for name in found.keys() - known.keys()]
    lines += [f"{name}: is gone" for name in known.keys() - found.keys()]
    for name in known.keys() & found.keys():
        lines += [
            f"{name}: {key} was {known[name].get(key)}, is {found[name].get(key)}"
            for key in dict.fromkeys([*known[name], *found[name]])
            if known[name].get(key) != found[name].get(key)
        ]
    return sorted(lines)


def _peft_configuration(preset: ResolvedPreset) -> str:
    """Return the configuration passed to PEFT, defaults included: a new version of PEFT may change them."""
    if not isinstance(preset.trained, PeftMethod):
        return ""
    config: Any = preset.trained.peft_config()
    named = {field.name: getattr(config, field.name) for field in fields(config)}
    values = {
        name: sorted(value) if isinstance(value, set) else value
        for name, value in named.items()
        if value and name not in NOT_SHOWN
    }
    return f"{type(config).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"
