"""Is a Hugging Face folder a whole model? Asked before it is used, not after hours of training.

No weight is read: 7 billion parameters are checked in a moment.
"""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from rlvr.errors import UserError
from rlvr.files import read_json
from rlvr.models.load import load_tokenizer

MODEL_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
"""What is taken over of a model; no pickled weights and no code."""

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
        raise UserError(f"{folder / 'config.json'}: not a model that can be used here ({error})") from None
    for file in _weight_files(folder):
        try:
            with safe_open(file, framework="pt"):
                pass  # the header says how long the file must be
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file}: missing or damaged ({error}); fetch the file again") from None
    load_tokenizer(folder)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.exists():
        try:
            return [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
        except (KeyError, TypeError, AttributeError):
            raise UserError(f"{index}: no `weight_map`; fetch the file again") from None
    if not (folder / "model.safetensors").exists():
        raise UserError(
            f"{folder}: no weights here (model.safetensors is missing); pickled weights are not read, "
            "save them with `model.save_pretrained`"
        )
    return [folder / "model.safetensors"]
