"""What an export holds: the policy, its base by name, a model card, and all that serving needs."""

import logging
import re
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr.config.resolved import TrainConfig, read_config
from rlvr.errors import UserError
from rlvr.files import read_json, write_json
from rlvr.methods.export import export
from rlvr.methods.faults import trained_method
from rlvr.methods.policy import build_policy, trainable_parameters, trained_state
from rlvr.methods.weights import exported_weights, load_exported
from rlvr.models.load import load_model
from rlvr.models.origin import origin_of
from rlvr.models.prepare import prepare_model
from tests.helpers.published import change, published, write
from tests.unit.dapo.test_train import config_at

REVISION = "0123456789" * 4
IDS = torch.arange(5, 15)[None]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A prepared model, as published, from the hub."""
    root = tmp_path_factory.mktemp("export")
    folder = published("r1-distill", root / "published")
    write_json(root / "entry.json", {"source": "local", "path": str(folder)})
    prepare_model(root / "entry.json", [], [], root / "model")
    entry = {"source": "hub", "repo": "someone/something", "revision": REVISION, "architecture": None}
    change(root / "model" / "provenance.json", entry=entry)
    return root / "model"


def trained(
    method: str, model: Path, folder: Path, dtype: str = "float32", /, **values: object
) -> tuple[Path, Path, torch.Tensor]:
    """Return configuration and tensors of a run that has moved, and the logits of its policy."""
    folder.mkdir(exist_ok=True)
    config_path = config_at(folder / "config.json", method, dtype=dtype, rollout_dtype=dtype)
    change(config_path, **values)
    config = read_config(config_path, TrainConfig)
    spec = trained_method(config)
    torch.manual_seed(0)
    policy = build_policy(spec, load_model(model, config.training.dtype), config.training.optimizer_steps)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    state = {name: tensor.clone().contiguous() for name, tensor in trained_state(spec, policy).items()}
    save_file(state, folder / "trained.safetensors")
    with torch.no_grad():
        return config_path, folder / "trained.safetensors", policy.eval()(input_ids=IDS).logits.float()


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits.float()


def front_matter(folder: Path) -> dict[str, object]:
    _, header, _ = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header)


def code(folder: Path) -> str:
    found = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("method", ["lora", "pissa", "vera", "lily"])
def test_an_adapter_names_its_base_and_is_the_same_in_every_export(method, model, tmp_path):
    """`vera` is saved by PEFT, which keeps target_modules as a set; `pissa` is written as a plain LoRA.

    So is `lily`, whose layers share their tensors.
    """
    config, tensors, policy = trained(method, model, tmp_path / "run")
    export(config, model, tensors, tmp_path / "adapter")
    settings = read_json(tmp_path / "adapter" / "adapter_config.json")
    assert settings["base_model_name_or_path"] == "someone/something"
    assert settings["revision"] == REVISION
    assert settings["target_modules"] == sorted(settings["target_modules"])
    loaded = PeftModel.from_pretrained(load_model(model, "float32"), str(tmp_path / "adapter"))
    torch.testing.assert_close(logits_of(loaded), policy, atol=1e-4, rtol=0)
    assert list(exported_weights(load_model(model, "float32"), tmp_path / "adapter"))


def test_the_card_of_an_adapter(model, tmp_path):
    config_path, tensors, _ = trained("lora", model, tmp_path / "run", "bfloat16")
    export(config_path, model, tensors, tmp_path / "adapter")
    assert front_matter(tmp_path / "adapter") == {
        "library_name": "peft",
        "base_model": "someone/something",
        "base_model_relation": "adapter",
        "license": "other",
        "license_name": "some-licence",
        "license_link": "LICENSE",
        "pipeline_tag": "text-generation",
        "tags": ["rlvr", "dapo", "lora"],
    }
    card = (tmp_path / "adapter" / "README.md").read_text()
    config = read_config(config_path, TrainConfig)
    policy = build_policy(trained_method(config), load_model(model, "bfloat16"), 6)
    for fact in (
        f"| trained parameters | {trainable_parameters(policy):,} |",
        f"| revision | `{REVISION}` |",
        "| licence of the base | other, some-licence, LICENSE |",
        "| method | `lora` |",
        "| formula | `W = W0 + (alpha/r) B A` |",
        "| preset | recommended |",
        "| faults of the released code | none |",
        "| study, setting, run | test, main, `run-lora` |",
        "| training data | data |",
        "| user message | \"{problem}\" |",
        "| steps | 6 steps of 3 x 4 completions |",
        "| training seed | 1 |",
        "| precision | base and forward pass bfloat16, trained weights float32 |",
        "`results/test/tables/summary.csv`",
        f"torch {torch.__version__}",
    ):  # fmt: skip
        assert fact in card, fact
    assert f'from_pretrained("someone/something", revision="{REVISION}", dtype="bfloat16")' in card
    shown = code(tmp_path / "adapter")
    compile(shown, "card", "exec")
    assert str(tmp_path) not in card  # nothing of this machine


@pytest.mark.parametrize(("method", "dtype"), [("ln_tuning", "float32"), ("lora", "bfloat16")])
def test_the_card_loads_the_base_in_a_precision_that_rounds_nothing(method, dtype, model, tmp_path):
    config_path, state, _ = trained(method, model, tmp_path / "run")
    config = read_json(config_path)
    precisions = {"dtype": "bfloat16", "rollout_dtype": "bfloat16"}
    write_json(config_path, {**config, "training": {**config["training"], **precisions}})
    export(config_path, model, state, tmp_path / "adapter")
    assert f'dtype="{dtype}")' in (tmp_path / "adapter" / "README.md").read_text()


def test_the_card_says_what_was_really_trained(model, tmp_path):
    values = {"method": "mica", "preset": "released", "faults": ["in_place_merge"]}
    config, tensors, _ = trained("lora", model, tmp_path / "run", **values)
    export(config, model, tensors, tmp_path / "adapter")
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert "| method | `lora` (the preset trains it under the name `mica`) |" in card
    assert "| faults of the released code | in_place_merge |" in card


ODD = {
    "temperature without do_sample": {"temperature": 0.6, "top_p": 0.95, "eos_token_id": 1},
    "top_k without do_sample": {"do_sample": False, "top_k": 20, "min_p": 0.1, "eos_token_id": [1, 0]},
    "beams": {"num_beams": 1, "early_stopping": True, "length_penalty": 2.0, "eos_token_id": 1},
    "unknown keys": {"chat_format": "chatml", "max_window_size": 24000, "eos_token_id": 1},
    "none": None,
}
"""Generation configs as published: most are refused by `save_pretrained`."""


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("method", ["full", "bitfit"])
def test_a_whole_model_is_written_whatever_the_generation_config_says(kind, method, model, tmp_path):
    config, tensors, policy = trained(method, model, tmp_path / "run")
    source = tmp_path / "model"
    source.mkdir()
    for file in model.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    (source / "generation_config.json").unlink()
    if ODD[kind] is not None:
        write(source / "generation_config.json", ODD[kind])
    export(config, source, tensors, tmp_path / "whole")
    written = tmp_path / "whole" / "generation_config.json"
    assert (read_json(written) if written.exists() else None) == ODD[kind]
    torch.testing.assert_close(
        logits_of(AutoModelForCausalLM.from_pretrained(tmp_path / "whole")), policy, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("method", ["full", "bitfit"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_whole_model_can_be_served_as_it_is(method, dtype, model, tmp_path, monkeypatch):
    config, tensors, policy = trained(method, model, tmp_path / "run", dtype)
    export(config, model, tensors, tmp_path / "whole")
    folder = tmp_path / "whole"
    stored = {"full": "float32 (trained or merged)"}.get(method)
    card = (folder / "README.md").read_text()
    assert stored is None or f"| stored as | {stored} |" in card
    if (method, dtype) == ("bitfit", "bfloat16"):
        assert "| stored as | float32 (trained or merged) and bfloat16 (as in the base) |" in card
    assert read_json(folder / "config.json")["dtype"] == "float32"  # so that loading rounds nothing
    assert front_matter(folder)["library_name"] == "transformers"
    assert front_matter(folder)["base_model_relation"] == "finetune"
    assert (folder / "LICENSE").read_text() == (model / "LICENSE").read_text()
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (folder / name).read_bytes() == (model / name).read_bytes(), name
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code(folder), names)  # as a user would paste it
    tolerance = 1e-5 if dtype == "float32" else 0.05
    torch.testing.assert_close(logits_of(names["model"]), policy, atol=tolerance, rtol=0)
    assert names["tokenizer"].chat_template
    assert not list(folder.glob("*provenance*")) and not (folder / "adapter_config.json").exists()
    assert list(exported_weights(load_model(model, "float32"), folder))


@pytest.mark.parametrize("method", ["lora", "dora", "vera", "ln_tuning", "lora_xs", "osf", "full"])
def test_a_merged_export_is_the_policy_for_plain_transformers(method, model, tmp_path):
    config, tensors, policy = trained(method, model, tmp_path / "run")
    export(config, model, tensors, tmp_path / "merged", merged=True, dtype="float32")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert loaded.dtype == torch.float32
    torch.testing.assert_close(logits_of(loaded), policy, atol=1e-4, rtol=0)
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template
    assert "| stored as | float32, merged in float32 |" in (tmp_path / "merged" / "README.md").read_text()
    assert not (tmp_path / "merged" / "adapter_config.json").exists()


def test_a_merged_export_has_the_precision_of_the_base_unless_told(model, tmp_path):
    config, tensors, policy = trained("lora", model, tmp_path / "run", "bfloat16")
    export(config, model, tensors, tmp_path / "merged", merged=True)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(logits_of(loaded), policy, atol=0.1, rtol=0)
    text = (tmp_path / "merged" / "README.md").read_text()
    assert "| stored as | bfloat16, merged in float32 and rounded |" in text


def test_a_tied_model_stays_tied_when_it_is_merged(tmp_path):
    folder = published("qwen2.5", tmp_path / "tied")
    write_json(folder / "provenance.json", {"sha256": "test"})
    config, tensors, _ = trained("lora", folder, tmp_path / "run")
    export(config, folder, tensors, tmp_path / "merged", merged=True, dtype="float16")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert loaded.lm_head.weight.data_ptr() == loaded.model.embed_tokens.weight.data_ptr()
    assert loaded.dtype == torch.float16


@pytest.mark.parametrize(("method", "fault"), [("pissa", "pissa_reload"), ("milora", "milora_reload")])
def test_a_merge_that_would_leave_out_a_reproduced_fault_is_refused(method, fault, model, tmp_path):
    config = config_at(tmp_path / "config.json", method)
    change(config, preset="released", faults=[fault])
    with pytest.raises(UserError, match=rf"reproduces the fault '{fault}': .*export it without --merged"):
        export(config, model, tmp_path / "none.safetensors", tmp_path / "merged", merged=True)


# --- the name of the base ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"source": "local", "path": "models/mine"}, "models/mine"),
        ({"source": "gguf", "file": "a.gguf", "sha256": "0" * 64}, "a.gguf"),
        (
            {"source": "gguf", "package": "some_package", "file": "a.gguf", "sha256": "0" * 64},
            "some_package/a.gguf",
        ),
        (
            {"source": "tiny", "pretraining": {"datasets": ["a"], "validation_datasets": ["b"]}},
            "m of models.yaml",
        ),
        (None, "m of models.yaml"),
    ],
)
def test_a_base_that_is_not_on_the_hub_has_a_name_that_helps(entry, name, tmp_path):
    write_json(tmp_path / "provenance.json", {"sha256": "test", "entry": entry})
    origin = origin_of(tmp_path, "m")
    assert (origin.name, origin.revision, origin.on_hub, origin.licence) == (name, None, False, {})


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\ntags: [a]\n---\ntext", {"license": "mit"}),
        ("# no front matter\n---\nlicense: mit\n---\n", {}),
        ("---\nlicense: [\n---\n", {}),
        ("---\njust text\n---\n", {}),
    ],
)
def test_the_licence_is_read_from_the_card_of_the_base(card, licence, tmp_path):
    write_json(tmp_path / "provenance.json", {"sha256": "test"})
    (tmp_path / "README.md").write_text(card)
    assert origin_of(tmp_path, "m").licence == licence


def test_a_folder_without_provenance_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"provenance\.json: file not found"):
        origin_of(tmp_path, "m")


def test_an_adapter_on_a_local_base_loads_whatever_its_name(model, tmp_path, caplog):
    source = published("smollm2", tmp_path / "local")
    write_json(
        source / "provenance.json", {"sha256": "t", "entry": {"source": "local", "path": "models/mine"}}
    )
    config, tensors, policy = trained("lora", source, tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        export(config, source, tensors, tmp_path / "adapter")
        loaded = PeftModel.from_pretrained(load_model(source, "float32"), str(tmp_path / "adapter"))
    torch.testing.assert_close(logits_of(loaded), policy, atol=1e-4, rtol=0)
    assert "base_model" not in front_matter(tmp_path / "adapter")
    assert 'from_pretrained("FOLDER-OF-THE-BASE", dtype="float32")' in code(tmp_path / "adapter")


def test_an_export_does_not_compute_a_start_that_the_run_has_saved(model, tmp_path, monkeypatch):
    """At 1.5B the SVD of every layer takes minutes."""
    config, tensors, policy = trained("pissa", model, tmp_path / "run")
    from rlvr.methods.catalogue.pissa import Pissa

    monkeypatch.setattr(Pissa, "initial_factors", None)
    export(config, model, tensors, tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(load_model(model, "float32"), str(tmp_path / "adapter"))
    torch.testing.assert_close(logits_of(loaded), policy, atol=1e-4, rtol=0)


def test_reading_an_export_compiles_nothing(model, tmp_path, monkeypatch):
    from peft.tuners.boft import layer

    config_path, state, _ = trained("boft", model, tmp_path / "run")
    export(config_path, model, state, tmp_path / "adapter")

    def compiled() -> None:
        raise AssertionError("PEFT compiles its extension")

    monkeypatch.setattr(layer, "get_fbd_cuda", compiled)
    load_exported(load_model(model, "float32"), tmp_path / "adapter")
    assert dict(exported_weights(load_model(model, "float32"), tmp_path / "adapter"))


@pytest.mark.parametrize(("content", "message"), [(None, "file not found"), (b"{", "damaged")])
def test_tensors_that_are_missing_or_damaged_are_named(model, tmp_path, content, message):
    config, trained = config_at(tmp_path / "config.json", "lora"), tmp_path / "trained.safetensors"
    if content is not None:
        trained.write_bytes(content)
    with pytest.raises(UserError, match=rf"trained.safetensors: {message}"):
        export(config, model, trained, tmp_path / "adapter")
