"""What every preset trains is what `config/methods/fingerprints.json` records: no change is silent."""

import json
from typing import Any

import pytest

from rlvr.methods.fingerprints import changes, fingerprints, fingerprints_text
from rlvr.methods.presets import PRESETS
from rlvr.methods.reference import SMALL, declared_shape
from tests.helpers.paths import REPOSITORY

CONFIG = REPOSITORY / "config"
INTENDED = "if this is intended, run: make schemas"


def recorded() -> dict[str, dict[str, Any]]:
    return json.loads((CONFIG / "methods" / "fingerprints.json").read_text())


def test_every_preset_trains_what_is_recorded():
    found = fingerprints_text(fingerprints(CONFIG, declared_shape(CONFIG, SMALL)))
    differences = changes(recorded(), json.loads(found))
    assert not differences, "\n".join([*differences, INTENDED])


def test_the_file_is_as_the_command_writes_it():
    assert (CONFIG / "methods" / "fingerprints.json").read_text() == fingerprints_text(recorded()), INTENDED


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
def test_a_change_is_one_line(after, expected):
    assert changes(BEFORE, after) == expected


def test_the_methods_that_the_released_code_mixed_up_are_on_record():
    known = recorded()
    others = {
        name: value["trains"] for name, value in known.items() if name.split(", ")[0] != value["trains"]
    }
    assert others == {"adalora, released": "lora", "ia3, released": "milora", "rslora, released": "lora"}
    assert {name.split(", ")[1] for name in known} == set(PRESETS)
