"""Stochastic rounding: on the grid, unbiased, exact for what is on the grid."""

import pytest
import torch

from rlvr.rollout.rounding import grid_step, stochastically_rounded

DTYPES = [torch.bfloat16, torch.float16]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_grid_step_is_the_distance_between_neighbours(dtype):
    bits = torch.arange(1, 0x7000, dtype=torch.int16)
    numbers = bits.view(dtype)
    lower, upper = numbers[:-1].float(), numbers[1:].float()
    finite = torch.isfinite(upper) & (lower >= torch.finfo(dtype).smallest_normal)
    middle = (lower + upper)[finite] / 2
    assert torch.equal(grid_step(middle, dtype), (upper - lower)[finite])


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_on_the_grid_remain(dtype):
    values = torch.randn(10_000, generator=generator()).to(dtype)
    values[:2] = torch.tensor([0.0, -0.0])
    assert torch.equal(stochastically_rounded(values.float(), dtype, generator(1)), values)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_number_becomes_one_of_its_neighbours_and_is_right_on_average(dtype):
    for value in (1.0007, -0.31415, 3e-6, -0.02):
        weight = torch.full((40_000,), value)
        rounded = stochastically_rounded(weight, dtype, generator(2)).float()
        nearest = float(torch.tensor(value).to(dtype))
        step = float(grid_step(weight[:1], dtype))
        assert len(rounded.unique()) == 2
        assert (rounded - nearest).abs().max() <= step
        assert float(rounded.mean()) == pytest.approx(value, abs=4 * step / 2 / 200)


def test_the_seed_decides():
    weight = torch.randn(1000, generator=generator())
    first, same, other = (stochastically_rounded(weight, torch.bfloat16, generator(s)) for s in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_float32_is_not_rounded():
    weight = torch.randn(10, generator=generator())
    assert stochastically_rounded(weight, torch.float32, generator()) is weight
