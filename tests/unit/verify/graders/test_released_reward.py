"""The authors' training reward."""

from rlvr.verify.verdict import Item
from tests.helpers.grading import graded


def test_the_authors_reward_sees_boxes_only_and_merges_them() -> None:
    verdicts = graded(
        "released-reward",
        Item(r"so \boxed{34}", "34"),
        Item("Answer: 34", "34"),
        Item(r"First \boxed{7}, no: \boxed{9}.", "9"),
        Item(r"\boxed{9}", r"\pm 9"),
    )
    assert [verdict.correct for verdict in verdicts] == [True, False, False, True]
    assert [verdict.extracted for verdict in verdicts][:2] == ["34", None]
    assert verdicts[1].status == "no_answer"
