"""First passes of a model: a family that cannot be used shows itself there, by errors of any kind."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from rlvr.errors import UserError


@contextmanager
def first_pass(model: PreTrainedModel, what: str, method: str | None = None) -> Iterator[None]:
    """Turn an error of the model's own code into one that says what was attempted, and a way out.

    Args:
        model: the plain model.
        what: the participle of what fails, e.g. "sampled".
        method: name of the method that is applied to it.

    Raises:
        UserError: anything failed except for want of memory, which says nothing about the model.
    """
    try:
        yield
    except (UserError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        applied = f" with method {method!r}" if method else ""
        others = (
            f"{'another method, ' if method else ''}another precision (dtype) or a model of another family"
        )
        raise UserError(
            f"{type(model).__name__} (model_type {model.config.model_type}, {model.dtype}) cannot be {what}"
            f"{applied}: a first pass fails ({type(error).__name__}: {error}); use {others}"
        ) from error
