"""In which precision are the weights of a model folder stored? Read from the tensors, not from `config.json`.

Files of transformers before 4.56 say `torch_dtype` there, later ones `dtype`, some nothing at all; none of
these says what the tensors really are.
"""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlvr.config.choices import DType
from rlvr.errors import UserError
from rlvr.models.folder import tensor_headers, weight_files

_NAMES: dict[str, DType] = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""Names of the safetensors format."""
_SHARE = 0.01
"""Share of the floating-point parameters below which a precision does not count: norms, a router."""


def stored_precision(folder: Path) -> DType:
    """Return the narrowest precision that holds the stored weights without rounding.

    Precisions of less than 1 % of the parameters do not count (:func:`wider_tensors` names these tensors):
    norms in float32 beside bfloat16 matrices do not make a float32 model. Float32 holds bfloat16 beside
    float16.

    Raises:
        UserError: a weight file is missing or damaged, or the weights are in no precision that can be
            trained (float64, or a quantised model).
    """
    sizes: Counter[str] = Counter()
    for _, tensor in _tensors(folder):
        sizes[tensor["dtype"]] += math.prod(tensor["shape"])
    most = max(sizes, key=lambda name: sizes[name])
    if most not in (*_NAMES, "F64"):
        raise UserError(
            f"{folder}: the weights are stored as {most}; quantised models cannot be trained here, use the "
            f"model in {', '.join(_NAMES.values())}"
        )
    total = sum(sizes[name] for name in (*_NAMES, "F64"))
    present = [name for name in (*_NAMES, "F64") if sizes[name] > _SHARE * total]
    if "F64" in present:
        raise UserError(
            f"{folder}: {sizes['F64'] / total:.0%} of the parameters are stored in float64, in which no "
            "model is trained here; load it in float32 and save it again "
            "(`from_pretrained(.., dtype=torch.float32).save_pretrained(FOLDER)`)"
        )
    return _NAMES[present[0]] if len(present) == 1 else "float32"


def wider_tensors(folder: Path, precision: DType) -> list[str]:
    """Return the floating-point tensors that loading in ``precision`` would round."""
    return [
        name
        for name, tensor in _tensors(folder)
        if tensor["dtype"] == "F64"
        or (tensor["dtype"] in _NAMES and rounds(_NAMES[tensor["dtype"]], precision))
    ]


def _tensors(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in weight_files(folder):
        yield from tensor_headers(file)


def rounds(stored: DType, dtype: DType) -> bool:
    """Tell whether weights ``stored`` in one precision change when they are loaded in another."""
    return dtype not in ("float32", stored)
