"""Gold answers: faults are found, and those of the benchmarks verify against themselves."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlvr.verify.gold_answers import agree, check_golds
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item
from tests.helpers.paths import SHARED_DATA

needs_shared_data = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no shared/data beside the checkout")


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(workers=2) as shared:
        yield shared


def test_faults_of_gold_answers() -> None:
    golds = ["2", r"\frac{1}{(k+n-1)!", "t(0,4]", r"\text{east}"]
    assert check_golds(golds) == [None, "unparsable_answer", "text_answer", None]


def test_answers_agree_with_gold_answers_pair_by_pair() -> None:
    assert agree(["1/2", "5", "x"], ["0.5", "6", r"\frac{2x}{2}"]) == [True, False, True]


@needs_shared_data
@pytest.mark.parametrize(
    "path", sorted((SHARED_DATA / "benchmarks").glob("*.jsonl")), ids=lambda path: path.stem
)
def test_every_gold_verifies_against_itself(verifier: Verifier, path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    items = [
        Item(rf"\boxed{{{row['answer']}}}", row["answer"], problem=row.get("problem", "")) for row in rows
    ]
    verdicts = verifier.verify_many(items)
    assert [item.gold for item, verdict in zip(items, verdicts, strict=True) if not verdict.correct] == []


@needs_shared_data
@pytest.mark.slow
def test_every_gold_verifies_against_itself_by_algebra() -> None:
    """The same without the shortcut for equal texts, for golds that are single expressions."""
    golds = set()
    for path in (SHARED_DATA / "benchmarks").glob("*.jsonl"):
        golds |= {json.loads(line)["answer"] for line in path.read_text(encoding="utf-8").splitlines()}
    no_expression = re.compile(r"=|,|text|matrix|\\[a-z]+$")
    symbolic = sorted(gold for gold in golds if "\\" in gold and not no_expression.search(gold))[::4]
    assert len(symbolic) > 50
    with Verifier(workers=2, deadline=10.0) as verifier:
        verdicts = verifier.verify_many([Item(rf"\boxed{{0+{gold}}}", gold) for gold in symbolic])
    assert [gold for gold, verdict in zip(symbolic, verdicts, strict=True) if not verdict.correct] == []
