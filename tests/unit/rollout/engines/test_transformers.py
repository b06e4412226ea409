"""The transformers engine: samples belong to their seed, not to their batch."""

from pathlib import Path

import pytest
import torch

from rlvr.config.choices import DType
from rlvr.config.training import Sampling
from rlvr.errors import UserError
from rlvr.models.load import load_model, load_tokenizer
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.transformers import TransformersEngine

SAMPLING = Sampling(max_new_tokens=8)


def engine_on(folder: Path, batch_size: int, dtype: DType = "float32") -> TransformersEngine:
    return TransformersEngine(load_model(folder, dtype), load_tokenizer(folder), batch_size)


def requests(count: int) -> list[Request]:
    """Prompts of different lengths, so that batches need padding."""
    return [Request(tuple(range(3, 6 + i % 4)), seed=1000 + i) for i in range(count)]


def test_a_completion_is_the_same_in_any_batch(tiny_folder):
    wanted = requests(12)
    alone = engine_on(tiny_folder, 1).generate(wanted, SAMPLING)
    together = engine_on(tiny_folder, 12).generate(wanted, SAMPLING)
    backwards = engine_on(tiny_folder, 5).generate(wanted[::-1], SAMPLING)[::-1]
    assert [c.token_ids for c in alone] == [c.token_ids for c in together] == [c.token_ids for c in backwards]
    assert len({tuple(c.token_ids) for c in alone}) > 6, "seeds must make completions differ"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_bit_depends_on_the_batch(tiny_folder, dtype):
    """Equal tokens could be chance; equal log-probabilities are not."""
    wanted = [Request(tuple(range(3, 6 + 3 * (i % 11))), seed=i) for i in range(40)]
    together = engine_on(tiny_folder, 40, dtype).generate(wanted, SAMPLING)
    for batch_size in (1, 3, 7, 39):
        divided = engine_on(tiny_folder, batch_size, dtype).generate(wanted, SAMPLING)
        assert [c.logprobs for c in divided] == [c.logprobs for c in together]
    longest = max(len(request.prompt_ids) for request in wanted)
    engine = engine_on(tiny_folder, 8, dtype)
    called_twice = [
        completion
        for part in (wanted[:9], wanted[9:])
        for completion in engine.generate(part, SAMPLING, longest)
    ]
    assert [c.logprobs for c in called_twice] == [c.logprobs for c in together]


def test_the_seed_decides(tiny_folder):
    engine = engine_on(tiny_folder, 4)
    prompt = (3, 4, 5)
    first, same, other = engine.generate(
        [Request(prompt, 1), Request(prompt, 1), Request(prompt, 2)], SAMPLING
    )
    assert first.token_ids == same.token_ids != other.token_ids


@torch.no_grad()
def test_logprobs_are_those_of_the_model_at_the_temperature(tiny_folder):
    engine = engine_on(tiny_folder, 8)
    sampling = Sampling(max_new_tokens=6, temperature=0.7)
    for request, completion in zip(requests(8), engine.generate(requests(8), sampling), strict=True):
        ids = torch.tensor([[*request.prompt_ids, *completion.token_ids]])
        logits = engine.model(input_ids=ids).logits[0] / 0.7
        start = len(request.prompt_ids) - 1
        steps = range(start, start + len(completion.token_ids))
        expected = [logits[i].log_softmax(-1)[ids[0, i + 1]].item() for i in steps]
        assert completion.logprobs == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_temperature_0_takes_the_most_probable_token(tiny_folder):
    """Whatever seed, batch and top-p; the log-probabilities are those of temperature 1."""
    greedy = Sampling(max_new_tokens=6, temperature=0, top_p=0.5)
    engine = engine_on(tiny_folder, 5)
    completions = engine.generate(requests(8), greedy)
    for request, completion in zip(requests(8), completions, strict=True):
        ids = list(request.prompt_ids)
        for token, logprob in zip(completion.token_ids, completion.logprobs, strict=True):
            logprobs = engine.model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            assert token == int(logprobs.argmax())
            assert logprob == pytest.approx(logprobs.max().item(), abs=1e-4)
            ids.append(token)
    other_seeds = [Request(request.prompt_ids, request.seed + 1) for request in requests(8)]
    again = engine_on(tiny_folder, 8).generate(other_seeds, greedy.model_copy(update={"top_p": 1.0}))
    assert [c.token_ids for c in again] == [c.token_ids for c in completions]
    assert [c.logprobs for c in again] == [c.logprobs for c in completions]


def test_finish_reason_and_end_token(tiny_folder):
    engine = engine_on(tiny_folder, 64)
    completions = engine.generate(requests(64), Sampling(max_new_tokens=6))
    for completion in completions:
        ended = completion.token_ids[-1] in engine.end_ids
        assert completion.finish_reason == ("stop" if ended else "length")
        assert not any(token in engine.end_ids for token in completion.token_ids[:-1])
        assert ended or len(completion.token_ids) == 6
    assert {c.finish_reason for c in completions} == {"stop", "length"}


def test_loading_weights_replaces_the_served_model(tiny_folder):
    engine = engine_on(tiny_folder, 8)
    before = engine.generate(requests(8), SAMPLING)
    weights = [(name, -weight.detach().clone()) for name, weight in engine.model.named_parameters()]
    engine.load_weights(weights)
    assert [c.token_ids for c in engine.generate(requests(8), SAMPLING)] != [c.token_ids for c in before]
    with pytest.raises(UserError, match=r"nonsense\.weight"):
        engine.load_weights([("nonsense.weight", torch.zeros(1))])


def test_a_models_own_generation_defaults_do_not_change_the_samples(tiny_folder):
    model = load_model(tiny_folder, "float32")
    model.generation_config.repetition_penalty = 5.0
    model.generation_config.suppress_tokens = [5, 6, 7]
    engine = TransformersEngine(model, load_tokenizer(tiny_folder), 8)
    plain = engine_on(tiny_folder, 8).generate(requests(8), SAMPLING)
    assert [c.token_ids for c in engine.generate(requests(8), SAMPLING)] == [c.token_ids for c in plain]


def test_a_shared_prompt_is_computed_once_and_changes_nothing(tiny_folder):
    engine, shared = engine_on(tiny_folder, 16), [Request((3, 4, 5, 6), seed) for seed in range(8)]
    mixed = [*shared, Request((9, 8), 100), *shared[:2]]
    rows = []
    engine.model.model.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    together = engine.generate(mixed, SAMPLING)
    assert tuple(rows[0]) == (2, 3), "two different prompts, all but their last token"
    alone = engine_on(tiny_folder, 1).generate(mixed, SAMPLING)
    assert [c.token_ids for c in together] == [c.token_ids for c in alone]


def test_weights_are_rounded_more_coarsely_than_the_engine_computes(tiny_folder):
    exact = load_model(tiny_folder, "float32")
    engine = TransformersEngine(
        load_model(tiny_folder, "float32"), load_tokenizer(tiny_folder), 4, weight_dtype=torch.bfloat16
    )
    name = "model.layers.0.mlp.up_proj.weight"
    weight = exact.get_parameter(name).data
    assert engine.held_weight(name).dtype == torch.float32
    assert torch.equal(engine.held_weight(name), weight.bfloat16().float())
    engine.load_weights([(name, weight + 1)])
    assert torch.equal(engine.held_weight(name), (weight + 1).bfloat16().float())
    layer, down, up = (
        "model.layers.0.mlp.up_proj",
        torch.rand(2, weight.shape[1]),
        torch.rand(weight.shape[0], 2),
    )
    engine.load_updates([(layer, (down, up))])
    held = engine.held_update(layer)
    assert all(torch.equal(a, b.bfloat16().float()) for a, b in zip(held, (down, up), strict=True))
