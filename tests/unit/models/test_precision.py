"""The precision of a model is that of its tensors, whatever its `config.json` says or does not say."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rlvr.dapo.setup import check_precision
from rlvr.errors import UserError
from rlvr.models.checks import check_folder
from rlvr.models.precision import rounds, stored_precision, wider_tensors
from tests.helpers.published import as_published, store
from tests.helpers.records import train_config


@pytest.fixture
def published(tiny_folder: Path, tmp_path: Path) -> Path:
    return as_published(tiny_folder, tmp_path / "published")


def config(dtype: str, **changes):
    run = train_config(**changes)
    return run.model_copy(update={"training": run.training.model_copy(update={"dtype": dtype})})


def test_a_published_folder_may_be_trained_in_its_own_precision(published):
    assert "dtype" not in json.loads((published / "config.json").read_text())
    assert stored_precision(published) == "bfloat16"
    check_precision(config("bfloat16"), published)
    check_precision(config("float32"), published)


@pytest.mark.parametrize("stored", ["float32", "bfloat16", "float16"])
def test_the_tensors_count_and_not_the_configuration(published, stored):
    store(published, getattr(torch, stored))
    assert stored_precision(published) == stored


def test_a_precision_that_would_round_the_base_is_refused(published):
    store(published, torch.float32)
    for run in (config("bfloat16"), config("bfloat16", method="full", trains_as="full", parameters={})):
        with pytest.raises(UserError, match=r"would round the float32 weights .* training\.dtype: float32"):
            check_precision(run, published)


def mix(folder: Path, part: str, dtype: torch.dtype) -> list[str]:
    """Store the tensors with ``part`` in their names in another precision; return their names."""
    weights = load_file(folder / "model.safetensors")
    mixed = {name: weight.to(dtype) for name, weight in weights.items() if part in name}
    save_file({**weights, **mixed}, folder / "model.safetensors", metadata={"format": "pt"})
    return sorted(mixed)


def test_norms_in_float32_do_not_make_a_float32_model(published, caplog):
    names = mix(published, "layernorm", torch.float32)
    assert stored_precision(published) == "bfloat16"
    assert wider_tensors(published, "bfloat16") == names and not wider_tensors(published, "float32")
    check_folder(published)
    assert f"a bfloat16 model with {len(names)} small tensors in a wider precision" in caplog.text
    assert names[0] in caplog.text


@pytest.mark.parametrize("other", [torch.float32, torch.float16])
def test_a_mixed_model_has_the_precision_that_loses_nothing(published, other, caplog):
    mix(published, "mlp", other)
    assert stored_precision(published) == "float32"
    with pytest.raises(UserError, match=r"would round the float32 weights"):
        check_precision(config("bfloat16"), published)
    check_folder(published)
    assert "wider precision" not in caplog.text


@pytest.mark.parametrize("part", ["", "mlp"])
def test_float64_is_refused_in_preparation_by_its_name(published, part):
    mix(published, part, torch.float64)
    with pytest.raises(UserError, match=r"% of the parameters are stored in float64, .* dtype=torch.float32"):
        check_folder(published)


def test_a_quantised_model_is_refused(published):
    save_file({"weight": torch.zeros(64, 64, dtype=torch.int8)}, published / "model.safetensors")
    with pytest.raises(UserError, match="stored as I8; quantised models cannot be trained"):
        stored_precision(published)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x08\x00\x00\x00\x00\x00\x00\x00not json"])
def test_a_damaged_weight_file_is_refused(published, content):
    (published / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"model\.safetensors: missing, truncated or corrupt"):
        stored_precision(published)


def test_only_a_wider_precision_or_the_same_keeps_every_bit():
    assert [rounds("bfloat16", dtype) for dtype in ("float32", "bfloat16", "float16")] == [False, False, True]
    assert [rounds("float32", dtype) for dtype in ("float32", "bfloat16")] == [False, True]
