"""The sizes of a model are known without its weights, and a model of other sizes is refused."""

import json

import pytest
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, Qwen2Config

from rlvr.config.catalogue import Architecture, HubModel, LocalModel, ModelCatalogue, TinyModel
from rlvr.config.loading import load_yaml
from rlvr.errors import UserError
from rlvr.methods.presets import model_size
from rlvr.models.architecture import check_architecture, find_architecture, read_architecture
from rlvr.models.load import load_model

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
def test_the_sizes_give_the_number_of_weights(name, tmp_path):
    CONFIGS[name].save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    weights = sum(weight.numel() for weight in model.parameters())
    assert model_size(read_architecture(tmp_path)) == weights


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


def test_sizes_come_from_the_prepared_model_or_the_local_folder(tiny_folder, tmp_path):
    local = LocalModel(source="local", path=str(tiny_folder))
    found = find_architecture("local", local, tmp_path)
    assert model_size(found) == load_model(tiny_folder, "float32").num_parameters()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny").symlink_to(tiny_folder)
    tiny = TinyModel(
        source="tiny", pretraining={"datasets": ["sums-train"], "validation_datasets": ["sums-validation"]}
    )
    assert find_architecture("tiny", tiny, tmp_path) == found


def test_an_unprepared_model_is_answered_with_the_command_that_prepares_it(repository, tmp_path):
    models = load_yaml(repository / "config" / "models.yaml", ModelCatalogue).models
    with pytest.raises(UserError, match=r"run: snakemake --cores 1 .*models/smollm2-135m-instruct"):
        find_architecture("smollm2-135m-instruct", models["smollm2-135m-instruct"], tmp_path)


def test_another_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({**SIZES, "model_type": "gpt2"}))
    with pytest.raises(UserError, match=r"model_type: .*'qwen2' or 'llama'.*'gpt2'"):
        read_architecture(tmp_path)
