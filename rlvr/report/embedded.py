"""Data inside the page, for its script."""

import json
import math
from typing import Any

from markupsafe import Markup

DIGITS = 4  # of embedded numbers; what is shown has at most three


def script_json(data: Any) -> Markup:
    """Return data as the content of a ``<script type="application/json">`` that nothing in it can end.

    Unknown numbers (NaN) become null, and others are rounded to four significant digits.
    """
    dumped = json.dumps(_plain(data), allow_nan=False, separators=(",", ":"))
    return Markup(dumped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _plain(value: Any) -> Any:
    """Return what JSON can hold; numpy scalars become Python's."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
