"""Comparing two single expressions by computer algebra, with the help of math-verify.

Runs in the worker process only: it is slow, and on hostile input it may not terminate. math-verify's timeouts
are off, because its alarms do not interrupt it (Math-Verify issues #63 and #65); the pool kills the process.
"""

from fractions import Fraction

import sympy
from math_verify import verify

from rlvr.verify.equivalence.members import approximation
from rlvr.verify.equivalence.normalize import normalize
from rlvr.verify.equivalence.numerals import tolerance
from rlvr.verify.equivalence.parsing import parsed
from rlvr.verify.equivalence.structure import Outcome, equivalent
from rlvr.verify.equivalence.units import split_unit, value_in

_DIGITS = 60
_EXACT = sympy.Float("1e-30", _DIGITS)
_SAMPLE_POINT = [sympy.Rational(numerator, 97) for numerator in (113, 151, 71, 229, 41, 307, 173, 59)]


def compare(golds: list[str], answer: str) -> Outcome:
    r"""Compare an extracted answer with the gold answer and its alternates, all as written.

    An answer `\sqrt{2} \approx 1.414` may agree with the gold on either side, if its sides agree.
    """
    answer = normalize(answer)
    claims: tuple[str, ...] = (answer,)
    if sides := approximation(answer):
        agree = _is_rounding(*sides)
        if agree is False:
            return Outcome.DIFFERENT
        claims = sides if agree else sides[:1]
    outcomes = [
        equivalent(normalize(gold), claim, algebraically_equivalent) for gold in golds for claim in claims
    ]
    for outcome in (Outcome.EQUAL, Outcome.DIFFERENT):
        if outcome in outcomes:
            return outcome
    return Outcome.UNPARSED_GOLD


def _is_rounding(exact: str, rounded: str) -> bool | None:
    """Tell whether a decimal is an exact value, rounded or cut off; None if the value is not a number."""
    value = parsed(value_in(exact, "") or "")
    if value is None or not _is_number(value):
        return None
    places = len(rounded.partition(".")[2])
    difference = (_with_exact_decimals(value) - sympy.Rational(rounded.replace(",", ""))).evalf(_DIGITS)
    return bool(abs(difference) < sympy.Rational(1, 10**places))


def algebraically_equivalent(gold: str, answer: str) -> Outcome:
    """Compare two normalised expressions, gold first: math-verify is not symmetric.

    An interval may answer any gold inequality, but an inequality answers a gold interval only where it is
    solved (`rlvr.verify.equivalence.ranges`): another may only repeat the problem.
    """
    gold_value, gold_unit = split_unit(gold)
    answer_value = value_in(answer, gold_unit)
    parsed_gold, parsed_answer = parsed(gold_value), parsed(answer_value) if answer_value else None
    if parsed_gold is None:
        return Outcome.UNPARSED_GOLD
    if parsed_answer is None:
        return Outcome.DIFFERENT
    agree = _numerically_equal(parsed_gold, parsed_answer)
    if agree is None:
        agree = verify([parsed_gold], [parsed_answer], timeout_seconds=None)
        agree = agree and not _differ_at_a_point(parsed_gold, parsed_answer)
    return Outcome.EQUAL if agree else Outcome.DIFFERENT


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
    exact_gold, exact_answer = gold.doit(), answer.doit()
    if not decimal and exact_gold.is_Rational and exact_answer.is_Rational:
        return bool(exact_gold == exact_answer)
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
