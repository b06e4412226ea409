"""LN-tuning: only the norms are trained."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from rlvr.methods.base.parameters import ModuleParameters
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LNTuningConfig
    from transformers import PretrainedConfig

NormName = Literal["input_layernorm", "post_attention_layernorm", "norm"]


class LnTuningParameters(ModuleParameters):
    """Settings of LN-tuning."""

    target_modules: Annotated[tuple[NormName, ...], Field(min_length=1)] = (
        "input_layernorm",
        "post_attention_layernorm",
        "norm",
    )
    """Trained norms: the two of every decoder block, and the final one."""


@register
class LnTuning(PeftMethod):
    """The gains of the norms, in float32: in bfloat16 no small step would ever move a gain of one."""

    name = "ln_tuning"
    category = "Other"
    citation = (
        "Zhao et al., Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM Finetuning, "
        "arXiv 2312.11420"
    )
    formula = "g of every norm g * x / rms(x) trained"
    parameters: LnTuningParameters

    def peft_config(self) -> "LNTuningConfig":
        """Return the configuration."""
        from peft import LNTuningConfig

        return LNTuningConfig(task_type="CAUSAL_LM", target_modules=list(self.parameters.target_modules))

    def declared_modules(self, model_config: "PretrainedConfig") -> set[str]:
        """Return the chosen norms by full name."""
        blocks = [name for name in self.parameters.target_modules if name != "norm"]
        final = {"model.norm"} if "norm" in self.parameters.target_modules else set()
        return final | {
            f"model.layers.{i}.{name}" for i in range(model_config.num_hidden_layers) for name in blocks
        }

    def expected_parameters(self, model_config: "PretrainedConfig") -> int:
        """Return the width of the model, once for every trained norm."""
        return len(self.declared_modules(model_config)) * model_config.hidden_size
