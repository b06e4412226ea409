"""An update that computes each prompt once is the update that computes it for every completion."""

from copy import deepcopy

import pytest
import torch

from rlvr.dapo.logprobs import completion_logprobs
from rlvr.dapo.packing_check import can_be_packed
from rlvr.models.autocast import autocast
from rlvr.rollout.engines.base import Tokens
from tests.helpers.families import FAMILIES, family_model
from tests.helpers.grid import cases
from tests.helpers.small_methods import method_of, rate_of, train, training, untrained

ROUNDING = {"float32": (2e-5, 2e-4), "bfloat16": (0.05, 0.05), "float16": (0.01, 0.02)}
"""Largest difference of log-probabilities in nats, and of gradients relative to the norm of all; in 16 bits
these may also differ by twice what rounding alone changes."""
CANNOT = {
    "nemotron": "hands no arguments on to its attention",
    "stablelm": "hands no arguments on to its attention",
    "gpt_oss": "attention of its own",
    **dict.fromkeys(["granitemoehybrid", "jamba"], "state-space layers"),
    **dict.fromkeys(["qwen3_next", "qwen3_5_text"], "linear attention"),
    "lfm2": "convolutions",
}
"""Families that are padded -> why."""


def sequences(longest: int = 9) -> list[Tokens]:
    """Two groups with completions from one token up, longer than the families' windows, and a lone one."""
    generator = torch.Generator().manual_seed(0)

    def tokens(length: int) -> list[int]:
        return torch.randint(32, (length,), generator=generator).tolist()

    groups = {7: (3, longest, 1, 5), 3: (1, 1, 4), 6: (2,)}
    prompts = {length: tokens(length) for length in groups}
    return [Tokens(prompts[length], tokens(size)) for length, sizes in groups.items() for size in sizes]


def values_and_gradient(policy, dtype: str, packed: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities, and the flat gradient of their sum in which every token has a weight of its own."""
    policy.zero_grad()
    torch.manual_seed(0)
    with autocast(policy, dtype):
        logprobs, _ = completion_logprobs(policy, sequences(), 0.8, packed)
    (logprobs * torch.linspace(-1, 2, len(logprobs), device=logprobs.device)).sum().backward()
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    return logprobs.detach(), torch.cat([gradient.flatten().float() for gradient in gradients])


def assert_layouts_agree(policy, dtype: str) -> None:
    at_most, relative = ROUNDING[dtype]
    (padded, expected), (packed, found) = (
        values_and_gradient(policy, dtype, packed) for packed in (False, True)
    )
    torch.testing.assert_close(packed, padded, atol=at_most, rtol=0)
    difference, allowed = float((found - expected).norm()), relative * float(expected.norm())
    assert float(expected.norm()) > 0
    if dtype != "float32" and difference > allowed:
        _, exact = values_and_gradient(deepcopy(policy).float(), "float32", packed=False)
        allowed = 2 * float((expected - exact).norm())
    assert difference <= allowed


@pytest.mark.parametrize(("name", "dtype", "family"), cases(11, always=1))
def test_packed_gradients_are_the_padded_ones_for_every_method(name, dtype, family):
    """Of a trained policy, since many an adapter's gradient is zero where it starts."""
    method = method_of(name)
    policy = untrained(method, dtype, family)
    train(method, policy, dtype, steps=1, rate=rate_of(name))
    assert_layouts_agree(policy.eval(), dtype)  # without the noise of dropout


def lively(family: str) -> torch.nn.Module:
    """A model whose attention matters: random weights are small."""
    model = family_model(family)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.mul_(3)
    return model.eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_packed_where_nothing_changes(family, caplog):
    caplog.set_level("INFO")
    model = lively(family)
    packed = can_be_packed(model, training())
    assert packed == (family not in CANNOT)
    assert ("cannot be packed" in caplog.text) == (not packed)
    if packed:
        assert_layouts_agree(model, "float32")


def test_a_window_that_a_run_can_exceed_is_tried():
    """A family that ignores its window on a packed row is found out, however long the window is."""
    model = lively("mistral")
    for layer in model.model.layers:
        forward = layer.self_attn.forward

        def without_window(*arguments, forward=forward, **keywords):
            row = keywords.get("packed_row")
            if row:
                for block in row.blocks:
                    block.masks[model.config.sliding_window] = block.mask(None)
            return forward(*arguments, **keywords)

        layer.self_attn.forward = without_window
    model.config.sliding_window = 40
    assert not can_be_packed(model, training().model_copy(update={"max_prompt_tokens": 50}))
    assert can_be_packed(model, training().model_copy(update={"max_prompt_tokens": 20})), "never exceeded"


def test_gradient_checkpointing_recomputes_the_packed_row():
    method = method_of("lora")
    policy = untrained(method, family="gemma3_text")
    train(method, policy)
    _, expected = values_and_gradient(policy.train(), "float32", packed=True)
    policy.gradient_checkpointing_enable()
    policy.enable_input_require_grads()
    _, found = values_and_gradient(policy, "float32", packed=True)
    torch.testing.assert_close(found, expected)
