"""Noise in training that sampling does not have: found by experiment, then removed from the base or refused.

The engine samples without dropout. A base whose forward pass in training differs from that (dropout of
attention or embeddings, skipped layers, router jitter, a module of its own) would be trained on
log-probabilities that no rollout had. Settings are spelled differently in every family, so forward passes of
a few tokens decide, not names: does a pass in training mode draw random numbers, do two of them differ, do
they differ from one in evaluation mode? A layer that is skipped once in a thousand passes shows in none of
them, so the draws themselves are set to their extremes (:mod:`rlvr.dapo.extreme_draws`): a draw that changes
nothing then, as that of a model that skips no layer, is harmless.

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

from rlvr.dapo.extreme_draws import ExtremeDraws
from rlvr.errors import UserError

NOISE_NAME = re.compile(r"drop|jitter|noise")
"""What the rates of random operations are called, in modules and in configurations."""

PASSES = 4
"""Passes in training mode that are compared."""

ROUNDING = {torch.float32: 1e-4, torch.bfloat16: 0.02, torch.float16: 0.002}
"""Difference of values, relative to the largest, that the order of sums may explain."""

OTHER_GENERATORS = 3
"""Of the arrays of :func:`_states`, how many are last and not of PyTorch."""

logger = logging.getLogger(__name__)


def remove_base_noise(model: PreTrainedModel) -> None:
    """Make the forward pass of a base in training mode the one in evaluation mode, by setting its rates to 0.

    Raises:
        UserError: they still differ, or a draw still matters; the message names the modules and the keys of
            `config.json`.
    """
    if not (draws_random_numbers(model) or _noisy_module(model)):
        return
    removed = _set_rates_to_zero(model)
    noisy = _noisy_module(model)
    if noisy or _draws_matter(model):
        drawing = _drawing_modules(model)
        cause = (
            f"random numbers drawn in training mode by its {', '.join(drawing)} change its values"
            if drawing
            else f"its module {noisy} gives other values in training mode than in evaluation mode"
        )
        raise UserError(
            f"{type(model).__name__} (model_type {model.config.model_type}) cannot be trained: {cause}, even "
            f"with all rates of noise at 0 ({', '.join(removed) or 'none found'}), while the engine samples "
            "in evaluation mode; "
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
        return _differ(before, _states())


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


def _draws_matter(model: PreTrainedModel) -> bool:
    """Tell whether the extremes of what a pass in training mode draws change it; other draws always count."""
    with _undisturbed(model):
        model.eval()
        expected = _forward(model)
        model.train()
        before = _states()[-OTHER_GENERATORS:]
        for high in (False, True):
            with ExtremeDraws(high) as draws:
                found = _forward(model)
            if draws.other or not _close(found, expected):
                return True
        return _differ(before, _states()[-OTHER_GENERATORS:])


def _drawing_modules(model: PreTrainedModel) -> list[str]:
    """Return the modules that draw from a global generator, without those around them; one of each type."""
    names: dict[type[nn.Module], str] = {}
    entered: list[list[np.ndarray]] = []
    drew: list[bool] = [False]
    """For each module that is running, whether a part of it drew; first the one around the model."""

    def enter(module: nn.Module, inputs: Any) -> None:
        entered.append(_states())
        drew.append(False)

    def leave(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            before, inside = entered.pop(), drew.pop()
            if _differ(before, _states()):
                drew[-1] = True
                if not inside:
                    names.setdefault(type(module), name)

        return hook

    named = list(cast(Iterator[tuple[str, nn.Module]], model.named_modules()))
    handles = [module.register_forward_pre_hook(enter) for _, module in named]
    handles += [module.register_forward_hook(leave(name)) for name, module in named]
    try:
        with _undisturbed(model):
            model.train()
            _forward(model)
    finally:
        for handle in handles:
            handle.remove()
    return [f"{name or 'forward'} ({kind.__name__})" for kind, name in names.items()]


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
    """Return the logits of a pass, and the numbers of each module's output, in order of computation."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            parts = output if isinstance(output, tuple) else (output,)
            numbers = [part.flatten() for part in parts if isinstance(part, Tensor)]
            if numbers:
                outputs[name] = torch.cat(numbers).detach().clone()  # others may add to it in place

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
    if one.shape != other.shape or torch.equal(one, other):
        return one.shape == other.shape
    scale = float(other.float().abs().max())
    return float((one.float() - other.float()).abs().max()) <= ROUNDING.get(one.dtype, 0.0) * scale


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


def _differ(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    return any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def _numpy_state() -> list[np.ndarray]:
    state = cast(tuple[Any, ...], np.random.get_state())
    return [np.asarray(state[1]), np.asarray(state[2])]
