"""Parsing one expression with the grammar that math-verify uses; nothing is evaluated as code.

The grammar is called directly. math-verify's own entry point changes every symbol to lower case, searches a
text that does not parse for a fraction that does, and drops words and ellipses after a number.
"""

import re
from functools import lru_cache

import sympy
from latex2sympy2_extended import NormalizationConfig
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy, normalize_latex
from math_verify.grader import should_treat_as_complex

_NORMALIZATION = NormalizationConfig(units=False, malformed_operators=True, nits=True, boxed="none")
_CONVERSION = ConversionConfig(lowercase_symbols=False)
_UNREADABLE = re.compile(r"\\ldots(?![A-Za-z])|\\text\{\s*(?:or|not)\b|(?<![\d_^{])\d+\s*_")
"""What the grammar would drop: dots, alternatives, denials, subscripts of numbers."""

_PRIMED = re.compile(r"(\\[A-Za-z]+|[A-Za-z])('+)(?!\s*_)")
"""The grammar ignores primes: it reads `y'` as `y`."""
_TRANSPOSED = re.compile(
    r"(?<!matrix\})(?<!array\})\s*\^\s*(?:\{\s*(?:T|\\(?:top|intercal)\s*)\}|T|\\(?:top|intercal)(?![A-Za-z]))"
)
"""The grammar drops the sign of transposition after anything but a matrix, also that of `2^T`."""
_OBJECT = re.compile(
    r"\\(angle|measuredangle|sphericalangle|triangle|square|odot|parallelogram|overarc|arc)(?![A-Za-z])"
    r"\s*\{?\s*([A-Z](?:_?\d|')?(?:\s*[A-Z](?:_?\d|')?)*)\s*\}?(?![A-Za-z])"
)
"""The name of a geometric object; to the grammar, the names of its points are factors."""
_CALCULUS = re.compile(
    r"\\(?:int|oint|iint|partial)(?![A-Za-z])|\\frac\s*\{\s*(?:d|\\mathrm\{d\})|\bd[a-z]/d"
)
_SYMBOL = re.compile(
    r"(?P<kept>\\(?:text\w*|mbox|mathrm|mathbf|mathit|mathsf|mathcal|mathbb"
    r"|overline|overrightarrow|bar|vec|hat|tilde"
    r"|widehat|widetilde|operatorname|begin|end)\s*\{[^{}]*\})"
    r"|\\(?P<gamma>[gG]amma)(?![A-Za-z])(?!\s*\()|(?P<command>\\[A-Za-z]+)"
    r"|(?P<e>[eE])(?=\s*_)|(?P<I>I)|(?P<d>d)(?=\s*(?:[A-Za-z]|\\[a-zA-Z]))"
)
_TEXT_IN_NAME = re.compile(r"\\(?:text|mathrm)\{([^{}]*)\}")
_CAPITAL = re.compile(r"[A-Z]")


@lru_cache(maxsize=4096)
def parsed(expression: str) -> sympy.Basic | None:
    """Return a normalised expression without unit as an object of computer algebra, None if it is not one."""
    if not expression.strip() or _UNREADABLE.search(expression):
        return None
    text = _PRIMED.sub(lambda match: f"{match[1]}_{{{'prime' * len(match[2])}}}", expression)
    try:
        text = _with_stand_ins(normalize_latex(text, _NORMALIZATION))
        found = latex2sympy(
            text,
            is_real=not should_treat_as_complex(text),
            convert_degrees=False,
            normalization_config=None,
            conversion_config=_CONVERSION,
        )
    except MemoryError:
        raise
    except Exception:  # the grammar raises plain exceptions, and those of sympy
        return None
    return _with_plain_symbols(found)


def _with_stand_ins(text: str) -> str:
    r"""Name the symbols that the grammar would read as something else.

    It reads `I` as the imaginary unit, `\gamma` and `\Gamma` as Euler's constant, `dx` as a differential, and
    fails on `E_{1}`, because it reads every e as Euler's number.
    """
    text = _OBJECT.sub(_object_name, text)
    text = _TRANSPOSED.sub(r"^{\\text{T}}", text)
    calculus = _CALCULUS.search(text) is not None

    def named(match: re.Match[str]) -> str:
        if match["gamma"]:
            return rf"\text{{{'upper' if match['gamma'] == 'Gamma' else 'lower'}gamma}}"
        if match["kept"] or match["command"] or (match["d"] and calculus):
            return match.group()
        return rf"\text{{{match.group()}}}"

    return _SYMBOL.sub(named, text)


def _object_name(match: re.Match[str]) -> str:
    r"""Return one symbol for a geometric object; `\angle CBA` is `\angle ABC`."""
    kind, points = match[1], re.findall(r"[A-Z](?:_?\d|')?", match[2])
    if "angle" in kind and kind != "triangle":
        points = min(points, points[::-1])
    return rf"\text{{{kind}{''.join(points).replace('_', '').replace(chr(39), 'prime')}}}"


def _with_plain_symbols(expression: sympy.Basic) -> sympy.Basic:
    r"""Read a free `i` as the imaginary unit, make equal names equal symbols, and keep their case.

    To the grammar, i is a symbol like any other, and it reads other symbols next to it as complex or real
    depending on the spaces between them: the t of `e^{i t}` would differ from that of `e^{it}`. math-verify
    compares names without their case, so a capital gets a mark that has none.
    """
    if not isinstance(expression, sympy.Expr):
        return expression
    names = {symbol: _TEXT_IN_NAME.sub(r"\1", symbol.name) for symbol in expression.free_symbols}
    return expression.xreplace(
        {
            symbol: sympy.I
            if name == "i"
            else sympy.Symbol(_CAPITAL.sub(lambda match: match.group().lower() + "^", name), real=True)
            for symbol, name in names.items()
        }
    )
