"""Writing the arguments of LaTeX commands in one way, and dropping what prints nothing."""

import re
from itertools import accumulate

from rlvr.verify.equivalence.latex import tokens

_ARGUMENTS = {r"\frac": 2, r"\binom": 2, r"\sqrt": 1}
_INVISIBLE = frozenset(
    [r"\phantom", r"\hphantom", r"\vphantom", r"\label", r"\tag", r"\hspace", r"\vspace", r"\hskip", r"\kern"]
)
_STRUTS = frozenset([r"\strut", r"\mathstrut", r"\null", r"\nonumber", r"\notag", r"\relax"])
_NEEDED = re.compile(
    r"[\^_]\s*\\|\}\s*[\^_]|\\(?:frac|binom|sqrt)\s*[^\s{\[]|\\(?:frac|binom)\s*\{"
    r"|\\sqrt\s*\[[^\]]*\]\s*[^\s{]"
    r"|\\(?:[hv]?phantom|label|tag|[hv]space|(?:math)?strut|null|nonumber|notag|relax)(?![A-Za-z])"
)
_DEEPEST = 40


def with_plain_groups(text: str) -> str:
    r"""Return LaTeX with braces around arguments and exponents, without braces around bases or phantoms.

    `\frac12` becomes `\frac{1}{2}`, `2^\frac{1}{2}` becomes `2^{\frac{1}{2}}`, `{a}_{1}` becomes `a_{1}`, and
    `5\phantom{0}` becomes `5`. Text with an unclosed brace, or nested deeper than any
    answer, is returned as it is.
    """
    if _NEEDED.search(text) is None or not _is_balanced(text):
        return text
    try:
        return _Writer(tokens(text)).rewritten()
    except _TooDeepError:
        return text


def _is_balanced(text: str) -> bool:
    depths = list(accumulate((token == "{") - (token == "}") for token in tokens(text)))
    return min(depths) == depths[-1] == 0


class _TooDeepError(Exception):
    """Commands or groups are nested deeper than in any answer."""


class _Writer:
    """Reads tokens from left to right and writes them again."""

    def __init__(self, parts: list[str]) -> None:
        self.parts = parts
        self.position = 0
        self.depth = 0

    def rewritten(self) -> str:
        written = []
        while self.position < len(self.parts):
            written.append(self.next_atom())
        return "".join(written)

    def peek(self) -> str:
        return self.parts[self.position] if self.position < len(self.parts) else ""

    def skip_spaces(self) -> None:
        while self.peek() == " ":
            self.position += 1

    def group(self) -> str:
        """Return the content of the group that begins here."""
        self.position += 1
        written = []
        while self.peek() not in ("}", ""):
            written.append(self.next_atom())
        self.position += 1
        return "".join(written)

    def next_atom(self) -> str:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _TooDeepError
        atom = self.atom()
        self.depth -= 1
        return atom

    def atom(self) -> str:
        token = self.peek()
        if token == "{":
            content = self.group()
            start = self.position
            self.skip_spaces()
            if self.peek() in ("_", "^") and len(tokens(content)) == 1 and self.peek():
                return content
            self.position = start
            return f"{{{content}}}"
        self.position += 1
        if token in ("^", "_"):
            return token + self.script()
        if token in _ARGUMENTS:
            return token + self.arguments(_ARGUMENTS[token])
        if token in _STRUTS:
            return ""
        if token.startswith("\\") and len(token) > 1 and token[1].isalpha():
            if token in _INVISIBLE:
                self.arguments(1)
                return ""
            return token + self.adjacent_groups()
        return token

    def script(self) -> str:
        start = self.position
        self.skip_spaces()
        token = self.peek()
        if token in _ARGUMENTS or (token.startswith(r"\text") or token in (r"\mathrm", r"\mbox")):
            return f"{{{self.next_atom()}}}"
        if token == "{":
            return f"{{{self.group()}}}"
        self.position = start
        return ""

    def arguments(self, count: int) -> str:
        written = ""
        for _ in range(count):
            start = self.position
            self.skip_spaces()
            if self.peek() == "[":
                end = self.position
                while end < len(self.parts) and self.parts[end] != "]":
                    end += 1
                written += "".join(self.parts[self.position : end + 1])
                self.position = end + 1
                self.skip_spaces()
            token = self.peek()
            if token in ("", "}", ")", "&", "$", "^", "_"):
                self.position = start
                return written
            written += f"{{{self.group() if token == '{' else self.next_atom()}}}"
        return written

    def adjacent_groups(self) -> str:
        written = ""
        while self.peek() == "{":
            written += f"{{{self.group()}}}"
        return written
