"""Check that a Hugging Face folder is a model that can be trained here, before hours depend on it.

The model is built on the meta device: names and shapes of all weights are compared, and none is read.
"""

import logging
from pathlib import Path
from typing import Any, cast

from torch import nn
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
)

from rlvr.config.training import Prompt
from rlvr.data.chat import end_of_turn, render
from rlvr.errors import UserError
from rlvr.files import read_json
from rlvr.models.folder import weight_files
from rlvr.models.load import end_token_ids, load_on_meta, load_tokenizer
from rlvr.models.precision import stored_precision, wider_tensors
from rlvr.models.quantised import refuse_quantised

logger = logging.getLogger(__name__)

OTHER_SENSES = ("vision_config", "audio_config", "text_config")
"""Parts of the configuration of a model that reads more than text."""

SHOWN = 5
"""Tensors that a warning names."""


def check_folder(folder: Path) -> None:
    """Check configuration, weights and tokenizer of a model folder; warn of what may be meant.

    Raises:
        UserError: one is missing or damaged, or the model is of a kind that cannot be trained here; the
            message names the file and the way out.
    """
    files = weight_files(folder)
    found = read_json(folder / "config.json")
    if not isinstance(found, dict):
        raise UserError(f"{folder / 'config.json'}: not a usable model (not a JSON object)")
    refuse_quantised(folder, found, files)
    _check_precision(folder)
    config = _read_config(folder, found)
    _refuse_other_kinds(folder, found, config)
    _check_generation_config(folder)
    tokenizer = load_tokenizer(folder)
    model = load_on_meta(folder)
    check_vocabulary(folder, tokenizer, cast(nn.Embedding, model.get_input_embeddings()).num_embeddings)
    render(tokenizer, Prompt(), "1 + 1")  # a template that fails, fails here
    check_end_of_turn(tokenizer, end_token_ids(model, tokenizer), str(folder))


def _check_precision(folder: Path) -> None:
    """Refuse weights in no precision of training; warn of the few that are wider than the others."""
    precision = stored_precision(folder)
    if wider := wider_tensors(folder, precision):
        logger.warning(
            "%s: a %s model with %d small tensors in a wider precision, which are rounded where the model is "
            "loaded in %s; training.dtype: float32 keeps them: %s%s",
            folder,
            precision,
            len(wider),
            precision,
            ", ".join(wider[:SHOWN]),
            ", .." if len(wider) > SHOWN else "",
        )


def _read_config(folder: Path, found: dict[str, Any]) -> PretrainedConfig:
    path, model_type = folder / "config.json", found.get("model_type")
    if found.get("auto_map") and model_type not in CONFIG_MAPPING:
        raise UserError(
            f"{path}: not a usable model (model_type {model_type!r} needs code of its own: auto_map, "
            "trust_remote_code); code in a model folder is never run, use a model that Transformers knows"
        )
    try:
        return AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # Transformers raises many kinds
        raise UserError(f"{path}: not a usable model ({error})") from None


def _refuse_other_kinds(folder: Path, found: dict[str, Any], config: PretrainedConfig) -> None:
    """Refuse models that are not one causal language model over text."""
    named = found.get("architectures") or []
    what = f"{folder / 'config.json'}: {', '.join(named) or found.get('model_type')}"
    way_out = "use a causal language model over text (an architecture ...ForCausalLM)"
    if config.is_encoder_decoder:
        raise UserError(f"{what} is an encoder with a decoder, which cannot be trained here; {way_out}")
    if other := [key for key in OTHER_SENSES if found.get(key) is not None]:
        raise UserError(
            f"{what} is a multimodal model ({', '.join(other)}), which cannot be trained here; {way_out}: "
            "the text-only model of the family (Gemma 3: gemma-3-1b-it, Qwen: without VL), or the text part, "
            "saved as a model of its own"
        )
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise UserError(f"{what} is not a causal language model; {way_out}")
    built = cast(type, MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]).__name__
    causal = any(name == built or name.endswith(("ForCausalLM", "LMHeadModel")) for name in named)
    if named and not causal:
        raise UserError(f"{what} is not a causal language model, and would be loaded as {built}; {way_out}")


def _check_generation_config(folder: Path) -> None:
    path = folder / "generation_config.json"
    if not path.exists():
        return
    try:
        if not isinstance(read_json(path), dict):
            raise UserError("not a JSON object")
        GenerationConfig.from_pretrained(str(folder))
    except (ValueError, TypeError, OSError, UserError) as error:
        raise UserError(f"{path}: not usable ({error}); correct it, or download it again") from None


def check_vocabulary(folder: Path, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    """Compare the tokenizer with the embedding of ``rows`` tokens; padding of the embedding is fine.

    Special tokens beyond the embedding that no prompt of text contains are usual (Gemma 3 1B has one for
    images); they are named in a warning.

    Raises:
        UserError: the tokenizer gives ids that the model does not have.
    """
    beyond = {token: index for token, index in tokenizer.get_vocab().items() if index >= rows}
    if not beyond:
        return
    template = tokenizer.get_chat_template()
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    ends = {tokenizer.eos_token, tokenizer.bos_token}
    used = sorted(token for token in beyond if token not in added or token in template or token in ends)
    if used:
        raise UserError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, the embedding {rows} rows: token "
            f"{used[0]!r} has id {beyond[used[0]]}. Use the tokenizer of this model, or save the model again "
            "after `model.resize_token_embeddings(len(tokenizer))`"
        )
    logger.warning(
        "%s: the tokenizer has %d tokens, the embedding %d rows; prompts cannot contain %s",
        folder,
        len(tokenizer),
        rows,
        ", ".join(sorted(beyond)),
    )


def check_end_of_turn(tokenizer: PreTrainedTokenizerBase, end_ids: list[int], place: str) -> None:
    """Warn if the token with which the chat template ends a turn does not end a completion.

    Such a model writes the end of its turn and goes on to the length limit (QwenLM/Qwen3#927).

    Raises:
        UserError: no token ends a completion.
    """
    if not end_ids:
        raise UserError(
            f"{place}: no token ends a completion; set eos_token in tokenizer_config.json, or eos_token_id "
            "in generation_config.json"
        )
    token = end_of_turn(tokenizer)
    index = None if token is None else tokenizer.convert_tokens_to_ids(token)
    if token is None or index in end_ids:
        return
    ends = ", ".join(f"{tokenizer.convert_ids_to_tokens(i)!r} ({i})" for i in end_ids)
    logger.warning(
        "%s: the chat template ends a turn with %r (%s), which is not an end token (%s): completions will "
        "run to max_new_tokens. Add %s to eos_token_id in generation_config.json of the model folder",
        place,
        token,
        index,
        ends,
        index,
    )
