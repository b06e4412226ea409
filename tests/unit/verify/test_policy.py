"""The policy of `docs/verifier.md`, row by row, and the public reports of wrong verdicts."""

import json
import re

import pytest

from rlvr.verify.verdict import Item
from tests.helpers.grading import graded
from tests.helpers.paths import REPOSITORY, SHARED_DATA

ARGUED_EXCEPTIONS: dict[str, str] = {}
"""Reported case -> why the verifier decides otherwise. At most four, and no accepted wrong answer."""

_ROW = re.compile(r"\| `(.+?)` \| `(.+?)` \| (correct|incorrect) \|")


def _examples() -> list[tuple[Item, bool]]:
    """Return completion and verdict of every row of the page's tables."""
    rows: list[tuple[Item, bool]] = []
    boxed, rule = True, "equal"
    for line in (REPOSITORY / "docs" / "verifier.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(("| Gold", "| Solution")):
            boxed, rule = "Completion" not in line, "countdown" if "Solution" in line else "equal"
        elif match := _ROW.fullmatch(line):
            gold, answer, verdict = match.groups()
            text = rf"\boxed{{{answer}}}" if boxed else answer
            rows.append((Item(text, gold, rule=rule), verdict == "correct"))
    return rows


def test_every_example_of_the_page_gets_the_verdict_that_it_states() -> None:
    examples = _examples()
    assert len(examples) > 70
    verdicts = graded("rlvr", *(item for item, _ in examples), deadline=10.0)
    wrong = [
        item
        for (item, correct), verdict in zip(examples, verdicts, strict=True)
        if verdict.correct != correct
    ]
    assert wrong == []


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no shared/data beside the checkout")
def test_reported_wrong_verdicts() -> None:
    lines = (SHARED_DATA / "verifier_reports.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    items = [Item(case["prediction"], case["gold"], answer_format="lenient") for case in cases]
    verdicts = graded("rlvr", *items, deadline=10.0)
    wrong = {
        case["id"]
        for case, verdict in zip(cases, verdicts, strict=True)
        if verdict.correct != case["expected"]
    }
    assert wrong == ARGUED_EXCEPTIONS.keys()
    assert len(ARGUED_EXCEPTIONS) <= 4
