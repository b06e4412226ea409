"""Mixed precision: the context in which a policy computes."""

import torch
from torch import nn

from rlvr.config.choices import DType


def autocast(policy: nn.Module, dtype: DType) -> torch.autocast:
    """Return the context in which the policy runs in ``dtype`` while trained weights remain float32."""
    device = next(policy.parameters()).device.type
    return torch.autocast(device, dtype=getattr(torch, dtype), enabled=dtype != "float32")
