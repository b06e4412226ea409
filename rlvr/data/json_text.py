"""Lists and objects that are written as text, as columns of CSV files and flat tables hold them."""

import ast
import json
import warnings
from typing import Any


def container_in(text: str) -> list[Any] | dict[Any, Any] | None:
    """Return the list or object that a text writes, as JSON or as a Python literal, else None."""
    text = text.strip()
    if text[:1] + text[-1:] not in ("[]", "{}"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _literal(text)
    return value if isinstance(value, list | dict) else None


def _literal(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # LaTeX is full of invalid escapes
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None
