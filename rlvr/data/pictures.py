"""Problems that cannot be solved without a picture."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

PLACEHOLDER = "<image>"
"""What stands for a picture among the parts of a chat message."""

_IN_TEXT = re.compile(
    r"<image(?:[ _-]?\d+)?>|<img(?:_\d+>|\s)|<\|(?:image|vision)\w*\|>|!\[[^\]]*\]\([^)\s]+"
    r"|\[asy\]|\\includegraphics",
    re.IGNORECASE,
)
_COLUMN = re.compile(
    r"(?:decoded_|question_|problem_)?(?:images?|pictures?|figures?)(?:_\d+|_(?:path|url|file|byte|list)s?)?",
    re.IGNORECASE,
)


def picture_in(problem: str) -> str | None:
    """Return what refers to a picture in the text of a problem: `<image_1>`, `![](..)`, `[asy]`, .."""
    match = _IN_TEXT.search(problem)
    return match.group() if match else None


@cache
def is_picture_column(name: str) -> bool:
    """Tell by the name of a column whether it holds pictures."""
    return _COLUMN.fullmatch(name) is not None


def picture_column(record: Mapping[str, Any]) -> str | None:
    """Return the name of the first picture column that is not empty in a row."""
    return next((name for name, value in record.items() if is_picture_column(name) and _holds(value)), None)


def _holds(value: object) -> bool:
    """Tell whether a cell holds a picture or its address; numbers and truth values only count or describe."""
    if isinstance(value, Mapping):
        return any(map(_holds, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds, value))
    if isinstance(value, str):
        return value.strip().casefold() not in ("", "none", "null", "nan", "[]")
    return isinstance(value, bytes) and bool(value)
