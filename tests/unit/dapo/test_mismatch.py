"""Token statistics against numbers computed by hand and against distributions written out."""

import math

import pytest
import torch

from rlvr.dapo.mismatch import (
    TokenRecord,
    effective_sample_size,
    importance_weights,
    joined,
    mismatch_kl,
    token_metrics,
)


def record(trainer: list[float], engine: list[float], entropy: float = 1.0) -> TokenRecord:
    low, high = (torch.arange(len(trainer)) < count for count in (1, 2))
    return TokenRecord(
        torch.tensor(trainer), torch.tensor(engine), torch.full((len(trainer),), entropy), low, high
    )


def test_statistics_by_hand():
    """Trainer over engine is 1/2, 4, 1, 1 on four tokens."""
    log2 = math.log(2)
    found = token_metrics(record([-2 - log2, -2 + 2 * log2, -2, -2], [-2, -2, -2, -2]))
    assert found == pytest.approx(
        {
            "loss/clip_low_fraction": 1 / 4,
            "loss/clip_high_fraction": 2 / 4,
            "policy/entropy": 1.0,
            "rollout/mismatch_kl": ((0.5 - 1 + log2) + (4 - 1 - 2 * log2)) / 4,
            "rollout/mismatch_k1": (log2 - 2 * log2) / 4,
            "rollout/mismatch_max": 2 * log2,
            "rollout/effective_sample_size": 6.5**2 / (4 * (0.25 + 16 + 1 + 1)),
        },
        abs=1e-6,
    )


def test_nothing_differs_where_the_engine_serves_what_is_trained():
    found = token_metrics(record([-0.5, -2.0], [-0.5, -2.0]))
    assert found["rollout/effective_sample_size"] == 1
    assert found["rollout/mismatch_kl"] == found["rollout/mismatch_k1"] == found["rollout/mismatch_max"] == 0


def test_one_token_shows_in_the_maximum_though_not_in_the_mean():
    engine = [-1.0] * 10_000
    found = token_metrics(record([*engine[:-1], -1.5], engine))
    assert found["rollout/mismatch_max"] == pytest.approx(0.5)
    assert found["rollout/mismatch_kl"] < 1e-4


def test_statistics_do_not_depend_on_the_microbatches():
    trainer, engine = torch.randn(12).tolist(), torch.randn(12).tolist()
    whole = record(trainer, engine)
    parts = [TokenRecord(*(column[rows] for column in whole)) for rows in (slice(0, 5), slice(5, 12))]
    assert token_metrics(joined(parts)) == token_metrics(whole)


def test_both_estimators_are_the_kl_divergence_on_average():
    """Expectations over a vocabulary of 50, computed exactly."""
    trainer, engine = torch.randn(2, 50, dtype=torch.float64).log_softmax(-1)
    exact = (engine.exp() * (engine - trainer)).sum()
    torch.testing.assert_close((engine.exp() * mismatch_kl(trainer, engine)).sum(), exact)
    assert (mismatch_kl(trainer, engine) >= 0).all()


def test_effective_sample_size_goes_from_all_samples_to_one():
    assert effective_sample_size(torch.full((8,), 0.3)).item() == pytest.approx(1)
    assert effective_sample_size(torch.tensor([1.0, 0, 0, 0])).item() == 1 / 4
    assert effective_sample_size(torch.tensor([1.0, 1.0, 0, 0])).item() == 1 / 2


def test_importance_weights_are_capped_above_only():
    found = importance_weights(torch.tensor([math.log(5), 0, math.log(0.1)]), torch.zeros(3), 2.0)
    assert found.tolist() == pytest.approx([2.0, 1.0, 0.1])
