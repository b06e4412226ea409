"""What training changed in every weight of a run: trained minus base in float32, one weight at a time.

Held at once are the base in its stored precision, the adapter, and one weight in float32: for a model of
7B parameters in bfloat16 15 GiB and what one weight needs. A run that trained the weights themselves
is read from its file weight by weight, without a second model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlvr.artifacts import RunRecord
from rlvr.errors import UserError
from rlvr.files import read_json
from rlvr.methods import Method, make_method
from rlvr.methods.base.measure import shape_of
from rlvr.methods.faults import trained_method
from rlvr.methods.policy import SIGNATURE, load_trained_state, run_policy
from rlvr.models.load import load_model
from rlvr.models.precision import stored_precision


@dataclass(frozen=True)
class WeightUpdate:
    """One weight that a run may have changed.

    Attributes:
        name: in the plain model.
        layer: the linear layer of a decoder block whose weight it is; None for a bias, a norm, an embedding.
        base: untrained, float32.
        trained: as the run trained it, merged in float32.
        factors: (A [r, in], B [out, r]) with trained - base = B A, where the method has them.
    """

    name: str
    layer: str | None
    base: Tensor
    trained: Tensor
    factors: tuple[Tensor, Tensor] | None = None


class TrainedRun:
    """A run whose trained tensors are laid over its base, from one file or several in turn."""

    def __init__(self, record: RunRecord, model: Path) -> None:
        """Load the base in its stored precision.

        Raises:
            UserError: the model is not the one that the run started from.
        """
        found = read_json(model / "provenance.json")["sha256"]
        if found != record.meta_info.model_sha256:
            raise UserError(
                f"{record.run_info.run} was not trained on {model}: its model has the hash "
                f"{record.meta_info.model_sha256}, this one {found}; train the run again, or name the "
                "folder of its model with --resources"
            )
        self.config = record.run_info.config
        self.model: PreTrainedModel = load_model(model, stored_precision(model))
        self.linear = frozenset(shape_of(self.model).linear)
        self.base = {name: weight.detach() for name, weight in self.model.named_parameters()}
        self.policy: nn.Module | None = None

    @torch.no_grad()
    def updates(self, trained: Path) -> Iterator[WeightUpdate]:
        """Yield every weight of the layers that the run adapted.

        A bias, a norm or an embedding that is its base to the last bit is left out: an adapter of a linear
        layer does not train its bias.

        Raises:
            UserError: the tensors do not belong to this run.
        """
        with safe_open(trained, "pt", device=str(self.model.device)) as file:
            names = [name for name in file.keys() if name != SIGNATURE]  # noqa: SIM118 (no mapping)
            if set(names) <= self.base.keys():
                for name in names:
                    yield self._update(name, file.get_tensor(name).float())
                return
        yield from self._adapted(trained)

    def _adapted(self, trained: Path) -> Iterator[WeightUpdate]:
        faulty = trained_method(self.config)
        if self.policy is None:
            self.policy = run_policy(self.config, faulty, self.model, start=False)
        load_trained_state(faulty, self.policy, load_file(trained), str(trained))
        method = make_method(self.config.trains_as, self.config.parameters, self.config.run)
        for layer_name, layer in method.adapted_layers(self.policy):
            for key, weight in method.merged(layer).items():
                update = self._update(f"{layer_name}.{key}", weight, _factors(method, layer, key))
                if update.layer or not torch.equal(update.trained, update.base):
                    yield update

    def _update(
        self, name: str, trained: Tensor, factors: tuple[Tensor, Tensor] | None = None
    ) -> WeightUpdate:
        layer, _, key = name.rpartition(".")
        linear = layer if key == "weight" and layer in self.linear else None
        return WeightUpdate(name, linear, self.base[name].float(), trained, factors)


def _factors(method: Method, layer: nn.Module, key: str) -> tuple[Tensor, Tensor] | None:
    return method.to_lora(layer) if key == "weight" else None
