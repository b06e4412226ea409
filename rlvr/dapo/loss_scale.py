"""The loss scale of float16 training.

Gradients of activations are float16 as well, whose smallest number above zero is 6e-8. One token of a large
batch weighs about as much, so its gradient would vanish: the loss is multiplied before the backward pass, and
the gradients of the trained weights, which are float32, are divided before they are clipped (Micikevicius et
al., Mixed Precision Training, arXiv 1710.03740, section 3.2). Powers of two do not round.

Where gradients overflow, `torch.amp.GradScaler` skips the step. Here the step is repeated with half the
scale: a run of a few hundred expensive steps loses none.
"""

from dataclasses import dataclass

from rlvr.config.choices import DType

START = 2.0**16
"""First scale, as in `torch.amp.GradScaler`."""

GROWTH_STEPS = 200
"""Optimizer steps without overflow after which the scale doubles."""


@dataclass
class LossScale:
    """What the loss is multiplied by; saved with the training state."""

    value: float
    steps: int = 0
    """Optimizer steps since the last change."""
    scaling: bool = True
    """Whether it changes at all; a scale that fell to 1 grows again."""

    @classmethod
    def of(cls, dtype: DType) -> "LossScale":
        """Return the scale at the start of a run; other precisions than float16 need none and keep 1."""
        return cls(START) if dtype == "float16" else cls(1.0, scaling=False)

    def reduce(self) -> bool:
        """Halve the scale after an overflow; False if it is 1, so that scaling does not explain it."""
        if self.value <= 1:
            return False
        self.value, self.steps = self.value / 2, 0
        return True

    def succeeded(self) -> None:
        """Count a step without overflow, and double the scale after enough of them."""
        self.steps += 1
        if self.scaling and self.steps >= GROWTH_STEPS:
            self.value, self.steps = self.value * 2, 0
