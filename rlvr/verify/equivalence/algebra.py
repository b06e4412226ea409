"""Comparing two single expressions by computer algebra, with the help of math-verify.

Runs in the worker process only: it is slow, and on hostile input it may not terminate. math-verify's timeouts
are off, because its alarms do not interrupt it (Math-Verify issues #63 and #65); the pool kills the process.
"""

import re
from fractions import Fraction
from functools import lru_cache

import sympy
from latex2sympy2_extended import NormalizationConfig
from latex2sympy2_extended.math_normalization import units_regex_pattern
from math_verify import LatexExtractionConfig, parse, verify

from rlvr.verify.equivalence.members import has_unknowns
from rlvr.verify.equivalence.normalize import normalize
from rlvr.verify.equivalence.numerals import tolerance
from rlvr.verify.equivalence.structure import Outcome, equivalent

_DIGITS = 60
_EXACT = sympy.Float("1e-30", _DIGITS)
_SUBSCRIPTED_E = re.compile(r"(?<![A-Za-z\\])[eE](?=\s*_)")
_STAND_IN = r"\\Upsilon "
"""The grammar reads every e as Euler's number and fails on `E_{1}`, which can only be a quantity."""
_PRIMED = re.compile(r"(\\[A-Za-z]+|[A-Za-z])('+)(?!\s*_)")
"""The grammar ignores primes: it reads `y'` as `y`."""
_TEXT_IN_NAME = re.compile(r"\\(?:text|mathrm)\{([^{}]*)\}")
_TEXT_UNIT = re.compile(
    r"(?<=\S)\s*(?:[/*]\s*|\\cdot\s*)?\\(?:text(?:bf|it|rm|normal)?|mbox|mathrm)\s*"
    r"\{(?!\s*(?:or|not)\b)(?:[^{}]|\{[^{}]*\})*\}(?:\^(?:\d|\{-?\d\}))?$"
)
_MOST_UNITS = 6
_UNIT = (
    r"(?:[kcmn]?m|[km]?g|s|h|hr|min|mi|ft|in|lb|mol|erg|[kMG]?(?:Hz|Pa|eV|J|W|N)|K|V|A|L)"
    r"(?:\^(?:\d|\{-?\d\}))?"
)
_AFTER_VALUE = r"(?:(?<=[\d})])|(?<=\\pi))"
_BARE_UNIT = re.compile(
    rf"{_AFTER_VALUE}\s*(?:{_UNIT}(?:\s?/\s?{_UNIT})+|(?:[kcm]m|ft|in|mi)\^(?:\d|\{{\d\}}))$"
)
_WORD_UNIT = re.compile(rf"{_AFTER_VALUE}\s+(?:[A-Za-z]{{2,}}(?: [A-Za-z]{{2,}})+|[A-Za-z]{{4,}})$")
_NO_UNIT = re.compile(r"\b(?:or|and|not|hundred|thousand|million|billion|trillion|dozen)\b", re.IGNORECASE)
_ALTERNATIVE = re.compile(r"\\text\{\s*(?:or|not)\b")
_TRAILING_LETTERS = re.compile(r"(?<![\\A-Za-z])[A-Za-z][A-Za-z\s.]*$")
_UNIT_NAME = re.compile(
    rf"[msgh]|[kcmn]m|[km]g|ft|in|yd|mi|lbs?|oz|hrs?|k[JW]|[kMG]?(?:Hz|Pa|eV)|(?=\w{{3}})(?:{units_regex_pattern})"
)
"""math-verify also drops `ab`, `t` and other letters that are more likely factors than units."""
_OPEN_FUNCTION = re.compile(
    r"\\(?:sin|cos|tan|cot|sec|csc|ln|log|exp|sqrt)\s*(?:[\^_](?:\w|\{[^{}]*\})\s*)*$"
)
"""A function whose argument is the letters after it."""
_SAMPLE_POINT = [sympy.Rational(numerator, 97) for numerator in (113, 151, 71, 229, 41, 307, 173, 59)]


def compare(golds: list[str], answer: str) -> Outcome:
    """Compare an extracted answer with the gold answer and its alternates, all as written."""
    outcomes = [equivalent(normalize(gold), normalize(answer), algebraically_equivalent) for gold in golds]
    for outcome in (Outcome.EQUAL, Outcome.DIFFERENT):
        if outcome in outcomes:
            return outcome
    return Outcome.UNPARSED_GOLD


def algebraically_equivalent(gold: str, answer: str) -> Outcome:
    """Compare two normalised expressions, gold first: math-verify is not symmetric.

    An interval may answer a gold inequality, but an inequality may not answer a gold interval: it may only
    repeat the problem.
    """
    parsed_gold, parsed_answer = _parsed(gold), _parsed(answer)
    if parsed_gold is None:
        return Outcome.UNPARSED_GOLD
    if parsed_answer is None:
        return Outcome.DIFFERENT
    agree = _numerically_equal(parsed_gold, parsed_answer)
    if agree is None:
        agree = verify([parsed_gold], [parsed_answer], timeout_seconds=None)
        agree = agree and not _differ_at_a_point(parsed_gold, parsed_answer)
    return Outcome.EQUAL if agree else Outcome.DIFFERENT


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> sympy.Basic | None:
    """Parse LaTeX with a grammar; nothing is evaluated as code, and no number is extracted from prose."""
    expression = _SUBSCRIPTED_E.sub(_STAND_IN, _without_unit(expression))
    expression = _PRIMED.sub(lambda match: f"{match[1]}_{{{'prime' * len(match[2])}}}", expression)
    if _ALTERNATIVE.search(expression):
        return None
    normalization = NormalizationConfig(
        units=_ends_with_unit(expression), malformed_operators=True, nits=True, boxed="none"
    )
    found = parse(
        f"${expression}$",
        extraction_config=[
            LatexExtractionConfig(boxed_match_priority=-1, normalization_config=normalization)
        ],
        fallback_mode="no_fallback",
        parsing_timeout=None,
    )
    return _with_plain_symbols(found[0]) if found else None


def _ends_with_unit(expression: str) -> bool:
    letters = _TRAILING_LETTERS.search(expression)
    if letters is None:
        return not has_unknowns(expression)
    value, names = expression[: letters.start()], letters.group().replace(".", " ").split()
    if _OPEN_FUNCTION.search(value) or not _UNIT_NAME.fullmatch(names[-1]):
        return False
    return len(names[-1]) > 1 or (all(map(_UNIT_NAME.fullmatch, names)) and not has_unknowns(value))


def _without_unit(expression: str) -> str:
    """Drop unit words after a value: several words are one unit, unless one is a number or an alternative."""
    for _ in range(_MOST_UNITS):
        shorter = _TEXT_UNIT.sub("", expression)
        if shorter in ("", expression):
            break
        expression = shorter
    expression = _BARE_UNIT.sub("", expression)
    words = _WORD_UNIT.search(expression)
    return expression[: words.start()] if words and not _NO_UNIT.search(words.group()) else expression


def _with_plain_symbols(expression: sympy.Basic) -> sympy.Basic:
    r"""Read a free `i` as the imaginary unit, and make equal names equal symbols.

    To the grammar, i is a symbol like any other, and it reads other symbols next to it as complex or real
    depending on the spaces between them: the t of `e^{i t}` would differ from that of `e^{it}`.
    """
    if not isinstance(expression, sympy.Expr):
        return expression
    names = {symbol: _TEXT_IN_NAME.sub(r"\1", symbol.name) for symbol in expression.free_symbols}
    return expression.xreplace(
        {symbol: sympy.I if name == "i" else sympy.Symbol(name, real=True) for symbol, name in names.items()}
    )


def _numerically_equal(gold: sympy.Basic, answer: sympy.Basic) -> bool | None:
    """Compare two numbers: exactly where both are exact, within `tolerance` where one is a decimal.

    None where one of them is not a number.
    """
    if not (_is_number(gold) and _is_number(answer)):
        return None
    decimal = bool(gold.atoms(sympy.Float) or answer.atoms(sympy.Float))
    gold, answer = _with_exact_decimals(gold), _with_exact_decimals(answer)
    gold_value, answer_value = gold.evalf(_DIGITS), answer.evalf(_DIGITS)
    if not (_is_evaluated(gold_value) and _is_evaluated(answer_value)):
        return None
    if gold_value == 0 or answer_value == 0:
        return bool(gold.equals(0)) and bool(answer.equals(0))
    difference = abs(gold_value - answer_value).evalf(_DIGITS)
    size = abs(gold_value).evalf(_DIGITS)
    if decimal:
        return bool(difference <= _sympy_tolerance(size))
    return bool(difference <= _EXACT * size)


def _is_number(expression: sympy.Basic) -> bool:
    return isinstance(expression, sympy.Expr) and not expression.free_symbols and not expression.has(
        sympy.oo, sympy.zoo, sympy.nan, sympy.MatrixBase
    )  # fmt: skip


def _is_evaluated(value: sympy.Expr) -> bool:
    real, imaginary = value.as_real_imag()
    return bool(real.is_Float or real.is_Integer) and bool(imaginary.is_Float or imaginary.is_Integer)


def _with_exact_decimals(expression: sympy.Expr) -> sympy.Expr:
    """Read every decimal as the exact fraction of its digits."""
    decimals = expression.atoms(sympy.Float)
    return expression.xreplace({decimal: sympy.Rational(str(decimal)) for decimal in decimals})


def _sympy_tolerance(size: sympy.Expr) -> sympy.Expr:
    value = tolerance(Fraction(int(sympy.Rational(size).p), int(sympy.Rational(size).q)))
    return sympy.Rational(value.numerator, value.denominator) * sympy.Rational(1001, 1000)


def _differ_at_a_point(gold: sympy.Basic, answer: sympy.Basic) -> bool:
    """Tell whether two expressions that math-verify calls equal have clearly different values at a point.

    math-verify drops small terms when it compares numerically: `x` and `x` plus 1e-16 are equal to it.
    """
    if not (isinstance(gold, sympy.Expr) and isinstance(answer, sympy.Expr)):
        return False
    symbols = sorted(gold.free_symbols | answer.free_symbols, key=str)
    if not symbols or len(symbols) > len(_SAMPLE_POINT) or gold.free_symbols != answer.free_symbols:
        return False
    point = dict(zip(symbols, _SAMPLE_POINT, strict=False))
    try:
        values = [expression.subs(point).evalf(_DIGITS) for expression in (gold, answer)]
        if not all(_is_evaluated(value) for value in values):
            return False
        exact = not (gold.atoms(sympy.Float) or answer.atoms(sympy.Float))
        closeness = _EXACT if exact else sympy.Rational(1, 10**5)
        return bool(abs(values[0] - values[1]) > closeness * abs(values[0]))
    except (ArithmeticError, NotImplementedError, TypeError, ValueError):  # sympy gave up
        return False
