"""What is told about methods and a model's family where only its `config.json` is read."""

import json

import pytest
from transformers import AutoConfig

from rlvr.cli import main
from rlvr.errors import UserError
from rlvr.methods import make_method
from rlvr.methods.fits import check_folder_fit, family_notice, refusals, shape_of_folder
from rlvr.methods.listing import describe_methods
from tests.helpers import published
from tests.helpers.families import FAMILIES, SIZES, family_model


@pytest.fixture
def folder(tmp_path, request):
    """A folder with the `config.json` of a family and nothing else."""
    family = request.param
    config = AutoConfig.for_model(family, **SIZES | FAMILIES[family])
    config.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("folder", ["phi3"], indirect=True)
def test_a_method_is_refused_without_weights(folder):
    check_folder_fit(make_method("full", {}), folder)
    with pytest.raises(UserError, match=r"'lora' does not fit this phi3 model"):
        check_folder_fit(make_method("lora", {}), folder)


@pytest.mark.parametrize("folder", ["qwen3", "qwen3_moe", "gpt_neox", "gpt2", "jamba"], indirect=True)
def test_the_shape_from_the_file_is_that_of_the_model(folder):
    from rlvr.methods.base.measure import shape_of

    found = shape_of_folder(folder)
    assert found == shape_of(family_model(found.model_type))


@pytest.mark.parametrize("folder", ["glm4"], indirect=True)
def test_a_prepared_model_is_described_with_the_methods_that_do_not_fit(folder):
    notice = family_notice(folder)
    assert notice.startswith(
        "family glm4: 2 blocks, linear layers q_proj, k_proj, v_proj, o_proj, gate_up_proj, down_proj, norms "
        "input_layernorm, post_attention_layernorm, post_self_attn_layernorm, post_mlp_layernorm, norm; "
    )
    unfit = notice.rpartition(": ")[2].split(", ")
    assert "lora" in unfit and "full" not in unfit and "ln_tuning" not in unfit and "bitfit" not in unfit


def test_methods_with_one_reason_are_refused_in_one_message():
    from rlvr.methods.base.measure import shape_of

    shape = shape_of(family_model("phi3"))
    chosen = [make_method(name, {}) for name in ("lora", "dora", "full", "pissa", "bitfit")]
    first, second = refusals(chosen, shape)
    assert first.startswith("methods 'lora', 'dora', 'pissa' do not fit this phi3 model: ")
    assert second.startswith("method 'bitfit' does not fit this phi3 model: ")


@pytest.mark.parametrize("folder", ["phi3"], indirect=True)
def test_a_preset_that_does_not_fit_has_no_count(folder, repository, tmp_path, capsys, monkeypatch):
    shape = shape_of_folder(folder)
    rows = {row["name"]: row for row in describe_methods(repository / "config", shape)}
    assert rows["lora"]["trainable_parameters"] == {"paper": None, "released": None, "recommended": None}
    assert rows["lora"]["trainable_percent"]["paper"] is None
    assert "does not fit" in rows["lora"]["refused"]["paper"]
    assert rows["full"]["trainable_parameters"]["recommended"] == shape.parameters
    models = {"models": {"mine": {"source": "local", "path": str(folder)}}}
    (tmp_path / "models.yaml").write_text(json.dumps(models))
    (tmp_path / "methods").symlink_to(repository / "config" / "methods")
    assert main(["methods", "--model", "mine", "--config", str(tmp_path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "'lora', " in shown and "do not fit this phi3 model" in shown


ODD = {
    "mistral": {"use_sliding_window": False, "sliding_window": 4},
    "gemma2": {"use_sliding_window": True, "tie_encoder_decoder": False},
    "gemma3_text": {"sliding_window_pattern": 2, "head_dim": 32},
    "falcon": {"layer_norm_eps": 1e-5, "n_head_kv": 1, "torch_dtype": "bfloat16"},
    "llama": {"tie_encoder_decoder": False, "is_llama_config": True, "rope_interleaved": False},
}
"""Family -> keys of published files that Transformers does not know, or knows by another name."""


@pytest.mark.parametrize("family", [*published.FAMILIES, *ODD])
def test_keys_of_published_files_are_not_taken_for_misspelt_ones(family, tmp_path):
    keys = {"model_type": family, **ODD[family]} if family in ODD else published.FAMILIES[family][0]
    published.write(tmp_path / "config.json", SIZES | keys)
    assert family_notice(tmp_path).startswith(f"family {keys['model_type']}: 2 blocks")
