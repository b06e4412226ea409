"""Expressions are read in one canonical form, and hostile text is refused quickly."""

import time

import pytest

from rlvr.verify.unevaluated.parser import parse


def key(text: str) -> str | None:
    expression = parse(text)
    return None if expression is None else expression.key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"99\times 99", r"1\cdot(99)*{99}+0"),
        (r"\dfrac{3}{4}", "3/4"),
        (r"\frac34", r"\frac{3}{4}"),
        (r"\sqrt[3]{8}", "8^{1/3}"),
        ("1-x", "-(x-1)"),
        ("-2x", "x(-2)"),
        (r"\left|7-24i\right|", "|-24i+7|"),
        (r"{31 \choose 28}", r"\dbinom{31}{28}"),
        (r"8!\div3!", r"\frac{8!}{3!}"),
        (r"\displaystyle\sum_{k = 1}^\infty \frac{k^2}{2^k}.", r"\sum^\infty_{k=1} k^2/2^k"),
        (r"\gcd(12, 18)", r"\operatorname{gcd}\left(12,18\right)"),
        (r"\sin 20^\circ \sin 40^\circ", r"\sin(20^\circ)\cdot\sin 40^{\circ}"),
        ("0.50", ".5"),
        (r"1{,}024", "1024"),
        ("a+b+c", "(c+a)+b"),
    ],
)
def test_notation_does_not_matter(one: str, other: str) -> None:
    assert key(one) == key(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2+3", "5"),
        ("2-3", "3-2"),
        (r"\frac{2}{3}", r"\frac{3}{2}"),
        ("2^3", "3^2"),
        ("2(3+4)", r"2\cdot3+4"),
        (r"\sin x+1", r"\sin(x+1)"),
        (r"\log_2 64", r"\log 2\cdot 64"),
        (r"\lfloor x\rfloor", r"\lceil x\rceil"),
    ],
)
def test_nothing_is_evaluated_and_order_matters_where_it_does(one: str, other: str) -> None:
    assert None is not key(one) != key(other) is not None


@pytest.mark.parametrize(
    "text", ["", "x = 5", "1, 2", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "3 +", "((1)"]
)
def test_what_is_no_expression_is_not_read(text: str) -> None:
    assert parse(text) is None


HOSTILE = ["(" * 700 + ")" * 700, "2" + "!" * 1400, "a_" * 700, "x^" * 700, r"\sqrt[" * 200, "-" * 1400 + "1"]


@pytest.mark.parametrize("text", [*HOSTILE, "1+" * 700 + "1", r"\sin" * 300, "|" * 1400], ids=range(9))
def test_hostile_text_is_read_or_refused_at_once(text: str) -> None:
    start = time.process_time()
    parse(text)
    assert time.process_time() - start < 1
