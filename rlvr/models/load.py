"""Load a prepared model folder."""

from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from rlvr.config.schema import DType
from rlvr.errors import UserError

logging.disable_progress_bar()  # progress bars are noise in a log


def best_device() -> torch.device:
    """Return the accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_model(directory: Path, dtype: DType) -> PreTrainedModel:
    """Load the model of a prepared folder on the best device; code in the folder is never run.

    Raises:
        UserError: the folder has no model, or lacks a weight, which would otherwise be initialised randomly.
    """
    _check_folder(directory)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        str(directory),
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,  # returns a pair, contrary to its type
    )
    model, found = cast(tuple[PreTrainedModel, dict[str, Any]], loaded)
    if missing := sorted(found["missing_keys"]):
        raise UserError(
            f"{directory}: {len(missing)} weights of the model are missing, first {missing[0]!r}; "
            "config.json and weights are from different models; prepare the model again"
        )
    cast(nn.Module, model).to(best_device())  # in place; transformers' wrapper of `to` hides its type
    return model


def load_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a prepared folder.

    Raises:
        UserError: it is missing or damaged, or has no chat template.
    """
    _check_folder(directory)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(directory), trust_remote_code=False)
    except Exception as error:  # Transformers raises many kinds
        raise UserError(f"{directory}: the tokenizer cannot be loaded ({error})") from None
    if not tokenizer.chat_template:
        raise UserError(f"{directory}: the tokenizer has no chat template; use an instruction-tuned model")
    return tokenizer


def _check_folder(directory: Path) -> None:
    if not (directory / "config.json").exists():
        raise UserError(f"{directory}: no model (config.json is missing); run `snakemake {directory}`")
