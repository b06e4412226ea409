"""Preparing a model from a folder or from the cache of the hub: complete ones are copied, others refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rlvr.config.catalogue import LocalModel, entry_files
from rlvr.errors import UserError
from rlvr.files import read_json, write_json
from rlvr.models.architecture import read_architecture
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.prepare import prepare_model

REPO, REVISION = "someone/something", "0123456789" * 4


@pytest.fixture
def folder(tiny_folder, tmp_path) -> Path:
    """A copy of a complete model that a test may damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "mine"))


def prepared(tmp_path: Path, entry: dict[str, object]) -> Path:
    write_json(tmp_path / "entry.json", entry)
    prepare_model(tmp_path / "entry.json", [], [], tmp_path / "model")
    return tmp_path / "model"


def local(folder: Path) -> dict[str, object]:
    return {"source": "local", "path": str(folder)}


def test_a_folder_is_copied_without_pickles_code_and_old_provenance(folder, tmp_path):
    for extra in ("pytorch_model.bin", "modeling.py", "checkpoint-1/model.safetensors"):
        (folder / extra).parent.mkdir(exist_ok=True)
        (folder / extra).write_bytes(b"x")
    first = prepared(tmp_path, local(folder))
    assert {file.name for file in first.iterdir()} == {
        *("config.json", "generation_config.json", "model.safetensors", "chat_template.jinja"),
        *("tokenizer.json", "tokenizer_config.json", "provenance.json"),
    }
    provenance = read_json(first / "provenance.json")
    assert provenance["entry"] == local(folder) and "provenance.json" not in provenance["files"]
    again = tmp_path / "again"
    first.rename(again)
    assert read_json(prepared(tmp_path, local(again)) / "provenance.json")["sha256"] == provenance["sha256"]


def test_every_file_of_a_local_folder_is_an_input_so_that_a_change_is_seen(folder):
    entry = LocalModel(source="local", path=str(folder))
    assert entry_files(entry) == sorted(str(file) for file in folder.iterdir())
    assert entry_files(LocalModel(source="local", path="nowhere")) == ["nowhere"]


def shard(folder: Path) -> None:
    """Split the weights into two files, as for large models."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, part in parts.items() for name in part}
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


def test_weights_in_several_files(folder, tmp_path):
    shard(folder)
    load_model(prepared(tmp_path, local(folder)), "float32")
    load_tokenizer(tmp_path / "model")
    (folder / "b.safetensors").unlink()
    with pytest.raises(UserError, match=r"b\.safetensors: missing, truncated or corrupt"):
        prepared(tmp_path, local(folder))


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def pickle_weights(file: Path) -> None:
    torch.save(load_file(file), file.with_name("pytorch_model.bin"))
    file.unlink()


def ask_for_code(file: Path) -> None:
    write_json(file, {**read_json(file), "model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}})


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("config.json", Path.unlink, r"mine: no model \(config\.json is missing\); correct `path`"),
        ("config.json", lambda file: file.write_text("{"), r"mine/config\.json, line 1: not JSON"),
        ("config.json", lambda file: file.write_bytes(b"\xff"), r"mine/config\.json: not UTF-8"),
        ("config.json", lambda file: file.write_text("[]"), r"mine/config\.json: not a usable model"),
        ("config.json", ask_for_code, r"mine/config\.json: not a usable model .*code"),
        ("model.safetensors", Path.unlink, r"mine: no weights \(model\.safetensors is missing\)"),
        ("model.safetensors", truncate, r"mine/model\.safetensors: missing, truncated or corrupt"),
        (
            "model.safetensors",
            lambda file: file.write_bytes(b""),
            r"model\.safetensors: missing, truncated or corrupt",
        ),
        ("model.safetensors", pickle_weights, r"no weights .*pickled weights are not read"),
        ("model.safetensors.index.json", lambda file: file.write_text("{}"), r"index\.json: no `weight_map`"),
        ("tokenizer.json", lambda file: file.write_text("{"), r"mine: the tokenizer cannot be loaded"),
        ("chat_template.jinja", Path.unlink, r"mine: the tokenizer has no chat template"),
    ],
)
def test_a_folder_that_is_not_a_complete_model_is_refused_with_the_file(
    folder, tmp_path, file, damage, message
):
    damage(folder / file)
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, local(folder))
    assert not (tmp_path / "model").exists()


def test_weights_of_another_model_are_refused(folder):
    """Transformers would initialise the missing ones randomly and only log it."""
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        UserError, match=r"1 weights .* missing, first 'model\.layers\.1\.mlp\.up_proj\.weight'"
    ):
        load_model(folder, "float32")


# --- the hub ------------------------------------------------------------------------------------


@pytest.fixture
def snapshot(tmp_path, monkeypatch) -> Path:
    """Where the hub's library keeps the pinned revision, on a machine without network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub" / f"models--{REPO.replace('/', '--')}" / "snapshots" / REVISION


HUB = {"source": "hub", "repo": REPO, "revision": REVISION}


def test_offline_the_message_says_where_to_put_which_files_and_then_they_are_read(folder, tmp_path, snapshot):
    with pytest.raises(UserError) as error:
        prepared(tmp_path, HUB)
    assert (
        f"put its files (config.json, *.safetensors, tokenizer.json and tokenizer_config.json) in {snapshot}"
        in (str(error.value))
    )
    shutil.copytree(folder, snapshot)
    model = prepared(tmp_path, HUB)
    assert json.loads((model / "provenance.json").read_text())["entry"]["revision"] == REVISION
    load_model(model, "float32")


def test_an_incomplete_download_is_refused(folder, tmp_path, snapshot):
    shutil.copytree(folder, snapshot)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no weights"):
        prepared(tmp_path, HUB)
    other = snapshot.with_name("f" * 40)
    snapshot.rename(other)
    with pytest.raises(UserError, match=r"cannot be loaded"):
        prepared(tmp_path, HUB)


def test_a_download_of_other_sizes_than_declared_is_refused(folder, tmp_path, snapshot):
    shutil.copytree(folder, snapshot)
    sizes = read_architecture(folder).model_dump()
    with pytest.raises(UserError, match=rf"vocab_size: {sizes['vocab_size']}, models.yaml declares"):
        prepared(tmp_path, {**HUB, "architecture": {**sizes, "vocab_size": 7}})
    assert not (tmp_path / "model").exists()
    assert (prepared(tmp_path, {**HUB, "architecture": sizes}) / "config.json").exists()
