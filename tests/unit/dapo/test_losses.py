"""Losses against numbers computed by hand."""

import math

import pytest
import torch

from rlvr.dapo.losses import (
    ALGORITHMS,
    LossInputs,
    clipped_surrogate,
    constant_length,
    group_centred,
    group_normalised,
    sequence_mean,
    soft_overlong_punishment,
    token_mean,
)


def test_group_normalised_by_hand():
    # Group 1, 0, 0, 0: mean 1/4, sample deviation 1/2.
    advantages = group_normalised(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(advantages, torch.tensor([[1.5, -0.5, -0.5, -0.5]]))


def test_equal_rewards_give_exactly_zero():
    # 0.1 x 3 has a computed deviation that is not zero; the rewards are equal all the same.
    assert group_normalised(torch.full((1, 3), 0.1)).tolist() == [[0.0, 0.0, 0.0]]


def test_group_centred_keeps_the_scale():
    assert group_centred(torch.tensor([[1.0, 0.0]])).tolist() == [[0.5, -0.5]]


def test_token_weights_by_hand():
    lengths = torch.tensor([1, 3])
    assert token_mean(lengths, 10).tolist() == [0.25, 0.25]
    assert sequence_mean(lengths, 10).tolist() == pytest.approx([0.5, 1 / 6])
    assert constant_length(lengths, 10).tolist() == pytest.approx([0.05, 0.05])


def surrogate(
    ratio: float, advantage: float, low: float = 0.2, high: float = 0.28
) -> tuple[float, float, int]:
    """Loss, gradient with respect to the log-probability, and clip count of a single token of weight 1."""
    logprob = torch.tensor([math.log(ratio)], requires_grad=True)
    inputs = LossInputs(logprob, torch.zeros(1), torch.tensor([advantage]), torch.ones(1))
    loss, metrics = clipped_surrogate(inputs, low, high)
    loss.backward()
    return loss.item(), logprob.grad.item(), int(metrics["clipped_tokens"])


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "clipped"),
    [
        (1.0, 2.0, -2.0, -2.0, 0),
        (1.25, 1.0, -1.25, -1.25, 0),  # inside only because of clip-higher
        (1.5, 1.0, -1.28, 0.0, 1),
        (1.5, -1.0, 1.5, 1.5, 0),  # a bad token that became likelier is always pushed back
        (0.5, -1.0, 0.8, 0.0, 1),
        (0.5, 1.0, -0.5, -0.5, 0),
    ],
)
def test_clipped_surrogate_by_hand(ratio, advantage, loss, gradient, clipped):
    assert surrogate(ratio, advantage) == pytest.approx((loss, gradient, clipped))


def test_dapo_weighs_tokens_and_grpo_weighs_sequences():
    lengths = torch.tensor([1, 3])
    advantages = torch.tensor([1.0, 1.0]).repeat_interleave(lengths)

    def loss(name: str) -> torch.Tensor:
        weights = ALGORITHMS[name].weights(lengths, 4).repeat_interleave(lengths)
        logprobs = torch.log(torch.tensor([1.2, 1.0, 1.0, 1.0]))
        return clipped_surrogate(LossInputs(logprobs, torch.zeros(4), advantages, weights), 0.2, 0.28)[0]

    assert loss("dapo").item() == pytest.approx(-4.2 / 4)
    assert loss("grpo").item() == pytest.approx(-(1.2 + 1.0) / 2)
    assert loss("dr_grpo").item() == pytest.approx(-4.2 / 8)


def test_soft_overlong_punishment_by_hand():
    # Limit 20, buffer 8: nothing up to 12, then linear, -1 at 20.
    values = [soft_overlong_punishment(length, 20, 8) for length in (1, 12, 14, 16, 20, 25)]
    assert values == [0.0, 0.0, -0.25, -0.5, -1.0, -1.0]
