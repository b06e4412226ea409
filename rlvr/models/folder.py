"""Check that a Hugging Face folder is a complete model, before hours of training depend on it.

Only headers of weight files are read, so 7 billion parameters are checked in seconds.
"""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from rlvr.errors import UserError
from rlvr.files import read_json
from rlvr.models.load import load_tokenizer

MODEL_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
"""Files of a model that are copied; no pickled weights and no code."""

WANTED = "config.json, *.safetensors, tokenizer.json and tokenizer_config.json"
"""The files of a model, for messages."""

INDEX = "model.safetensors.index.json"


def check_folder(folder: Path) -> None:
    """Check configuration, weights and tokenizer of a model folder.

    Raises:
        UserError: one is missing or damaged; the message names the file.
    """
    read_json(folder / "config.json")
    try:
        AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # Transformers raises many kinds
        raise UserError(f"{folder / 'config.json'}: not a usable model ({error})") from None
    for file in _weight_files(folder):
        try:
            with safe_open(file, framework="pt"):
                pass  # opening compares the length of the file with its header
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file}: missing, truncated or corrupt ({error}); download it again") from None
    load_tokenizer(folder)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.exists():
        try:
            return [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
        except (KeyError, TypeError, AttributeError):
            raise UserError(f"{index}: no `weight_map`; download it again") from None
    if not (folder / "model.safetensors").exists():
        raise UserError(
            f"{folder}: no weights (model.safetensors is missing); pickled weights are not read, "
            "convert them with `model.save_pretrained`"
        )
    return [folder / "model.safetensors"]
