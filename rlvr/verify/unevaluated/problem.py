"""The formulas that a problem holds, in the form in which answers are compared with them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rlvr.verify.equivalence.latex import TEXT_COMMAND, split_outside_brackets
from rlvr.verify.unevaluated.expression import Expression
from rlvr.verify.unevaluated.parser import parse, tokens

_FORMULA = re.compile(
    r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]"
    r"|\\begin\{((?:align|equation|gather|multline)\*?)\}(.+?)\\end\{\5\}",
    re.DOTALL,
)
_OPERATOR = r"(?:[-+*/^×÷·−]|\*\*|\\(?:times|cdot|div)(?![A-Za-z]))"
_OPERAND = r"(?:[\[(\s]*[-−]?\d[\d,]*(?:\.\d+)?[\])!%\s]*)"
_ARITHMETIC = re.compile(rf"(?<![\w.,]){_OPERAND}(?:{_OPERATOR}{_OPERAND})+(?![A-Za-z\d])")
_WORDS = re.compile(TEXT_COMMAND + r"\{[^{}]*\}|\\q?quad(?![A-Za-z])")
_LAYOUT = re.compile(
    r"\\(?:begin|end)\{(?:align(?:ed|at)?|equation|gather(?:ed)?|multline|split|cases|array)\*?\}"
    r"(?:\{[lcr|\d]*\})?"
)
_SEPARATORS = frozenset([
    "=", "<", ">", ",", ";", "&", r"\\", r"\le", r"\ge", r"\leq", r"\geq", r"\lt", r"\gt", r"\ne", r"\neq",
    r"\approx", r"\equiv", r"\to", r"\mapsto", r"\implies", r"\iff", r"\in", r"\colon", r"\mid",
])  # fmt: skip
_LEAVES_OF_A_TASK = 3
"""A formula of this many numbers is not part of an answer by chance, as `2^{10}` is of `2^{10}-1`."""


@dataclass(frozen=True)
class Formulas:
    """What the formulas of a problem consist of; keys are those of :class:`Expression`."""

    whole: frozenset[str]
    """Keys of the expressions between relations and commas."""
    parts: frozenset[str]
    """Keys of all operations in them."""
    tasks: tuple[Expression, ...]
    """Those expressions of three numbers or more."""
    texts: tuple[str, ...]
    """The tokens of each formula."""
    expressions: frozenset[str]
    """The tokens of each expression."""


def formulas_in(problem: str) -> list[str]:
    """Return the formulas of a problem: those marked as such, else sums and products in the text."""
    marked = [match[match.lastindex or 0].strip() for match in _FORMULA.finditer(problem)]
    return [formula for formula in marked if formula] or arithmetic_in(problem)


def last_formula(problem: str) -> str | None:
    """Return the last formula of a problem, None where it has none."""
    found = formulas_in(problem)
    return found[-1] if found else None


def arithmetic_in(text: str) -> list[str]:
    """Return sums, products and powers of numbers that a text holds without marking them."""
    return [match.group().strip() for match in _ARITHMETIC.finditer(text)]


@lru_cache(maxsize=1024)
def read_formulas(problem: str) -> Formulas:
    """Read the formulas of a problem."""
    found = list(dict.fromkeys([*formulas_in(problem), *arithmetic_in(problem)]))
    pieces = list(dict.fromkeys(piece for formula in found for piece in _pieces(formula)))
    expressions = [expression for piece in pieces if (expression := parse(piece)) is not None]
    return Formulas(
        whole=frozenset(expression.key for expression in expressions),
        parts=frozenset().union(*(expression.parts for expression in expressions)),
        tasks=tuple(one for one in expressions if one.compound and one.leaves >= _LEAVES_OF_A_TASK),
        texts=tuple(joined(formula) for formula in found),
        expressions=frozenset(map(joined, pieces)),
    )


def joined(text: str) -> str:
    """Return the tokens of a text between spaces, so that one text can be found in another."""
    return f" {' '.join(tokens(text))} "


def _pieces(formula: str) -> Iterator[str]:
    """Yield the expressions of a formula: what relations, commas and words separate."""
    text = _LAYOUT.sub(" ", _WORDS.sub(",", formula))
    for piece in split_outside_brackets(text, _SEPARATORS):
        if piece.strip(" .?:"):
            yield piece.strip(" .?:")
