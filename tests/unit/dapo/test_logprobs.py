"""Log-probabilities in chunks are the model's own, whatever it does to its last hidden states."""

import gc

import pytest
import torch
from peft import LoraConfig, get_peft_model

from rlvr.config.training import Sampling
from rlvr.dapo import token_logprobs
from rlvr.dapo.head import check_head
from rlvr.dapo.logprobs import completion_logprobs
from rlvr.errors import UserError
from rlvr.models.autocast import autocast
from rlvr.models.first_pass import first_pass
from rlvr.models.tiny import build_tokenizer
from rlvr.rollout.engines.base import Request, Tokens
from rlvr.rollout.engines.transformers import TransformersEngine
from tests.helpers.causal_models import HEADS, TOKENS, causal_model

FAMILIES = sorted(HEADS)
SEQUENCES = [
    Tokens([7, 8, 9], [6, 1]),
    Tokens([7, 8, 11, 12, 13], [20, 21, 22, 1]),
    Tokens([7, 30], [20, 21, 22, 23, 24, 25]),
]
TEMPERATURE = 0.8
ROUNDING = {"float32": (2e-6, 1e-5), "bfloat16": (0.02, 0.05)}
"""Tolerated difference of log-probabilities, and of gradients relative to the largest entry."""


def whole_values(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies from plain forward passes, one sequence at a time."""
    values, entropies = [], []
    for prompt, completion in SEQUENCES:
        logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0].float() / TEMPERATURE
        table = logits.log_softmax(-1)[len(prompt) - 1 : -1]
        values.append(table.gather(1, torch.tensor(completion)[:, None]).squeeze(1))
        entropies.append(-(table.exp() * table).sum(-1).detach())
    return torch.cat(values), torch.cat(entropies)


def gradients(model: torch.nn.Module, values: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    values.mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_mixed_precision_rounds_no_entropy():
    """The products of a policy are in 16 bits, the sum over its vocabulary is not."""
    logits = 4 * torch.randn(6, 5000, generator=torch.Generator().manual_seed(0))
    expected = torch.distributions.Categorical(logits=logits.double()).entropy().float()
    with torch.autocast("cpu", torch.bfloat16):
        _, entropy = token_logprobs._values(logits, torch.zeros(6, dtype=torch.long), 1.0)
    torch.testing.assert_close(entropy, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients_are_those_of_the_models_forward_pass(monkeypatch, family, dtype, frozen):
    """Of all weights, and of the blocks' alone: then the output layer is frozen."""
    monkeypatch.setattr(token_logprobs, "CHUNK_LOGITS", {"cpu": 5 * TOKENS["vocab_size"]})  # several chunks
    model = causal_model(family, dtype)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not frozen or ".0." in name)
    at_most, relative = ROUNDING[dtype]
    found, entropy = completion_logprobs(model, SEQUENCES, TEMPERATURE, packed=False)
    expected, expected_entropy = whole_values(model)
    torch.testing.assert_close(found, expected, atol=at_most, rtol=0)
    torch.testing.assert_close(entropy, expected_entropy, atol=at_most, rtol=0)
    found_gradients, expected_gradients = gradients(model, found), gradients(model, expected)
    assert found_gradients.keys() == expected_gradients.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected_gradients.values())
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(found_gradients[name], gradient, atol=relative * largest, rtol=0)


def test_an_output_layer_that_peft_wraps_is_the_one_that_counts():
    model = causal_model("gemma2", tie_word_embeddings=False)
    policy = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"]))
    policy.base_model.model.lm_head.modules_to_save["default"].weight.data.mul_(2)
    found, _ = completion_logprobs(policy.eval(), SEQUENCES, TEMPERATURE, packed=False)
    torch.testing.assert_close(found, whole_values(policy)[0], atol=1e-5, rtol=0)


def test_the_model_is_as_before_afterwards():
    model = causal_model("llama")
    inner = model.model
    completion_logprobs(model, SEQUENCES, TEMPERATURE, packed=False)
    assert model.model is inner and "forward" not in vars(inner)


def test_a_forward_that_does_not_call_its_inner_model_is_refused(monkeypatch):
    model = causal_model("opt")  # calls the decoder in its inner model
    check_head(model, [7, 8, 9])
    monkeypatch.setattr(model, "get_decoder", lambda: model.base_model)
    with pytest.raises(UserError, match=r"OPTForCausalLM \(model_type opt\).*not call an inner model once"):
        check_head(model, [7, 8, 9])


def broken(error: Exception):
    """A model whose first block fails."""

    def fail(*args, **keywords):
        raise error

    model = causal_model("llama")
    model.model.layers[0].forward = fail
    return model


@pytest.mark.parametrize("call", ["score", "generate"])
def test_an_error_in_a_first_pass_of_the_engine_names_the_model_and_a_way_out(call):
    engine = TransformersEngine(broken(ValueError("no attention layer")), build_tokenizer(), batch_size=8)
    calls = {
        "score": lambda: engine.score(SEQUENCES[0], 1.0),
        "generate": lambda: engine.generate([Request((7, 8), seed=1)], Sampling(max_new_tokens=2)),
    }
    with pytest.raises(UserError, match=r"model_type llama.*sampled.*ValueError: no attention layer.*family"):
        calls[call]()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), KeyboardInterrupt()])
def test_want_of_memory_and_a_stop_are_not_taken_for_faults_of_the_model(error):
    with pytest.raises(type(error)), first_pass(broken(error), "trained", "lora"):
        broken(error)(input_ids=torch.tensor([[7, 8]]))
    model = causal_model("llama")

    def full(*args, **keywords):
        raise error

    original = model.lm_head.forward
    calls = iter([original, full])
    model.lm_head.forward = lambda states: next(calls)(states)
    with pytest.raises(type(error)):
        check_head(model, [7, 8, 9])


def test_a_forward_whose_logits_need_more_than_hidden_states_is_refused():
    model = causal_model("llama")
    check_head(model, [7, 8, 9])
    original = type(model).forward

    class Scaled(type(model)):
        def forward(self, input_ids=None, **keywords):
            output = original(self, input_ids=input_ids, **keywords)
            output.logits = output.logits * (1 + input_ids[..., None] / 10)
            return output

    model.__class__ = Scaled
    with pytest.raises(UserError, match=r"Scaled.*makes other logits of the same hidden states"):
        check_head(model, [7, 8, 9])


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_sampling_gives_the_models_own_probabilities(family):
    """Left padding, positions and the shared prompt are right in every family."""
    engine = TransformersEngine(causal_model(family), build_tokenizer(), batch_size=8)
    requests = [Request(tuple(range(7, 9 + i % 4)), seed=i) for i in range(8)]
    for request, found in zip(requests, engine.generate(requests, Sampling(max_new_tokens=12)), strict=True):
        scored = engine.score(Tokens(request.prompt_ids, found.token_ids), 1.0)
        assert found.logprobs == pytest.approx(scored, abs=1e-5)


def test_a_model_that_padding_changes_is_not_sampled():
    model = causal_model("gpt2")
    positions = model.transformer.wpe
    original = positions.forward
    # Ignores the positions it is given, as a family without position_ids does.
    positions.forward = lambda ids: original(torch.arange(ids.shape[-1]).expand_as(ids))
    engine = TransformersEngine(model, build_tokenizer(), batch_size=8)
    requests = [Request(tuple(range(7, 9 + 3 * i)), seed=i) for i in range(8)]
    with pytest.raises(UserError, match=r"GPT2LMHeadModel.*cannot be sampled in batches.*KL"):
        engine.generate(requests, Sampling(max_new_tokens=12))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("family", "dtype"), [("llama", "float32"), ("qwen2", "bfloat16"), ("gemma2", "float32")]
)
def test_no_table_of_a_chunk_outlives_its_pass(monkeypatch, family, dtype, packed, frozen):
    """What is held after the forward pass does not grow with the number of tokens times the vocabulary."""
    vocabulary, rows = TOKENS["vocab_size"], 3
    monkeypatch.setattr(token_logprobs, "CHUNK_LOGITS", {"cpu": rows * vocabulary})
    model = causal_model(family)
    model.lm_head.requires_grad_(not frozen)

    def tables() -> int:
        gc.collect()
        tensors = [one for one in gc.get_objects() if type(one) is torch.Tensor]
        return sum(one.ndim == 2 and one.shape[1] == vocabulary and len(one) <= rows for one in tensors)

    others = tables()  # of other tests
    with autocast(model, dtype):
        values, _ = completion_logprobs(model, SEQUENCES, TEMPERATURE, packed)
    assert values.requires_grad
    assert tables() == others


def test_chunks_are_alike_and_no_larger_than_allowed(monkeypatch):
    """Each reads all of the output layer, so that none should be of a few rows alone."""
    sizes: list[int] = []
    ours = token_logprobs.Head.__call__
    monkeypatch.setattr(
        token_logprobs.Head, "__call__", lambda self, states: sizes.append(len(states)) or ours(self, states)
    )
    tokens = sum(len(completion) for _, completion in SEQUENCES)
    rows = tokens // 2 - 1  # two chunks would leave two rows or more
    monkeypatch.setattr(token_logprobs, "CHUNK_LOGITS", {"cpu": rows * TOKENS["vocab_size"]})
    with torch.no_grad():
        completion_logprobs(causal_model("llama"), SEQUENCES, TEMPERATURE, packed=False)
    assert sum(sizes) == tokens and len(sizes) == 3
    assert max(sizes) <= rows and max(sizes) - min(sizes) <= 1
