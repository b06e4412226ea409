"""VB-LoRA: the factors of all layers are mixed from one bank of vectors."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import Field, PositiveFloat, PositiveInt

from rlvr.config.training import Training
from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.requirements import DIVIDES_BOTH
from rlvr.methods.base.shapes import ModelShape, total_sides
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    import torch
    from peft import VBLoRAConfig
    from peft.tuners.vblora.layer import Linear as VBLoRALinear
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class VbloraParameters(DropoutParameters):
    """Settings of VB-LoRA."""

    rank: PositiveInt = 4
    """Inner dimension r."""
    vectors: Annotated[int, Field(gt=2, multiple_of=2)] = 1024
    """Vectors n in the bank; even, as they start in pairs of opposite sign."""
    vector_length: PositiveInt = 256
    """Length b of a vector; must divide inputs and outputs of every adapted layer."""
    logits_ratio: PositiveFloat = 10
    """Learning rate of the logits over that of the bank (VB-LoRA, appendix: 1e-2 and 1e-3)."""


@register
class Vblora(PeftMethod):
    """W0 + B A; pieces of A and B are mixtures of their two likeliest vectors of a bank (VB-LoRA, section 3).

    The authors start from a random update, which would not be the base model. Here the bank starts as pairs
    (v, -v) and the two likeliest vectors of every piece of B are such a pair in equal shares, so that B = 0.
    """

    name = "vblora"
    category = "Efficiency"
    citation = (
        "Li et al., VB-LoRA: Extreme Parameter Efficient Fine-Tuning with Vector Banks, arXiv 2405.15179"
    )
    formula = "W = W0 + B A, pieces of A and B = softmax mixtures of two vectors of one shared bank"
    exact_lora = True
    requirements: ClassVar = {"vector_length": DIVIDES_BOTH}
    small_settings: ClassVar = {"vectors": 8, "vector_length": 16}
    parameters: VbloraParameters

    def peft_config(self) -> "VBLoRAConfig":
        """Return the configuration; all logits are saved, so that training can go on."""
        from peft import VBLoRAConfig

        return VBLoRAConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            num_vectors=self.parameters.vectors,
            vector_length=self.parameters.vector_length,
            topk=2,
            vblora_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the adapter and let every B start at zero."""
        import torch

        policy = super().wrap(model, total_steps, seed)
        with torch.no_grad():
            bank = cast(Any, policy).base_model.vblora_vector_bank["default"]
            bank[1::2] = -bank[::2]
            for _, layer in self.adapted_layers(policy):
                _select_pairs(cast("VBLoRALinear", layer).vblora_logits_B["default"])
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return n b for the bank, once, and n r (in + out) / b logits, summed over the adapted layers."""
        pieces = total_sides(shape, self.parameters.target_modules) // self.parameters.vector_length
        return self.parameters.vectors * (self.parameters.vector_length + self.parameters.rank * pieces)

    @property
    def rate_factors(self) -> frozenset[float]:
        """1 for the bank and the ratio for the logits."""
        return frozenset({1.0, self.parameters.logits_ratio})

    def optimizer(self, model: "nn.Module", training: Training) -> "torch.optim.Optimizer":
        """Return AdamW with the run's learning rate for the bank and a larger one for the logits."""
        import torch

        trained = {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}
        logits = [tensor for name, tensor in trained.items() if "vblora_logits" in name]
        bank = [tensor for name, tensor in trained.items() if "vblora_logits" not in name]
        groups = [
            {"params": bank, "lr": training.learning_rate},
            {"params": logits, "lr": self.parameters.logits_ratio * training.learning_rate},
        ]
        return torch.optim.AdamW(groups, betas=training.betas, weight_decay=training.weight_decay)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return A and B."""
        down, up = cast("VBLoRALinear", layer)._get_lora_matrices("default")
        return down.detach(), up.detach()


def _select_pairs(logits: "Tensor") -> None:
    """Make the likeliest vector of every piece and its opposite the two that are chosen, in equal shares.

    On a 16-bit base PEFT rounds the logits, so that a third one may equal these two: raise them above it.
    """
    import torch

    largest, vector = logits.max(dim=-1, keepdim=True)
    logits.scatter_(-1, vector ^ 1, largest)
    tied = logits.topk(3, dim=-1).values[..., 2:] == largest
    raised = torch.where(tied, torch.nextafter(largest, torch.full_like(largest, torch.inf)), largest)
    logits.scatter_(-1, torch.cat([vector, vector ^ 1], dim=-1), torch.cat([raised, raised], dim=-1))
