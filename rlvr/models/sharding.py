"""Weights that several devices divide among them, by PyTorch's FSDP2 (`fully_shard`).

Each block of the decoder is divided: its parameters are gathered for its own forward and backward pass, and
each device keeps a part of every weight, of its gradient and of its optimizer state. What is outside the
blocks (embeddings, last norm, output layer) is whole on every device, since it is used outside the model's
own forward pass too.

Elsewhere a divided parameter is a `DTensor`; the functions here turn it into an ordinary tensor and back.
:func:`whole` and :func:`whole_on_cpu` must be called on all ranks at once.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only


def shard_blocks(blocks: Iterable[nn.Module]) -> None:
    """Divide the parameters of every decoder block among the ranks; call on all of them.

    Gradients are summed over ranks, not averaged.
    """
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = None
    for block in blocks:
        mesh = mesh or init_device_mesh(next(block.parameters()).device.type, (dist.get_world_size(),))
        sharded = fully_shard(block, mesh=mesh, reshard_after_forward=True)
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)  # gloo has no other


def is_sharded(tensor: Tensor) -> bool:
    """Tell whether each device holds only a part of a tensor."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor whole, on its device."""
    return cast(Tensor, cast(Any, tensor).full_tensor()) if is_sharded(tensor) else tensor


def whole_on_cpu(tensor: Tensor) -> Tensor:
    """Return a tensor whole; one that was divided on the CPU of rank 0, and empty on other ranks."""
    if not is_sharded(tensor):
        return tensor
    full = whole(tensor)
    return full.cpu() if cast(Any, tensor).device_mesh.get_rank() == 0 else full.new_empty(0, device="cpu")


def placed_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Return a whole tensor, the same on all ranks, divided as a parameter of its shape is."""
    if not is_sharded(parameter) or tensor.shape != parameter.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    divided = cast(Any, parameter)
    return distribute_tensor(
        tensor.to(parameter.device), divided.device_mesh, divided.placements, src_data_rank=None
    )


def one_tensor_at_a_time(optimizer: torch.optim.Optimizer) -> None:
    """Let an optimizer update each tensor by itself: PyTorch does not do divided and whole ones together."""
    for group in optimizer.param_groups:
        group["foreach"] = group["fused"] = False


def whole_optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimizer's state with whole tensors; see :func:`whole_on_cpu`."""
    saved = optimizer.state_dict()
    return {**saved, "state": tree_map_only(Tensor, whole_on_cpu, saved["state"])}


def placed_optimizer_state(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state of whole tensors as an optimizer can load it: divided, and updated, as its own is."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {
        owner: {
            key: placed_like(value, parameters[owner])
            if isinstance(owner, int) and isinstance(value, Tensor)
            else value
            for key, value in own.items()
        }
        for owner, own in saved["state"].items()
    }
    groups = [
        {**group, **{key: own[key] for key in ("foreach", "fused") if key in own}}
        for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=True)
    ]
    return {"state": state, "param_groups": groups}


def clip_gradients(parameters: list[nn.Parameter], largest: float) -> Tensor:
    """Scale gradients to a norm of at most ``largest`` over all of them; return the norm before."""
    if not any(is_sharded(parameter) for parameter in parameters):
        return torch.nn.utils.clip_grad_norm_(parameters, largest)
    used = [parameter for parameter in parameters if parameter.grad is not None]
    kinds = [[parameter for parameter in used if is_sharded(parameter) == kind] for kind in (True, False)]
    norms = [
        whole(torch.nn.utils.get_total_norm([cast(Tensor, p.grad) for p in kind])) for kind in kinds if kind
    ]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    for kind in kinds:
        torch.nn.utils.clip_grads_with_norm_(kind, largest, norm)
    return norm
