"""The seven invariants of a method, for every entry of the registry (architecture, section 3)."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from rlvr.methods.policy import load_trained_state, trainable_parameters, trained_state
from rlvr.methods.weights import exported_weights, merged_weights
from tests.helpers.grid import NAMES, Case, cases, small_shape
from tests.helpers.paths import REPOSITORY
from tests.helpers.small_methods import (
    base_model,
    distance,
    logits,
    method_of,
    plain_with,
    policy_of,
    rate_of,
    train,
    training,
    untrained,
)

pytestmark = pytest.mark.timeout(7200)  # of all combinations, one fixture trains some hundred policies

STARTED = {"float32": 1e-5, "bfloat16": 0.03, "float16": 0.004}
"""How far the logits of an untrained policy may be from those of the base, by rounding alone."""
EXPORTED = {"float32": 1e-4, "bfloat16": 0.03, "float16": 0.004}
"""How far the logits of a loaded adapter may be from the policy's."""
MERGED = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.01}
"""How far the logits of a merged model may be from the policy's; 16 bits round the merged weight itself."""
SIXTEEN = ("bfloat16", "float16")
BUFFERS = {
    "slicefine": (".learnt", ".position"),
    "kasa": (".truncated",),
    "adamss": (".active", ".importance", ".frozen_down", ".frozen_up"),
}
"""What a method moves without training it."""
ARGUMENTS = ("name", "dtype", "family")


def moved(name: str, dtype: str = "float32", family: str = "qwen2") -> torch.nn.Module:
    """A trained policy that is no longer the base model."""
    for harder in (1, 3, 10):
        policy = policy_of(name, dtype, family)
        train(method_of(name), policy, dtype, rate=harder * rate_of(name))
        if distance(policy, dtype, family) > 4 * max(MERGED.values()):
            return policy
    raise AssertionError("too little for the tests to prove it")


@pytest.mark.parametrize(ARGUMENTS, cases(1))
def test_1_untrained_policy_is_the_base_model(name, dtype, family):
    ours, base = logits(policy_of(name, dtype, family), dtype), logits(base_model(dtype, family), dtype)
    torch.testing.assert_close(ours, base, atol=STARTED[dtype], rtol=0)


@pytest.mark.parametrize(ARGUMENTS, cases(2))
def test_2_merged_weights_in_a_plain_model_are_the_policy(name, dtype, family):
    policy = moved(name, dtype, family)
    merged = plain_with(merged_weights(method_of(name), policy), dtype, family)
    ours, plain = logits(policy, dtype), logits(merged, dtype)
    torch.testing.assert_close(plain, ours, atol=MERGED[dtype], rtol=0)


@pytest.mark.parametrize(ARGUMENTS, cases(3, dtypes=SIXTEEN, always=1))
def test_2_merge_is_exact_in_float32_on_a_base_of_16_bits(name, dtype, family):
    """What the merge adds to such a base is what it adds to the same numbers in float32."""
    method, low, high = method_of(name), moved(name, dtype, family), policy_of(name, dtype, family)
    load_trained_state(method, high, trained_state(method, low), "test")
    expected = dict(merged_weights(method, high.float()))
    for key, weight in merged_weights(method, low):
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, expected[key], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(ARGUMENTS, cases(4, [name for name in NAMES if name != "full"]))
def test_3_syncs_leave_the_base_bit_identical(name, dtype, family):
    policy = policy_of(name, dtype, family)
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
    plain = dict(base_model(dtype, family).named_parameters())
    for layer_name, layer in method.adapted_layers(policy):
        for key, tensor in method.base_weights(layer).items():
            assert torch.equal(tensor, before[f"{layer_name}.{key}"])
            assert torch.equal(tensor, plain[f"{layer_name}.{key}"])


def selected(request: pytest.FixtureRequest, test: str) -> list[Case]:
    """The cases of a test that run, and so must be prepared for it."""
    items = [item for item in request.session.items if getattr(item, "originalname", "") == test]
    return [tuple(item.callspec.params[key] for key in ARGUMENTS) for item in items]


def in_a_new_process(task: str, folder: Path, wanted: list[Case]) -> None:
    """Run ``task`` for some cases; an error is written to a file `.error`."""
    code = f"from {__name__} import {task}, attempt; attempt({task}, {str(folder)!r}, {wanted!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def attempt(task, folder: str, wanted: list[Case]) -> None:
    for case in wanted:
        try:
            task(*case, Path(folder) / "-".join(case))
        except Exception:
            (Path(folder) / f"{'-'.join(case)}.error").write_text(traceback.format_exc())


def load_and_merge(name: str, dtype: str, family: str, path: Path) -> None:
    """Rebuild a policy as an export does, under another state of the global generators, and merge it."""
    method = method_of(name)
    policy = untrained(method, dtype, family, seed=2, start=False)
    trained = path.with_suffix(".trained")
    load_trained_state(method, policy, load_file(trained), str(trained))
    merged = {key: value.contiguous() for key, value in merged_weights(method, policy)}
    save_file(merged, path.with_suffix(".merged"))


@pytest.fixture(scope="module")
def merged_elsewhere(tmp_path_factory, request):
    """Trained policies, saved here, and what another process merged from the files."""
    folder, here = tmp_path_factory.mktemp("merged"), {}
    wanted = selected(request, "test_4_saved_loaded_in_a_new_process_and_merged_is_the_same")
    for name, dtype, family in wanted:
        method, policy = method_of(name), moved(name, dtype, family)
        state = {key: value.contiguous() for key, value in trained_state(method, policy).items()}
        save_file(state, folder / f"{name}-{dtype}-{family}.trained")
        here[name, dtype, family] = dict(merged_weights(method, policy))
    in_a_new_process("load_and_merge", folder, wanted)
    return folder, here


def result(folder: Path, case: Case, kind: str) -> dict[str, torch.Tensor]:
    """Read what the other process wrote, or fail with what went wrong there."""
    error = folder / f"{'-'.join(case)}.error"
    assert not error.exists(), error.read_text()
    return load_file(folder / f"{'-'.join(case)}.{kind}")


@pytest.mark.parametrize(ARGUMENTS, cases(5))
def test_4_saved_loaded_in_a_new_process_and_merged_is_the_same(name, dtype, family, merged_elsewhere):
    folder, here = merged_elsewhere
    elsewhere = result(folder, (name, dtype, family), "merged")
    assert elsewhere.keys() == here[name, dtype, family].keys()
    for key, value in elsewhere.items():
        torch.testing.assert_close(value, here[name, dtype, family][key], atol=0, rtol=0)


@pytest.mark.parametrize(ARGUMENTS, cases(6))
def test_5_parameter_count_is_the_closed_form(name, dtype, family):
    expected = method_of(name).expected_parameters(small_shape(family))
    assert trainable_parameters(policy_of(name, dtype, family)) == expected


@pytest.mark.parametrize(ARGUMENTS, cases(7))
def test_6_what_should_move_has_moved_and_nothing_else(name, dtype, family):
    policy = policy_of(name, dtype, family)
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


@pytest.mark.parametrize(ARGUMENTS, cases(8, dtypes=SIXTEEN, always=1))
def test_6_trained_parameters_are_float32_on_a_base_of_16_bits(name, dtype, family):
    kinds = {p.dtype for p in policy_of(name, dtype, family).parameters() if p.requires_grad}
    assert kinds == {torch.float32}


def load_with_peft(name: str, dtype: str, family: str, path: Path) -> None:
    from peft import PeftModel

    if (path / "adapter_config.json").exists():
        model = PeftModel.from_pretrained(base_model(dtype, family), str(path))
    else:
        model = AutoModelForCausalLM.from_pretrained(path)
    save_file({"logits": logits(model, dtype)}, path.with_suffix(".logits"))


@pytest.fixture(scope="module")
def loaded_elsewhere(tmp_path_factory, request):
    """Exported policies, and the logits of plain PEFT in another process."""
    folder, here = tmp_path_factory.mktemp("exported"), {}
    wanted = selected(request, "test_7_exported_adapter_is_the_policy_for_plain_peft")
    wanted += selected(request, "test_7_the_evaluated_weights_are_the_policy")
    for name, dtype, family in dict.fromkeys(wanted):
        policy = moved(name, dtype, family)
        here[name, dtype, family] = logits(policy, dtype)
        method_of(name).export(policy, folder / f"{name}-{dtype}-{family}")
    in_a_new_process("load_with_peft", folder, list(here))
    return folder, here


@pytest.mark.parametrize(ARGUMENTS, cases(9))
def test_7_exported_adapter_is_the_policy_for_plain_peft(name, dtype, family, loaded_elsewhere):
    folder, here = loaded_elsewhere
    loaded = result(folder, (name, dtype, family), "logits")["logits"]
    torch.testing.assert_close(loaded, here[name, dtype, family], atol=EXPORTED[dtype], rtol=0)


@pytest.mark.parametrize(ARGUMENTS, cases(9))
def test_7_the_evaluated_weights_are_the_policy(name, dtype, family, loaded_elsewhere):
    folder, here = loaded_elsewhere
    exported = exported_weights(base_model(dtype, family), folder / f"{name}-{dtype}-{family}")
    served = plain_with(exported, dtype, family)
    torch.testing.assert_close(logits(served, dtype), here[name, dtype, family], atol=MERGED[dtype], rtol=0)


@pytest.mark.parametrize(ARGUMENTS, cases(10, always=1))
def test_exact_lora_form_is_the_merged_update(name, dtype, family):
    method, policy = method_of(name), moved(name, dtype, family)
    plain = dict(base_model(dtype, family).named_parameters())
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
