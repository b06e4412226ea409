"""Measures of an update against closed forms: bases and updates made of chosen singular vectors."""

import math

import pytest
import torch

from rlvr.evaluate.spectra.bases import singular_basis
from rlvr.evaluate.spectra.measures import (
    SHARES,
    base_energies,
    cumulative,
    effective_rank,
    energies,
    principal_angles,
    stable_rank,
    svd_of_difference,
    svd_of_factors,
    unchanged_share,
)

SHAPES = [(24, 16), (16, 24), (20, 20)]


def orthonormal(rows: int, columns: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(rows, columns, generator=generator))[0]


def chosen_base(outputs: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """W with known singular vectors and the singular values 2, 2/2, 2/3, ..."""
    r = min(outputs, inputs)
    u, v = orthonormal(outputs, r, 1), orthonormal(inputs, r, 2)
    values = 2 / torch.arange(1, r + 1)
    return u @ torch.diag(values) @ v.T, u, values, v


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
@pytest.mark.parametrize("direction", [0, 3, 15])
def test_an_update_of_one_singular_vector_has_all_its_energy_there(outputs, inputs, direction, tmp_path):
    base, u, _, v = chosen_base(outputs, inputs)
    update = 1e-3 * torch.outer(u[:, direction], v[:, direction])
    found = energies(svd_of_difference(base + update, base), singular_basis(base, tmp_path), base)
    expected = torch.zeros(min(outputs, inputs), dtype=torch.float64)
    expected[direction] = 1
    for side in ("right", "left"):
        torch.testing.assert_close(found[f"energy/{side}"], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_the_two_sides_are_told_apart(outputs, inputs, tmp_path):
    """An update from the most principal input direction to the most minor output direction, and half as much
    the other way round: its right energy is 4/5 in the first component, its left energy 4/5 in the last."""
    base, u, _, v = chosen_base(outputs, inputs)
    down, up = torch.stack([v[:, 0], v[:, -1]]), torch.stack([2 * u[:, -1], u[:, 0]], dim=1)
    found = energies(svd_of_factors(down, up), singular_basis(base, tmp_path), base)
    assert float(found["energy/right"][0]) == pytest.approx(0.8, abs=1e-5)
    assert float(found["energy/right"][-1]) == pytest.approx(0.2, abs=1e-5)
    assert float(found["energy/left"][0]) == pytest.approx(0.2, abs=1e-5)
    assert float(found["energy/left"][-1]) == pytest.approx(0.8, abs=1e-5)


def test_energies_are_those_of_the_definition(tmp_path):
    """||D v_j||^2 and ||u_j^T D||^2 of a dense update, from a full decomposition in float64."""
    torch.manual_seed(0)
    for outputs, inputs in SHAPES:
        base, update = torch.randn(outputs, inputs), torch.randn(outputs, inputs)
        u, values, vh = torch.linalg.svd(base.double(), full_matrices=False)
        right = (update.double() @ vh.T).square().sum(0)
        left = (u.T @ update.double()).square().sum(1)
        basis = singular_basis(base, tmp_path)
        found = energies(svd_of_difference(update, torch.zeros_like(update)), basis, base)
        torch.testing.assert_close(found["energy/right"], right / right.sum(), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(found["energy/left"], left / left.sum(), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(base_energies(basis), values**2 / (values**2).sum(), atol=1e-6, rtol=1e-4)


def test_a_base_without_some_directions_gives_them_no_left_energy(tmp_path):
    base, u, _, v = chosen_base(24, 16)
    base = base - base @ torch.outer(v[:, -1], v[:, -1])  # the last singular value becomes 0
    update = torch.outer(u[:, 0], v[:, 0]) + torch.outer(u[:, -1], v[:, 0])
    found = energies(
        svd_of_difference(update, torch.zeros_like(update)), singular_basis(base, tmp_path), base
    )
    assert torch.isfinite(found["energy/left"]).all()
    assert float(found["energy/left"][0]) == pytest.approx(1, abs=1e-5)


def test_cumulative_energy_is_linear_between_components_and_ends_at_one():
    assert cumulative(torch.full((7,), 1 / 7, dtype=torch.float64)) == pytest.approx(SHARES)
    assert cumulative(torch.tensor([1.0, 0, 0, 0, 0]))[SHARES.index(0.1)] == pytest.approx(0.5)
    assert cumulative(torch.tensor([0.0, 1.0]))[SHARES.index(0.5)] == 0
    assert all(math.isnan(value) for value in cumulative(torch.full((3,), float("nan")))[1:])


def test_ranks_by_hand():
    assert effective_rank(torch.ones(5)) == pytest.approx(5)
    assert effective_rank(torch.tensor([0.75, 0.25])) == pytest.approx(
        math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    )
    assert stable_rank(torch.tensor([2.0, 1.0, 1.0])) == pytest.approx(1.5)
    assert effective_rank(torch.zeros(0)) == stable_rank(torch.zeros(0)) == 0


def test_rounding_adds_no_rank():
    """B A of rank 3, added to a base a thousand times larger and rounded to float32, still has rank 3."""
    torch.manual_seed(0)
    base, down, up = torch.randn(200, 120), torch.randn(3, 120), torch.randn(200, 3)
    trained = base + 1e-3 * up @ down
    exact, difference = svd_of_factors(1e-3 * down, up), svd_of_difference(trained, base)
    assert len(exact.values) == len(difference.values) == 3
    torch.testing.assert_close(exact.values, difference.values, rtol=1e-3, atol=0)
    assert len(svd_of_difference(base, base).values) == 0


def test_unchanged_in_bfloat16_is_rounding_and_in_float32_is_not():
    base = torch.tensor([1.0, 1.0, 1.0, -2.0])
    trained = base + torch.tensor([0.0, 2.0**-10, 2.0**-7, -(2.0**-20)])
    assert unchanged_share(trained, base, torch.float32) == 0.25
    assert unchanged_share(trained, base, torch.bfloat16) == 0.75  # its grid step at 1 is 2^-7
    assert unchanged_share(trained, base, torch.float16) == 0.5  # 2^-10


def test_principal_angles_by_hand():
    turned = torch.tensor([[1.0, 0], [0, math.cos(0.3)], [0, math.sin(0.3)], [0, 0]])
    plane = torch.eye(4)[:, :2]
    angles = principal_angles(plane, turned)
    torch.testing.assert_close(
        angles, torch.tensor([0, math.degrees(0.3)], dtype=torch.float64), atol=1e-4, rtol=0
    )
    assert float(principal_angles(plane, torch.eye(4)[:, 2:])[0]) == pytest.approx(90)
    assert len(principal_angles(plane, torch.eye(4)[:, :1])) == 1


def test_a_basis_is_computed_once_for_the_same_numbers(tmp_path, monkeypatch):
    base, *_ = chosen_base(24, 16)
    base = base.bfloat16()
    first = singular_basis(base, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(torch.linalg, "svd", None)
        again = singular_basis(base.float(), tmp_path)
    assert torch.equal(first.vectors, again.vectors) and torch.equal(first.values, again.values)
    (kept,) = tmp_path.iterdir()
    singular_basis(base.T, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    kept.write_bytes(b"damaged")
    assert torch.equal(singular_basis(base, tmp_path).values, first.values)
