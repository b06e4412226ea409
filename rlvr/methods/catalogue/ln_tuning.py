"""LN-tuning: only the norms are trained."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from rlvr.errors import UserError
from rlvr.methods.base.parameters import ModuleName, ModuleParameters
from rlvr.methods.base.shapes import ModelShape, is_called
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LNTuningConfig
    from torch import nn
    from transformers import PreTrainedModel


class LnTuningParameters(ModuleParameters):
    """Settings of LN-tuning."""

    target_modules: Literal["all"] | Annotated[tuple[ModuleName, ...], Field(min_length=1)] = "all"
    """Trained norms by the last part of their names, such as `input_layernorm`; `all`: every norm of the
    model, those of queries and keys and the final one included."""


@register
class LnTuning(PeftMethod):
    """The gains of the norms, in float32: in bfloat16 no small step would ever move a gain of one.

    PEFT loads them in the precision of the base all the same. In 16 bits, what is loaded is rounded.
    """

    name = "ln_tuning"
    category = "Other"
    citation = (
        "Zhao et al., Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM Finetuning, "
        "arXiv 2312.11420"
    )
    formula = "g of every norm g * x / rms(x) trained"
    loaded_as_base = True
    parameters: LnTuningParameters

    def peft_config(self) -> "LNTuningConfig":
        """Return the configuration without its modules, which :meth:`wrap` finds in the model."""
        from peft import LNTuningConfig

        return LNTuningConfig(task_type="CAUSAL_LM")

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Let PEFT train a copy of every chosen norm."""
        from peft import get_peft_model

        from rlvr.methods.base.measure import shape_of

        config = self.peft_config()
        config.target_modules = sorted(self.declared_modules(shape_of(model)))
        return get_peft_model(model, config, autocast_adapter_dtype=True)

    def check_fit(self, shape: ModelShape) -> None:
        """Refuse a name that no norm has, and a model whose norms have no parameters."""
        opening = f"method {self.name!r} does not fit this {shape.model_type} model"
        chosen = self.parameters.target_modules
        names = dict.fromkeys(name.rpartition(".")[2] for name in shape.norms)
        if not names:
            raise UserError(f"{opening}: its norms have no parameters; choose another method")
        unknown = [] if chosen == "all" else [name for name in chosen if not self._norms(shape, (name,))]
        if unknown:
            raise UserError(
                f"{opening}: target_modules: no norm is called {', '.join(unknown)}; its norms: "
                f"{', '.join(names)}; name some of them, or all by `parameters: {{target_modules: all}}`"
            )

        bypassed = shape.bypassed & self._chosen(shape).keys()
        if bypassed:
            others = [name for name in names if not any(is_called(one, name) for one in shape.bypassed)]
            way_out = (
                f"choose others: `parameters: {{target_modules: [{', '.join(others)}]}}`"
                if others
                else "no other norm is left, choose another method"
            )
            raise UserError(
                f"{opening}: target_modules: the code around {min(bypassed)} reads it without calling it, "
                f"so that a trained copy would not be used; {way_out}"
            )

    def _norms(self, shape: ModelShape, names: tuple[str, ...]) -> dict[str, int]:
        return {
            norm: size for norm, size in shape.norms.items() if any(is_called(norm, name) for name in names)
        }

    def _chosen(self, shape: ModelShape) -> dict[str, int]:
        names = self.parameters.target_modules
        return shape.norms if names == "all" else self._norms(shape, names)

    def declared_modules(self, shape: ModelShape) -> set[str]:
        """Return the chosen norms by full name."""
        return set(self._chosen(shape))

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return the gains, and biases where there are any, of the chosen norms."""
        return sum(self._chosen(shape).values())
