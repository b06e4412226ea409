"""Attention in bfloat16 by products is as exact as the library's, and takes what the library takes."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from rlvr.rollout.engines import attention, bfloat16_attention
from rlvr.rollout.engines.attention import grouped_attention_forward

ROWS, QUERIES, KEYS, WIDTH = 3, 7, 19, 32


@pytest.fixture(autouse=True)
def products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every CPU count as one that multiplies in bfloat16; others emulate it."""
    monkeypatch.setattr(bfloat16_attention, "has_bfloat16_products", lambda: True)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Return a list that gets the shape of the queries of every attention by products."""
    found: list[torch.Size] = []
    ours = bfloat16_attention.attention_by_products
    monkeypatch.setattr(
        attention, "attention_by_products", lambda *given: found.append(given[0].shape) or ours(*given)
    )
    return found


def operands(groups: int) -> list[Tensor]:
    """Return query, key and value with scores of up to some tens, as models have them."""
    torch.manual_seed(0)
    shapes = ((ROWS, 2 * groups, QUERIES, WIDTH), (ROWS, 2, KEYS, WIDTH), (ROWS, 2, KEYS, WIDTH))
    return [scale * torch.randn(shape).bfloat16() for scale, shape in zip((4, 2, 1), shapes, strict=True)]


def module(groups: int, is_causal: bool = True) -> torch.nn.Module:
    """Return what the attention function is told of its module."""
    found = torch.nn.Module()
    found.num_key_value_groups, found.is_causal = groups, is_causal
    return found


def results(attention, tensors: list[Tensor]) -> list[Tensor]:
    """Return the output of an attention function and the gradients of its operands, float64."""
    inputs = [one.detach().requires_grad_() for one in tensors]
    output = attention(*inputs)
    torch.manual_seed(1)
    output.backward(torch.randn(output.shape).to(output.dtype))
    return [one.double() for one in (output.detach(), *(one.grad for one in inputs))]


def masks() -> dict[str, Tensor | None]:
    """Return a mask of each kind, all of which let every query see a key."""
    torch.manual_seed(2)
    seen = torch.rand(ROWS, 1, QUERIES, KEYS) > 0.3
    seen[..., 0] = True
    added = torch.zeros(seen.shape).masked_fill(~seen, -torch.inf).bfloat16()
    return {"none": None, "boolean": seen, "added": added, "of all rows": seen[:1]}


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("kind", list(masks()))
def test_it_is_as_exact_as_the_librarys_with_its_gradients(groups, kind):
    """The output rounds probabilities where a kernel would not, so by up to half as much again."""
    mask, tensors = masks()[kind], operands(groups)

    def ours(*given: Tensor) -> Tensor:
        return grouped_attention_forward(module(groups), *given, mask)[0]

    def library(*given: Tensor) -> Tensor:
        fits = mask if mask is None or mask.dtype == torch.bool else mask.to(given[0].dtype)
        return sdpa_attention_forward(module(groups), *given, fits)[0]

    exact = results(library, [one.double() for one in tensors])
    errors = [
        [float((got - right).norm() / right.norm()) for got, right in zip(found, exact, strict=True)]
        for found in (results(ours, tensors), results(library, tensors))
    ]
    assert max(errors[0]) < 0.004, errors
    assert all(mine < 1.5 * theirs for mine, theirs in zip(*errors, strict=True)), errors


def test_scores_that_are_rounded_once_would_be_seen():
    """The error that the test above must find."""
    query, key, value = operands(1)
    exact = functional.scaled_dot_product_attention(query.double(), key.double(), value.double())
    scores = (query @ key.transpose(2, 3)).float() * WIDTH**-0.5
    rounded = scores.softmax(dim=-1).bfloat16() @ value
    assert float((rounded - exact).norm() / exact.norm()) > 0.006


def test_one_query_sees_all_keys_and_a_module_may_say_that_it_is_not_causal():
    query, key, value = operands(1)
    for given, last in ((query[:, :, -1:], module(1)), (query, module(1, is_causal=False))):
        expected = functional.scaled_dot_product_attention(given, key, value)
        got, _ = grouped_attention_forward(last, given, key, value, None)
        assert torch.allclose(got.transpose(1, 2), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("mask", [torch.tensor(False), torch.tensor(-torch.inf).bfloat16()])
def test_a_query_that_sees_no_key_gets_the_mean_of_the_values(mask):
    tensors = operands(1)
    nothing = mask.expand(1, 1, QUERIES, KEYS)
    output, *gradients = results(
        lambda *given: grouped_attention_forward(module(1), *given, nothing)[0], tensors
    )
    mean = tensors[2].double().mean(dim=2)[:, None].expand_as(output)
    torch.testing.assert_close(output, mean, rtol=0.01, atol=0.01)
    assert all(one.isfinite().all() for one in gradients)


@pytest.mark.parametrize("part", [(slice(0), slice(None), slice(None)), (slice(None), slice(None), slice(0))])
def test_empty_operands_are_left_to_the_library(part, called):
    query, key, value = operands(1)
    got, _ = grouped_attention_forward(module(1), query[part], key[part[:1]], value[part[:1]], None)
    assert got.shape == (len(query[part]), query[part].shape[2], 2, WIDTH) and not called


def test_many_scores_other_precisions_and_dropout_are_left_to_the_library(monkeypatch, called):
    tensors = operands(3)
    grouped_attention_forward(module(3), *tensors, None)
    assert len(called) == 1
    grouped_attention_forward(module(3), *(one.float() for one in tensors), None)
    grouped_attention_forward(module(3), *(one.half() for one in tensors), None)
    grouped_attention_forward(module(3), *tensors, None, dropout=0.5)
    grouped_attention_forward(module(3), *tensors, None, hold_scores=False)
    monkeypatch.setattr(bfloat16_attention, "MOST_SCORES", 10)
    grouped_attention_forward(module(3), *tensors, None)
    monkeypatch.setattr(bfloat16_attention, "MOST_SCORES", 2**22)
    monkeypatch.setattr(bfloat16_attention, "has_bfloat16_products", lambda: False)
    grouped_attention_forward(module(3), *tensors, None)
    assert len(called) == 1


@pytest.mark.parametrize("kind", list(masks()))
def test_what_a_row_gets_does_not_depend_on_the_number_of_rows(monkeypatch, kind):
    """Neither on those beside it nor on how many are computed at once."""
    mask, tensors = masks()[kind], operands(3)
    whole, _ = grouped_attention_forward(module(3), *tensors, mask)
    monkeypatch.setattr(bfloat16_attention, "MOST_SCORES", 2 * 6 * QUERIES * KEYS)
    parts, _ = grouped_attention_forward(module(3), *tensors, mask)
    assert torch.equal(whole, parts)
    for row in range(ROWS):
        own = mask if mask is None or len(mask) == 1 else mask[row : row + 1]
        alone, _ = grouped_attention_forward(module(3), *(one[row : row + 1] for one in tensors), own)
        assert torch.equal(whole[row], alone[0])
