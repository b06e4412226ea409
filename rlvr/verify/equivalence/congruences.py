r"""Residue classes: `n \equiv 3 \pmod 7`, in the many ways to write the modulus."""

import re
from typing import NamedTuple

from rlvr.verify.equivalence.latex import without_text_commands
from rlvr.verify.equivalence.members import elements
from rlvr.verify.equivalence.normalize import compact
from rlvr.verify.equivalence.numerals import integer_text

_MODULUS = re.compile(
    r"[\s,]*\(?\s*(?:\\[bp]?mod(?![A-Za-z])|\\operatorname\s*\{\s*mod\s*\}"
    r"|(?<![A-Za-z\\])mod(?:ulo)?(?![A-Za-z]))"
    r"\s*\{?\s*(?P<modulus>(?:\w|\^\{?\w+\}?|[+*-])+)\s*\}?\s*\)?$"
)


class Congruence(NamedTuple):
    """Residues of a quantity modulo a number."""

    quantity: str
    residues: frozenset[str]
    modulus: str


def congruence(text: str) -> Congruence | None:
    """Return the parts of a congruence, with integer residues reduced; None where a text is none."""
    if "mod" not in text:
        return None
    text = without_text_commands(text)
    match = _MODULUS.search(text)
    if match is None:
        return None
    quantity, sign, residue = text[: match.start()].rpartition(r"\equiv")
    if not sign:
        quantity, sign, residue = text[: match.start()].rpartition("=")
    if "mod" in quantity or not residue.strip():
        return None
    modulus = match["modulus"].strip()
    residues = [_reduced(one, modulus) for one in elements(residue.strip(), spaced=True)]
    return Congruence(compact(quantity.strip()), frozenset(residues), modulus)


def _reduced(residue: str, modulus: str) -> str:
    residue = "".join(residue.split())
    digits, divisor = integer_text(residue), integer_text(modulus)
    if digits is None or divisor is None or max(len(digits), len(divisor)) > 400 or int(divisor) == 0:
        return residue
    return str(int(digits) % abs(int(divisor)))


def same_class(gold: Congruence, answer: Congruence) -> bool:
    """Tell whether two congruences are the same; one of them may omit the name of the quantity."""
    names = {gold.quantity, answer.quantity} - {""}
    return len(names) < 2 and gold.modulus == answer.modulus and gold.residues == answer.residues
