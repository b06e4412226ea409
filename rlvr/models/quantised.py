"""Refuse quantised models, told from `config.json` and the headers of the weights, without torch."""

from pathlib import Path
from typing import Any

from rlvr.errors import UserError
from rlvr.files import read_json
from rlvr.models.folder import INDEX, WEIGHTS, tensor_headers, weight_files

QUANTISED_NAMES = {
    "qweight": "GPTQ or AWQ",
    "qzeros": "GPTQ or AWQ",
    "weight_packed": "compressed-tensors",
    "weight_scale_inv": "fp8",
    "weight_scale": "fp8 or compressed-tensors",
    "absmax": "bitsandbytes",
    "quant_map": "bitsandbytes",
    "SCB": "bitsandbytes",
}
"""Last part of a tensor's name -> the method that stores such tensors."""


def refuse_quantised_folder(folder: Path) -> None:
    """Refuse a folder with a quantised model; the weights need not be there yet.

    Raises:
        UserError: it holds one, or its weights are damaged.
    """
    found = read_json(folder / "config.json")
    there = (folder / INDEX).exists() or (folder / WEIGHTS).exists()
    if isinstance(found, dict):
        refuse_quantised(folder, found, weight_files(folder) if there else [])


def refuse_quantised(folder: Path, found: dict[str, Any], files: list[Path]) -> None:
    """Refuse weights that stand for others: their gradients and updates are not those of the model."""
    declared = found.get("quantization_config") or found.get("compression_config")
    text = found.get("text_config")
    if not declared and isinstance(text, dict):
        declared = text.get("quantization_config")
    kind = _declared_kind(declared) if declared else None
    sign = "quantization_config in config.json"
    for file in () if kind else files:
        for name, tensor in tensor_headers(file):
            last, stored = name.rpartition(".")[2], tensor["dtype"]
            if last in QUANTISED_NAMES or (last == "weight" and stored.startswith(("I", "U", "F8", "F4"))):
                kind = QUANTISED_NAMES.get(last, stored)
                sign = f"tensor {name!r} ({stored}) in {file.name}"
                break
    if kind:
        raise UserError(
            f"{folder}: a quantised model ({kind}: {sign}); quantised models cannot be trained here. Use the "
            "model from which it was made, in bfloat16, float16 or float32; if the tensors are not quantised "
            "any more, remove quantization_config from config.json"
        )


def _declared_kind(declared: Any) -> str:
    if not isinstance(declared, dict):
        return "unknown kind"
    bits = [key for key in ("load_in_4bit", "load_in_8bit") if declared.get(key)]
    return str(declared.get("quant_method") or ("bitsandbytes" if bits else "unknown kind"))
