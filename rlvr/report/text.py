"""Numbers and untrusted text for the reader."""

import math
import re
import unicodedata

MISSING = "n/a"
MINUS = "\u2212"
SPACE = "\u00a0"

# Controls, formats (bidi marks, zero-width characters, tags), unassigned, lone surrogates, line separators.
_SPELLED_OUT = {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"}
# What Unicode calls "default ignorable" in other categories, and the blank Braille pattern: nothing is drawn.
_BLANK = {
    *map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0)),
    *map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))),
}

_PERHAPS_INVISIBLE = re.compile(r"[^\n\t -~]")


def visible(text: str) -> str:
    r"""Return ``text`` with every character spelled out that acts on the text around it or is not drawn.

    That is ``\u200b``, or ``\U000e0041`` beyond four digits, as Python, bash and zsh write it. Line ends and
    tabs stay.
    """
    return _PERHAPS_INVISIBLE.sub(_spelled_out, text.replace("\r\n", "\n"))


def _spelled_out(match: re.Match[str]) -> str:
    character = match[0]
    if unicodedata.category(character) not in _SPELLED_OUT and character not in _BLANK:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def excerpt(text: str, head: int = 600, tail: int = 900, lines: int = 40) -> str:
    """Return ``text``; where it is long or tall, its two ends and the number of characters left out.

    Args:
        text: any text.
        head: characters to keep of the beginning, where it is longer than both ends.
        tail: characters to keep of the end.
        lines: lines to keep of each end.
    """
    long, tall = len(text) > head + tail, text.count("\n") >= 2 * lines
    if not (long or tall):
        return text
    first, last = (text[:head], text[-tail:]) if long else (text, text)
    first, last = "\n".join(first.split("\n")[:lines]), "\n".join(last.split("\n")[-lines:])
    return f"{first}\n[… {len(text) - len(first) - len(last):,} characters left out …]\n{last}"


def percent(fraction: float, unit: str = "%") -> str:
    """Return a fraction as a percentage with one decimal: 0.613 -> ``61.3 %``."""
    if math.isnan(fraction):
        return MISSING
    return f"{100 * fraction:.1f}" + (f"{SPACE}{unit}" if unit else "")


def points(fraction: float, unit: str = "points") -> str:
    """Return a difference of fractions in signed percentage points: -0.02 -> ``−2.0 points``."""
    if math.isnan(fraction):
        return MISSING
    size = f"{abs(100 * fraction):.1f}"
    sign = "" if size == "0.0" else MINUS if fraction < 0 else "+"
    return f"{sign}{size}" + (f"{SPACE}{unit}" if unit else "")


def p_value(p: float) -> str:
    """Return a p-value with three decimals, or ``< 0.001``."""
    if math.isnan(p):
        return MISSING
    return f"<{SPACE}0.001" if p < 0.001 else f"{p:.3f}"


def number(value: float, decimals: int = 0) -> str:
    """Return a number with thousands separators."""
    if math.isnan(value):
        return MISSING
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def compact(value: float) -> str:
    """Return a count in short form: 1,240,000 -> ``1.24M``."""
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def count(amount: int, noun: str) -> str:
    """Return ``1 seed``, ``3 seeds``."""
    return f"{amount:,}{SPACE}{noun}" + ("" if amount == 1 else "s")


def listing(items: list[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]
