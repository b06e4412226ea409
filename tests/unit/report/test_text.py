"""Untrusted text for the reader."""

import unicodedata

import pytest

from rlvr.report.text import excerpt, visible


def test_every_character_that_is_not_drawn_is_spelled_out():
    hidden = [
        chr(code)
        for code in range(0x110000)
        if (kind := unicodedata.category(chr(code))) in ("Cc", "Cf", "Zl", "Zp")
        or (kind, code % 97) == ("Cn", 0)
        if chr(code) not in "\n\t"
    ]
    assert len(hidden) > 5000
    spelled = [f"\\u{ord(one):04x}" if ord(one) <= 0xFFFF else f"\\U{ord(one):08x}" for one in hidden]
    assert visible("42".join(hidden)) == "42".join(spelled)


@pytest.mark.parametrize("blank", ["\u034f", "\u115f", "\u2800", "\u3164", "\ufe0f", "\U000e0101"])
def test_characters_of_other_categories_that_are_not_drawn_are_spelled_out(blank):
    assert visible(f"4{blank}2").isascii()


def test_what_is_drawn_stays():
    text = "line\n\ttab ¬ é 解 \U0001f600 \\u200b ق\u0651"
    assert visible(text) == text
    assert visible("1\r\n2\r3") == "1\n2\\u000d3"


def test_a_long_text_is_shortened_to_its_ends():
    assert excerpt("x" * 1500) == "x" * 1500
    assert (
        excerpt("a" * 600 + "-" * 1001 + "b" * 900)
        == f"{'a' * 600}\n[… 1,001 characters left out …]\n{'b' * 900}"
    )


def test_a_tall_text_is_shortened_as_well():
    assert excerpt("\n" * 79) == "\n" * 79
    shown = excerpt("\n".join(map(str, range(100_000))))
    assert shown.count("\n") == 80 and shown.startswith("0\n1\n") and shown.endswith("\n99998\n99999")
    shown = excerpt("\n".join("ab" * 1000))
    assert shown.count("\n") == 80 and len(shown) < 250
