r"""Answers that leave the problem's work undone.

Two rules, both on how an answer is written, not on its value:

- *Operation*: where the gold answer is a number, a sum, product or integral, a limit, gcd, lcm, maximum,
  determinant, absolute value or remainder is not an answer.
- *Copy*: an expression that the problem holds is not an answer, whatever its notation. Where the gold answer
  is a number, neither is a part of a formula, an expression that contains a formula of three or more numbers
  (`+0`, `\sqrt{(...)^2}`), or such a formula with numbers in the place of its letters. Where the gold answer
  is an expression with unknowns, only a whole formula is a copy.

Always an answer: the gold answer in any notation that `rlvr.verify.unevaluated.parser.parse` reads the same,
a numeral (with sign, unit, percent or power of ten), a residue (`3 \pmod 7`), a chain that ends in one
(`\sum k = 55`), and everything where the gold answer is no single value: an interval, tuple, list, equation
or text.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rlvr.verify.equivalence.latex import TEXT_COMMAND, enclosed, is_text_command, split_outside_brackets
from rlvr.verify.equivalence.members import chain_members, elements, has_unknowns, is_name
from rlvr.verify.equivalence.normalize import normalize
from rlvr.verify.equivalence.numerals import decimal_value, numerals_agree
from rlvr.verify.equivalence.repeating import repeating_decimals
from rlvr.verify.unevaluated.expression import Expression
from rlvr.verify.unevaluated.parser import parse, tokens
from rlvr.verify.unevaluated.problem import Formulas, joined, read_formulas

_NUMERAL = r"[+-]?\s*(?=[\d.])(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?"
_UNIT = rf"(?:{TEXT_COMMAND}\{{[^{{}}]*\}}|(?<![A-Za-z])[A-Za-z]{{1,12}})(?:\^(?:\d|\{{-?\d\}}))?"
_PLAIN = re.compile(
    rf"\(?{_NUMERAL}(?:\s*\\(?:times|cdot)\s*10\s*\^\s*(?:\d|\{{\s*[+-]?\d+\s*\}}))?\)?"
    rf"\s*(?:\\?%|{_UNIT}|[\s./])*"
)
"""A numeral, perhaps with a power of ten, a unit or a percent sign."""
_RELATION = re.compile(
    r"[=<>,;:]|\\(?:le|ge|ne|neq|in|cup|cap|approx|equiv|pm|mp|to|ldots|infty)(?![A-Za-z])"
)
_OPERATIONS = frozenset([
    r"\sum", r"\prod", r"\int", r"\iint", r"\iiint", r"\oint", r"\lim", r"\gcd", r"\lcm", r"\max", r"\min",
    r"\sup", r"\inf", r"\det", "|", r"\|", r"\bmod", r"\mod", r"\pmod",
])  # fmt: skip
_DETERMINANT = re.compile(r"\\begin\{[vV]matrix\}")


def is_unevaluated(answer: str, golds: Sequence[str], problem: str = "") -> bool:
    """Tell whether an answer is not evaluated, given each of the gold answers.

    Args:
        answer: the extracted answer, as written.
        golds: gold answers, as written; accepted is what one of them allows.
            A value must be allowed by one that is a value: a tuple among them says nothing about it.
        problem: the problem; without it, only the rule on operations applies.
    """
    if copies_a_repeating_decimal(answer, golds, problem):
        return True
    values = [gold for gold in golds if _single_value(gold)]
    if len(values) < len(golds) and _single_value(answer) is None:
        return False
    return bool(values) and all(_unevaluated_given(answer, gold, problem) for gold in values)


def copies_a_repeating_decimal(answer: str, golds: Sequence[str], problem: str) -> bool:
    r"""Tell whether a decimal of the problem such as `0.\overline{3}` answers golds in another notation.

    Asked before anything is compared, because a repeating decimal is read as its fraction.
    """
    if not repeating_decimals(answer) or not any(map(_single_value, golds)):
        return False
    if any(map(repeating_decimals, golds)):
        return False
    given = repeating_decimals(problem)
    claims = [member for member in chain_members(answer) if not is_name(member.strip("$ "))]
    return bool(claims) and all(repeating_decimals(claim) & given for claim in claims)


def _unevaluated_given(answer: str, gold: str, problem: str) -> bool:
    golden = _single_value(gold)
    if golden is None:
        return False
    values = _values(answer)
    formulas = read_formulas(problem) if problem else None
    if not golden.is_number:
        return formulas is not None and all(
            _copies_a_formula(value, golden.text, formulas) for value in values
        )
    if _approximates(answer, golden.text):
        return False
    if formulas is not None and len(values) > 1 and joined(answer) in formulas.texts:
        return True
    claimed = [value for value in values if not has_unknowns(value)] or values
    return all(_unfinished(value, golden.text, formulas) for value in claimed)


class _Value(NamedTuple):
    """A gold answer that is a number or an expression with unknowns."""

    text: str
    is_number: bool


@lru_cache(maxsize=4096)
def _single_value(gold: str) -> _Value | None:
    """Return the value of a gold answer, without the name in `x = 5`; None where it is no single value."""
    text = normalize(gold)
    members = chain_members(text)
    named = len(members) == 2 and is_name(members[0])
    value = members[-1] if named else text
    is_number = not has_unknowns(value) and r"\begin" not in value
    if named and not is_number:
        return None
    if _PLAIN.fullmatch(value):
        return _Value(value, is_number)
    if len(elements(value, spaced=False)) > 1 or _RELATION.search(value) or is_text_command(value):
        return None
    return _Value(value, is_number)


def _values(answer: str) -> list[str]:
    """Return the members of a chain of equations, without the name in front."""
    text = normalize(answer)
    brackets = enclosed(text)
    if brackets and brackets.opening in ("(", "{"):
        text = brackets.content
    members = chain_members(text)
    return members[1:] if len(members) > 1 and is_name(members[0]) else members


def _approximates(answer: str, gold: str) -> bool:
    r"""Tell whether an answer such as `\frac{3}{20} \approx 0.15` gives a decimal that is the gold answer."""
    sides = split_outside_brackets(normalize(answer), frozenset([r"\approx"]))
    return any(numerals_agree(normalize(gold), side) for side in sides[1:])


def _unfinished(value: str, gold: str, formulas: Formulas | None) -> bool:
    """Tell whether an answer to a number is an operation to be carried out, or a part of the problem."""
    if _PLAIN.fullmatch(value):
        return False
    mine, golden = parse(value), parse(gold)
    if _is_gold(value, gold):
        return False
    if _operations(value) - _operations(gold) and not (mine and _is_residue(mine)):
        return True
    if formulas is None or _is_atom(value):
        return False
    text = joined(value)
    if any(text in formula for formula in formulas.texts):
        return True
    if mine is None:
        return False
    return mine.key in formulas.parts or any(
        (mine.contains(task) or mine.fills_in(task)) and not (golden and golden.contains(task))
        for task in formulas.tasks
    )


def _operations(text: str) -> frozenset[str]:
    found = _OPERATIONS.intersection(tokens(text))
    return found | {"determinant"} if _DETERMINANT.search(text) else found


def _is_residue(expression: Expression) -> bool:
    r"""Tell whether it is `3 \pmod 7`: a number below the modulus."""
    if expression.text != "mod":
        return False
    value, modulus = (decimal_value(operand.key) for operand in expression.operands)
    return value is not None and modulus is not None and value < modulus


def _is_atom(value: str) -> bool:
    """Tell whether an answer is one number or symbol, perhaps with a sign or in brackets."""
    return sum(token not in ("(", ")", "{", "}", "+", "-") for token in tokens(value)) < 2


def _copies_a_formula(value: str, gold: str, formulas: Formulas) -> bool:
    """Tell whether an answer to an expression is a whole formula of the problem, and not the gold answer."""
    mine = parse(value)
    if mine is None or parse(gold) is None:
        text = joined(value)
        return len(tokens(value)) > 1 and text != joined(gold) and text in formulas.expressions
    return mine.compound and mine.key in formulas.whole and not _is_gold(value, gold)


def _is_gold(value: str, gold: str) -> bool:
    """Tell whether an answer is the gold answer in another notation.

    Its digits must be the same: the expression `(7/8)^3 (7/8)^{-3}` cancels to the gold answer 1.
    """
    mine, golden = parse(value), parse(gold)
    if mine is None or golden is None or mine.key != golden.key:
        return False
    digits, gold_digits = (sorted(re.findall("[1-9]", text)) for text in (joined(value), joined(gold)))
    return digits == gold_digits
