"""Equal and different answers by kind: `kinds.txt`."""

from collections import defaultdict
from pathlib import Path

import pytest

from rlvr.verify.equivalence.algebra import compare
from rlvr.verify.equivalence.structure import Outcome


def _cases() -> dict[str, list[tuple[str, str, bool]]]:
    """Return the cases of each kind: gold answer, answer, whether they are equal."""
    cases: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    kind = ""
    for line in Path(__file__).with_name("kinds.txt").read_text(encoding="utf-8").split("\n"):
        if line.startswith("[") and "   " not in line:
            kind = line.strip("[]")
        elif line and not line.startswith("#"):
            gold, sign, *answers = line.split("   ")
            cases[kind] += [(gold, answer, sign == "==") for answer in answers]
    return dict(cases)


CASES = _cases()


def test_every_kind_has_equal_and_different_answers() -> None:
    assert sum(map(len, CASES.values())) > 800
    for name in ("letter case", "choice letters", "residue classes", "intervals and inequalities"):
        assert {equal for _, _, equal in CASES[name]} == {True, False}


@pytest.mark.parametrize("kind", CASES)
def test_kind(kind: str) -> None:
    wrong = [
        (gold, answer)
        for gold, answer, equal in CASES[kind]
        if (compare([gold], answer) is Outcome.EQUAL) != equal
    ]
    assert wrong == []
