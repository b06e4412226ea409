"""What every preset trains, held against `method_fingerprints.json`, so that no change of it is silent.

The released code of the paper trained plain LoRA under other names for weeks because nothing said so. After a
change that is meant, write the file anew and look at the difference before it is committed:

    python tests/unit/test_method_fingerprints.py
"""

import json
import re
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from rlvr.config.catalogue import Architecture, ModelCatalogue
from rlvr.config.loading import load_yaml
from rlvr.methods import methods
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.presets import PRESETS, ResolvedPreset, method_presets
from rlvr.models.architecture import find_architecture
from tests.helpers.paths import REPOSITORY

FILE = REPOSITORY / "tests" / "method_fingerprints.json"
CONFIG = REPOSITORY / "config"
MODEL = "deepseek-r1-distill-qwen-1.5b"
ELSEWHERE = {
    "target_modules",  # shown as modules
    "peft_type",
    "task_type",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
}
"""What says nothing more about the method."""
MEANT = f"if this is meant, write {FILE.name} anew: python tests/unit/{Path(__file__).name}"


def architecture() -> Architecture:
    models = load_yaml(CONFIG / "models.yaml", ModelCatalogue).models
    return find_architecture(MODEL, models[MODEL], CONFIG)


def asked_of_peft(preset: ResolvedPreset) -> str:
    """What PEFT is asked for, its defaults included: a new version of PEFT may change them."""
    if not isinstance(preset.trained, PeftMethod):
        return ""
    config = preset.trained.peft_config()
    named = {field.name: getattr(config, field.name) for field in fields(config)}
    values = {
        name: sorted(value) if isinstance(value, set) else value
        for name, value in named.items()
        if value and name not in ELSEWHERE
    }
    return f"{type(config).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"


def fingerprint(preset: ResolvedPreset, sizes: Architecture) -> dict[str, Any]:
    """What a preset trains, where, how much of it and how fast."""
    kinds = Counter(re.sub(r"^model\.(layers\.\d+\.)?", "", name) for name in preset.modules(sizes))
    parameters = preset.trained.parameters.model_dump(mode="json", exclude=ELSEWHERE)
    return {
        "trains": preset.trained.name,
        "modules": [f"{kind} x{count}" for kind, count in sorted(kinds.items())],
        "trainable": preset.trainable_parameters(sizes),
        "rate": preset.preset.learning_rate_factor,
        "parameters": parameters,
        "peft": asked_of_peft(preset),
        "training": preset.preset.training,
        "faults": list(preset.preset.faults),
    }


def fingerprints() -> dict[str, dict[str, Any]]:
    sizes = architecture()
    return {
        f"{method}, {name}": fingerprint(preset, sizes)
        for method in methods()
        for name, preset in method_presets(CONFIG, method).items()
    }


def text(values: dict[str, dict[str, Any]]) -> str:
    """One preset a line, so that a difference of two versions is read at a glance."""
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def changes(known: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Say in words what differs between two sets of fingerprints."""
    lines = [f"{name}: is new" for name in found.keys() - known.keys()]
    lines += [f"{name}: is gone" for name in known.keys() - found.keys()]
    for name in known.keys() & found.keys():
        lines += [
            f"{name}: {key} was {known[name].get(key)}, is {found[name].get(key)}"
            for key in dict.fromkeys([*known[name], *found[name]])
            if known[name].get(key) != found[name].get(key)
        ]
    return sorted(lines)


def test_every_preset_trains_what_it_trained():
    found = json.loads(text(fingerprints()))
    differences = changes(json.loads(FILE.read_text()), found)
    assert not differences, "\n".join([*differences, MEANT])


def test_the_file_is_written_as_the_script_writes_it():
    assert FILE.read_text() == text(json.loads(FILE.read_text())), MEANT


BEFORE = {
    "a, paper": {"trains": "a", "modules": ["self_attn.q_proj x28"], "trainable": 7, "rate": 1.0},
    "b, paper": {"trains": "b", "modules": [], "trainable": 1, "rate": 1.0},
}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (BEFORE, []),
        ({**BEFORE, "c, paper": {}}, ["c, paper: is new"]),
        ({"a, paper": BEFORE["a, paper"]}, ["b, paper: is gone"]),
        (
            {**BEFORE, "b, paper": {**BEFORE["b, paper"], "trains": "a", "rate": 2.0}},
            ["b, paper: rate was 1.0, is 2.0", "b, paper: trains was b, is a"],
        ),
        (
            {**BEFORE, "a, paper": {**BEFORE["a, paper"], "modules": ["self_attn.v_proj x28"]}},
            ["a, paper: modules was ['self_attn.q_proj x28'], is ['self_attn.v_proj x28']"],
        ),
    ],
)
def test_a_change_is_said_in_words(after, expected):
    assert changes(BEFORE, after) == expected


def test_the_methods_that_the_released_code_mixed_up_are_on_record():
    known = json.loads(FILE.read_text())
    others = {
        name: value["trains"] for name, value in known.items() if name.split(", ")[0] != value["trains"]
    }
    assert others == {"adalora, released": "lora", "ia3, released": "milora", "rslora, released": "lora"}
    assert {name.split(", ")[1] for name in known} == set(PRESETS)


if __name__ == "__main__":
    FILE.write_text(text(fingerprints()))
