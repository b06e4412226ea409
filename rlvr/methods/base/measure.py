"""Measure the shape of a model from its modules, built on the meta device or loaded."""

import inspect
import re
from collections.abc import Hashable
from contextlib import suppress
from functools import cache
from typing import cast

from torch import nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel

from rlvr.errors import UserError
from rlvr.methods.base.shapes import Linear, ModelShape

_LIBRARY = {GenerationMixin, *PreTrainedModel.__mro__}
"""Classes without layers of their own; finding their source takes a third of a second."""


def shape_of(model: PreTrainedModel) -> ModelShape:
    """Return the shape of a plain decoder, before a method wraps it.

    Raises:
        UserError: it is not a text model of one stack of decoder blocks.
    """
    model_type = model.config.model_type
    if model.config.get_text_config() is not model.config:
        raise UserError(
            f"model_type {model_type!r} is a text model inside a larger one; give the text model alone"
        )
    modules = dict(model.named_modules())
    stack = _stack(modules, model_type)
    inside = {name: module for name, module in modules.items() if name.startswith(f"{stack}.")}
    norms = {
        name: size for name, module in modules.items() if is_norm(module) and (size := _own_size(module))
    }
    embedding = cast(nn.Embedding, model.get_input_embeddings()).weight
    linear = {name: module for name, module in inside.items() if isinstance(module, nn.Linear)}
    return ModelShape(
        model_type=model_type,
        stack=stack,
        depth=len(list(modules[stack].children())),
        linear={
            name: Linear(module.in_features, module.out_features, module.bias is not None)
            for name, module in linear.items()
        },
        bypassed=frozenset(
            [name for name in linear if _code_around_has(r"\.weight\b(?!\.(dtype|device))", name, modules)]
            + [name for name in norms if _code_around_has(r"\.\w", name, modules)]
        ),
        norms=norms,
        others={
            f"{name}.{key}": f"{type(module).__name__}, {' x '.join(map(str, parameter.shape))}"
            for name, module in inside.items()
            if not isinstance(module, nn.Linear) and name not in norms
            for key, parameter in module.named_parameters(recurse=False)
            if parameter.dim() > 1
        },
        owners=frozenset(name.rpartition(".")[0] for name, _ in model.named_parameters()),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        vocabulary=embedding.shape[0],
        width=embedding.shape[1],
        cached=_cached_numbers(model.config, len(list(modules[stack].children())), embedding.shape[1]),
        tied=bool(getattr(model.config, "tie_word_embeddings", False)),
    )


def _cached_numbers(config: PretrainedConfig, depth: int, width: int) -> int:
    """Return the keys and values of a token in all blocks; 0 for a family without attention heads."""
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return 0
    size = getattr(config, "head_dim", None) or width // heads
    return 2 * depth * int(getattr(config, "num_key_value_heads", None) or heads) * int(size)


def is_norm(module: nn.Module) -> bool:
    """Tell whether a module is a norm, by its type: every family has classes of its own."""
    return "norm" in type(module).__name__.lower() and not isinstance(module, nn.Linear | nn.Embedding)


def _code_around_has(use: str, name: str, modules: dict[str, nn.Module]) -> bool:
    """Tell whether the code around a layer reads something of it instead of calling it, as Mamba does."""
    parent, _, child = name.rpartition(".")
    kind = cast(Hashable, type(modules[parent]))  # mypy takes the module's own hash for that of its class
    return re.search(rf"self\.{child}{use}", _code_of(kind)) is not None


@cache
def _code_of(kind: Hashable) -> str:
    """Return the source of a class and of the classes that it inherits from, but for the library's own."""
    parts = []
    for base in cast(type, kind).__mro__:
        if base not in _LIBRARY:
            with suppress(OSError, TypeError):  # a class without a file
                parts.append(inspect.getsource(base))
    return "\n".join(parts)


def _own_size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def _stack(modules: dict[str, nn.Module], model_type: str) -> str:
    """Return the name of the outermost list of modules with the most parameters: the decoder blocks."""
    lists = [name for name, module in modules.items() if isinstance(module, nn.ModuleList) and len(module)]
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    if not outer:
        raise UserError(f"model_type {model_type!r} has no list of decoder blocks; only decoders are trained")
    return max(outer, key=lambda name: sum(parameter.numel() for parameter in modules[name].parameters()))
