"""HiRA: the base times a low-rank matrix, entry by entry."""

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.shapes import ModelShape, total_sides
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import HiraConfig


class HiraParameters(DropoutParameters):
    """Settings of HiRA."""

    rank: PositiveInt = 32
    """Inner dimension r of the factor; the update itself has a higher rank."""


@register
class Hira(PeftMethod):
    """W0 * (1 + B A), entry by entry, with A random and B = 0 at the start."""

    name = "hira"
    category = "Structural"
    citation = (
        "Huang et al., HiRA: Parameter-Efficient Hadamard High-Rank Adaptation for Large Language Models, "
        "ICLR 2025, OpenReview TwJrTz9cRS"
    )
    formula = "W = W0 + W0 * (B A), * entry by entry"
    parameters: HiraParameters

    def peft_config(self) -> "HiraConfig":
        """Return the configuration."""
        from peft import HiraConfig

        return HiraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            hira_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out), summed over the adapted layers."""
        return total_sides(shape, self.parameters.target_modules) * self.parameters.rank
