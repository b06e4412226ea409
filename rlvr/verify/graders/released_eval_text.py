r"""How `released-eval` rewrites answers before it compares them, flaws included.

The authors' grader (`MikaStars39/PeRL@78899ba perl/eval/grader.py`) takes both of its string forms from
earlier ones: that of MATH (Hendrycks et al., arXiv 2103.03874) and that of PRM800K (Lightman et al., arXiv
2305.20050, `openai/prm800k prm800k/grading/grader.py`). Rewritten from their behaviour. The second form turns
LaTeX into plain text with `pylatexenc`; :func:`plain_text` reproduces the part that answers use: fractions
lose their brackets (`\frac{a+1}{b}` becomes `a+1/b`), roots lose their index, unknown commands disappear.
"""

import re
from collections.abc import Iterator

_WHOLE_TEXT = re.compile(r"\\text\{(.+?)\}")
_DROPPED_BY_MATH = (r"\left", r"\right", r"^{\circ}", r"^\circ", r"\$", r"\%")
_RATIO = re.compile(r"(-?[1-9]\d*|0)/(-?[1-9]\d*|0)", re.ASCII)
_NAME_BEFORE_EQUALS = 2
"""Most characters before the only `=` that are dropped with it, as in `k=5`."""


def math_form(answer: str) -> str:
    """Return ``answer`` as MATH's own grader writes it; two answers with one form are equal."""
    answer = answer.strip()
    if whole := _WHOLE_TEXT.fullmatch(answer):
        answer = whole.group(1).strip()
    try:
        return _math_form(answer)
    except ValueError:  # where their code fails on incomplete LaTeX, it keeps the answer unchanged
        return answer


def _math_form(text: str) -> str:
    text = text.replace("\n", "").replace(r"\!", "").replace("\\\\", "\\")
    text = text.replace("tfrac", "frac").replace("dfrac", "frac")
    for dropped in _DROPPED_BY_MATH:
        text = text.replace(dropped, "")
    if r"\text{ " in text:
        text, _unit = text.split(r"\text{ ")
    text = text.replace(" .", " 0.").replace("{.", "{0.")
    text = f"0{text}" if text.startswith(".") else text
    if text.count("=") == 1 and text.index("=") <= _NAME_BEFORE_EQUALS:
        text = text.partition("=")[2]
    if re.search(r"\\(?:sqrt|frac)$", text.replace(" ", "")):
        raise ValueError("a root or fraction of nothing")
    text = re.sub(r"\\sqrt([^{])", r"\\sqrt{\1}", text).replace(" ", "")
    text = re.sub(r"\\frac([^{])([^{])", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac([^{])(?=\{)", r"\\frac{\1}", text)
    text = r"\frac{1}{2}" if text == "0.5" else text
    ratio = _RATIO.fullmatch(text)
    return rf"\frac{{{ratio.group(1)}}}{{{ratio.group(2)}}}" if ratio else text


# --- PRM800K ------------------------------------------------------------------------------------

_UNITS = re.compile(
    r"(?:degree|cm|centimeter|meter|mile|second|minute|hour|day|week|month|year|foot|feet|inch|yard)"
    r"(?:es)?s? *(?:\^[0-9]+)?"
)
_MAGNITUDES = {"million": "*10^6", "billion": "*10^9", "trillion": "*10^12"}
_THOUSANDS_COMMA = re.compile(r"(?<=\d),(?=\d\d\d(?:$|\D))")


def prm800k_form(answer: str) -> str:
    """Return ``answer`` as PRM800K's grader writes it: lower-case plain text without spaces and braces."""
    if whole := _WHOLE_TEXT.fullmatch(answer):
        answer = whole.group(1)
    text = re.sub(r"\\?[%$]", "", answer)
    text = text.replace(" or ", " , ").replace(" and ", " , ")
    for word, power in _MAGNITUDES.items():
        text = text.replace(word, power)
    text = re.sub(r"\^ *\\circ", "", _UNITS.sub("", text))
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = re.sub(r",\\! *", "", text)
    text = _integer_or_same(text)
    if "\\" in text:
        text = plain_text(text)
    text = re.sub(r"- *", "-", text)
    text = re.sub(r"([0-9]) +([0-9])", r"\1+\2", text)  # 7 3/4 is 7+3/4
    text = text.translate(str.maketrans("", "", " {}")).lower()
    return _integer_or_same(without_thousands_commas(text), otherwise=text)


def without_thousands_commas(text: str) -> str:
    """Return ``text`` without the commas that group digits by three."""
    while (shorter := _THOUSANDS_COMMA.sub("", text)) != text:
        text = shorter
    return text


def is_integer(text: str) -> bool:
    """Tell whether ``text`` is a number within 1e-7 of an integer, as Python reads numbers."""
    return _nearest_integer(without_thousands_commas(text)) is not None


def _integer_or_same(text: str, otherwise: str | None = None) -> str:
    nearest = _nearest_integer(text)
    if nearest is not None:
        return str(nearest)
    return text if otherwise is None else otherwise


def _nearest_integer(text: str) -> int | None:
    try:
        value = float(text)
        return round(value) if abs(value - round(value)) <= 1e-7 else None
    except (ValueError, OverflowError):
        return None


# --- LaTeX to plain text ------------------------------------------------------------------------

_SYMBOLS = {
    "pi": "pi", "infty": "inf", "cup": "U", "cdot": "*", "times": "*", "cap": "∩", "div": "÷", "pm": "±",
    "mp": "∓", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "leqslant": "⩽", "geqslant": "⩾", "ne": "≠",
    "neq": "≠", "lt": "<", "gt": ">", "approx": "≈", "equiv": "≡", "sim": "∼", "in": "∈", "notin": "∉",
    "subset": "⊂", "subseteq": "⊆", "setminus": "∖", "emptyset": "∅", "varnothing": "∅", "to": "→",
    "rightarrow": "→", "Rightarrow": "⇒", "mid": "|", "lvert": "|", "rvert": "|", "perp": "⊥",
    "parallel": "∥", "angle": "∠", "circ": "∘", "ast": "∗", "ldots": "…", "dots": "…", "cdots": "⋯",
    "sum": "∑", "prod": "∏", "int": "∫", "partial": "∂", "nabla": "∇", "ell": "ℓ", "lfloor": "⌊",
    "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "langle": "⟨", "rangle": "⟩", "prime": "'", "quad": " ",
    "qquad": " ",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "ϕ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ",
    "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
_KEPT_NAMES = {"sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "log", "ln", "exp"}
_KEPT_NAMES |= {"max", "min", "lim", "sup", "inf"}
_ARGUMENT_KEPT = {"text", "mathrm", "textbf", "textit", "textrm", "emph", "operatorname", "boxed", "overline"}
_ACCENTS = {"dot": "\u0307", "hat": "\u0302", "bar": "\u0305", "vec": "\u20d7", "tilde": "\u0303"}
_STYLED = {"mathbf", "mathbb", "mathcal", "boldsymbol"}
_ARGUMENT_DROPPED = {"mbox", "begin", "end"}
_SPACES = {"\\": "\n", ",": " ", ";": " ", ":": " ", " ": " ", "!": "", "(": "", ")": "", "[": "", "]": ""}
_TOKEN = re.compile(r"\\[A-Za-z]+\s*|\\.|.", re.DOTALL)
_MATRIX = re.compile(r"\\begin\{([pbvB]?matrix|array)\}(?:\{[^{}]*\})?(.*?)\\end\{\1\}", re.DOTALL)


def plain_text(latex: str) -> str:
    """Return LaTeX as plain text, as `pylatexenc` 2.10 and the grader's own replacements leave it."""
    latex = latex.replace("tfrac", "frac").replace("dfrac", "frac")
    latex = _MATRIX.sub(lambda matrix: f"[{matrix.group(2)}]".replace("&", " ").replace("\\\\", ";"), latex)
    tokens = iter(_TOKEN.findall(re.sub(r"(?<=[^\s])\\frac", r" \\frac", latex)))
    return "".join(_converted(token, tokens) for token in tokens).strip()


def _converted(token: str, rest: Iterator[str]) -> str:
    if token in ("{", "}", "$"):
        return ""
    if not token.startswith("\\") or token == "\\":
        return {"~": " "}.get(token, token)
    name = token[1:].rstrip() or " "
    if name == "frac":
        return f"{_argument(rest)}/{_argument(rest)}"
    if name == "sqrt":
        return f"sqrt({_root_argument(rest)})"
    if name in _ARGUMENT_KEPT:
        return _argument(rest)
    if name in _ARGUMENT_DROPPED:
        _argument(rest)
        return ""
    if name in _ACCENTS:
        return _argument(rest) + _ACCENTS[name]
    if name in _STYLED:
        return re.sub(r"([^\W\d_])", "\\1\N{VARIATION SELECTOR-1}", _argument(rest))  # a different letter
    return _SYMBOLS.get(name) or (name if name in _KEPT_NAMES else _SPACES.get(name, _escaped(name)))


def _escaped(name: str) -> str:
    return name if name in "{}&#_" else ""


def _argument(rest: Iterator[str]) -> str:
    """Return the text of a command's argument: a group in braces or one token."""
    token = next((token for token in rest if not token.isspace()), "")
    return _until("}", rest) if token == "{" else _converted(token, rest)


def _root_argument(rest: Iterator[str]) -> str:
    token = next((token for token in rest if not token.isspace()), "")
    if token == "[":
        _until("]", rest)  # the index of the root is dropped
        return _argument(rest)
    return _until("}", rest) if token == "{" else _converted(token, rest)


def _until(closing: str, rest: Iterator[str]) -> str:
    parts = []
    for token in rest:
        if token == closing:
            break
        parts.append(_until("}", rest) if token == "{" else _converted(token, rest))
    return "".join(parts)
