"""Muon in float32 against the matrix that it approximates, and against torch's, which rounds to bfloat16."""

import pytest
import torch

from rlvr.models.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(32, 32), (96, 32), (32, 96)])
def test_singular_values_move_to_about_one_and_the_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = torch.linalg.svdvals(orthogonalised(100 * matrix))
    assert found.min() > 0.6 and found.max() < 1.25
    inside = left.T @ orthogonalised(matrix) @ right.T
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), atol=1e-4, rtol=0)


def test_a_matrix_of_zeros_stays():
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_steps_are_torchs_but_for_its_rounding():
    generator = torch.Generator().manual_seed(1)
    start, gradients = torch.randn(24, 40, generator=generator), torch.randn(4, 24, 40, generator=generator)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizers = [
        Muon([ours], lr=0.02),
        torch.optim.Muon([theirs], lr=0.02, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    ]
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    moved = (theirs - start).norm()
    assert 0 < (ours - theirs).norm() < 0.02 * moved
