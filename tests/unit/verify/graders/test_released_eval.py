"""The authors' evaluation: what it extracts and what it calls equal."""

import pytest

from rlvr.verify.graders.released_eval import ReleasedEval
from rlvr.verify.verdict import Item
from tests.helpers.grading import graded


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>\boxed{1}</think> It is \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"<think>maybe \boxed{12} or", "12"),
        (r"\boxed{1} or \boxed{4", None),
        (r"\boxed{}", None),
        (r"\boxed 7", None),
        (r"\fbox{7}", None),
        ("so\nAnswer: 34", "34"),
        ("so\nAnswer: $\\frac{3}{4}$.", r"\frac{3}{4}"),
        ("Answer: 34\nas I said", None),
        ("the Answer: 34", None),
        (r"\boxed{3}" + "\nAnswer: 4", "3"),
        ("", None),
    ],
)
def test_extracted_answer(text: str, answer: str | None) -> None:
    assert ReleasedEval().extract(text) == answer


def test_flaws_of_the_authors_evaluation_are_kept() -> None:
    verdicts = graded(
        "released-eval",
        Item(r"<think>\boxed{12}", "12"),
        Item(r"\boxed{5=6}", "6"),
        Item(r"\boxed{\frac{x+1}{2}}", r"x+\frac{1}{2}"),
        Item(r"\boxed{2/4}", "1/2"),
        Item(r"\boxed{28.2743}", r"9\pi"),
        Item(r"\boxed{5}", "6", alternates=("5",)),
        Item("Answer: 5", "5", finish_reason="length"),
        Item("no box", "5"),
    )
    assert [verdict.correct for verdict in verdicts] == [True, True, True, False, False, False, True, False]
    assert [verdict.status for verdict in verdicts] == ["ok"] * 7 + ["no_answer"]
