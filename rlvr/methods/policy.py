"""Turn a base model into the policy that a method trains, and check that it is that method."""

from typing import TYPE_CHECKING, Any

from rlvr.errors import UserError
from rlvr.methods.base.spec import PEFT_PREFIX, TUNER_PREFIX, MethodSpec

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


METHOD_STATE = "method_state/"
"""Prefix of what a method remembers outside its model, among the saved tensors."""


def build_policy(
    spec: MethodSpec, model: "PreTrainedModel", parameters: Any, total_steps: int
) -> "nn.Module":
    """Wrap ``model`` by ``spec`` and prove that what is trained is what was declared.

    Trainable parameters become float32, whatever the precision of the base: Adam's small steps vanish
    in bfloat16. ``total_steps`` is the number of optimizer steps of the run.

    Raises:
        UserError: the settings do not fit the model, or the adapted modules or the number of trainable
            parameters are not the declared ones.
    """
    config = model.config
    model.requires_grad_(False)
    policy = _wrapped(spec, model, parameters, total_steps)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    _check_modules(spec, policy, spec.declared_modules(config, parameters))
    _check_count(spec, policy, spec.expected_parameters(config, parameters))
    return policy


def _wrapped(spec: MethodSpec, model: "PreTrainedModel", parameters: Any, total_steps: int) -> "nn.Module":
    try:
        return spec.wrap(model, parameters, total_steps)
    except ValueError as error:
        settings = ", ".join(f"{name}={value}" for name, value in parameters.model_dump(mode="json").items())
        raise UserError(
            f"method {spec.name!r} does not fit the model ({settings}): {error}\n"
            "Change what does not fit, or leave the layers that it does not fit out of target_modules."
        ) from error


def trainable_parameters(policy: "nn.Module") -> int:
    """Return the number of trainable scalars."""
    return sum(parameter.numel() for parameter in policy.parameters() if parameter.requires_grad)


def trained_state(spec: MethodSpec, policy: "nn.Module") -> dict[str, "Tensor"]:
    """Return every tensor that is trained, that the method added, or that it remembers; shared ones once."""
    trainable = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    adapted = {name for name, _ in spec.adapted_layers(policy)}
    unique = {
        (tensor.data_ptr(), tensor.shape): (name, tensor.detach())
        for name, tensor in reversed(policy.state_dict().items())
        if name in trainable or not _is_base(name, adapted)
    }
    tensors = dict(reversed(unique.values()))
    memory = {METHOD_STATE + name: tensor for name, tensor in spec.method_state(policy).items()}
    return {**tensors, **memory}


def load_trained_state(
    spec: MethodSpec, policy: "nn.Module", state: dict[str, "Tensor"], source: str
) -> None:
    """Put a saved state back.

    Raises:
        UserError: the names are not those of this policy.
    """
    memory = {name.removeprefix(METHOD_STATE): state[name] for name in state if name.startswith(METHOD_STATE)}
    spec.load_method_state(policy, memory)
    expected = trained_state(spec, policy).keys()
    if state.keys() != expected:
        odd = sorted(state.keys() ^ expected)[0]
        raise UserError(
            f"{source}: tensor {odd!r} has no partner; the file belongs to another method or model"
        )
    policy.load_state_dict(
        {name: state[name] for name in state if not name.startswith(METHOD_STATE)}, strict=False
    )


def _is_base(name: str, adapted: set[str]) -> bool:
    """Tell whether a tensor of a policy is one that the plain model has and the method does not train."""
    if name.startswith(TUNER_PREFIX) and not name.startswith(PEFT_PREFIX):
        return False  # shared by all layers of a tuner, as VeRA's projections are
    plain = name.removeprefix(PEFT_PREFIX)
    inside = any(plain.startswith(f"{layer}.") for layer in adapted)
    return not inside or ".base_layer." in plain


def _check_modules(spec: MethodSpec, policy: "nn.Module", declared: set[str]) -> None:
    adapted = {name for name, _ in spec.adapted_layers(policy)}
    if adapted == declared:
        return
    missing, extra = sorted(declared - adapted), sorted(adapted - declared)
    raise UserError(
        f"method {spec.name!r} does not adapt the modules it declares: "
        f"{len(missing)} missing (first: {missing[:1]}), {len(extra)} unexpected (first: {extra[:1]})"
    )


def _check_count(spec: MethodSpec, policy: "nn.Module", expected: int) -> None:
    count = trainable_parameters(policy)
    if count != expected:
        raise UserError(f"method {spec.name!r} trains {count:,} parameters where {expected:,} are declared")
