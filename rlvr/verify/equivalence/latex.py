"""Reading LaTeX as nested groups, in one pass and without interpreting it."""

import re
from itertools import accumulate
from typing import NamedTuple

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPENING = frozenset(["{", "(", "[", r"\{", r"\begin", r"\langle", r"\lfloor", r"\lceil"])
_CLOSING = frozenset(["}", ")", "]", r"\}", r"\end", r"\rangle", r"\rfloor", r"\rceil"])
TEXT_COMMAND = r"\\(?:text(?:bf|it|rm|normal|sf|tt|sc|up|sl|md)?|mbox|hbox|mathrm)\s*"
"""Pattern of the commands that set words; ``{`` follows."""
STYLE_COMMAND = rf"(?:{TEXT_COMMAND}|\\math(?:bf|it|sf|tt)\s*)"
r"""Those and the commands that change the style of a letter, which may be a symbol: ``\mathbf{v}``."""
_TEXT_GROUP = re.compile(STYLE_COMMAND + r"\{([^{}]*)\}")


def tokens(text: str) -> list[str]:
    r"""Split LaTeX into commands (``\frac``, ``\{``) and single characters."""
    return _TOKEN.findall(text)


def brace_pairs(text: str) -> dict[int, int]:
    """Return position of each opening brace -> position of its closing brace; escaped ones do not count."""
    pairs: dict[int, int] = {}
    unclosed: list[int] = []
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match.group() == "{":
            unclosed.append(match.start())
        elif match.group() == "}" and unclosed:
            pairs[unclosed.pop()] = match.start()
    return pairs


def nesting_depth(text: str) -> int:
    """Return the nesting depth of brackets of any kind."""
    depth = deepest = 0
    for token in tokens(text):
        depth += (token in _OPENING) - (token in _CLOSING)
        deepest = max(deepest, depth)
    return deepest


def split_outside_brackets(text: str, separators: frozenset[str]) -> list[str]:
    """Split ``text`` at the separators outside all brackets; unbalanced text stays whole.

    Round and square brackets may close each other, as in half-open intervals.
    """
    parts: list[str] = []
    current: list[str] = []
    depth = 0
    for token in tokens(text):
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth < 0:
            return [text]
        if depth == 0 and token in separators:
            parts.append("".join(current).strip())
            current = []
        else:
            current.append(token)
    if depth:
        return [text]
    return [*parts, "".join(current).strip()]


class Enclosed(NamedTuple):
    """Text in one pair of brackets."""

    opening: str
    content: str
    closing: str


def enclosed(text: str) -> Enclosed | None:
    """Return brackets and content where one pair of brackets encloses all of ``text``."""
    parts = tokens(text)
    if len(parts) < 2 or parts[0] not in _OPENING or parts[0] == r"\begin":
        return None
    depths = list(accumulate((token in _OPENING) - (token in _CLOSING) for token in parts))
    if depths[-1] != 0 or 0 in depths[:-1]:
        return None
    return Enclosed(parts[0], "".join(parts[1:-1]).strip(), parts[-1])


def without_text_commands(text: str) -> str:
    r"""Replace ``\text{word}`` and similar commands by the bare word."""
    return _TEXT_GROUP.sub(r"\1", text)


def is_text_command(text: str) -> bool:
    r"""Tell whether all of ``text`` is one ``\text{...}`` or similar command."""
    return _TEXT_GROUP.fullmatch(text) is not None


def groups_replaced(text: str, command: str, opening: str, closing: str) -> str:
    r"""Replace the round brackets after a command: ``\sqrt{2}`` for ``\sqrt(2)``."""
    start = text.find(command + "(")
    while start >= 0:
        inner = start + len(command) + 1
        depth, end = 1, inner
        while end < len(text) and depth:
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        if depth:
            return text
        text = text[: inner - 1] + opening + text[inner : end - 1] + closing + text[end:]
        start = text.find(command + "(", inner)
    return text
