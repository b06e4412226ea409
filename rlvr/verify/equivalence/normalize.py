"""One notation for the many ways to write the same answer.

The rules change the notation, never the value, and apply to the gold answer and to the model's alike.

`28%` equals `28` and `0.28`; if both sides have the sign, `28%` equals only
`28%`. A subscript base counts only if both sides have one.
"""

import re
from functools import lru_cache

from rlvr.verify.equivalence.groups import with_plain_groups
from rlvr.verify.equivalence.latex import TEXT_COMMAND, groups_replaced
from rlvr.verify.equivalence.lookalikes import without_lookalikes
from rlvr.verify.equivalence.remarks import without_remark
from rlvr.verify.equivalence.repeating import with_fractions

_INVERSE = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_FUNCTION = re.compile(
    r"(?<![\\A-Za-z])(?:(?:np|numpy|math)\.)?"
    r"(arcsin|arccos|arctan|asin|acos|atan|sinh|cosh|tanh|sin|cos|tan|ln|log|exp|sqrt|pi)(?![A-Za-z])"
)

_TRIGONOMETRIC = r"\\(?:sin|cos|tan|cot|sec|csc)(?:\s*\^\s*(?:\d|\{\s*-?\d+\s*\}))?"
_DEGREE = r"(?:\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))|\\deg(?:ree)?s?(?![A-Za-z]))"

_SUFFIX = "(?:st|nd|rd|th)"
_TEXT_SUFFIX = rf"(?:{TEXT_COMMAND}|\\textsuperscript\s*)\{{\s?{_SUFFIX}\s?\}}"
_ORDINAL = re.compile(
    rf"(\d+)(?:\^?{_SUFFIX}|\^?\{{{_SUFFIX}\}}|\s?\^\{{{_TEXT_SUFFIX}\}}|\s?\^?{_TEXT_SUFFIX})(?![A-Za-z])"
)

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"^(?:(?:USD|EUR|GBP|INR|JPY|CNY|Rs\.?)\s*(?=\d)|(?:US|A|C|NZ|HK|S)(?=\\?\$\s?\d))", ""),
        (r"(?<!\\)\\[()\[\]]|\\?\$", ""),  # math delimiters and currency
        (r"(?<!\\)\\$", ""),
        (r"\\not\s*=", r"\\ne "),
        (r"(?<=\d),\s*\\!\s*(?=\d{3})", ""),  # 32,\! 348
        (r"\\!|\\(?:displaystyle|textstyle|limits|nolimits)(?![A-Za-z])", ""),
        (r"\\(?:bf|rm|it|sf|tt|large|Large|LARGE|huge|Huge|small|normalsize)(?![A-Za-z])", ""),
        (r"\\(?:text)?color\s*\{(?!\s*(?i:white))[^{}]*\}|\\(?:boldsymbol|bm|pmb|underline)(?=\{)", ""),
        (r"\\\\\s*\[\s*-?[\d.]+\s*(?:pt|em|ex|mm|cm)\s*\]", r"\\\\"),  # the space after a row
        (r"\\\\$", ""),
        (r"\\langle(?![A-Za-z])", "("),
        (r"\\rangle(?![A-Za-z])", ")"),
        (r"\{\s*,\s*\}", ","),
        (r"(?:^|(?<=\d))\{\s*\}", ""),
        (r"(?<=\d)\\[,;:](?=\d{3}(?!\d))", ""),  # 7\,425\,000
        (r"(?:(?<!\\)\\[,;: ]|~|\\q?quad(?![A-Za-z])|\s)+", " "),
        (r"\\(?:left|right|[bB]igg?[lrm]?)\s*\.", ""),
        (r"\\(?:left|right|[bB]igg?[lrm]?)(?![A-Za-z])\s*", ""),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\(?:dots|cdots|dotsc|dotsb|hdots)(?![A-Za-z])|\.\s?\.\s?\.", r"\\ldots "),
        (r"\\(?:leq|leqslant)(?![A-Za-z])|(?<![<>=!])<=", r"\\le "),
        (r"\\(?:geq|geqslant)(?![A-Za-z])|(?<![<>=!])>=", r"\\ge "),
        (r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
        (rf"({_TRIGONOMETRIC}\s*[({{]?)\s*(\d+(?:\.\d+)?)\s*{_DEGREE}", r"\1\\frac{\2\\pi}{180}"),
        (rf"{_DEGREE}(?:\s*\\(?:text|mathrm)\{{\s*[CF]\s*\}}|\s*[CF](?![A-Za-z]))?", ""),
        (r"\^\s*\{\s*\\prime\s*\\prime\s*\}", "''"),
        (r"\^\s*(?:\{\s*\\prime\s*\}|\\prime(?![A-Za-z]))", "'"),
        (r"(?<=\d)'+$", ""),  # minutes and seconds, feet and inches
        (r"\{([^{}]*?)\s*\\choose(?![A-Za-z])\s*([^{}]*)\}", r"\\binom{\1}{\2}"),
        (r"(?:\s*(?:\\?%|\\text\{\s*(?:percent|\\?%)\s*\}|\bpercent(?:age)?\b|\bpct\b))+", r"\\%"),
        # upright e, i, d, and a name; after a number it is a unit
        (
            r"\\(?:mathrm|text)\{([eid])\}|(?<![\d}/])(?<![\d}] )(?<!\\cdot)(?<!\\cdot )"
            r"\\(?:mathrm|text)\{([a-z])\}",
            r"\1\2",
        ),
        (r"\*\*", "^"),
        # 4.5e33; an exponent that a letter follows is Euler's number to a power
        (r"(?<![\w\\.])(\d+(?:\.\d*)?|\.\d+)[eE]([+-]?\d+)(?![\w^]|\.\d)", r"\1 \\times 10^{\2}"),
        (r"(?<=\d)\.(?![\d\\.(])", ""),  # 1./3
        (r"^([+-]?\d+) +(\d+)\s*/\s*(\d+)(?=$|\s*\\%|\s*\\text| [A-Za-z]{2})", r"\1\\frac{\2}{\3}"),  # 1 1/4
        (r"^([+-]?)(\d+)\s*/\s*(\d+)$", r"\1\\frac{\2}{\3}"),
    ]
)
_NUMBER_WORD = re.compile(
    rf"(?<=[\d}}])\s*({TEXT_COMMAND}\{{)?\s*(hundred|thousand|million|billion|trillion|dozen)(?![A-Za-z])"
    r"(?(1)([^{}]*)\})",
    re.IGNORECASE,
)
_NUMBER_WORDS = {"hundred": "10^{2}", "thousand": "10^{3}", "million": "10^{6}", "billion": "10^{9}",
                 "trillion": "10^{12}", "dozen": "12"}  # fmt: skip
_MOST_NUMBER_WORDS = 3
_THOUSANDS_WITH_UNIT = re.compile(
    rf"[+-]?\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?=\s*(?:{TEXT_COMMAND}\{{|[A-Za-z]))"
    r"(?!\s*(?:\\\w+\{\s*)?(?:and|or)\b)"
)
_SPACED_DIGITS = re.compile(r"[+-]?\d{1,3}(?: \d{3})+(?:\.\d+)?")
_INSIGNIFICANT_SPACE = re.compile(
    r"(?<![A-Za-z0-9]) +| +(?![A-Za-z0-9])|(?<=\d) +(?=[A-Za-z])|(?<=[A-Za-z]) +(?=\d)"
)
_REDUNDANT_BRACES = re.compile(r"([_^])\{(\w)\}")


@lru_cache(maxsize=4096)
def normalize(answer: str) -> str:
    """Return ``answer`` in plain LaTeX: no delimiters, spacing commands, currency, degrees or numpy names."""
    text = without_lookalikes(answer).strip().strip("`")
    if text.startswith("**") and text.endswith("**"):
        text = text.strip("*")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text.strip())
    text = _FUNCTION.sub(_latex_function, _ORDINAL.sub(_cardinal, text))
    text = groups_replaced(text, r"\sqrt", "{", "}")
    text = without_remark(with_fractions(with_plain_groups(text)))
    for _ in range(_MOST_NUMBER_WORDS):
        text = _NUMBER_WORD.sub(_power_of_ten, text)
    text = text.rstrip(" .,;:").lstrip(" ,;:")
    while text.startswith("=") or (text.startswith("{") and text.endswith("}") and "{" not in text[1:]):
        text = text[1:].strip() if text.startswith("=") else text[1:-1].strip()
    if _SPACED_DIGITS.fullmatch(text):
        return text.replace(" ", "")
    number = _THOUSANDS_WITH_UNIT.match(text)
    return text if number is None else number.group().replace(",", "") + text[number.end() :]


def _power_of_ten(match: re.Match[str]) -> str:
    unit = (match[3] or "").strip()
    factor = _NUMBER_WORDS[match[2].lower()]
    return rf" \times {factor}" + (rf" \text{{ {unit}}}" if unit else "")


def _cardinal(match: re.Match[str]) -> str:
    """Return the number of `3rd`, but `4st` as it is: a product."""
    digits = match[1]
    suffix = "th" if digits[-2:-1] == "1" else {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th")
    return digits if suffix in match.group() else match.group()


def _latex_function(match: re.Match[str]) -> str:
    name = match.group(1)
    return f"\\{_INVERSE.get(name, name)}" + (" " if name == "pi" else "")


@lru_cache(maxsize=4096)
def compact(normalized: str) -> str:
    """Return the text without insignificant spaces and redundant braces."""
    return _REDUNDANT_BRACES.sub(r"\1\2", _INSIGNIFICANT_SPACE.sub("", normalized))
