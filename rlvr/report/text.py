"""Numbers and untrusted text for the reader."""

import math
import unicodedata

MISSING = "n/a"
MINUS = "\u2212"
SPACE = "\u00a0"

# Control characters, format characters (direction marks, zero-width and tag characters, the soft hyphen),
# unassigned code points, line and paragraph separators: a reader would not see them, or see another order.
_INVISIBLE = {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    """Return ``text`` with every invisible character escaped, so that it is seen and takes no effect."""
    return "".join(
        _escape(character)
        if character not in "\n\t" and unicodedata.category(character) in _INVISIBLE
        else character
        for character in text.replace("\r\n", "\n")
    )


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


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
