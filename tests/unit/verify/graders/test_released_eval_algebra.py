"""Plain text read as algebra, never run as code."""

import pytest

from rlvr.verify.graders.released_eval_algebra import parse


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2x(x+1)", "2*x^2+2*x"),
        ("1/2x", "x/2"),
        ("-x**2", "-(x^2)"),
        ("2^-3", "1/8"),
        ("2^3^2", "512"),
        ("3sqrt(2)", "sqrt(18)"),
        ("sqrt2", "s*q*r*t*2"),
        ("ln(2)pi", "pi*ln(2)"),
        ("4!/3!", "4"),
        ("6!!", "48"),
        ("x2", "2x"),
        ("--.5", "1/2"),
    ],
)
def test_plain_arithmetic_is_read_as_sympy_reads_it(text: str, same: str) -> None:
    assert (parse(text) - parse(same)).simplify() == 0


@pytest.mark.parametrize(
    "text", ["", "(", "2+", "1,2", "x<1", "[1]", "f'(x)", "__import__('os')", "x.y", "a:b"]
)
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unexpected|not closed"):
        parse(text)
