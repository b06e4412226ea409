"""Fingerprints: what they tell apart, and what they do not."""

import pytest
import torch

from rlvr.rollout import fingerprint as module
from rlvr.rollout.fingerprint import fingerprint

WEIGHT = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))


def changed(place: tuple[int, int], factor: float) -> torch.Tensor:
    other = WEIGHT.clone()
    other[place] *= factor
    return other


@pytest.mark.parametrize(
    "other",
    [
        *[changed((0, 0), 1 + 2e-7), changed((39, 29), -1), WEIGHT.flip(0), WEIGHT.T.reshape(40, 30)],
        *[WEIGHT * 0, torch.cat([WEIGHT[20:], WEIGHT[:20]]), WEIGHT.bfloat16()],
    ],
)
def test_other_weights_have_another_fingerprint(other):
    assert fingerprint(other) != fingerprint(WEIGHT)


def test_every_pair_of_exchanged_entries_shows():
    flat = torch.arange(200.0)
    found = set()
    for first in range(200):
        other = flat.clone()
        other[first], other[(first + 1) % 200] = flat[(first + 1) % 200], flat[first]
        found.add(fingerprint(other))
    assert len(found | {fingerprint(flat)}) == 201


def test_precision_layout_and_the_sign_of_zero_do_not_matter(monkeypatch):
    rounded = WEIGHT.bfloat16()
    rounded[0, 0] = 0
    negative = rounded.clone()
    negative[0, 0] = -0.0
    expected = fingerprint(rounded)
    assert fingerprint(rounded.float()) == fingerprint(negative) == expected
    assert fingerprint(rounded.T.contiguous().T) == expected
    monkeypatch.setattr(module, "CHUNK", 7)
    assert fingerprint(rounded) == expected
