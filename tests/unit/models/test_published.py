"""Folders as they are published: those that are one causal language model are copied, all others refused."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

from rlvr.errors import UserError
from rlvr.files import read_json, write_json
from rlvr.models.checks import check_end_of_turn, check_folder
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.positions import check_lengths
from rlvr.models.precision import stored_precision
from rlvr.models.prepare import prepare_model
from rlvr.models.tiny import build_tokenizer
from tests.helpers.published import FAMILIES, change, published, shard, write


@pytest.fixture(scope="module")
def qwen(tmp_path_factory) -> Path:
    return published("qwen2.5", tmp_path_factory.mktemp("published") / "qwen")


@pytest.fixture
def folder(qwen, tmp_path) -> Path:
    """A copy of a published folder that a test may change."""
    return Path(shutil.copytree(qwen, tmp_path / "mine"))


def prepared(folder: Path, output: Path) -> Path:
    write_json(output.with_suffix(".json"), {"source": "local", "path": str(folder)})
    prepare_model(output.with_suffix(".json"), [], [], output)
    return output


@pytest.mark.parametrize("family", FAMILIES)
def test_a_published_folder_is_prepared_with_what_its_index_names(family, tmp_path, caplog):
    source = published(family, tmp_path / family)
    model = prepared(source, tmp_path / "model")
    assert {file.name for file in model.iterdir()} == {
        *("config.json", "generation_config.json", "README.md", "LICENSE", "provenance.json"),
        *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
        *("model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"),
        "special_tokens_map.json",
    }
    assert stored_precision(model) == "bfloat16"
    loaded = load_model(model, "bfloat16")
    stored = {name: weight for file in source.glob("model-*") for name, weight in load_file(file).items()}
    for name, weight in stored.items():
        torch.testing.assert_close(loaded.state_dict()[name], weight, atol=0, rtol=0)
    assert load_tokenizer(model).chat_template
    assert not [
        record for record in caplog.records if record.levelno >= logging.WARNING and "rlvr" in record.name
    ]


def test_card_and_licence_are_no_part_of_the_model(folder, tmp_path):
    first = prepared(folder, tmp_path / "first")
    (folder / "README.md").write_text("Another text.")
    second = prepared(folder, tmp_path / "second")
    assert read_json(first / "provenance.json")["sha256"] == read_json(second / "provenance.json")["sha256"]
    change(folder / "generation_config.json", eos_token_id=1)
    third = prepared(folder, tmp_path / "third")
    assert read_json(first / "provenance.json")["sha256"] != read_json(third / "provenance.json")["sha256"]


# --- weights --------------------------------------------------------------------------------------

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def whole(folder: Path) -> dict[str, torch.Tensor]:
    """Replace the shards by one file, and return its weights."""
    weights = {name: weight for file in (FIRST, SECOND) for name, weight in load_file(folder / file).items()}
    for file in (FIRST, SECOND, "model.safetensors.index.json"):
        (folder / file).unlink()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return weights


def add(**tensors: torch.Tensor):
    def damage(folder: Path) -> None:
        names = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
        save_file({**whole(folder), **names}, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def leave_out(folder: Path) -> None:
    weights = load_file(folder / FIRST)
    weights.popitem()
    save_file(weights, folder / FIRST, metadata={"format": "pt"})


def leave_single_file(folder: Path) -> None:
    weights = whole(folder)
    shard(folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def leave_adapter(folder: Path) -> None:
    write(folder / "adapter_config.json", {"peft_type": "LORA"})


def rename_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").rename(folder / "model.safetensors.index.fp16.json")


def config(**values):
    return lambda folder: change(folder / "config.json", **values)


def generation(value):
    return lambda folder: write(folder / "generation_config.json", value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / SECOND).unlink(), rf"{SECOND}: missing, truncated or corrupt"),
        (leave_out, rf"names tensor '.*' in {FIRST}, which does not hold it \(1 such tensors\)"),
        (leave_single_file, r"both model\.safetensors and model\.safetensors\.index\.json"),
        (leave_adapter, r"adapter_config\.json beside a model: .*merge_and_unload"),
        (
            rename_index,
            r"neither model\.safetensors nor .*consolidated\.safetensors and model\.safetensors\.index\.fp16",
        ),
        (add(v_head__weight=torch.ones(1, 64)), r"1 stored weights have no place .*'v_head\.weight'"),
        (
            add(model__norm__weight=torch.ones(32)),
            r"1 weights have other sizes than the model, first 'model\.norm\.weight': \[32\], not \[64\]",
        ),
        (config(num_hidden_layers=1, layer_types=None), r"12 stored weights have no place in the model"),
        (config(num_hidden_layers=3, layer_types=None), r"of the model are missing, first 'model\.layers\.2"),
        (config(quantization_config={"quant_method": "gptq"}), r"quantised model \(gptq: .*bfloat16"),
        (config(quantization_config={"quant_method": "awq"}), r"quantised model \(awq: "),
        (config(quantization_config={"quant_method": "mxfp4"}), r"quantised model \(mxfp4: "),
        (config(quantization_config={"load_in_4bit": True}), r"quantised model \(bitsandbytes: "),
        (config(compression_config={"quant_method": "compressed-tensors"}), r"model \(compressed-tensors: "),
        (
            add(model__layers__0__mlp__up_proj__qweight=torch.ones(8, 8, dtype=torch.int32)),
            r"quantised model \(GPTQ or AWQ: tensor .*qweight' \(I32\) in model\.safetensors\)",
        ),
        (
            add(model__layers__0__mlp__up_proj__weight=torch.ones(96, 64).to(torch.float8_e4m3fn)),
            r"quantised model \(F8_E4M3: tensor .*up_proj\.weight'",
        ),
        (
            add(model__layers__0__mlp__up_proj__weight=torch.ones(96, 32, dtype=torch.uint8)),
            r"quantised model \(U8: ",
        ),
        (config(model_type="mine", auto_map={"AutoConfig": "mine.Config"}), r"code of its own: auto_map"),
        (config(architectures=["Qwen2ForRewardModel"]), r"ForRewardModel is not a causal language model"),
        (generation([]), r"generation_config\.json: not usable \(not a JSON object\)"),
        (generation({"num_return_sequences": 4}), r"generation_config\.json: not usable \(Greedy methods"),
        (generation({"max_new_tokens": -1}), r"generation_config\.json: not usable \(.*max_new_tokens"),
        (
            lambda folder: (folder / "generation_config.json").write_text("{"),
            r"generation_config\.json: not usable \(.*not JSON",
        ),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_exactly_one_model_is_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(UserError, match=message):
        check_folder(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"quantization_config": None},
        {"auto_map": {"AutoModelForCausalLM": "modeling_qwen2.Qwen2ForCausalLM"}},
        {"architectures": None},
        {"temperature": 0.5, "top_k": 3},
        {"dtype": "bfloat16", "torch_dtype": None},
    ],
)
def test_harmless_oddities_are_accepted(folder, values):
    change(folder / "config.json", **values)
    check_folder(folder)


def test_buffers_of_old_versions_are_accepted(folder):
    add(model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(16))(folder)
    check_folder(folder)


# --- other kinds of models --------------------------------------------------------------------------


def gemma_multimodal() -> PreTrainedModel:
    text = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    vision = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return Gemma3ForConditionalGeneration(
        Gemma3Config(
            text_config={**text, "head_dim": 32, "intermediate_size": 96, "vocab_size": 128},
            vision_config={**vision, "image_size": 28, "patch_size": 14},
            mm_tokens_per_image=4,
        )
    )


OTHER_KINDS = {
    "gemma 3": (gemma_multimodal, r"Gemma3ForConditionalGeneration is a multimodal model .*gemma-3-1b-it"),
    "t5": (
        lambda: T5ForConditionalGeneration(T5Config(d_model=32, num_layers=1, num_heads=2, d_ff=32)),
        r"T5ForConditionalGeneration is an encoder with a decoder",
    ),
    "bert": (
        lambda: BertForMaskedLM(
            BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
        ),
        r"BertForMaskedLM is not a causal language model, and would be loaded as BertLMHeadModel",
    ),
    "reward model": (
        lambda: Qwen2ForSequenceClassification(
            Qwen2Config(
                hidden_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                intermediate_size=32, vocab_size=128, pad_token_id=0,
            )
        ),
        r"Qwen2ForSequenceClassification is not a causal language model",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_other_kinds_of_models_are_refused_by_name(kind, tmp_path):
    make, message = OTHER_KINDS[kind]
    make().save_pretrained(tmp_path)
    build_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=message):
        check_folder(tmp_path)


# --- tokenizer and template ---------------------------------------------------------------------------


def with_tokens(folder: Path, *tokens: str, special: bool = True) -> None:
    """Add tokens until the last ones have no row in the embedding of 128."""
    tokenizer = load_tokenizer(folder)
    filler = [f"<|filler {i}|>" for i in range(128 - len(tokenizer))]
    tokenizer.add_tokens(filler, special_tokens=True)
    tokenizer.add_tokens(list(tokens), special_tokens=special)
    tokenizer.save_pretrained(folder)


def test_a_special_token_without_a_row_is_named_and_refused_in_a_prompt(folder, caplog):
    """As `<image_soft_token>` of Gemma 3 1B, which no text contains."""
    with_tokens(folder, "<image>")
    check_folder(folder)
    assert "has 129 tokens, the embedding 128 rows; prompts cannot contain <image>" in caplog.text
    ids = load_tokenizer(folder)("<image>", add_special_tokens=False)["input_ids"]
    with pytest.raises(UserError, match=r"problem 'a': its prompt has token 128, .* only 128 rows"):
        check_lengths(folder, {"a": ids}, 4)


def test_an_ordinary_token_without_a_row_is_refused(folder):
    with_tokens(folder, "word", special=False)
    with pytest.raises(UserError, match=r"129 tokens, the embedding 128 rows: token 'word' has id 128"):
        check_folder(folder)


def test_a_token_of_the_template_without_a_row_is_refused(folder):
    with_tokens(folder, "<|turn|>")
    (folder / "chat_template.jinja").write_text("<|turn|>{{ messages[0]['content'] }}<|turn|>")
    with pytest.raises(UserError, match=r"token '<\|turn\|>' has id 128"):
        check_folder(folder)


def test_a_turn_that_no_end_token_ends_is_a_warning_with_token_and_setting(folder, caplog):
    """Qwen2.5-Math base: the template writes <|im_end|>, the model ends with <|endoftext|>."""
    changed = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
    change(folder / "tokenizer_config.json", chat_template=changed.replace("eos_token", "'<|user|>'"))
    check_folder(folder)
    user = load_tokenizer(folder).convert_tokens_to_ids("<|user|>")
    assert f"ends a turn with '<|user|>' ({user}), which is not an end token" in caplog.text
    assert f"Add {user} to eos_token_id in generation_config.json" in caplog.text
    caplog.clear()
    change(folder / "generation_config.json", eos_token_id=[1, user])
    check_folder(folder)
    assert "end token" not in caplog.text


TEMPLATE = "{{ messages[0]['content'] }}<|eos|>"


def test_a_named_default_template_is_used_and_its_absence_told(folder):
    named = [{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": "{{ tools }}"}]
    change(folder / "tokenizer_config.json", chat_template=named)
    check_folder(folder)
    change(folder / "tokenizer_config.json", chat_template=[{"name": "rag", "template": TEMPLATE}])
    with pytest.raises(UserError, match=r"several chat templates \(rag\), none of them 'default'"):
        check_folder(folder)


def test_a_template_that_fails_is_refused_in_preparation(folder):
    change(folder / "tokenizer_config.json", chat_template="{{ messages[0]['content'] ")
    with pytest.raises(UserError, match="chat template of the model cannot render"):
        check_folder(folder)


def test_a_model_that_never_ends_is_refused():
    with pytest.raises(UserError, match="mine: no token ends a completion; set eos_token"):
        check_end_of_turn(build_tokenizer(), [], "mine")
