"""The seven invariants of a method, for every entry of the registry (architecture, section 3)."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from rlvr.methods import methods
from rlvr.methods.base.measure import shape_of
from rlvr.methods.policy import load_trained_state, trainable_parameters, trained_state
from rlvr.methods.weights import exported_weights, merged_weights
from tests.helpers.paths import REPOSITORY
from tests.helpers.small_methods import (
    base_model,
    distance,
    fits,
    logits,
    method_of,
    plain_with,
    policy_of,
    train,
    training,
)

NAMES = sorted(methods())
DTYPES = ["float32", "bfloat16"]
FAMILIES = ["qwen2", "llama"]
FITTING = [(name, family) for name in NAMES for family in FAMILIES if fits(name, family)]
EXPORTED = {"float32": 1e-4, "bfloat16": 0.03}
"""How far the logits of a loaded adapter may be from the policy's."""
MERGED = {"float32": 1e-4, "bfloat16": 0.05}
"""How far the logits of a merged model may be from the policy's; bfloat16 rounds the merged weight itself."""
BUFFERS = {"slicefine": (".learnt", ".position")}
"""What a method moves without training it."""


def moved(name: str, dtype: str = "float32", family: str = "qwen2") -> torch.nn.Module:
    """A trained policy that is no longer the base model."""
    policy = policy_of(name, dtype, family)
    train(method_of(name), policy, dtype)
    assert distance(policy, dtype, family) > 4 * max(MERGED.values()), "too little for the tests to prove it"
    return policy


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_1_untrained_policy_is_the_base_model(name, dtype):
    tolerance = {"float32": 1e-5, "bfloat16": 0.03}[dtype]
    ours, base = logits(policy_of(name, dtype), dtype), logits(base_model(dtype), dtype)
    torch.testing.assert_close(ours, base, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("name", "family", "dtype"),
    [
        (name, family, dtype)
        for name, family in FITTING
        for dtype in DTYPES
        if (family, dtype) != ("llama", "bfloat16")
    ],
)
def test_2_merged_weights_in_a_plain_model_are_the_policy(name, family, dtype):
    policy = moved(name, dtype, family)
    merged = plain_with(merged_weights(method_of(name), policy), dtype, family)
    ours, plain = logits(policy, dtype), logits(merged, dtype)
    torch.testing.assert_close(plain, ours, atol=MERGED[dtype], rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_2_merge_is_exact_in_float32_on_a_bfloat16_base(name):
    """What the merge adds to a bfloat16 base is what it adds to the same numbers in float32."""
    method, low, high = method_of(name), moved(name, "bfloat16"), policy_of(name, "bfloat16")
    load_trained_state(method, high, trained_state(method, low), "test")
    expected = dict(merged_weights(method, high.float()))
    for key, weight in merged_weights(method, low):
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, expected[key], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in NAMES if name != "full"])
def test_3_syncs_leave_the_base_bit_identical(name, dtype):
    policy = policy_of(name, dtype)
    method = method_of(name)
    before = {
        f"{layer_name}.{key}": tensor.clone()
        for layer_name, layer in method.adapted_layers(policy)
        for key, tensor in method.base_weights(layer).items()
    }
    train(method, policy, dtype)
    for _ in range(5):
        for _ in merged_weights(method, policy):
            pass
    plain = dict(base_model(dtype).named_parameters())
    for layer_name, layer in method.adapted_layers(policy):
        for key, tensor in method.base_weights(layer).items():
            assert torch.equal(tensor, before[f"{layer_name}.{key}"])
            assert torch.equal(tensor, plain[f"{layer_name}.{key}"])


def selected(request: pytest.FixtureRequest) -> list[str]:
    """The methods whose tests run: all, or those that `-k` leaves."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    return sorted(
        {found.params["name"] for found in parameters if found and found.params.get("name") in NAMES}
    )


def in_a_new_process(task: str, folder: Path, names: list[str]) -> None:
    """Run ``task`` for methods in all precisions; an error is written to a file `.error`."""
    code = f"from {__name__} import {task}, attempt; attempt({task}, {str(folder)!r}, {names!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def attempt(task, folder: str, names: list[str]) -> None:
    for name in names:
        for dtype in DTYPES:
            try:
                task(name, dtype, Path(folder) / f"{name}-{dtype}")
            except Exception:
                (Path(folder) / f"{name}-{dtype}.error").write_text(traceback.format_exc())


def load_and_merge(name: str, dtype: str, path: Path) -> None:
    """Rebuild a policy under another state of the global generators, load what was saved, and merge it."""
    method, policy = method_of(name), policy_of(name, dtype, seed=2)
    trained = path.with_suffix(".trained")
    load_trained_state(method, policy, load_file(trained), str(trained))
    merged = {key: value.contiguous() for key, value in merged_weights(method, policy)}
    save_file(merged, path.with_suffix(".merged"))


@pytest.fixture(scope="module")
def merged_elsewhere(tmp_path_factory, request):
    """Trained policies, saved here, and what another process merged from the files."""
    folder, here, names = tmp_path_factory.mktemp("merged"), {}, selected(request)
    for name in names:
        for dtype in DTYPES:
            method, policy = method_of(name), moved(name, dtype)
            state = {key: value.contiguous() for key, value in trained_state(method, policy).items()}
            save_file(state, folder / f"{name}-{dtype}.trained")
            here[name, dtype] = dict(merged_weights(method, policy))
    in_a_new_process("load_and_merge", folder, names)
    return folder, here


def result(folder: Path, name: str, dtype: str, kind: str) -> dict[str, torch.Tensor]:
    """Read what the other process wrote, or fail with what went wrong there."""
    error = folder / f"{name}-{dtype}.error"
    assert not error.exists(), error.read_text()
    return load_file(folder / f"{name}-{dtype}.{kind}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_4_saved_loaded_in_a_new_process_and_merged_is_the_same(name, dtype, merged_elsewhere):
    folder, here = merged_elsewhere
    elsewhere = result(folder, name, dtype, "merged")
    assert elsewhere.keys() == here[name, dtype].keys()
    for key, value in elsewhere.items():
        torch.testing.assert_close(value, here[name, dtype][key], atol=0, rtol=0)


@pytest.mark.parametrize(("name", "family"), FITTING)
def test_5_parameter_count_is_the_closed_form(name, family):
    expected = method_of(name).expected_parameters(shape_of(base_model(family=family)))
    assert trainable_parameters(policy_of(name, family=family)) == expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_6_what_should_move_has_moved_and_nothing_else(name, dtype):
    policy = policy_of(name, dtype)
    before = {key: value.clone() for key, value in policy.state_dict().items()}
    named = policy.named_parameters(remove_duplicate=False)  # a vector that layers share has a name in each
    trainable = {key for key, parameter in named if parameter.requires_grad}
    train(method_of(name), policy, dtype, rate=1e-5)
    after = policy.state_dict()
    tied = "lm_head.weight"
    fixed = [key for key in trainable if torch.equal(before[key], after[key])]
    if name == "adalora":  # singular values that its allocator took away are back at zero
        fixed = [key for key in fixed if ".lora_E." not in key or after[key].any()]
    assert fixed == []
    moving = (tied, *BUFFERS.get(name, ()))
    still = [key for key in after if key not in trainable and not key.endswith(moving)]
    assert [key for key in still if not torch.equal(before[key], after[key])] == []


@pytest.mark.parametrize("name", NAMES)
def test_6_every_learning_rate_is_the_runs_own_times_a_declared_factor(name):
    method, rate = method_of(name), 0.007
    groups = method.optimizer(policy_of(name), training(rate)).param_groups
    assert sorted({group["lr"] / rate for group in groups if group["params"]}) == pytest.approx(
        sorted(method.rate_factors)
    )


@pytest.mark.parametrize("name", NAMES)
def test_6_trained_parameters_are_float32_on_a_bfloat16_base(name):
    kinds = {p.dtype for p in policy_of(name, "bfloat16").parameters() if p.requires_grad}
    assert kinds == {torch.float32}


def load_with_peft(name: str, dtype: str, path: Path) -> None:
    from peft import PeftModel

    if (path / "adapter_config.json").exists():
        model = PeftModel.from_pretrained(base_model(dtype), str(path))
    else:
        model = AutoModelForCausalLM.from_pretrained(path)
    save_file({"logits": logits(model, dtype)}, path.with_suffix(".logits"))


@pytest.fixture(scope="module")
def loaded_elsewhere(tmp_path_factory, request):
    """Exported policies, and the logits of plain PEFT in another process."""
    folder, here, names = tmp_path_factory.mktemp("exported"), {}, selected(request)
    for name in names:
        for dtype in DTYPES:
            policy = moved(name, dtype)
            here[name, dtype] = logits(policy, dtype)
            method_of(name).export(policy, folder / f"{name}-{dtype}")
    in_a_new_process("load_with_peft", folder, names)
    return folder, here


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_7_exported_adapter_is_the_policy_for_plain_peft(name, dtype, loaded_elsewhere):
    folder, here = loaded_elsewhere
    loaded = result(folder, name, dtype, "logits")["logits"]
    torch.testing.assert_close(loaded, here[name, dtype], atol=EXPORTED[dtype], rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_7_the_evaluated_weights_are_the_policy(name, loaded_elsewhere):
    folder, here = loaded_elsewhere
    served = plain_with(exported_weights(base_model(), folder / f"{name}-float32"))
    torch.testing.assert_close(logits(served), here[name, "float32"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_exact_lora_form_is_the_merged_update(name):
    method, policy = method_of(name), moved(name)
    plain = dict(base_model().named_parameters())
    for layer_name, layer in method.adapted_layers(policy):
        factors = method.to_lora(layer)
        assert (factors is not None) == method.exact_lora
        if factors is None:
            return
        down, up = factors
        update = method.merged(layer)["weight"] - plain[f"{layer_name}.weight"]
        torch.testing.assert_close(up @ down, update, atol=1e-5, rtol=1e-4)


def test_the_registry_is_listed_without_importing_torch():
    code = "import sys; from rlvr.methods import methods; methods(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
