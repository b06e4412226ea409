"""The string forms of MATH and PRM800K."""

import pytest

from rlvr.verify.graders.released_eval_text import math_form, plain_text, prm800k_form


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (r"\text{Evelyn}", "Evelyn"),
        (r"\dfrac12", r"\frac{1}{2}"),
        (r"\frac1{72}", r"\frac{1}{72}"),
        ("0.5", r"\frac{1}{2}"),
        (".25", "0.25"),
        ("3/4", r"\frac{3}{4}"),
        ("k = 5", "5"),
        ("abc=5", "abc=5"),
        (r"\sqrt3", r"\sqrt{3}"),
        (r"15\text{ cm}", "15"),
        (r"\left( 1, 2 \right]", "(1,2]"),
        (r"90^\circ", "90"),
        (r"10\%", "10"),
        (r"x \sqrt", r"x \sqrt"),
    ],
)
def test_the_form_of_math(answer: str, form: str) -> None:
    assert math_form(answer) == form


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (r"\$32,\!348", "32348"),
        ("7,425,000", "7425000"),
        ("1\\ 1/4", "1+1/4"),
        (r"5 \text{ or } 6", "5,6"),
        ("5 or 6", "5,6"),
        ("3 million", "3*10^6"),
        (r"12 \text{ inches}", "12"),
        (r"\frac{a+1}{b}", "a+1/b"),
        (r"\sqrt[3]{2}", "sqrt(2)"),
        ("East", "east"),
        ("12.0", "12"),
        (r"2^{10}", "2^10"),
        (r"\unknown{7}\pi", "7pi"),
    ],
)
def test_the_form_of_prm800k(answer: str, form: str) -> None:
    assert prm800k_form(answer) == form


def test_unfinished_latex_becomes_some_text() -> None:
    for broken in ("\\", r"\frac", r"\frac{1}", r"\sqrt[3", "{{{", "}}", r"\begin{pmatrix} 1"):
        assert isinstance(plain_text(broken), str)
        assert isinstance(math_form(broken), str)
