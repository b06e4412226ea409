"""Load a prepared model folder."""

from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from rlvr.config.choices import DType
from rlvr.errors import UserError
from rlvr.models.allocator import keep_freed_memory
from rlvr.models.matmul import use_faster_matmul

logging.disable_progress_bar()  # progress bars are noise in a log


def best_device() -> torch.device:
    """Return the accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_model(directory: Path, dtype: DType) -> PreTrainedModel:
    """Load the model of a prepared folder on the best device; code in the folder is never run.

    From then on the process keeps the main memory that it frees (:mod:`rlvr.models.allocator`), and may use
    other kernels on a CPU (:mod:`rlvr.models.matmul`).

    Raises:
        UserError: the folder has no model, or its weights are not exactly those of the model.
    """
    keep_freed_memory()
    model = _load(directory, dtype=getattr(torch, dtype))
    cast(nn.Module, model).to(best_device())  # in place; transformers' wrapper of `to` hides its type
    use_faster_matmul(model)
    return model


def load_on_meta(directory: Path) -> PreTrainedModel:
    """Return the model of a folder with the shapes of its weights alone; no weight is read.

    Raises:
        UserError: as for :func:`load_model`.
    """
    return _load(directory, device_map="meta")


def _load(directory: Path, **settings: Any) -> PreTrainedModel:
    _check_folder(directory)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(directory),
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # so that they are reported, and refused below
            output_loading_info=True,  # returns a pair, contrary to its type
            **settings,
        )
    except (ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise UserError(f"{directory}: the model cannot be loaded ({error}); prepare it again") from None
    model, found = cast(tuple[PreTrainedModel, dict[str, Any]], loaded)
    _refuse_partial(directory, found)
    return model


def _refuse_partial(directory: Path, found: dict[str, Any]) -> None:
    """Refuse a model with weights that Transformers would initialise randomly, or leave out, in silence."""
    other = "config.json and weights are from different models; prepare the model again"
    if missing := sorted(found["missing_keys"]):
        raise UserError(
            f"{directory}: {len(missing)} weights of the model are missing, first {missing[0]!r}; {other}"
        )
    if mismatched := sorted(found["mismatched_keys"]):
        name, stored, expected = mismatched[0]
        raise UserError(
            f"{directory}: {len(mismatched)} weights have other sizes than the model, first {name!r}: "
            f"{list(stored)}, not {list(expected)}; {other}"
        )
    if unexpected := sorted(found["unexpected_keys"]):
        raise UserError(
            f"{directory}: {len(unexpected)} stored weights have no place in the model that config.json "
            f"describes, first {unexpected[0]!r}: the model would be a part of what is stored; {other}"
        )


def end_token_ids(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the ids that end a completion: those of the tokenizer and of the generation config."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return list(dict.fromkeys(i for i in [tokenizer.eos_token_id, *ids] if i is not None))


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
    if isinstance(tokenizer.chat_template, dict) and "default" not in tokenizer.chat_template:
        raise UserError(
            f"{directory}: the tokenizer has several chat templates "
            f"({', '.join(sorted(tokenizer.chat_template))}), none of them 'default'; rename the one to use"
        )
    return tokenizer


def _check_folder(directory: Path) -> None:
    if not (directory / "config.json").exists():
        raise UserError(f"{directory}: no model (config.json is missing); run `snakemake {directory}`")
