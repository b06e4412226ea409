"""LoHa: the update is the entry-wise product of two updates of low rank."""

from typing import TYPE_CHECKING

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import ModelShape, total_sides
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LoHaConfig


class LohaParameters(TargetedParameters):
    """Settings of LoHa."""

    rank: PositiveInt = 32
    """Rank r of each of the two factors; the update has rank r^2 at most."""
    alpha: PositiveFloat = 64
    """The update is scaled by alpha / rank."""


@register
class Loha(PeftMethod):
    """W0 + s (B1 A1) * (B2 A2); A2 = 0 at the start (FedPara, section 2.2)."""

    name = "loha"
    category = "Structural"
    citation = (
        "Hyeon-Woo et al., FedPara: Low-Rank Hadamard Product for Communication-Efficient Federated "
        "Learning, arXiv 2108.06098; as an adapter: Yeh et al., arXiv 2309.14859"
    )
    formula = "W = W0 + (alpha/r) (B1 A1) * (B2 A2), * entry by entry"
    parameters: LohaParameters

    def peft_config(self) -> "LoHaConfig":
        """Return the configuration."""
        from peft import LoHaConfig

        return LoHaConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            alpha=self.parameters.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return 2 r (in + out), summed over the adapted layers."""
        return 2 * total_sides(shape, self.parameters.target_modules) * self.parameters.rank
