"""The method registry: one file per method, found by name."""

from rlvr.methods.base.spec import Method, PeftMethod
from rlvr.methods.registry import get_method, make_method, methods

__all__ = ["Method", "PeftMethod", "get_method", "make_method", "methods"]
