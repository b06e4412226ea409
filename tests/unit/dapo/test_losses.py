"""Losses against numbers computed by hand, and against each paper's formula written out as loops."""

import math

import pytest
import torch

from rlvr.dapo.losses import (
    ALGORITHMS,
    LossInputs,
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


def single_token(algorithm: str, ratio: float, advantage: float, low: float, high: float) -> tuple:
    """Loss, gradient with respect to the log-probability, and both clip counts of a token of weight 1.

    The old log-probability is -1, so that a loss of log-probabilities is not one of ratios.
    """
    logprob = torch.tensor([math.log(ratio) - 1], requires_grad=True)
    inputs = LossInputs(logprob, -torch.ones(1), torch.tensor([advantage]), torch.ones(1), [1])
    objective = ALGORITHMS[algorithm].loss(inputs, low, high)
    objective.loss.backward()
    clipped = int(objective.clipped_low_N.sum()), int(objective.clipped_high_N.sum())
    return objective.loss.item(), logprob.grad.item(), *clipped


@pytest.mark.parametrize("algorithm", ["dapo", "grpo", "dr_grpo", "gspo"])
@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "clipped"),
    [
        (1.0, 2.0, -2.0, -2.0, (0, 0)),
        (1.25, 1.0, -1.25, -1.25, (0, 0)),  # inside only because of clip-higher
        (1.5, 1.0, -1.28, 0.0, (0, 1)),
        (1.5, -1.0, 1.5, 1.5, (0, 0)),  # a bad token that became likelier is always pushed back
        (0.5, -1.0, 0.8, 0.0, (1, 0)),
        (0.5, 1.0, -0.5, -0.5, (0, 0)),
        (1.5, 0.0, 0.0, 0.0, (0, 0)),
    ],
)
def test_clipped_surrogate_by_hand(algorithm, ratio, advantage, loss, gradient, clipped):
    found = single_token(algorithm, ratio, advantage, 0.2, 0.28)
    assert found == pytest.approx((loss, gradient, *clipped))


@pytest.mark.parametrize(
    ("ratio", "advantage", "low", "weight", "clipped"),
    [
        (1.0, 2.0, 1.0, 1.0, (0, 0)),
        (1.5, 1.0, 1.0, 1.28, (0, 1)),  # the weight is capped, and the gradient stays
        (1.5, -1.0, 1.0, 1.28, (0, 1)),
        (0.5, -1.0, 1.0, 0.5, (0, 0)),  # no lower bound, as in the paper
        (0.5, -1.0, 0.2, 0.8, (1, 0)),
    ],
)
def test_cispo_by_hand(ratio, advantage, low, weight, clipped):
    gradient = -weight * advantage
    loss = gradient * (math.log(ratio) - 1)
    assert single_token("cispo", ratio, advantage, low, 0.28) == pytest.approx((loss, gradient, *clipped))


def test_gspo_by_hand():
    """Ratios 1.1 and 1 / 1.1 cancel; 1.21 and 1 have the mean 1.1, which is above the range."""
    ratios = torch.tensor([1.1, 1 / 1.1, 1.21, 1.0])
    logprobs = ratios.log().requires_grad_()
    weights = ALGORITHMS["gspo"].weights(torch.tensor([2, 2]), 8).repeat_interleave(2)
    for advantage, loss, gradient, clipped in [
        (1.0, -(1 + 1.05) / 2, [-0.25, -0.25, 0, 0], 2),
        (-1.0, (1 + 1.1) / 2, [0.25, 0.25, 0.275, 0.275], 0),
    ]:
        logprobs.grad = None
        inputs = LossInputs(logprobs, torch.zeros(4), torch.full((4,), advantage), weights, [2, 2])
        objective = ALGORITHMS["gspo"].loss(inputs, 0.05, 0.05)
        objective.loss.backward()
        assert objective.loss.item() == pytest.approx(loss)
        assert logprobs.grad.tolist() == pytest.approx(gradient, abs=1e-6)
        assert (int(objective.clipped_low_N.sum()), int(objective.clipped_high_N.sum())) == (0, clipped)


# --- the papers' formulas as loops over completions and tokens, and their gradients by hand --------


def clipped(ratio: float, low: float, high: float) -> float:
    return max(1 - low, min(ratio, 1 + high))


def passes(ratio: float, advantage: float, low: float, high: float) -> bool:
    """Whether min(rho A, clip(rho) A) has a gradient."""
    return not (advantage > 0 and ratio > 1 + high) and not (advantage < 0 and ratio < 1 - low)


def token_terms(new, old, advantage, low, high):
    """min(rho A, clip(rho) A) of each token, and its derivatives."""
    ratios = [math.exp(n - o) for n, o in zip(new, old, strict=True)]
    return (
        [min(r * advantage, clipped(r, low, high) * advantage) for r in ratios],
        [r * advantage if passes(r, advantage, low, high) else 0.0 for r in ratios],
    )


def dapo(rows, low, high, limit):
    """Eq. 8 and 12 of DAPO."""
    total = sum(len(new) for new, _, _ in rows)
    terms = [token_terms(*row, low, high) for row in rows]
    return -sum(sum(t) for t, _ in terms) / total, [-g / total for _, d in terms for g in d]


def grpo(rows, low, high, limit):
    """Eq. 3 of GRPO, without the KL term."""
    terms = [token_terms(*row, low, high) for row in rows]
    loss = -sum(sum(t) / len(t) for t, _ in terms) / len(rows)
    return loss, [-g / (len(rows) * len(d)) for _, d in terms for g in d]


def dr_grpo(rows, low, high, limit):
    """Section 3.2 of Dr.GRPO, divided by a constant length."""
    terms = [token_terms(*row, low, high) for row in rows]
    scale = len(rows) * limit
    return -sum(sum(t) for t, _ in terms) / scale, [-g / scale for _, d in terms for g in d]


def gspo(rows, low, high, limit):
    """Eq. 5 and 7 of GSPO; Eq. 10 for the gradient."""
    loss, gradient = 0.0, []
    for new, old, advantage in rows:
        ratio = math.exp((sum(new) - sum(old)) / len(new))
        loss -= min(ratio * advantage, clipped(ratio, low, high) * advantage) / len(rows)
        factor = ratio * advantage if passes(ratio, advantage, low, high) else 0.0
        gradient += [-factor / (len(rows) * len(new))] * len(new)
    return loss, gradient


def cispo(rows, low, high, limit):
    """Eq. 4 and 5 of MiniMax-M1; the importance weight is a constant."""
    total = sum(len(new) for new, _, _ in rows)
    weights = [
        clipped(math.exp(n - o), low, high) * a for new, old, a in rows for n, o in zip(new, old, strict=True)
    ]
    flat = [n for new, _, _ in rows for n in new]
    loss = -sum(w * n for w, n in zip(weights, flat, strict=True)) / total
    return loss, [-w / total for w in weights]


FORMULAS = {"dapo": dapo, "grpo": grpo, "dr_grpo": dr_grpo, "gspo": gspo, "cispo": cispo}


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradient_are_the_papers(name, seed):
    generator = torch.Generator().manual_seed(seed)
    lengths, limit = [1, 7, 3, 12, 5, 2], 12
    shift = 0.5 * torch.randn(sum(lengths), generator=generator, dtype=torch.float64)
    old = -torch.rand(sum(lengths), generator=generator, dtype=torch.float64) * 3
    new = (old + shift).requires_grad_()
    advantages = torch.randn(len(lengths), generator=generator, dtype=torch.float64)
    counts = torch.tensor(lengths)
    low, high = (0.1, 0.15) if name != "cispo" else (0.4, 0.5)
    inputs = LossInputs(
        new,
        old,
        advantages.repeat_interleave(counts),
        ALGORITHMS[name].weights(counts, limit).double().repeat_interleave(counts),
        lengths,
    )
    objective = ALGORITHMS[name].loss(inputs, low, high)
    objective.loss.backward()
    rows = list(
        zip(
            [part.tolist() for part in new.detach().split(lengths)],
            [part.tolist() for part in old.split(lengths)],
            advantages.tolist(),
            strict=True,
        )
    )
    loss, gradient = FORMULAS[name](rows, low, high, limit)
    assert objective.loss.item() == pytest.approx(loss, rel=1e-6)
    assert new.grad.tolist() == pytest.approx(gradient, rel=1e-6, abs=1e-12)
    acted = objective.clipped_low_N | objective.clipped_high_N
    assert acted.any() and not acted.all(), "both sides of the clip are tried"


def test_dapo_weighs_tokens_and_grpo_weighs_sequences():
    lengths = torch.tensor([1, 3])
    advantages = torch.tensor([1.0, 1.0]).repeat_interleave(lengths)

    def loss(name: str) -> torch.Tensor:
        weights = ALGORITHMS[name].weights(lengths, 4).repeat_interleave(lengths)
        logprobs = torch.log(torch.tensor([1.2, 1.0, 1.0, 1.0]))
        inputs = LossInputs(logprobs, torch.zeros(4), advantages, weights, [1, 3])
        return ALGORITHMS[name].loss(inputs, 0.2, 0.28).loss

    assert loss("dapo").item() == pytest.approx(-4.2 / 4)
    assert loss("grpo").item() == pytest.approx(-(1.2 + 1.0) / 2)
    assert loss("dr_grpo").item() == pytest.approx(-4.2 / 8)


def test_soft_overlong_punishment_by_hand():
    # Limit 20, buffer 8: nothing up to 12, then linear, -1 at 20.
    values = [soft_overlong_punishment(length, 20, 8) for length in (1, 12, 14, 16, 20, 25)]
    assert values == [0.0, 0.0, -0.25, -0.5, -1.0, -1.0]
