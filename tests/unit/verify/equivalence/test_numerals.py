"""Plain numerals, compared without algebra."""

import random
from functools import lru_cache

from math_verify import parse, verify

from rlvr.verify.equivalence.numerals import decimal_value, integer_text, numerals_agree


@lru_cache
def _math_verify_number(text: str) -> list[object]:
    return parse(f"${text}$", parsing_timeout=None)


def _written_integer(rng: random.Random) -> str:
    number = rng.choice([rng.randrange(-20, 20), rng.randrange(-(10**7), 10**7)])
    text = f"{number:,}" if rng.random() < 0.3 else str(number)
    return "0" + text if rng.random() < 0.1 and number >= 0 and "," not in text else text


def test_plain_integers_agree_with_math_verify() -> None:
    rng = random.Random(0)
    verdicts = []
    for _ in range(400):
        gold = _written_integer(rng)
        answer = rng.choice(
            [_written_integer(rng), gold.replace(",", ""), "0" + gold.lstrip("-").replace(",", "")]
        )
        expected = verify(_math_verify_number(gold), _math_verify_number(answer), timeout_seconds=None)
        assert numerals_agree(gold, answer) == expected, (gold, answer)
        verdicts.append(expected)
    assert 50 < sum(verdicts) < 350, "the sample must contain correct and incorrect answers"


def test_plain_numerals() -> None:
    assert integer_text("-007") == "-7"
    assert integer_text("-0") == "0"
    assert integer_text("12,34") is None
    assert integer_text("٣") is None
    assert integer_text("9" * 100_000) == "9" * 100_000
    assert decimal_value("1,234.50") == decimal_value("1234.5")
    assert decimal_value(".") is None
    assert numerals_agree("46", "46.0") is True
    assert numerals_agree("46", "46.1") is False
    assert numerals_agree("46", "x") is None
