"""AdaMSS: rows of the weight in clusters, each with a small update in one common subspace."""

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field, PositiveInt, model_validator

from rlvr.config.values import Fraction
from rlvr.errors import UserError
from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import AT_MOST_OUTPUTS, AT_MOST_SMALLER_SIDE
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.registry import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rlvr.methods.layers.adamss import ClusteredLinear


class AdamssParameters(TargetedParameters):
    """Settings of AdaMSS."""

    rank: PositiveInt = 100
    """Dimension R of the subspace of each weight in which all updates are."""
    subspaces: PositiveInt = 32
    """Clusters K of the rows of each weight."""
    subspace_rank: PositiveInt = 1
    """Rank r of the update of a cluster."""
    kept: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the clusters, over all layers, that are still trained at the end; 1: all, AdaMSS-base."""
    warmup_fraction: Fraction = 0.01
    """Share of the steps before clusters are frozen."""
    settled_fraction: Fraction = 0.2
    """Share of the steps after which no more are."""
    interval: PositiveInt = 20
    """Steps between two choices."""

    @model_validator(mode="after")
    def _within_the_subspace(self) -> "AdamssParameters":
        if self.subspace_rank > self.rank:
            raise ValueError(f"subspace_rank {self.subspace_rank} is above rank {self.rank}")
        if self.warmup_fraction > self.settled_fraction:
            raise ValueError(f"warmup_fraction {self.warmup_fraction} is above settled_fraction")
        return self


@register
class Adamss(ExportedAsLora, LayerMethod):
    """W0 + B_c A_c V in the rows of every cluster c; V = the first R right singular vectors of W0, frozen.

    Clusters are those of the rows of the first R left singular vectors, by k-means. As training runs, the
    least important are frozen as they are, until a share of all is left; the schedule is PEFT's, in shares of
    the run. PEFT also changes the bias, needs scikit-learn, and finds the clusters again on loading.
    """

    name = "adamss"
    category = "Efficiency"
    citation = (
        "Zheng et al., AdaMSS: Adaptive Multi-Subspace Approach for Parameter-Efficient Fine-Tuning, "
        "NeurIPS 2025, OpenReview 8ZdWmpYxT0"
    )
    formula = (
        "W = W0 + B_c A_c V in the rows of cluster c, V = the first R right singular vectors of W0; "
        "the least important clusters are frozen as training runs"
    )
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE, "subspaces": AT_MOST_OUTPUTS}
    small_settings: ClassVar = {
        **{"rank": 8, "subspaces": 4, "subspace_rank": 2},
        **{"warmup_fraction": 0.7, "settled_fraction": 1},  # in the last of three steps
    }
    parameters: AdamssParameters

    def check_fit(self, shape: ModelShape) -> None:
        """Refuse more clusters than the rows of a layer fill with the rank of each."""
        super().check_fit(shape)
        chosen = self.parameters
        for name, (_, outputs) in linear_layers(shape, chosen.target_modules).items():
            if chosen.subspaces * chosen.subspace_rank > outputs:
                raise UserError(
                    f"method {self.name!r}: subspaces {chosen.subspaces} x subspace_rank "
                    f"{chosen.subspace_rank} does not fit {name}: it must be at most the {outputs} outputs; "
                    f"choose fewer subspaces, or leave {name.rpartition('.')[2]} out of target_modules"
                )

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "ClusteredLinear":
        """Return a layer that trains all A_c and B_c."""
        from rlvr.methods.layers.adamss import ClusteredLinear

        chosen = self.parameters
        return ClusteredLinear(linear, chosen.rank, chosen.subspaces, chosen.subspace_rank, total_steps)

    def start(self, policy: "nn.Module") -> None:
        """Decompose every base weight and find its clusters."""
        for _, layer in self.adapted_layers(policy):
            cast("ClusteredLinear", layer).decompose()

    def after_step(self, model: "nn.Module", optimizer: "torch.optim.Optimizer", step: int) -> None:
        """Note importances and, when it is time, freeze the least important clusters of the whole model."""
        import torch

        layers = [cast("ClusteredLinear", layer) for _, layer in self.adapted_layers(model)]
        for layer in layers:
            layer.restore()
        first, last = (round(share * layers[0].total_steps) for share in self._schedule())
        total = len(layers) * self.parameters.subspaces
        active = sum(int(layer.active.sum()) for layer in layers)
        done = min(1.0, (step + 1 - first) / max(1, last - first))
        final = max(1, round(self.parameters.kept * total))
        if active <= final or done < 0:
            return
        for layer in layers:
            layer.observe()
        if done < 1 and (step + 1 - first) % self.parameters.interval:
            return
        allowed = min(active, final + int((total - final) * (1 - done) ** 3))
        scores = torch.cat([layer.scores() for layer in layers])
        chosen = torch.zeros_like(scores, dtype=torch.bool)
        chosen[scores.topk(allowed).indices] = True
        for layer, own in zip(layers, chosen.split(self.parameters.subspaces), strict=True):
            layer.keep(own)

    def _schedule(self) -> tuple[float, float]:
        return self.parameters.warmup_fraction, self.parameters.settled_fraction

    def metrics(self, model: "nn.Module") -> dict[str, float]:
        """Return how many clusters are trained, over all layers."""
        layers = (cast("ClusteredLinear", layer) for _, layer in self.adapted_layers(model))
        return {"method/active_clusters": float(sum(int(layer.active.sum()) for layer in layers))}

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (K R + out), all of which are trained at the start, summed over the adapted layers."""
        chosen = self.parameters
        shapes = linear_layers(shape, chosen.target_modules).values()
        return chosen.subspace_rank * sum(chosen.subspaces * chosen.rank + outputs for _, outputs in shapes)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the factors of rank K r."""
        return cast("ClusteredLinear", layer).factors()
