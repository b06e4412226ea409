"""The singular value decomposition of a base weight, computed once for all runs of a model.

W = U diag(sigma) V^T with r = min(out, in) components, the largest first. Only the singular vectors on the
smaller side are kept, which are r x r numbers and half the SVD of a square matrix; the others follow from
them and W.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlvr.files import replacing


@dataclass(frozen=True)
class Basis:
    """Singular values of a matrix [out, in] and its singular vectors on the smaller side, float32.

    Attributes:
        values: sigma, descending, [r].
        vectors: V where out >= in, else U; one vector per column, [r, r].
    """

    values: Tensor
    vectors: Tensor


def singular_basis(weight: Tensor, cache: Path) -> Basis:
    """Return the basis of a weight [out, in], from the cache where a weight of the same numbers is in it.

    The cache holds one file per weight, named by the sha256 of its shape and float32 numbers, so that no
    model, run or precision of loading can be mistaken for another. Any number of jobs may share it.
    """
    weight = weight.detach().float().contiguous()
    path = cache / f"{_hash_of(weight)}.safetensors"
    if path.exists():
        try:
            kept = load_file(path, device=str(weight.device))
            return Basis(kept["values"], kept["vectors"])
        except (SafetensorError, KeyError):
            path.unlink(missing_ok=True)  # damaged: computed again
    u, values, vh = torch.linalg.svd(weight, full_matrices=False)
    basis = Basis(values, (vh.T if weight.shape[0] >= weight.shape[1] else u).contiguous())
    with replacing(path) as temporary:
        save_file({"values": basis.values.cpu(), "vectors": basis.vectors.cpu()}, temporary)
    return basis


def _hash_of(weight: Tensor) -> str:
    content = hashlib.sha256(repr(tuple(weight.shape)).encode())
    content.update(weight.cpu().numpy().data)
    return content.hexdigest()
