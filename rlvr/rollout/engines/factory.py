"""The factory: the one place that knows which engines there are."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rlvr.config.schema import DType
from rlvr.rollout.engines.base import Engine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EngineName = Literal["transformers"]


def make_engine(
    name: EngineName,
    model: Path,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    dtype: DType,
    batch_size: int,
    prompt_width: int = 0,
) -> Engine:
    """Return an engine that serves the weights of a prepared model folder.

    Args:
        name: which engine.
        model: prepared model folder.
        tokenizer: its tokenizer.
        dtype: precision of the served weights.
        batch_size: completions sampled at once.
        prompt_width: tokens to which prompts are padded at least; see the engine.

    Raises:
        UserError: the folder holds no model.
    """
    match name:
        case "transformers":
            from rlvr.models.load import load_model
            from rlvr.rollout.engines.transformers import TransformersEngine

            return TransformersEngine(load_model(model, dtype), tokenizer, batch_size, prompt_width)
