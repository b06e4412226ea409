"""The method registry: one file per method, found by name."""

from rlvr.methods.base.spec import MethodSpec, PeftMethod
from rlvr.methods.registry import get_method, method_parameters, methods

__all__ = ["MethodSpec", "PeftMethod", "get_method", "method_parameters", "methods"]
