"""Characters that look like LaTeX or stand for it: one plain notation for each."""

import re
import unicodedata

_SPACES = "\u00a0\u1680\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufe0e\ufe0f\ufeff"
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵀ", "0123456789+-=()niT", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₙₘₖₓᵢⱼ", "0123456789+-=()aenmkxij", strict=True))
_SCRIPTS = (
    (re.compile(f"[{''.join(_SUPERSCRIPTS)}]+"), "^", _SUPERSCRIPTS),
    (re.compile(f"[{''.join(_SUBSCRIPTS)}]+"), "_", _SUBSCRIPTS),
)
_ROOT_OF_NUMERAL = re.compile(r"√\s?(\d+)")
_ROOT_OF_LETTER = re.compile(r"√\s?([A-Za-z])")

_GREEK_NAMES = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi
    omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
"""
_GREEK = dict(zip("αβγδεζηθικλμνξρστυφχψωΓΔΘΛΞΠΣΦΨΩ", _GREEK_NAMES.split(), strict=True))
_LATIN_LOOKALIKES = dict(
    zip(
        "АВЕКМНОРСТХаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
        "ABEKMHOPCTXaeopcyxijsABEZHIKMNOPTYXo",
        strict=True,
    )
)
"""Cyrillic letters, then Greek ones that LaTeX itself writes as Latin letters."""

_COMMANDS = {
    "−": "-", "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "﹣": "-", "⁃": "-", "➖": "-",
    "➕": "+", "﹢": "+", "÷": "/", "∕": "/", "⁄": "/", "⧸": "/", "➗": "/",
    "’": "'", "′": "'", "‘": "'", "ʹ": "'", "″": "''", "”": '"', "“": '"',
    "％": "%", "﹪": "%", "，": ",", "、": ",", "。": ".", "：": ":", "∶": ":", "；": ";",
    "﹦": "=", "⩵": "=", "＝": "=", "∗": "*", "﹡": "*", "✕": r"\times ", "✖": r"\times ", "⨯": r"\times ",
    "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "・": r"\cdot ",
    "√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "°": r"^\circ ", "º": r"^\circ ", "˚": r"^\circ ",
    "π": r"\pi ", "ϕ": r"\phi ", "ϵ": r"\epsilon ", "ϑ": r"\vartheta ", "µ": r"\mu ", "ℏ": r"\hbar ",
    "∞": r"\infty ", "…": r"\ldots ", "⋯": r"\ldots ", "±": r"\pm ", "∓": r"\mp ",
    "≤": r"\le ", "⩽": r"\le ", "≦": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≧": r"\ge ",
    "≠": r"\ne ", "≈": r"\approx ",
    "﹤": "<", "﹥": ">", "≡": r"\equiv ", "≅": r"\cong ", "∠": r"\angle ", "△": r"\triangle ",
    "∆": r"\Delta ",
    "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ", "∈": r"\in ", "∉": r"\notin ", "∅": r"\emptyset ",
    "∨": r"\lor ", "∧": r"\land ", "∣": "|", "⟨": r"\langle ", "⟩": r"\rangle ",
    "ℕ": r"\mathbb{N}", "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}", "ℝ": r"\mathbb{R}", "ℂ": r"\mathbb{C}",
    "∀": r"\forall ", "∃": r"\exists ", "∂": r"\partial ", "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ",
    "⊥": r"\perp ", "∥": r"\parallel ", "→": r"\to ", "€": "", "£": "", "¥": "", "₹": "", "￥": "",
}  # fmt: skip


def _table() -> dict[int, str]:
    full_width = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    styled = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x1D400, 0x1D800)}
    fractions = {
        code: r"\frac{{{}}}{{{}}}".format(*unicodedata.normalize("NFKC", chr(code)).split("⁄"))
        for code in (0xBC, 0xBD, 0xBE, *range(0x2150, 0x215F))
    }
    table = {**full_width, **fractions, **str.maketrans(_LATIN_LOOKALIKES | _COMMANDS)}
    table |= str.maketrans(dict.fromkeys(_SPACES, " ") | dict.fromkeys(_INVISIBLE, ""))
    greek = {letter: rf"\{name} " for letter, name in _GREEK.items()}
    table |= str.maketrans(greek)
    return table | {code: table.get(ord(plain[:1]), plain) for code, plain in styled.items() if plain}


_TABLE = _table()


def without_lookalikes(text: str) -> str:
    r"""Replace look-alikes (`−`, `５`, `х`) by what they look like, and signs (`√`, `²`, `½`) by LaTeX."""
    if text.isascii():
        return text
    text = _ROOT_OF_NUMERAL.sub(r"\\sqrt{\1}", text)
    text = _ROOT_OF_LETTER.sub(r"\\sqrt{\1}", text)
    for run, mark, plain in _SCRIPTS:
        text = run.sub(lambda match, m=mark, p=plain: f"{m}{{{''.join(map(p.get, match.group()))}}}", text)  # type: ignore[misc]
    return text.translate(_TABLE)
