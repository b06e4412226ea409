"""How `released-eval` reads plain text as algebra, here without running it as code.

The authors' grader passes model text to sympy's `parse_expr`, which calls Python's `eval`. This parser reads
the same arithmetic (numbers, single letters, `+ - * / ^ !`, brackets, implied multiplication, and the only
functions whose names pass the grader's limit of two letters) and refuses everything else, which mostly raises
in theirs and counts as incorrect too. Runs in the worker process only.
"""

import re

import sympy

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|([^\W\d_]\w*)|(\*\*|!+|[-+*/^()]))")
_NUMBER_INSIDE_NAME = re.compile(r"\d+|_\w+|\D")
_FUNCTIONS = {"sqrt": sympy.sqrt, "ln": sympy.log, "re": sympy.re, "im": sympy.im}
_CONSTANTS = {"pi": sympy.pi, **{name: sympy.Symbol(name) for name in ("mu", "nu", "xi")}}


def parse(text: str) -> sympy.Expr:
    """Return the value of ``text``.

    Raises:
        ValueError: the text is not plain arithmetic.
    """
    reader = _Reader(_tokens(text))
    value = reader.sum()
    if reader.peek():
        raise ValueError(f"unexpected {reader.peek()!r}")
    return value


def _tokens(text: str) -> list[str]:
    """Split into numbers, names and signs; an unknown name is split into its letters."""
    tokens: list[str] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"unexpected {text[position]!r}")
        number, name, sign = match.groups()
        is_call = name in _FUNCTIONS and text[match.end() :].lstrip().startswith("(")
        if name is None or name in _CONSTANTS or is_call or "_" in name:
            tokens.append(number or name or sign)
        else:
            tokens += _NUMBER_INSIDE_NAME.findall(name)
        position = match.end()
    return tokens


class _Reader:
    """Recursive descent with Python's precedences; `^` is a power and binds to the right."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = [*tokens, ""]
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position]

    def next(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def sum(self) -> sympy.Expr:
        value = self.product()
        while self.peek() in ("+", "-"):
            value = value + self.product() if self.next() == "+" else value - self.product()
        return value

    def product(self) -> sympy.Expr:
        value = self.signed()
        while True:
            if self.peek() in ("*", "/"):
                value = value * self.signed() if self.next() == "*" else value / self.signed()
            elif self.peek() == "(" or self.peek()[:1].isalnum() or self.peek().startswith("."):
                value = value * self.power()
            else:
                return value

    def signed(self) -> sympy.Expr:
        if self.peek() in ("+", "-"):
            return self.signed() if self.next() == "+" else -self.signed()
        return self.power()

    def power(self) -> sympy.Expr:
        base = self.postfixed()
        if self.peek() in ("^", "**"):
            self.next()
            return base ** self.signed()
        return base

    def postfixed(self) -> sympy.Expr:
        value = self.atom()
        while self.peek() in ("!", "!!"):
            value = sympy.factorial(value) if self.next() == "!" else sympy.factorial2(value)
        return value

    def atom(self) -> sympy.Expr:
        token = self.next()
        if token in _FUNCTIONS and self.peek() == "(":
            return _FUNCTIONS[token](self.atom())
        if token == "(":
            value = self.sum()
            if self.next() != ")":
                raise ValueError("a bracket is not closed")
            return value
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token[:1].isdigit() or token.startswith("."):
            return sympy.Integer(token) if token.isdigit() else sympy.Float(token)
        if token[:1].isalpha():
            return sympy.Symbol(token)
        raise ValueError(f"unexpected {token!r}" if token else "unexpected end")
