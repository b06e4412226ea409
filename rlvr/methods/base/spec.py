"""What the project knows about a method: one class per method, one instance per choice of settings."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from inspect import get_annotations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from rlvr.config.training import Training
from rlvr.config.values import Settings
from rlvr.methods.base.parameters import ModuleParameters, TargetedParameters
from rlvr.methods.base.requirements import Requirement, check_requirements
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.targets import check_targets

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig, PeftModel
    from torch import Tensor, nn
    from transformers import PreTrainedModel

Category = Literal["Baseline", "Structural", "Initialization", "Efficiency", "Other"]
"""The groups of the paper's Table 1."""


class Method(ABC):
    """A method of training with its settings: how it changes the model, its optimizer, and how it is merged.

    A subclass declares the class of its settings once, as the type of ``parameters``. Subclasses import torch
    and peft inside their methods, so that the registry can be listed and checked in milliseconds.
    """

    name: ClassVar[str]
    category: ClassVar[Category]
    citation: ClassVar[str]
    formula: ClassVar[str]
    """How the trained weight W follows from the base weight W0, in one line."""
    parameters: Settings
    """The method's settings; a subclass narrows the type to its own class."""
    Parameters: ClassVar[type[Settings]] = Settings
    """The declared type of ``parameters``; never set by hand."""
    changes_base: ClassVar[bool] = False
    """Whether a sync leaves the frozen base changed; only a fault of the released code does."""
    stochastic: ClassVar[bool] = False
    """Whether its forward pass in training has noise of its own, besides dropout."""
    exact_lora: ClassVar[bool] = False
    """Whether every update is B A of low rank without loss (:meth:`to_lora`), and so can be hot-loaded."""
    sharded: ClassVar[bool] = False
    """Whether several devices divide the weights of the blocks, all trained (:mod:`rlvr.models.sharding`)."""
    loaded_as_base: ClassVar[bool] = False
    """Whether PEFT holds a loaded adapter in the precision of the base, which rounds it; else in float32."""
    requirements: ClassVar[dict[str, Requirement]] = {}
    """Setting -> what it asks of the shape of every adapted layer (:mod:`rlvr.methods.base.requirements`)."""
    small_settings: ClassVar[dict[str, Any]] = {}
    """Settings with which the tests run the method on a model 64 wide, where rank 4 and alpha 8 do not do."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        declared = get_annotations(cls, eval_str=True).get("parameters")
        if declared is not None:  # else the class is found along the bases, as any attribute is
            cls.Parameters = declared

    def __init__(self, parameters: Settings) -> None:
        """Bind the method to its settings.

        Raises:
            TypeError: they are those of another method.
        """
        if not isinstance(parameters, self.Parameters):
            raise TypeError(
                f"{type(self).__name__} takes {self.Parameters.__name__}, not {type(parameters).__name__}"
            )
        self.parameters = parameters

    def __repr__(self) -> str:
        """Return the name with all settings, as error messages show it."""
        settings = self.parameters.model_dump(mode="json").items()
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in settings)})"

    def with_settings(self, **values: Any) -> Self:
        """Return the same method with some settings changed."""
        return type(self)(self.Parameters(**{**self.parameters.model_dump(), **values}))

    def check_fit(self, shape: ModelShape) -> None:
        """Refuse settings that do not fit a model; extended where `requirements` cannot express it.

        Raises:
            UserError: they do not; the message names what to change.
        """
        if isinstance(self.parameters, TargetedParameters):
            check_targets(self.name, self.parameters, shape)
        check_requirements(self, shape)

    @abstractmethod
    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Return the model with what the method trains, everything else frozen.

        ``total_steps`` is the number of optimizer steps of the run, for methods with a schedule of their own;
        ``seed`` decides what is drawn at random and frozen.
        """

    def start(self, policy: "nn.Module") -> None:
        """Set what is computed from the base weights and saved with the run (an SVD of every layer).

        Called after :meth:`wrap` and before training, but not where a saved state is loaded.
        """
        return None

    @abstractmethod
    def declared_modules(self, shape: ModelShape) -> set[str]:
        """Return the names (in the base model) of the modules that the method must adapt."""

    @abstractmethod
    def expected_parameters(self, shape: ModelShape) -> int:
        """Return the number of trainable parameters, in closed form."""

    def kept_numbers(self, shape: ModelShape) -> int:
        """Return the float32 numbers kept beside base and trained parameters, where they count for memory."""
        return 0

    @abstractmethod
    def adapted_layers(self, model: "nn.Module") -> Iterator[tuple[str, "nn.Module"]]:
        """Yield ``(name in the base model, module)`` for every adapted module of a wrapped model."""

    @abstractmethod
    def base_weights(self, layer: "nn.Module") -> dict[str, "Tensor"]:
        """Return the tensors that :meth:`merged` replaces, with their present values in the wrapped model."""

    @abstractmethod
    def merged(self, layer: "nn.Module") -> dict[str, "Tensor"]:
        """Return the float32 tensors (``weight``, perhaps ``bias``) that a plain model would need here.

        Computed out of place: the layer and its base weights are not changed.
        """

    @abstractmethod
    def export(self, model: "nn.Module", directory: Path) -> None:
        """Write the result of a run: a PEFT adapter, or merged weights where PEFT cannot express it."""

    @property
    def rate_factors(self) -> frozenset[float]:
        """The learning rates of the optimizer's groups, as multiples of ``training.learning_rate``."""
        return frozenset({1.0})

    def optimizer(self, model: "nn.Module", training: Training) -> "torch.optim.Optimizer":
        """Return the optimizer: AdamW on the trainable parameters unless the method brings its own.

        ``training.learning_rate`` is the rate of this run, the preset's factor included. A method with other
        rates for some of its parameters declares them as :attr:`rate_factors`.
        """
        import torch

        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(
            trainable,
            lr=training.learning_rate,
            betas=training.betas,
            weight_decay=training.weight_decay,
            fused=trainable[0].is_cuda or None,  # saves the temporaries of a whole model
        )

    def after_step(self, model: "nn.Module", optimizer: "torch.optim.Optimizer", step: int) -> None:
        """Hook after optimizer step ``step`` (from 0), before gradients are cleared (AdaLoRA's ranks)."""
        return None

    def method_state(self, model: "nn.Module") -> dict[str, "Tensor"]:
        """Return the method's state besides its tensors in the model (AdaLoRA's importances)."""
        return {}

    def load_method_state(self, model: "nn.Module", state: dict[str, "Tensor"]) -> None:
        """Restore what :meth:`method_state` returned."""
        return None

    def extra_loss(self, model: "nn.Module") -> "Tensor | None":
        """Return a regulariser to add to the policy loss (AdaLoRA's orthogonality), or None."""
        return None

    def metrics(self, model: "nn.Module") -> dict[str, float]:
        """Return columns ``method/...`` of the training log about its own state (AdaLoRA's ranks)."""
        return {}

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return ``(A [r, in], B [out, r])`` with merged weight = base + B A exactly, or None."""
        return None


class PeftMethod(Method):
    """A method that is a tuner of the PEFT library on modules chosen by name."""

    parameters: ModuleParameters
    seed_field: ClassVar[str | None] = None
    """Field of the PEFT configuration from which frozen random parts follow; None: there are none."""

    @abstractmethod
    def peft_config(self) -> "PeftConfig":
        """Return the PEFT configuration."""

    def seeded_config(self, seed: int) -> "PeftConfig":
        """Return the PEFT configuration of a run whose frozen random parts follow from ``seed``."""
        config = self.peft_config()
        if self.seed_field:
            setattr(config, self.seed_field, seed % 2**31)
        return config

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the adapter; PEFT keeps its weights in float32 whatever the base's precision."""
        from peft import get_peft_model

        return get_peft_model(model, self.seeded_config(seed), autocast_adapter_dtype=True)

    def declared_modules(self, shape: ModelShape) -> set[str]:
        """Return the target layers of the decoder blocks."""
        return set(linear_layers(shape, self.parameters.target_modules))

    def adapted_layers(self, model: "nn.Module") -> Iterator[tuple[str, "nn.Module"]]:
        """Yield PEFT's tuner layers under their names in the base model."""
        from rlvr.methods.base.peft_layers import tuner_layers

        yield from tuner_layers(model)

    def base_weights(self, layer: "nn.Module") -> dict[str, "Tensor"]:
        """Return the frozen tensors under the adapter."""
        from rlvr.methods.base.peft_layers import base_tensors

        return base_tensors(layer)

    def merged(self, layer: "nn.Module") -> dict[str, "Tensor"]:
        """Merge a float32 copy of the layer by PEFT's own rule."""
        from rlvr.methods.base.peft_layers import merged_copy

        return merged_copy(layer)

    def export(self, model: "nn.Module", directory: Path) -> None:
        """Write the adapter in PEFT's format, for ``PeftModel.from_pretrained`` on the original base."""
        cast("PeftModel", model).save_pretrained(str(directory))
