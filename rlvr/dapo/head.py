"""From hidden states to logits by the model's own code.

Models differ in what follows the last hidden state: Gemma-2 caps the logits, Granite divides and Cohere
multiplies them, others add a bias. So no layer is called here: the model's own `forward` runs on hidden
states that are already there, given to it in place of those of its inner model.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from rlvr.errors import UserError

LARGEST_DIFFERENCE = 0.02
"""Between logits that should be equal, relative to the largest: a few roundings of bfloat16."""


def plain_model(policy: nn.Module) -> PreTrainedModel:
    """Return the Hugging Face model inside a PEFT wrapper, adapters in place."""
    return cast(PreTrainedModel, policy.get_base_model() if isinstance(policy, PeftModel) else policy)


def inner_model(model: PreTrainedModel) -> PreTrainedModel:
    """Return what a causal language model calls for its hidden states, with tokens and mask.

    That is ``model.base_model``, or a decoder in it (OPT).
    """
    return cast(PreTrainedModel, model.get_decoder())


class Head:
    """The part of a causal language model after its inner model, adapters included.

    Args:
        model: a causal language model.
        output: type of the inner model's output.
    """

    def __init__(self, model: PreTrainedModel, output: type[ModelOutput]) -> None:
        self.model = model
        self.output = output

    @property
    def vocabulary(self) -> int:
        """Number of logits of a token."""
        return cast(int, self.model.config.get_text_config().vocab_size)

    def is_trained(self, states: Tensor) -> bool:
        """Tell whether the head's own parameters are trained, from the logits of one of the states."""
        with torch.enable_grad():
            return self(states[:1].detach()).requires_grad

    def __call__(self, states: Tensor) -> Tensor:
        """Return the logits [N, vocabulary] of hidden states [N, width].

        Raises:
            UserError: the model's `forward` does not take its hidden states from its inner model.
        """
        states_1N = states[None]
        asked = False

        def give_states(*args: Any, **keywords: Any) -> ModelOutput:
            nonlocal asked
            asked = True
            return self.output(last_hidden_state=states_1N)

        inner = inner_model(self.model)
        own = inner.__dict__.get("forward")  # hooks of other libraries put one there
        inner.forward = give_states
        try:
            ids = torch.zeros(states_1N.shape[:2], dtype=torch.long, device=states.device)
            logits = cast(Tensor, self.model(input_ids=ids, use_cache=False).logits)
        finally:
            if own is None:
                del inner.forward
            else:
                inner.forward = own
        if not asked:
            raise _unusable(self.model, f"its forward does not call its {type(inner).__name__}")
        return logits.squeeze(0)


@torch.no_grad()
def check_head(model: PreTrainedModel, ids: Sequence[int]) -> None:
    """Compare the logits of a sequence with those that :class:`Head` makes of the same hidden states.

    Raises:
        UserError: they differ by more than rounding, or the model's `forward` cannot be used that way.
    """
    inner = inner_model(model)
    outputs: list[ModelOutput] = []
    with inner.register_forward_hook(lambda module, inputs, output: outputs.append(output)):
        logits = cast(Tensor, model(input_ids=torch.tensor([ids], device=model.device)).logits)[0].float()
    if inner is model or len(outputs) != 1:
        raise _unusable(model, f"its forward does not call an inner model once ({type(inner).__name__})")
    try:
        made = Head(model, type(outputs[0]))(outputs[0][0][0]).float()
    except (UserError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # every family fails in its own way
        raise _unusable(model, f"its forward fails on hidden states alone ({error})") from error
    difference = float((made - logits).abs().max()) if made.shape == logits.shape else float("inf")
    if not difference <= LARGEST_DIFFERENCE * float(logits.abs().max()):
        raise _unusable(
            model, f"its forward makes other logits of the same hidden states (by {difference:.2g})"
        )


def _unusable(model: PreTrainedModel, reason: str) -> UserError:
    return UserError(
        f"{type(model).__name__} (model_type {model.config.model_type}) cannot be trained: {reason}, so that "
        "log-probabilities computed in chunks would not be the model's own; use a model of another family"
    )
