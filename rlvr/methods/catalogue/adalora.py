"""AdaLoRA: ranks move to the layers that need them while training runs."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from rlvr.config.values import Fraction
from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers, total_sides
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    import torch
    from peft import AdaLoraConfig
    from peft.tuners.adalora import AdaLoraModel
    from peft.tuners.adalora.layer import AdaLoraLayer
    from torch import Tensor, nn
    from transformers import PreTrainedModel

IMPORTANCES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""Kept for every tensor: sensitivity, its average, its uncertainty (AdaLoRA, Eq. 8 to 10)."""


class AdaLoraParameters(DropoutParameters):
    """Settings of AdaLoRA."""

    initial_rank: PositiveInt = 48
    """Rank of every layer at the start; one and a half times the target (AdaLoRA, section 3.3)."""
    target_rank: PositiveInt = 32
    """Mean rank at the end."""
    alpha: PositiveFloat = 64
    """The update is scaled by alpha / initial_rank."""
    warmup_fraction: Fraction = 0.04
    """Share of the steps before ranks are removed; the authors' runs: 9 % (MNLI) and 12 % (SST-2)."""
    final_fraction: Fraction = 0.1
    """Share of the steps at the end with the ranks settled; the authors' runs: 58 % and 44 %."""
    interval: PositiveInt = 1
    """Steps between two allocations."""
    orthogonality: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the orthogonality of A and B in the loss (gamma of AdaLoRA, Eq. 5)."""

    @model_validator(mode="after")
    def _takes_ranks_away(self) -> "AdaLoraParameters":
        if self.target_rank > self.initial_rank:
            raise ValueError(f"target_rank {self.target_rank} is above initial_rank {self.initial_rank}")
        if self.warmup_fraction + self.final_fraction >= 1:
            raise ValueError("warmup_fraction and final_fraction together leave no steps to allocate ranks")
        return self


@register
class AdaLora(PeftMethod):
    """W0 + s P E Q with a diagonal E whose unimportant entries are set to zero during training."""

    name = "adalora"
    category = "Structural"
    citation = (
        "Zhang et al., AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, "
        "arXiv 2303.10512"
    )
    formula = "W = W0 + (alpha/r) B diag(E) A, entries of E set to zero until the mean rank is the target"
    exact_lora = True
    small_settings: ClassVar = {"initial_rank": 6, "target_rank": 3}
    parameters: AdaLoraParameters

    def peft_config(self) -> "AdaLoraConfig":
        """Return the configuration of a run of one step; :meth:`wrap` gives it its length."""
        return self._config(1)

    def _config(self, total_steps: int) -> "AdaLoraConfig":
        from peft import AdaLoraConfig

        return AdaLoraConfig(
            task_type="CAUSAL_LM",
            init_r=self.parameters.initial_rank,
            target_r=self.parameters.target_rank,
            lora_alpha=self.parameters.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            lora_dropout=self.parameters.dropout,
            tinit=int(self.parameters.warmup_fraction * total_steps),
            tfinal=int(self.parameters.final_fraction * total_steps),
            deltaT=self.parameters.interval,
            total_step=total_steps,
            orth_reg_weight=self.parameters.orthogonality,
            target_modules=list(self.parameters.target_modules),
        )

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the adapter with a schedule over the whole run."""
        from peft import get_peft_model

        policy = get_peft_model(model, self._config(total_steps), autocast_adapter_dtype=True)
        for name, parameter in policy.named_parameters():
            if ".ranknum." in name:  # a constant; PEFT leaves it trainable on a bfloat16 base
                parameter.requires_grad_(False)
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out + 1) at the initial rank, summed over the adapted layers."""
        names = self.parameters.target_modules
        sides, diagonals = total_sides(shape, names), len(linear_layers(shape, names))
        return (sides + diagonals) * self.parameters.initial_rank

    def after_step(self, model: "nn.Module", optimizer: "torch.optim.Optimizer", step: int) -> None:
        """Update importances and allocate ranks; PEFT counts steps from 1.

        PEFT settles the ranks at one step of the schedule, by the importances of the steps before it. If that
        step has no gradient, the next one takes its place; if no step before it had one, its own gradient
        decides.
        """
        if self.parameters.initial_rank == self.parameters.target_rank:
            return  # there is nothing to take away
        tuner = _tuner(model)
        config, allocator = cast(Any, tuner.peft_config["default"]), cast(Any, tuner.rankallocator)
        settling = config.total_step - config.tfinal
        settled = bool(config.rank_pattern) and not allocator.ipt  # PEFT then forgets the importances
        due = step + 1 >= settling and not settled
        if due and not allocator.ipt:
            allocator.update_ipt(tuner.model)
        tuner.update_and_allocate(settling if due else step + 1)

    def extra_loss(self, model: "nn.Module") -> "Tensor | None":
        """Return gamma times the mean of ||P^T P - I||_F over all A and B.

        This is PEFT's form; in AdaLoRA, Eq. 4, the norms are squared and summed. PEFT adds it to
        ``outputs.loss`` alone, which a policy loss never reads.
        """
        import torch

        config = cast("AdaLoraConfig", _tuner(model).peft_config["default"])
        if config.orth_reg_weight == 0:
            return None
        norms = []
        for _, layer in self.adapted_layers(model):
            tuner = cast("AdaLoraLayer", layer)
            factors: tuple[Any, ...] = (tuner.lora_A["default"], cast(Any, tuner.lora_B["default"]).T)
            for factor in factors:
                gram = factor @ factor.T
                norms.append(torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)))
        return config.orth_reg_weight * torch.stack(norms).mean()

    def method_state(self, model: "nn.Module") -> "dict[str, Tensor]":
        """Return the allocator's importances and, once they are settled, the ranks that are kept."""
        import torch

        allocator = cast(Any, _tuner(model).rankallocator)
        state = {
            f"{kind}/{name}": tensor
            for kind in IMPORTANCES
            for name, tensor in getattr(allocator, kind).items()
        }
        pattern = cast("AdaLoraConfig", _tuner(model).peft_config["default"]).rank_pattern or {}
        return {**state, **{f"rank_pattern/{name}": torch.tensor(kept) for name, kept in pattern.items()}}

    def load_method_state(self, model: "nn.Module", state: "dict[str, Tensor]") -> None:
        """Restore the allocator's state on the policy's device: a saved state comes from the CPU."""
        device = next(model.parameters()).device
        tables: dict[str, dict[str, Any]] = {kind: {} for kind in (*IMPORTANCES, "rank_pattern")}
        for key, tensor in state.items():
            kind, name = key.split("/", 1)
            tables[kind][name] = tensor
        allocator = _tuner(model).rankallocator
        for kind in IMPORTANCES:
            setattr(allocator, kind, {name: tensor.to(device) for name, tensor in tables[kind].items()})
        pattern = {name: kept.tolist() for name, kept in tables["rank_pattern"].items()}
        cast("AdaLoraConfig", _tuner(model).peft_config["default"]).rank_pattern = pattern or None

    def metrics(self, model: "nn.Module") -> dict[str, float]:
        """Return how many singular values are not zero, over all layers."""
        return {"method/kept_ranks": float(sum(kept_ranks(model).values()))}

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return A with the singular values and the scale in it, and B."""
        tuner = cast(Any, layer)
        scale = tuner.scaling["default"] / (tuner.ranknum["default"] + 1e-5)  # PEFT's guard against rank 0
        down = scale * tuner.lora_E["default"] * tuner.lora_A["default"]
        return down.detach(), tuner.lora_B["default"].detach()


def kept_ranks(model: "nn.Module") -> dict[str, int]:
    """Return how many singular values of each adapted layer are not zero."""
    from rlvr.methods.base.peft_layers import tuner_layers

    return {
        name: int((cast("AdaLoraLayer", layer).lora_E["default"] != 0).sum())
        for name, layer in tuner_layers(model)
    }


def _tuner(model: "nn.Module") -> "AdaLoraModel":
    return cast("AdaLoraModel", cast(Any, model).base_model)
