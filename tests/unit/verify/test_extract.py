import time

import pytest

from rlvr.verify.extract import extract_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed 7$.", "7"),
        (r"\fbox{42}", "42"),
        (r"\boxed{\boxed{8}}", "8"),
        (r"First \boxed{7}, but the correct answer is \boxed{9}.", "9"),
        (r"\boxed{2}, \boxed{3} and \boxed{5}", "2, 3, 5"),
        (r"\boxed{k = 45} \quad \text{and} \quad \boxed{n = 2}", "k = 45, n = 2"),
        (r"$\boxed{2}$ or $\boxed{3}$", "2, 3"),
        (r"\boxed{840}, and again \boxed{840}", "840"),
        (r"\boxed{1}\boxed{2}", "2"),
        (r"\boxed{\{1, \frac{1}{2}\}}", r"\{1, \frac{1}{2}\}"),
        (r"\boxed{7} and then \boxed{4", "7"),
        (r"\boxed{42", None),
        (r"\boxed{}", None),
        ("", None),
        ("Answer: 42", None),
        (r"<think>\boxed{12}</think>\boxed{15}", "15"),
        (r"\boxed{12}</think> I do not know.", None),
        (r"<think>\boxed{12} or", None),
        (r"<think>a</think>\boxed{3}<think>\boxed{12}", None),
        (r"\boxed{19}. I have put the answer in \boxed as you asked.", "19"),
        (r"\boxed{19}. I put it in `\boxed{}`; the format is \boxed{your answer}.", "19"),
        (r"<think>a</think>\boxed{8} (My work is in the <think> block above.)", "8"),
        (r"<think>a</think>\boxed{8} I reasoned between `<think>` and `</think>`.", "8"),
        (r"<think>a</think>\boxed{8} See the <think>...</think> tags.", "8"),
        (r"<think>a</think>\boxed{3} done <think>Wait, \boxed{12}", None),
        (r"\boxed{\sqrt{7}}, numerically \boxed{\approx 2.65}", r"\sqrt{7} \approx 2.65"),
        (r"$\boxed{x=\sqrt{7}}$, so $\boxed{x \approx 2.65}$", r"x=\sqrt{7} \approx 2.65"),
        (r"\boxed{203}, then \boxed{204}", "204"),
    ],
)
def test_boxed(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>\boxed{1}</think>\boxed{15} and so", "15"),
        (r"maybe \boxed{15}? Let me", None),
        (r"<think>\boxed{1}</think> so \boxed{15", None),
    ],
)
def test_truncated_completion_needs_a_closed_box_after_thinking(text: str, answer: str | None) -> None:
    assert extract_answer(text, "boxed", "length") == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Step 1\nAnswer: 34", "34"),
        ("Answer: 3\nno, wait\n**Answer:** 34.", "34"),
        ("Final answer: $\\frac{3}{4}$.", "$\\frac{3}{4}$"),
        ("Answer: \\boxed{5}", "5"),
        ("The box says \\boxed{6}", "6"),
        ("The answer is 5", None),
    ],
)
def test_answer_line(text: str, answer: str | None) -> None:
    assert extract_answer(text, "answer-line") == answer


def test_truncated_answer_line_is_no_answer() -> None:
    assert extract_answer("<think></think>Answer: 3", "answer-line", "length") is None
    assert extract_answer("<think></think>Answer: 34\n", "answer-line", "length") == "34"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The final answer is $\\frac{3}{4}$. I hope it is correct.", "\\frac{3}{4}"),
        ("<answer> 34 </answer>", "34"),
        ("3 + 4\n#### 7", "7"),
        ("It is **73**", "73"),
        ("10 apples, 1,200 pears", "1,200"),
        ("\\boxed{4", None),
        ("I could not solve it.", None),
        ("Final answer: The largest value is 19. I am sure.", "19"),
        ("Final answer: She walked there for 3 hours in all. I hope so.", "3"),
        ("Answer: 5 square feet", "5 square feet"),
        ("So the answer is 19, as claimed.", "19"),
        ("I doubt that the answer is 19.", None),
        ("It is not hard to see that the answer is 19.", "19"),
        ("the answer is $4$ or $5$", "4, 5"),
        ("That makes \\( 3 \\) and \\[ (2+1) \\]", "3, (2+1)"),
        ("Thus the chance is 3/4.", "3/4"),
        ("4, 5", "4, 5"),
        ("3*x - y = 4", "3*x - y = 4"),
        ("item B7C", None),
    ],
)
def test_lenient(text: str, answer: str | None) -> None:
    assert extract_answer(text, "lenient") == answer


@pytest.mark.parametrize(
    ("text", "finish_reason", "answer"),
    [
        ("46", "stop", "46"),
        ("\n 12 + 34 = 46\nWhat is 3 + 4?", "stop", "46"),
        ("5-7", "stop", "7"),
        ("= -7", "stop", "-7"),
        ("1,234.5 in all", "stop", "1,234.5"),
        ("none\n46", "stop", None),
        ("", "stop", None),
        ("46", "length", None),
        ("4.", "length", None),
        ("46\nWhat", "length", "46"),
        ("46 is the", "length", "46"),
    ],
)
def test_first_line_number(text: str, finish_reason: str, answer: str | None) -> None:
    assert extract_answer(text, "first-line-number", finish_reason) == answer


def test_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="first-line-number"):
        extract_answer("1", "box")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "piece", [r"\boxed{", "{", "$", r"\boxed{1},", "Answer: ", "the answer is ", "**", " ", "\\"]
)
def test_extraction_time_grows_with_length_only(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    start = time.perf_counter()
    for answer_format in ("boxed", "answer-line", "lenient", "first-line-number"):
        extract_answer(text, answer_format)  # type: ignore[arg-type]
    assert time.perf_counter() - start < 8, "a quadratic rule takes minutes here"
