"""In which precision are the weights of a model folder stored? Read from the tensors, not from `config.json`.

Files of transformers before 4.56 say `torch_dtype` there, later ones `dtype`, some nothing at all; none of
these says what the tensors really are.
"""

import math
from collections import Counter
from pathlib import Path

from rlvr.config.schema import DType
from rlvr.errors import UserError
from rlvr.models.folder import tensor_headers

_NAMES: dict[str, DType] = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""Names of the safetensors format."""


def stored_precision(folder: Path) -> DType:
    """Return the precision in which most of a model's parameters are stored.

    Raises:
        UserError: a weight file is missing or damaged, or most parameters are in no precision that can be
            trained (a quantised model).
    """
    sizes: Counter[str] = Counter()
    for file in sorted(folder.glob("*.safetensors")):
        for _, tensor in tensor_headers(file):
            sizes[tensor["dtype"]] += math.prod(tensor["shape"])
    if not sizes:
        raise UserError(f"{folder}: no weights here (*.safetensors); prepare the model again")
    name, _ = sizes.most_common(1)[0]
    if name not in _NAMES:
        raise UserError(
            f"{folder}: the weights are stored as {name}; quantised models cannot be trained here, use the "
            f"model in {', '.join(_NAMES.values())}"
        )
    return _NAMES[name]


def rounds(stored: DType, dtype: DType) -> bool:
    """Tell whether weights ``stored`` in one precision change when they are loaded in another."""
    return dtype not in ("float32", stored)
