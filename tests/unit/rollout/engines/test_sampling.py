"""Sampling of tokens: the distribution, its nucleus, and no influence of other rows."""

import pytest
import torch

from rlvr.config.training import Sampling
from rlvr.rollout.engines.sampling import BLOCK, MOST_PROBABLE, sample_tokens, seeded_uniforms

PLAIN = Sampling(max_new_tokens=1)
GREEDY = Sampling(max_new_tokens=1, temperature=0)
NUCLEUS = Sampling(max_new_tokens=1, top_p=0.6)


def frequencies_of(logits: list[float], sampling: Sampling, count: int = 4000) -> torch.Tensor:
    """Frequencies of each token over many seeds."""
    uniforms = seeded_uniforms(range(count), 1, torch.device("cpu"))[:, 0]
    sampled = sample_tokens(torch.tensor([logits]).repeat(count, 1), uniforms, sampling)
    return torch.bincount(sampled.tokens, minlength=len(logits)) / count


def grid(count: int) -> torch.Tensor:
    """Numbers in [0, 1) at equal distances: of each token they meet its probability."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def test_of_equally_probable_tokens_the_first_is_taken():
    assert frequencies_of([1.0, 2.0, 2.0, 0.0], GREEDY, count=50).tolist() == [0, 1, 0, 0]


def test_samples_follow_the_distribution():
    logits = [0.0, 1.0, 2.0, -3.0]
    expected = torch.tensor(logits).softmax(0)
    assert (frequencies_of(logits, PLAIN) - expected).abs().max() < 4 * (0.25 / 4000) ** 0.5


@pytest.mark.parametrize("vocabulary", [BLOCK - 1, BLOCK, 5 * BLOCK + 3])
def test_every_token_is_met_as_often_as_it_is_probable(vocabulary):
    torch.manual_seed(0)
    logits, count = 2 * torch.randn(vocabulary), 20_000
    sampled = sample_tokens(logits.expand(count, -1), grid(count), PLAIN)
    frequencies = torch.bincount(sampled.tokens, minlength=vocabulary) / count
    assert (frequencies - logits.softmax(0)).abs().max() <= 2 / count
    assert torch.allclose(sampled.logprobs, logits.log_softmax(0)[sampled.tokens], atol=1e-5)


def test_tokens_less_probable_than_the_rounding_of_a_sum_are_sampled_too():
    """A quarter of a million tokens of 1e-8 each: in float32, 1 + 1e-8 is 1."""
    logits = torch.full((1, 250_000), -18.42)
    logits[0, 0] = 0.0
    uniforms = torch.linspace(0.998, 0.99999, 50, dtype=torch.float64)
    sampled = sample_tokens(logits.expand(50, -1), uniforms, PLAIN).tokens
    assert len(set(sampled.tolist())) == 50
    assert torch.equal(sampled, sampled.sort().values)


def test_temperature_and_nucleus_shape_the_samples():
    logits = [0.0, 1.0, 2.0, -3.0]
    cold = frequencies_of(logits, Sampling(max_new_tokens=1, temperature=0.5))
    assert abs(cold[2] - (torch.tensor(logits) / 0.5).softmax(0)[2]) < 0.03
    assert frequencies_of(logits, NUCLEUS).tolist() == [0.0, 0.0, 1.0, 0.0]


def test_a_nucleus_of_more_tokens_than_are_looked_at_first():
    """The smallest set of probability 0.9, as `transformers` cuts it, and each token in proportion."""
    from transformers import TopPLogitsWarper

    torch.manual_seed(0)
    logits, count = torch.randn(1, 5 * MOST_PROBABLE), 20_000
    kept = TopPLogitsWarper(0.9)(torch.zeros(1, 1, dtype=torch.long), logits)[0]
    assert (kept > -torch.inf).sum() > 2 * MOST_PROBABLE, "the first look finds no nucleus"
    sampling = Sampling(max_new_tokens=1, top_p=0.9)
    tokens = sample_tokens(logits.expand(count, -1), grid(count), sampling).tokens
    frequencies = torch.bincount(tokens, minlength=logits.shape[1]) / count
    assert (frequencies - kept.softmax(0)).abs().max() <= 2 / count


def test_logprobs_are_those_before_the_nucleus():
    logits = torch.tensor([[0.0, 1.0, 2.0, -3.0]])
    sampled = sample_tokens(logits, torch.tensor([0.3], dtype=torch.float64), NUCLEUS)
    assert sampled.logprobs.item() == pytest.approx(logits.log_softmax(1)[0, 2].item(), abs=1e-6)


@pytest.mark.parametrize("uniform", [0.0, 0.25, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("sampling", [PLAIN, Sampling(max_new_tokens=1, top_p=0.9)])
def test_an_impossible_token_is_never_sampled(uniform, sampling):
    """At the ends of the distribution either: the last uniform number is not rounded up to 1."""
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, *[-torch.inf] * BLOCK]])
    token = sample_tokens(logits, torch.tensor([uniform], dtype=torch.float64), sampling).tokens
    assert token.item() in (1, 3)


@pytest.mark.parametrize("sampling", [PLAIN, GREEDY, NUCLEUS, Sampling(max_new_tokens=1, top_p=0.95)])
def test_no_bit_depends_on_other_rows(sampling):
    torch.manual_seed(0)
    logits = torch.randn(13, 3 * BLOCK + 5) * torch.linspace(0.1, 5, 13)[:, None]
    uniforms = seeded_uniforms(range(13), 1, torch.device("cpu"))[:, 0]
    together = sample_tokens(logits, uniforms, sampling)
    for row in range(13):
        alone = sample_tokens(logits[row : row + 1], uniforms[row : row + 1], sampling)
        assert torch.equal(alone.tokens[0], together.tokens[row])
        assert torch.equal(alone.logprobs[0], together.logprobs[row])
