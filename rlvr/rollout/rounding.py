"""Round float32 weights to the precision in which an engine holds them: to nearest, or stochastically.

A weight of the base lies on the grid of its 16-bit format, and a small update moves it by less than half a
grid step. Rounded to nearest, the update is lost; rounded stochastically, it survives on average.
"""

import math

import torch
from torch import Tensor


def stochastically_rounded(weight: Tensor, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Return ``weight`` (float32) rounded to ``dtype``, up or down, so that its mean is the weight.

    The upper neighbour has the probability (x - lower) / (upper - lower); a number on the grid remains as it
    is. Gupta et al., Deep Learning with Limited Numerical Precision, arXiv 1502.02551, section 3.

    Args:
        weight: any shape.
        dtype: bfloat16 or float16; float32 returns the weight itself.
        generator: random numbers, on the device of the weight.
    """
    if dtype == torch.float32:
        return weight
    step = grid_step(weight, dtype)
    exact = weight / step
    lower = exact.floor()
    uniform = torch.rand(weight.shape, generator=generator, device=weight.device)
    return ((lower + (uniform < exact - lower)) * step).to(dtype)


def grid_step(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Return, for every entry, the distance between the numbers of ``dtype`` around it, a power of two."""
    info = torch.finfo(dtype)
    digits = round(-math.log2(info.eps))
    lowest = round(math.log2(info.smallest_normal))
    _, exponent = torch.frexp(weight)  # weight = mantissa x 2^exponent with 1/2 <= |mantissa| < 1
    return torch.ldexp(torch.ones_like(weight), exponent.clamp(min=lowest + 1) - 1 - digits)
