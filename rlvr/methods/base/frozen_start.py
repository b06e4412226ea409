"""A trained adapter that does not start at zero: a second, frozen one subtracts its start.

W = W0 + D - D0,  D trained, D0 = D at the start.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from torch import Tensor

TRAINED, INITIAL = "default", "initial"
"""Names of the two adapters in PEFT."""


def add_frozen_start(policy: "PeftModel", config: "PeftConfig") -> None:
    """Add a second adapter, active and frozen; the caller sets it to the negative of the trained one."""
    policy.add_adapter(INITIAL, config)
    cast(Any, policy.base_model).set_adapter([TRAINED, INITIAL])
    for name, parameter in policy.named_parameters():
        if INITIAL in name.split("."):
            parameter.requires_grad_(False)


def summed_factors(factors: "Iterable[tuple[Tensor, Tensor]]") -> "tuple[Tensor, Tensor]":
    """Return (A, B) whose product is the sum of the products of all (A [r, in], B [out, r])."""
    import torch

    downs, ups = zip(*factors, strict=True)
    return torch.cat(downs).detach(), torch.cat(ups, dim=1).detach()
