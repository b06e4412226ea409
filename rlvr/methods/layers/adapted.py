"""What the layers of this project share: a frozen linear layer, and an update of it that is trained."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class AdaptedLinear(nn.Module, ABC):
    """A frozen linear layer with something trained on top.

    A subclass keeps its trained tensors as float32 parameters, and every other tensor that it needs as a
    buffer: parameters and buffers are saved with a run, plain attributes are not.
    """

    def __init__(self, base_layer: nn.Linear) -> None:
        """Take ``base_layer`` over, frozen."""
        super().__init__()
        self.base_layer = base_layer.requires_grad_(False)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""

    @abstractmethod
    def update(self) -> dict[str, Tensor]:
        """Return what is added to the frozen ``weight`` [out, in] or ``bias`` [out], float32."""

    def base_tensors(self) -> dict[str, Tensor]:
        """Return the frozen tensors by name (``weight``, perhaps ``bias``)."""
        return {name: tensor.detach() for name, tensor in self.base_layer.named_parameters()}

    def merged(self) -> dict[str, Tensor]:
        """Return the base layer's tensors with the update added, float32; nothing is changed in place."""
        updates = self.update()
        return {
            name: tensor.float() + updates[name].detach() if name in updates else tensor.float()
            for name, tensor in self.base_tensors().items()
        }
