"""Weight sync: sends the trained weights to the engine and checks that it serves them.

The engine takes all weights in one stream, and is then asked for each: what it holds must have the
fingerprint of what it was sent (:mod:`rlvr.rollout.fingerprint`), so no second copy is kept to compare.

Weights are merged out of place (:mod:`rlvr.methods.weights`), so the policy's base weights are never changed:
there is nothing to restore and nothing can drift. Where the policy itself samples, nothing is sent.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from rlvr.config.values import Rounding
from rlvr.errors import UserError
from rlvr.methods import Method
from rlvr.methods.weights import low_rank_updates, merged_weights
from rlvr.rollout.engines.base import LoadedEngine
from rlvr.rollout.fingerprint import fingerprint
from rlvr.rollout.rounding import stochastically_rounded
from rlvr.rollout.served import Served, exactly, measured, served_metrics
from rlvr.seeds import derive_seed


class Sync(ABC):
    """Makes the policy that samples the one that is trained, and measures what is lost."""

    sends: ClassVar[bool] = True
    """Whether the engine has weights of its own."""

    def __init__(self, method: Method, policy: nn.Module) -> None:
        """Store the untrained weights; call before anything is trained or resumed."""
        self.method, self.policy = method, policy
        self.untrained = {
            f"{name}.{key}": tensor.cpu().clone() if _moves(method, layer, key) else tensor
            for name, layer in method.adapted_layers(policy)
            for key, tensor in method.base_weights(layer).items()
        }

    def __call__(self, step: int) -> dict[str, float]:
        """Send the current weights; ``step`` is the number of finished steps.

        Returns:
            The columns ``sync/..`` of the training log (:mod:`rlvr.rollout.served`).

        Raises:
            UserError: the engine holds other weights than it was sent.
        """
        return served_metrics(self._served(step))

    @abstractmethod
    def release(self) -> None:
        """Leave the device to the trainer until the next sync."""

    @abstractmethod
    def _served(self, step: int) -> Iterator[Served]:
        """Send the weights; yield what is served of each."""


class LiveSync(Sync):
    """Sends nothing, because the policy itself samples; measures the update."""

    sends = False

    def release(self) -> None:
        """Do nothing: there is no second model."""

    @torch.no_grad()
    def _served(self, step: int) -> Iterator[Served]:
        for name, layer in self.method.adapted_layers(self.policy):
            if factors := self.method.to_lora(layer):
                yield exactly(product_square(*factors))
            else:
                for key, weight in self.method.merged(layer).items():
                    untrained = self.untrained[f"{name}.{key}"].to(weight)
                    yield exactly(float((weight - untrained).square().sum()))


class WeightSync(Sync):
    """Sends a policy's weights to an engine."""

    def __init__(
        self,
        method: Method,
        policy: nn.Module,
        engine: LoadedEngine,
        mode: Literal["merged", "adapter"],
        rounding: Rounding = "nearest",
        seed: int = 0,
    ) -> None:
        """Store the untrained weights; call before anything is trained or resumed.

        ``rounding`` is the rule by which weights are rounded to the engine's precision; from ``seed``, that
        of the run, stochastic rounding derives the seed of every weight and step.
        """
        super().__init__(method, policy)
        self.engine, self.mode = engine, mode
        self.rounding, self.seed = rounding, seed

    def _served(self, step: int) -> Iterator[Served]:
        return self._merged(step) if self.mode == "merged" else self._adapter(step)

    def release(self) -> None:
        """Put the engine to sleep."""
        self.engine.sleep()

    def _merged(self, step: int) -> Iterator[Served]:
        """Send merged weights; yield what is served of each."""
        sent: dict[str, int] = {}
        found: list[Served] = []

        def stream() -> Iterator[tuple[str, Tensor]]:
            for name, weight in merged_weights(self.method, self.policy):
                rounded = self._rounded(weight, step, name)
                sent[name] = fingerprint(rounded)
                found.append(measured(rounded, weight, self.untrained[name].to(weight)))
                yield name, rounded

        weights = stream()
        self.engine.load_weights(weights)
        deque(weights, maxlen=0)  # what the engine did not take is checked too
        for name, expected in sent.items():
            _require_equal(name, self.engine.held_weight(name), expected)
        yield from found

    def _adapter(self, step: int) -> Iterator[Served]:
        """Send low-rank updates; yield what is served of each."""
        sent: dict[str, tuple[int, int]] = {}
        found: list[Served] = []

        def stream() -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
            for name, (down, up) in low_rank_updates(self.method, self.policy):
                rounded = self._rounded(down, step, name, "A"), self._rounded(up, step, name, "B")
                sent[name] = fingerprint(rounded[0]), fingerprint(rounded[1])
                served = rounded[1].to(up) @ rounded[0].to(down)
                found.append(measured(served, up @ down, torch.zeros_like(served)))
                yield name, rounded

        updates = stream()
        self.engine.load_updates(updates)
        deque(updates, maxlen=0)
        for name, expected in sent.items():
            for held, factor in zip(self.engine.held_update(name), expected, strict=True):
                _require_equal(name, held, factor)
        yield from found

    def _rounded(self, weight: Tensor, step: int, *name: str) -> Tensor:
        """Return a weight in the engine's precision."""
        if self.rounding == "nearest":
            return weight.to(self.engine.weight_dtype)
        generator = torch.Generator(weight.device)
        generator.manual_seed(derive_seed(self.seed, "rounding", step, *name))
        return stochastically_rounded(weight, self.engine.weight_dtype, generator)


def product_square(down: Tensor, up: Tensor) -> float:
    """Return ||B A||^2 (Frobenius) of A [r, in] and B [out, r], without the product.

    It is the sum over all entries of (A A^T) * (B^T B). In float64, because the update of a method with a
    frozen start (PiSSA) is a small difference of large products.
    """
    down, up = down.double(), up.double()
    return max(float(((down @ down.T) * (up.T @ up)).sum()), 0.0)


def _moves(method: Method, layer: nn.Module, name: str) -> bool:
    """Tell whether a tensor of the base will change (full fine-tuning, or a fault): then a copy is kept."""
    own = dict(layer.named_parameters(recurse=False))
    return method.changes_base or (name in own and own[name].requires_grad)


def _require_equal(name: str, held: Tensor, sent: int) -> None:
    if fingerprint(held) != sent:
        raise UserError(
            f"after the sync the engine does not hold the weights of {name!r} that it was sent: it would "
            "sample from another policy than the one that is trained; this is a defect of the engine, not of "
            "the study"
        )
