"""Numbers and untrusted text for the reader."""

import math
import unicodedata

MISSING = "n/a"
MINUS = "\u2212"
SPACE = "\u00a0"

# Marks that reorder or hide the text around them.
_BIDI = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def visible(text: str) -> str:
    """Return ``text`` with control characters and direction marks escaped, so that none takes effect."""
    return "".join(
        f"\\u{ord(character):04x}"
        if character in _BIDI or (unicodedata.category(character) == "Cc" and character not in "\n\t")
        else character
        for character in text.replace("\r\n", "\n")
    )


def excerpt(text: str, head: int = 600, tail: int = 900) -> str:
    """Return ``text``; where it is long, its two ends and the number of characters left out."""
    left_out = len(text) - head - tail
    if left_out <= 0:
        return text
    return f"{text[:head]}\n[… {left_out:,} characters left out …]\n{text[-tail:]}"


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
