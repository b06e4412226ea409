"""Turn a base model into the policy that a method trains, and check that it is that method."""

from typing import TYPE_CHECKING

from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.methods.base.measure import shape_of
from rlvr.methods.base.peft_layers import PEFT_PREFIX, TUNER_PREFIX
from rlvr.methods.base.spec import Method
from rlvr.methods.weights import update_signature
from rlvr.models.sharding import is_sharded, placed_like, whole_on_cpu
from rlvr.seeds import derive_seed

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


METHOD_STATE = "method_state/"
"""Prefix of a method's own state among the saved tensors."""
SIGNATURE = "check/update"
"""Name of the update's signature among the saved tensors."""
LARGEST_DIFFERENCE, NOISE = 0.01, 1e-6
"""How far a loaded update may be from the saved one: relative to it, and relative to the base (rounding)."""


def run_policy(
    config: TrainConfig, method: Method, model: "PreTrainedModel", start: bool = True
) -> "nn.Module":
    """Return the policy of a run before training, the same wherever it is built.

    Its frozen random parts, such as VeRA's projections, follow from the training seed. Without ``start`` it
    is to be filled with a saved state.

    Raises:
        UserError: see :func:`build_policy`.
    """
    seed = derive_seed(config.train_seed, "projection")
    return build_policy(method, model, config.training.optimizer_steps, seed, start)


def build_policy(
    method: Method, model: "PreTrainedModel", total_steps: int, seed: int = 0, start: bool = True
) -> "nn.Module":
    """Wrap ``model`` by ``method`` and check that what is trained is what was declared.

    Trainable parameters become float32, whatever the precision of the base: Adam's small steps vanish
    in bfloat16. ``total_steps`` is the number of optimizer steps of the run; frozen random parts follow from
    ``seed``. ``start`` is whether to compute the start, such as PiSSA's SVD of every layer.

    Raises:
        UserError: the settings do not fit the model, or the adapted modules or the number of trainable
            parameters are not the declared ones.
    """
    shape = shape_of(model)
    method.check_fit(shape)
    model.requires_grad_(False)
    policy = _wrapped(method, model, total_steps, seed)
    if start:
        method.start(policy)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    _check_modules(method, policy, method.declared_modules(shape))
    _check_count(method, policy, method.expected_parameters(shape))
    return policy


def _wrapped(method: Method, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
    try:
        return method.wrap(model, total_steps, seed)
    except ValueError as error:
        raise UserError(
            f"method {method!r} does not fit the model: {error}\n"
            "Change the setting, or leave the layers that it does not fit out of target_modules."
        ) from error


def trainable_parameters(policy: "nn.Module") -> int:
    """Return the number of trainable scalars."""
    return sum(parameter.numel() for parameter in policy.parameters() if parameter.requires_grad)


def trained_state(method: Method, policy: "nn.Module") -> dict[str, "Tensor"]:
    """Return every tensor that is trained or that the method added, and its own state; shared tensors once.

    A signature of the update is added, with which :func:`load_trained_state` checks what it rebuilds. Of
    weights that several ranks divide, rank 0 alone has more than names; all must call this at once.
    """
    saved = {name: whole_on_cpu(tensor) for name, tensor in _saved_tensors(method, policy).items()}
    return {**saved, SIGNATURE: update_signature(method, policy)}


def _saved_tensors(method: Method, policy: "nn.Module") -> dict[str, "Tensor"]:
    trainable = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    adapted = {name for name, _ in method.adapted_layers(policy)}
    unique = {
        name if is_sharded(tensor) else (tensor.data_ptr(), tensor.shape): (name, tensor.detach())
        for name, tensor in reversed(policy.state_dict().items())
        if name in trainable or not _is_base(name, adapted)
    }
    tensors = dict(reversed(unique.values()))
    memory = {METHOD_STATE + name: tensor for name, tensor in method.method_state(policy).items()}
    return {**tensors, **memory}


def load_trained_state(method: Method, policy: "nn.Module", state: dict[str, "Tensor"], place: str) -> None:
    """Restore a saved state and check that it gives the update that was saved.

    Raises:
        UserError: the names are not those of this policy, or the update is another: the base model is not the
            same, or the method has random numbers that it does not save.
    """
    memory = {name.removeprefix(METHOD_STATE): state[name] for name in state if name.startswith(METHOD_STATE)}
    method.load_method_state(policy, memory)
    expected = _saved_tensors(method, policy).keys() | {SIGNATURE}
    if state.keys() != expected:
        odd = sorted(state.keys() ^ expected)[0]
        raise UserError(
            f"{place}: tensor {odd!r} is unknown or missing; the file belongs to another method or model"
        )
    tensors = {name: state[name] for name in state if not name.startswith((METHOD_STATE, SIGNATURE))}
    own = policy.state_dict()
    policy.load_state_dict(
        {name: placed_like(tensor, own[name]) for name, tensor in tensors.items()}, strict=False
    )
    _check_update(method, policy, state[SIGNATURE], place)


def _check_update(method: Method, policy: "nn.Module", saved: "Tensor", place: str) -> None:
    difference = float((update_signature(method, policy) - saved.cpu()).norm())
    if not difference <= LARGEST_DIFFERENCE * float(saved.norm()) + NOISE:
        raise UserError(
            f"{place}: method {method.name!r} does not give the update that was saved: the base model is "
            "another, or the method uses random numbers that it does not save (register them as buffers)"
        )


def _is_base(name: str, adapted: set[str]) -> bool:
    """Tell whether a tensor of a policy is one that the plain model has and the method does not train."""
    if name.startswith(TUNER_PREFIX) and not name.startswith(PEFT_PREFIX):
        return False  # shared by all layers of a tuner, as VeRA's projections are
    plain = name.removeprefix(PEFT_PREFIX)
    inside = any(plain.startswith(f"{layer}.") for layer in adapted)
    return not inside or ".base_layer." in plain


def _check_modules(method: Method, policy: "nn.Module", declared: set[str]) -> None:
    adapted = {name for name, _ in method.adapted_layers(policy)}
    if adapted == declared:
        return
    missing, extra = sorted(declared - adapted), sorted(adapted - declared)
    raise UserError(
        f"method {method.name!r} does not adapt the modules it declares: "
        f"{len(missing)} missing (first: {missing[:1]}), {len(extra)} unexpected (first: {extra[:1]})"
    )


def _check_count(method: Method, policy: "nn.Module", expected: int) -> None:
    count = trainable_parameters(policy)
    if count != expected:
        raise UserError(f"method {method.name!r} trains {count:,} parameters where {expected:,} are declared")
