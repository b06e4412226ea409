"""Noise in training that sampling does not have: found by experiment, then removed from the base or refused.

The engine samples without dropout. A base whose forward pass in training differs from that (dropout of
attention or embeddings, skipped layers, router jitter, a module of its own) would be trained on
log-probabilities that no rollout had. Settings are spelled differently in every family, so forward passes of
a few tokens decide, not names: does a pass in training mode draw random numbers, do two of them differ, do
they differ from one in evaluation mode?

Noise of the *adapter* (its dropout, PVeRA's samples) is part of the method and stays; the trainer then takes
the log-probabilities of the policy that sampled from a pass without it
(:func:`rlvr.dapo.update.store_logprobs`).
"""

import logging
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from rlvr.errors import UserError

NOISE_NAME = re.compile(r"drop|jitter|noise")
"""What the rates of random operations are called, in modules and in configurations."""

PASSES = 4
"""Passes in training mode that are compared."""

ROUNDING = {torch.float32: 1e-4, torch.bfloat16: 0.02, torch.float16: 0.002}
"""Difference of values, relative to the largest, that the order of sums may explain."""

logger = logging.getLogger(__name__)


def remove_base_noise(model: PreTrainedModel) -> None:
    """Make the forward pass of a base in training mode the one in evaluation mode, by setting its rates to 0.

    Raises:
        UserError: they still differ; the message names the module and the keys of `config.json`.
    """
    if not (draws_random_numbers(model) or _noisy_module(model)):
        return
    removed = _set_rates_to_zero(model)
    if module := _noisy_module(model):
        raise UserError(
            f"{type(model).__name__} (model_type {model.config.model_type}) cannot be trained: its module "
            f"{module} gives other values in training mode than in evaluation mode, in which the engine "
            f"samples, and still does with all rates of noise at 0 ({', '.join(removed) or 'none found'}); "
            "remove what makes it differ from the model's config.json, or use another model"
        )
    if removed:
        logger.warning(
            "the base has noise in training that sampling does not have; it is trained without (%s set to 0)",
            ", ".join(removed),
        )


def draws_random_numbers(policy: nn.Module) -> bool:
    """Tell whether a forward pass in training mode draws from a global generator.

    An adapter that starts at zero hides its noise: no value shows it, but the draw does.
    """
    with _undisturbed(policy):
        policy.train()
        before = _states()
        _forward(policy)
        return any(not np.array_equal(old, new) for old, new in zip(before, _states(), strict=True))


def _noisy_module(model: PreTrainedModel) -> str | None:
    """Return the first module computed whose output depends on mode or generator; None if there is none."""
    with _undisturbed(model):
        model.eval()
        expected, quiet = _traced(model)
        model.train()
        for seed in range(PASSES):
            torch.manual_seed(seed)
            found, loud = _traced(model)
            if not _close(found, expected):
                different = (
                    name for name in quiet if name not in loud or not _close(quiet[name], loud[name])
                )
                name = next(different, "")
                return f"{name} ({type(model.get_submodule(name)).__name__})"
    return None


def _set_rates_to_zero(model: PreTrainedModel) -> list[str]:
    """Set every rate of noise in the modules and configurations of a model to 0 and return their names."""
    removed: dict[str, None] = {}
    for module in model.modules():
        for owner in (module, getattr(module, "config", None)):
            names = [name for name in vars(owner) if NOISE_NAME.search(name)] if owner is not None else []
            if "Dropout" in type(owner).__name__:
                names.append("p")
            for name in names:
                value = getattr(owner, name, None)
                if isinstance(value, float) and value > 0:
                    setattr(owner, name, 0.0)
                    kind = "config" if isinstance(owner, PretrainedConfig) else type(owner).__name__
                    removed[f"{kind}.{name}"] = None
    return list(removed)


def _traced(model: PreTrainedModel) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the logits of a pass, and the first tensor of each module's output, in order of computation."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            first = next(iter(output), None) if isinstance(output, tuple) else output
            if isinstance(first, Tensor) and first.is_floating_point():
                outputs[name] = first.detach().clone()  # others may add to it in place

        return hook

    named = cast(Iterator[tuple[str, nn.Module]], model.named_modules())
    handles = [module.register_forward_hook(keep(name)) for name, module in named]
    try:
        return _forward(model), outputs
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _forward(policy: nn.Module) -> Tensor:
    """Return the logits [2, 16, vocabulary] of fixed tokens."""
    device = next(policy.parameters()).device
    ids = torch.arange(32, device=device).reshape(2, 16)
    vocabulary = cast(Any, policy).config.get_text_config().vocab_size
    return cast(Tensor, policy(input_ids=ids % vocabulary, use_cache=False).logits)


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    scale = float(other.float().abs().max())
    return float((one.float() - other.float()).abs().max()) <= ROUNDING[one.dtype] * scale


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Leave all generators, the mode of the modules, and buffers that a pass updates as they are."""
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers() if buffer.numel() < 1_000_000}
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for module, mode in modes.items():
            module.training = mode
        for name, buffer in model.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])


def _states() -> list[np.ndarray]:
    """Return the state of every global generator."""
    tensors = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
    python = np.array([hash(random.getstate())])
    return [*(tensor.numpy() for tensor in tensors), python, *_numpy_state()]


def _numpy_state() -> list[np.ndarray]:
    state = cast(tuple[Any, ...], np.random.get_state())
    return [np.asarray(state[1]), np.asarray(state[2])]
