"""Reading LaTeX or plain arithmetic as an :class:`Expression`; nothing is evaluated."""

import re
from functools import lru_cache

from rlvr.verify.arithmetic import DEEPEST, TOKEN, ArithmeticReader, Unreadable
from rlvr.verify.equivalence.latex import STYLE_COMMAND
from rlvr.verify.equivalence.normalize import normalize
from rlvr.verify.unevaluated.expression import (
    Expression,
    call,
    inverse,
    negative,
    number,
    power,
    product,
    root,
    symbol,
    total,
)

_STYLE = rf"(?:{STYLE_COMMAND}|\\math(?:cal|op)\s*)"
_WORDS = re.compile(_STYLE + r"\{[^{}\d\\]*\}(?:\^\{?-?\d\}?)?")
_OPERATOR_NAME = re.compile(r"\\(?:operatorname\*?|mathop)\s*\{\s*(?:\\(?:rm|mathrm)\s)?\s*([A-Za-z]+)\s*\}")
_NO_MEANING = re.compile(
    _STYLE + r"(?![A-Za-z])|\\(?:displaystyle|limits)(?![A-Za-z])|[$&~?]|(?<!\\)(?:\\[%,;:! ]|%)"
)
_SAME = {
    **dict.fromkeys([r"\times", r"\cdot", r"\ast"], "*"), **dict.fromkeys([r"\div", ":"], "/"),
    **dict.fromkeys([r"\{", "[", r"\lbrack"], "("), **dict.fromkeys([r"\}", "]", r"\rbrack"], ")"),
    **dict.fromkeys([r"\lvert", r"\rvert", r"\vert"], "|"),
}  # fmt: skip
_CLOSERS = {"(": ")", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_BINOMIALS = frozenset([r"\binom", r"\dbinom", r"\tbinom"])
_WITH_LIMITS = frozenset([r"\sum", r"\prod", r"\int", r"\iint", r"\iiint", r"\oint", r"\lim"])
_FUNCTIONS = _WITH_LIMITS | {
    rf"\{name}"
    for name in (
        *("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
        *(
            "log",
            "ln",
            "lg",
            "exp",
            "gcd",
            "lcm",
            "max",
            "min",
            "sup",
            "inf",
            "det",
            "deg",
            "dim",
            "ker",
            "arg",
        ),
        *("bigcup", "bigcap", "Re", "Im", "Pr"),
    )
}
_BARE_FUNCTION = re.compile(r"(?<![\\A-Za-z])(gcd|lcm|max|min|det|lim|mod|floor|ceil|abs)(?![A-Za-z])")
_MODULUS = frozenset([r"\bmod", r"\mod", r"\pmod"])
_NO_ATOM = _MODULUS | {
    *("+", "-", "*", "/", "^", "_", "=", "<", ">", ",", ";", "!", "'", ")", "}"),
    *(r"\rfloor", r"\rceil", r"\choose"),
}
LONGEST = 2000
"""Characters; longer text is not read."""


def tokens(text: str) -> tuple[str, ...]:
    """Return the tokens of a text in one notation for answers and problems: no spaces, text or style."""
    named = _OPERATOR_NAME.sub(r"\\\1 ", normalize(text))
    plain = _NO_MEANING.sub(" ", _WORDS.sub(" ", named))
    plain = _BARE_FUNCTION.sub(r"\\\1 ", plain)
    return tuple(_SAME.get(token, token) for token in TOKEN.findall(plain.rstrip("=.,;: ")))


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression | None:
    """Return the canonical expression of a text, None where it is not one expression."""
    found = tokens(text) if len(text) <= LONGEST else ()
    if not found:
        return None
    reader = _Reader(list(found))
    try:
        return reader.whole()
    except Unreadable:
        return None


class _Reader(ArithmeticReader[Expression]):
    """Reads arithmetic with powers, functions and products without a sign."""

    def __init__(self, tokens: list[str]) -> None:
        super().__init__(tokens)
        self.bars = 0

    def number(self, digits: str) -> Expression:
        return number(digits)

    def total(self, terms: list[Expression]) -> Expression:
        return total(terms)

    def multiplied(self, factors: list[Expression]) -> Expression:
        return product(factors)

    def negative(self, term: Expression) -> Expression:
        return negative(term)

    def inverse(self, divisor: Expression) -> Expression:
        return inverse(divisor)

    def sum(self) -> Expression:
        value = super().sum()
        while self.next in _MODULUS:
            self.take()
            value = call("mod", value, self.factor())
        return value

    def begins_atom(self) -> bool:
        return bool(self.next) and self.next not in _NO_ATOM and not (self.next == "|" and self.bars)

    def power(self) -> Expression:
        base, marks = self.atom(), 0
        while self.next in ("^", "_", "!", "'"):
            mark, marks = self.take(), marks + 1
            if mark == "^":
                exponent = self.argument(whole=True)
                base = power(base, exponent)
            elif mark == "_":
                base = call("_", base, self.argument())
            else:
                base = call(mark, base)
            if max(marks, base.height) > DEEPEST:
                raise Unreadable
        return base

    def argument(self, whole: bool = False) -> Expression:
        r"""Read one LaTeX argument: a group or one token; of `\frac12` the digits one by one."""
        token = self.next
        if whole and token in ("+", "-"):
            return self.factor()
        if token[:1].isdigit() and len(token) > 1 and not whole:
            self.tokens[self.position : self.position + 1] = [token[0], token[1:]]
        return self.atom()

    def bracketed(self) -> Expression:
        opening = self.take()
        bars, self.bars = self.bars, 0
        value = self.sum()
        if self.next == r"\choose":
            self.take()
            value = call(r"\binom", value, self.sum())
        if self.next == "," and opening == "(":
            values = [value]
            while self.next == ",":
                self.take()
                values.append(self.sum())
            value = call(",", *values)
        self.skip(_CLOSERS[opening])
        self.bars = bars
        return call(opening, value) if opening in (r"\lfloor", r"\lceil") else value

    def shallow_atom(self) -> Expression:
        token = self.next
        if token in _CLOSERS:
            return self.bracketed()
        if token == "|":
            return self.between_bars()
        self.take()
        if token[:1].isdigit() or (token.startswith(".") and len(token) > 1):
            return number(token)
        if token == r"\frac":
            numerator = self.argument()
            return product([numerator, inverse(self.argument())])
        if token in _BINOMIALS:
            upper = self.argument()
            return call(r"\binom", upper, self.argument())
        if token == r"\sqrt":
            return self.radical()
        if token in _FUNCTIONS:
            return self.function(token)
        if token.isalpha() or (token.startswith("\\") and token[1:].isalpha() and token != r"\begin"):
            return symbol(token)
        raise Unreadable

    def between_bars(self) -> Expression:
        self.take()
        self.bars += 1
        value = self.sum()
        self.skip("|")
        self.bars -= 1
        return call("|", value)

    def radical(self) -> Expression:
        index = number("2")
        if self.next == "(" and ")" in self.tokens[self.position :]:
            self.take()
            index = self.sum()
            self.skip(")")
        return root(self.argument(), index)

    def function(self, name: str) -> Expression:
        """Read a function: its indices, and a group or the factors up to the next sign or function."""
        indices = []
        while self.next in ("^", "_"):
            mark = self.take()
            indices.append(call(mark, self.index()))
        indices.sort(key=lambda index: index.key)
        if self.next in ("(", "{"):
            factors = [self.power()]
            if name in _WITH_LIMITS:
                factors += self.factors()
        else:
            factors = self.factors()
        return call(name, *indices, product(factors))

    def factors(self) -> list[Expression]:
        factors = []
        while self.begins_atom() and self.next not in _FUNCTIONS:
            factors.append(self.power())
            while self.next in ("*", "/"):
                divides = self.take() == "/"
                factor = self.power()
                factors.append(inverse(factor) if divides else factor)
        if not factors and self.next in _FUNCTIONS:
            factors = [self.power()]
        return factors

    def index(self) -> Expression:
        """Read the limits of a sum as they are written, equation included."""
        if self.next != "{":
            return self.argument()
        start, depth = self.position + 1, 0
        while self.next:
            depth += {"{": 1, "}": -1}.get(self.take(), 0)
            if depth == 0:
                return symbol("".join(self.tokens[start : self.position - 1]))
        raise Unreadable
