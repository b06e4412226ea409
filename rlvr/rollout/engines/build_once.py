"""Weights that a method builds from its parameters in each forward pass: built once while it samples.

DoRA takes the norm of every weight, FourierFT a Fourier transform, OFT a matrix inverse, for every token.
While a policy samples, its parameters do not change, and neither does what is built from them: it is the same
to the last bit. It is kept only while the policy samples, and takes about the memory of the adapted weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

BUILDERS = (
    "get_delta_weight",
    *("get_lora_weight", "get_weight_norm"),  # DoRA
    *("cayley_batch", "_cayley_batch", "get_matrix"),  # BOFT, OFT, PSOFT
    *("_get_lora_matrices", "get_scaled_bases", "_project"),  # VB-LoRA and UniLoRA, RandLoRA, DEFT
)
"""Methods of PEFT's layers whose result depends on the layer's parameters and its adapter's name alone."""


@contextmanager
def building_once(policy: nn.Module) -> Iterator[None]:
    """Let each layer build what it needs once; nothing may be trained or loaded meanwhile.

    Within itself it changes nothing.
    """
    replaced: list[tuple[nn.Module, str]] = []
    try:
        for module in policy.modules():
            for name in BUILDERS if type(module).__module__.startswith("peft.tuners.") else ():
                if hasattr(type(module), name) and name not in vars(module):
                    vars(module)[name] = _once(getattr(module, name))
                    replaced.append((module, name))
        yield
    finally:
        for module, name in replaced:
            del vars(module)[name]


def _once(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls another once for each combination of names and flags."""
    built: dict[tuple[Any, ...], Any] = {}

    def call(*arguments: Any, **keywords: Any) -> Any:
        key = tuple(value for value in (*arguments, *keywords.values()) if isinstance(value, (str, bool)))
        if key not in built:
            built[key] = build(*arguments, **keywords)
        return built[key]

    return call
