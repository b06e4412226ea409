"""Braces as the foreign graders pair them."""

import re


def braced(text: str, start: int) -> str | None:
    """Return the content of the brace at ``start`` up to the one that closes it; escaped ones count too."""
    if text[start : start + 1] != "{":
        return None
    depth = 0
    for brace in re.finditer(r"[{}]", text[start:]):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[start + 1 : start + brace.start()]
    return None
