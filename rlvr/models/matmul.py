"""Matrix products in float32 on a CPU, by the faster one of PyTorch's two libraries.

PyTorch gives them to MKL, which uses AVX-512 on Intel's processors alone. oneDNN, to which it gives those in
16 bits, uses it on others too: on an EPYC it is more than twice as fast (`docs/performance.md`). PyTorch has
no switch for this, so its kernels are replaced, for the whole process.
"""

import logging
import warnings
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

LEAST_PARAMETERS = 10**7
"""Of a model, so that its time is spent in products; others keep PyTorch's kernels, which start faster."""
LEAST_ENTRIES = 2**14
"""Of the second operand. Not of both, so that a row of a result does not depend on the number of rows."""
THIN = 128
"""Columns of a second operand with which a product is faster transposed."""

logger = logging.getLogger(__name__)


def use_faster_matmul(model: nn.Module) -> None:
    """Use oneDNN in this process from now on, if a large model in float32 is on a CPU that gains by it."""
    float32 = sum(one.numel() for one in model.parameters() if one.is_cpu and one.dtype == torch.float32)
    if float32 >= LEAST_PARAMETERS and mkl_is_slow():
        _replaced_kernels()


def mkl_is_slow() -> bool:
    """Whether MKL leaves vector units of this CPU unused."""
    libraries = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return libraries and torch.cpu._is_avx512_supported() and not _made_by_intel()


def _made_by_intel() -> bool:
    cpus = Path("/proc/cpuinfo")
    return not cpus.exists() or "GenuineIntel" in cpus.read_text()


@cache
def _replaced_kernels() -> torch.library.Library:
    """Replace the kernels; they last as long as what is returned."""
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*Overriding a previously registered kernel")
        library.impl("mm", _mm, "CPU")
        library.impl("addmm", _addmm, "CPU")
    logger.info("float32 matrix products by oneDNN")
    return library


def add_product(total: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """Return total + alpha a b, in place of the total where that is the faster way."""
    if _replaced_kernels.cache_info().currsize:
        return torch.addmm(total, a, b, alpha=alpha)
    return total.addmm_(a, b, alpha=alpha)


def _mm(a: Tensor, b: Tensor) -> Tensor:
    if _is_gradient_of_thin(a, b):
        return _linear(b.t(), a.t()).t().contiguous()
    if _gains(a, b):
        return _linear(a, b)
    return torch.mm(a, b, out=a.new_empty(a.shape[0], b.shape[1]))


def _addmm(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    if _gains(a, b) and bias.dtype == a.dtype and bias.is_contiguous() and beta == 1:
        if alpha == 1 and bias.shape == b.shape[1:]:
            return _linear(a, b, bias)
        if bias.shape == (len(a), b.shape[1]):
            return _linear_and_sum(a if alpha == 1 else a * alpha, b, bias)
    return torch.addmm(bias, a, b, beta=beta, alpha=alpha, out=a.new_empty(a.shape[0], b.shape[1]))


def _gains(a: Tensor, b: Tensor) -> bool:
    float32 = a.dtype == b.dtype == torch.float32
    fits = b.numel() >= LEAST_ENTRIES and len(a) > 0 and a.shape[1] == b.shape[0]
    return float32 and fits and _is_dense(a) and _is_dense(b)


def _is_gradient_of_thin(a: Tensor, b: Tensor) -> bool:
    """Whether b is thin and a lies transposed, as in the gradient of a thin matrix such as LoRA's B."""
    transposed = a.t().is_contiguous() and not a.is_contiguous()
    return transposed and b.shape[1] <= THIN < len(a) and _gains(b.t(), a.t())


def _is_dense(matrix: Tensor) -> bool:
    """Whether rows or columns follow each other without a gap; oneDNN takes many times longer for others."""
    return matrix.is_contiguous() or matrix.t().is_contiguous()


def _linear(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")


def _linear_and_sum(a: Tensor, b: Tensor, total: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.binary(a, total, b.t(), None, "add")
