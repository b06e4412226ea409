"""Random draws at their extremes: what a draw can do at all, where chance would hardly ever show it."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

UNIFORM = {"rand", "rand_like", "uniform_"}
BERNOULLI = {"bernoulli", "bernoulli_"}


class ExtremeDraws(TorchDispatchMode):
    """While active, PyTorch's uniform draws are the lowest or the highest number possible.

    Bernoulli draws, of which dropout is made, are 1 (``high``) or 0 wherever that has a probability.
    Other draws stay as they are; ``other`` tells whether there were any.
    """

    def __init__(self, high: bool) -> None:
        super().__init__()
        self.high = high
        self.other = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and overwrite what it drew."""
        output = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return output
        name = func.overloadpacket.__name__
        given = _arguments(func, args, kwargs or {})
        if name in UNIFORM:
            return self._uniform(output, given)
        if name in BERNOULLI:
            return self._bernoulli(output, given)
        self.other |= given.get("dropout_p") != 0
        return output

    def _uniform(self, output: Tensor, given: dict[str, Any]) -> Tensor:
        start, end = given.get("from", 0.0), given.get("to", 1.0)
        below_one = 1 - torch.finfo(output.dtype).eps
        return output.fill_(start + (end - start) * below_one if self.high else start)

    def _bernoulli(self, output: Tensor, given: dict[str, Any]) -> Tensor:
        chance = torch.as_tensor(given["p"] if "p" in given else given["self"], device=output.device)
        return output.copy_(chance > 0 if self.high else chance >= 1)


def _arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included."""
    names = [argument.name for argument in func._schema.arguments]
    defaults = {argument.name: argument.default_value for argument in func._schema.arguments}
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
