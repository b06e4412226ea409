r"""Choice letters, alone and with the text or value of their option: `(C)`, `\textbf{(C)}\ 36`."""

import re
from typing import NamedTuple

from rlvr.verify.equivalence.latex import STYLE_COMMAND, is_text_command, without_text_commands

_PREFIX = r"(?:(?:the\s+)?(?:correct\s+)?(?:option|choice|answer)\s*(?:is)?\s*:?\s*)?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{STYLE_COMMAND}\{{\s*{_PREFIX}\(?\s*(?P<letter>[A-J])\s*\)?\s*[.:)]?\s*\}}\s*[.:)]?\s*(?P<rest>.*)",
        rf"{STYLE_COMMAND}\{{\s*{_PREFIX}(?:\((?P<letter>[A-J])\)|(?P<letter2>[A-J])(?:\s*[.:)]|\s+-(?=\s+[a-z])))"
        r"\s*(?P<rest>[^{}]+)\}",
        rf"{_PREFIX}\(\s*(?:{STYLE_COMMAND}\{{)?(?P<letter>[A-J])\}}?\s*\)"
        r"(?:\s*[.:]\s*|\s+|(?=\\text)|$)(?P<rest>.*)",
        rf"{_PREFIX}(?P<letter>(?-i:[A-J]))\s*[.:)](?:\s+|$)(?P<rest>[^=:]*)",
    )
)
_LETTER = re.compile(r"\(?([A-Za-z])\)?")
_OPERATOR = re.compile(
    r"[+*/^_=<>,;|!]|\\(?:cdot|times|cup|cap|to|in|le|ge|ne|lt|gt|div|pm|over|circ)(?![A-Za-z])|-\s*[A-Za-z]"
)
_HEDGE = re.compile(
    r"\b(?:or|and|not|nor)\b\W*\(?[A-J]\b(?!\s*[a-z])|[,;]\s*(?:\\text\w*\{)?\s*\(?[A-J]\)?(?![A-Za-z])"
    r"|\([A-Ja-j]\)"
    r"|\b(?:wrong|incorrect|maybe|perhaps|possibly|unsure|alternatively)\b"
)


class Choice(NamedTuple):
    """A choice letter and the text or value beside it; the letter is in upper case."""

    letter: str
    rest: str
    marked: bool
    """True where brackets or a text command set the letter apart."""


def choice(text: str) -> Choice | None:
    """Return letter and option text of an answer, None where it is not one option."""
    for index, form in enumerate(_FORMS):
        match = form.fullmatch(text)
        if match is None:
            continue
        letter = match["letter"] or match.groupdict().get("letter2") or ""
        rest = match["rest"].strip()
        if _OPERATOR.match(rest) or _HEDGE.search(rest):
            return None
        return Choice(letter.upper(), rest, index < 3)
    return None


def is_set_apart(text: str) -> bool:
    """Tell whether brackets or a text command mark a letter as a choice, not a quantity."""
    return is_text_command(text) or text.startswith("(")


def letter_alone(text: str, any_case: bool) -> str | None:
    r"""Return the letter of `(C)`, `\text{C}` and `C` in upper case; None for anything else.

    ``any_case`` is false where a small letter without brackets is a quantity, no choice.
    """
    match = _LETTER.fullmatch(without_text_commands(text).strip())
    if match is None:
        return None
    return match[1].upper() if any_case or is_set_apart(text) or match[1].isupper() else None
