"""Answers that are too expensive to parse."""

import pytest

from rlvr.verify.equivalence.normalize import normalize
from rlvr.verify.equivalence.precheck import digits_bound, refusal


@pytest.mark.parametrize(
    "answer",
    [
        r"5^{(5^{(5^{(5^5)})} - 4)} - 5",
        "2^{10000000000}",
        "10^{10^{10}}",
        "9^9^9",
        "(10^{10})!",
        "((100!)!)!",
        "9!!!!",
        r"\binom{1000000000}{500000000}",
        r"\sum_{k=1}^{1000000000} \frac{1}{k}",
        r"\prod_{k=1}^{10000000} k",
        "(1+x)^{1000000}",
        r"x > 2^{2^{2^{2^{2^{2}}}}}",
        "^".join("2" * 700),
        "(" * 40 + ")" * 40,
        "9" * 501 + "x",
        "x+" * 1000,
    ],
)
def test_bombs_are_refused(answer: str) -> None:
    assert refusal(normalize(answer))


@pytest.mark.parametrize(
    "answer",
    [
        "2024^{4046}",
        "2^{25}\\cdot 26!",
        "\\frac{1}{2006!}",
        "2^{2^{10}}",
        "100!!",
        "e^{x^{2}}",
        "4.5e33",
        "\\binom{2n}{n}",
    ],
)
def test_real_answers_are_not_refused(answer: str) -> None:
    assert refusal(normalize(answer)) is None


def test_digits_bound_is_an_upper_bound() -> None:
    for answer, value in [
        ("2^{1009}", 2**1009),
        ("26!", 403291461126605635584000000),
        ("3^2^5", 3**32),
        ("12345", 12345),
    ]:
        assert len(str(value)) - 1 <= digits_bound(answer) <= 4 * len(str(value))
