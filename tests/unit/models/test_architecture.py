"""The sizes of a model are known without its weights, and a model of other sizes is refused."""

import json

import pytest
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, Qwen2Config

from rlvr.config.catalogue import Architecture, HubModel, LocalModel, ModelCatalogue, TinyModel
from rlvr.config.loading import load_yaml
from rlvr.errors import UserError
from rlvr.methods.base.measure import shape_of
from rlvr.methods.fits import shape_of_folder
from rlvr.methods.shape_cache import shape_of_architecture
from rlvr.models.architecture import (
    check_architecture,
    find_architecture,
    meta_model,
    read_architecture,
    transformers_config,
)
from rlvr.models.load import load_model
from rlvr.models.tiny import build_model, build_tokenizer

TINY = TinyModel(
    source="tiny", pretraining={"datasets": ["sums-train"], "validation_datasets": ["sums-validation"]}
)
SIZES = {
    "vocab_size": 50,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
}
CONFIGS = {
    "qwen2": Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen2, untied": Qwen2Config(**SIZES, tie_word_embeddings=False),
    "llama": LlamaConfig(**SIZES, tie_word_embeddings=False),
    "llama, biased, wide heads": LlamaConfig(**SIZES, attention_bias=True, head_dim=32),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_keys_give_the_number_of_weights(name, tmp_path):
    CONFIGS[name].save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    weights = sum(weight.numel() for weight in model.parameters())
    assert shape_of_folder(tmp_path).parameters == weights
    assert all(weight.is_meta for weight in meta_model(read_architecture(tmp_path), "here").parameters())


def hub(**changes) -> HubModel:
    sizes = {"model_type": "qwen2", **SIZES, "tie_word_embeddings": True, **changes}
    return HubModel(source="hub", repo="a/b", revision="0" * 40, architecture=Architecture(**sizes))


def test_a_download_that_is_the_declared_model_is_accepted(tmp_path):
    CONFIGS["qwen2"].save_pretrained(tmp_path)
    check_architecture(hub(), tmp_path)
    check_architecture(HubModel(source="hub", repo="a/b", revision="0" * 40), tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_size", 128), ("num_hidden_layers", 4), ("vocab_size", 51), ("tie_word_embeddings", False)],
)
def test_a_download_of_other_sizes_is_refused(key, value, tmp_path):
    CONFIGS["qwen2"].save_pretrained(tmp_path)
    with pytest.raises(
        UserError, match=rf"a/b at 0+: config.json has {key}: .*declares architecture.{key}: {value}"
    ):
        check_architecture(hub(**{key: value}), tmp_path)


def test_declared_sizes_need_no_files(tmp_path):
    assert find_architecture("any", hub(), tmp_path) == hub().architecture


@pytest.mark.parametrize(
    "older",
    [
        {
            "torch_dtype": "bfloat16",
            "rope_theta": 10000.0,
            "transformers_version": "4.44.0",
            "use_mrope": False,
        },
        {"tie_word_embeddings": None, "rope_theta": None},
    ],
)
def test_names_and_defaults_of_older_files_are_no_difference(older, tmp_path):
    """Written by another version of Transformers: `dtype` was `torch_dtype`, and so on."""
    CONFIGS["qwen2"].save_pretrained(tmp_path)
    found = {**json.loads((tmp_path / "config.json").read_text()), "tie_word_embeddings": False, **older}
    found = {key: value for key, value in found.items() if value is not None and key != "rope_parameters"}
    (tmp_path / "config.json").write_text(json.dumps(found))
    declared = {"tie_word_embeddings": False, "rope_theta": 10000.0, "max_position_embeddings": 32768}
    check_architecture(hub(**declared, **({"dtype": "bfloat16"} if "torch_dtype" in older else {})), tmp_path)
    with pytest.raises(UserError, match=r"config.json has rope_theta"):
        check_architecture(hub(**declared | {"rope_theta": 5e5}), tmp_path)


def test_another_family_is_another_model(tmp_path):
    CONFIGS["llama"].save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"has model_type: llama, .*declares architecture.model_type: qwen2"):
        check_architecture(hub(tie_word_embeddings=False), tmp_path)


def test_keys_come_from_the_prepared_model_or_the_local_folder(tiny_folder, tmp_path):
    local = LocalModel(source="local", path=str(tiny_folder))
    found = find_architecture("local", local, tmp_path)
    size = load_model(tiny_folder, "float32").num_parameters()
    assert shape_of_architecture(found, "here").parameters == size
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny").symlink_to(tiny_folder)
    assert find_architecture("tiny", TINY, tmp_path) == found


def test_the_built_in_model_is_known_before_it_is_built(tmp_path):
    found = shape_of_architecture(find_architecture("tiny", TINY, tmp_path), "here")
    built = build_model(
        build_tokenizer(), TINY.hidden_size, TINY.layers, TINY.heads, TINY.intermediate_size, 0
    )
    assert found == shape_of(built)


def test_an_unprepared_model_is_answered_with_the_command_that_prepares_it(repository, tmp_path):
    models = load_yaml(repository / "config" / "models.yaml", ModelCatalogue).models
    with pytest.raises(UserError, match=r"run: snakemake --cores 1 .*models/smollm2-135m-instruct"):
        find_architecture("smollm2-135m-instruct", models["smollm2-135m-instruct"], tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "qwen9"}, r"model_type 'qwen9' is not known to Transformers [\d.]+; correct it"),
        ({"hiden_size": 64}, r"hiden_size: qwen2 has no such key; did you mean 'hidden_size'\?"),
        ({"model_type": "t5"}, r"no causal language model of model_type 't5'"),
        ({"num_attention_heads": "many"}, r"here: .*qwen2"),
        ({"model_type": "gemma3", "text_config": {"hidden_size": 64}}, r"has parts \(text_config\)"),
    ],
)
def test_what_is_no_text_model_is_refused_by_name(changes, message):
    values = {key: value for key, value in ({"model_type": "qwen2"} | SIZES | changes).items()}
    if "hiden_size" in changes:
        del values["hidden_size"]
    with pytest.raises(UserError, match=message) as error:
        meta_model(Architecture(**values), "here")
    assert "qwen2'?" not in str(error.value)


def test_keys_of_a_published_file_are_accepted():
    published = Architecture(
        model_type="qwen2",
        architectures=["Qwen2ForCausalLM"],
        max_window_layers=21,
        torch_dtype="bfloat16",
        use_mrope=False,
        use_cache=True,
        rope_theta=10000,
        sliding_window=4096,
        transformers_version="4.44.0",
        **SIZES,
    )
    assert transformers_config(published, "here").rope_parameters["rope_theta"] == 10000


def test_a_measured_shape_is_kept_and_a_damaged_one_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    architecture = Architecture(model_type="llama", **SIZES)
    first = shape_of_architecture(architecture, "first")
    (kept,) = tmp_path.rglob("*.json")
    kept.write_text(kept.read_text().replace('"depth":3', '"depth":4'))
    assert shape_of_architecture(architecture, "second").depth == 4, "read, not measured"
    kept.write_text("{")
    assert shape_of_architecture(architecture, "third") == first
