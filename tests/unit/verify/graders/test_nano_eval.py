"""The authors' later evaluator: which answer it extracts."""

from rlvr.verify.graders.nano_eval import NanoEval


def test_the_last_closed_box_is_extracted() -> None:
    last_box = NanoEval().extract
    assert last_box(r"\boxed {a{b}} then \boxed{4") == "a{b}"
    assert last_box(r"\boxed{1} \boxed{ 2 }") == "2"
    assert last_box("Answer: 4") is None
