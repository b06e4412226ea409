"""Attention of a packed row in 16 bits on a CPU: which kernel computes it, and that all agree."""

import pytest
import torch

from rlvr.dapo import shared_attention
from rlvr.dapo.packing import pack
from rlvr.rollout.engines import attention, bfloat16_attention
from rlvr.rollout.engines.base import Tokens

HEADS, WIDTH = 4, 16
ROW = pack([Tokens((1, 2, 3), (4,) * length) for length in (5, 6, 7)], torch.device("cpu"))


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the kernel of every block, on a CPU that multiplies in bfloat16."""
    found: list[str] = []
    ours, plain = bfloat16_attention.attention_by_products, shared_attention.sdpa_kernel
    monkeypatch.setattr(bfloat16_attention, "has_bfloat16_products", lambda: True)
    monkeypatch.setattr(
        attention, "attention_by_products", lambda *given: found.append("products") or ours(*given)
    )
    monkeypatch.setattr(shared_attention, "sdpa_kernel", lambda kind: found.append(kind.name) or plain(kind))
    return found


def attended(dtype: torch.dtype) -> torch.Tensor:
    """Return the attention of the row, float64."""
    torch.manual_seed(0)
    tokens = len(ROW.ids_N)
    query, key, value = (torch.randn(1, heads, tokens, WIDTH).to(dtype) for heads in (HEADS, 2, 2))
    module = torch.nn.Module()
    module.num_key_value_groups = HEADS // 2
    output, _ = shared_attention.shared_attention(
        module, query, key, value, None, packed_row=ROW, scaling=WIDTH**-0.5
    )
    return output.double()


def test_bfloat16_is_by_products_and_float16_by_the_plain_kernel(called):
    exact = attended(torch.float64)
    assert not called
    torch.testing.assert_close(attended(torch.bfloat16), exact, rtol=0.02, atol=0.02)
    assert called.count("products") == len(ROW.blocks) == called.count("MATH")
    called.clear()
    torch.testing.assert_close(attended(torch.float16), exact, rtol=0.005, atol=0.005)
    assert called == ["MATH"] * len(ROW.blocks)


def test_without_products_in_bfloat16_it_is_the_plain_kernel(called, monkeypatch):
    monkeypatch.setattr(bfloat16_attention, "has_bfloat16_products", lambda: False)
    torch.testing.assert_close(attended(torch.bfloat16), attended(torch.float64), rtol=0.02, atol=0.02)
    assert called == ["MATH"] * len(ROW.blocks)


def test_many_scores_are_not_held(called, monkeypatch):
    monkeypatch.setattr(shared_attention, "MOST_SCORES", 10)
    torch.testing.assert_close(attended(torch.bfloat16), attended(torch.float64), rtol=0.02, atol=0.02)
    assert not called
