"""What a setting requires of the shape of every adapted layer, checked before anything is built."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from rlvr.errors import UserError
from rlvr.methods.base.shapes import ModelShape

if TYPE_CHECKING:
    from rlvr.methods.base.spec import Method


class Requirement(NamedTuple):
    """A rule for one setting."""

    rule: str
    """The rule in words, after "must"."""
    holds: Callable[[int, int, int], bool]
    """Whether a value fits a layer: ``holds(value, inputs, outputs)``."""


AT_MOST_SMALLER_SIDE = Requirement(
    "be at most the smaller of the two", lambda value, inputs, outputs: value <= min(inputs, outputs)
)
AT_MOST_INPUTS = Requirement("be at most the inputs", lambda value, inputs, outputs: value <= inputs)
AT_MOST_OUTPUTS = Requirement("be at most the outputs", lambda value, inputs, outputs: value <= outputs)
AT_MOST_ENTRIES = Requirement(
    "be at most the entries of the weight", lambda value, inputs, outputs: value <= inputs * outputs
)
DIVIDES_INPUTS = Requirement("divide the inputs", lambda value, inputs, outputs: inputs % value == 0)
DIVIDES_OUTPUTS = Requirement("divide the outputs", lambda value, inputs, outputs: outputs % value == 0)
DIVIDES_BOTH = Requirement(
    "divide inputs and outputs", lambda value, inputs, outputs: inputs % value == outputs % value == 0
)


def check_requirements(method: "Method", shape: ModelShape) -> None:
    """Compare the settings of a method with the layers that it adapts.

    Raises:
        UserError: a setting does not fit; the message names layer, shape, setting and the fix.
    """
    adapted = method.declared_modules(shape)
    for setting, requirement in method.requirements.items():
        value = getattr(method.parameters, setting)
        for layer, (inputs, outputs, _) in shape.linear.items():
            if layer in adapted and not requirement.holds(value, inputs, outputs):
                raise UserError(
                    f"method {method.name!r}: {setting} {value} does not fit {layer} ({inputs} inputs, "
                    f"{outputs} outputs): it must {requirement.rule}; choose another {setting}, or leave "
                    f"{layer.rpartition('.')[2]} out of target_modules"
                )
