"""Countdown: any expression of the given numbers with the value of the target, and nothing else."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlvr.config.choices import Grader
from rlvr.errors import UserError
from rlvr.verify.arithmetic import MOST_NUMBERS, evaluate
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import ExtractionFormat, Item
from tests.helpers.grading import graded

GOLD = "(8-2)*4"
"""The numbers 2, 4 and 8, and the target 24."""

CORRECT = [
    GOLD,
    "4*(8-2)",
    "(2-8)*-4",
    "((8) - (2)) * 4",
    r"$(8-2)\times 4$",
    r"\left(8-2\right)\cdot 4",
    "(8\u22122)\u00d74",
    "+4*(8 - 2)",
]
INCORRECT = [
    "24",
    "8*4-2",
    "8*4-2*4",
    "8+4*4",
    "(8-2)*4*1",
    "(8-2)*4+0",
    "8*3",
    "",
    "()",
]
HOSTILE = [
    "(8-2)*4 = 24",
    "(8-2)*4 is the answer",
    "(8-2)*4, 4*(8-2)",
    "(8-2)*4 or 4*(8-2)",
    "(8-2)*4;",
    "x=(8-2)*4",
    "(8-2)4",
    "(8-2)(4)",
    "4(8-2)",
    "84-2",
    "4!-8+2",
    "8**2*4",
    "2^4+8",
    "8²*4",
    "٤*(٨-٢)",
    "\uff14*(8-2)",
    "4*(८-2)",
    "(08-2)*4",
    "(8.0-2)*4",
    "(8-2)*4e0",
    "8//2*4",
    "8%2*4",
    "(8-2)*0x4",
    "(8-2)*4_",
    "8|2*4",
    "4*(8-2)#",
    "__import__('os').system('true')",
    "(" * 5000 + GOLD + ")" * 5000,
    "(" * 60 + GOLD + ")" * 60,
    "-" * 400 + GOLD + "+" * 400,
    "9" * 4000,
    "9" * 400 + "*2*4*8",
    "*".join(["999999999999"] * 60),
    "4/(8-8)*(8-8)/2",
    r"\frac{4}{0}",
    r"\frac48*2",
    r"\sqrt{4}*8",
    "\x00" + GOLD,
]


@pytest.mark.parametrize("answer", dict.fromkeys(CORRECT))
def test_every_solution_is_correct(answer: str) -> None:
    (verdict,) = graded("rlvr", Item(rf"\boxed{{{answer}}}", GOLD, rule="countdown"))
    assert (verdict.correct, verdict.status, verdict.extracted) == (True, "ok", answer)


@pytest.mark.parametrize("answer", [*INCORRECT, *HOSTILE])
@pytest.mark.parametrize("answer_format", ["boxed", "first-line", "answer-tag"])
def test_everything_else_is_incorrect(answer: str, answer_format: ExtractionFormat) -> None:
    written = {"boxed": rf"\boxed{{{answer}}}", "answer-tag": f"<answer>{answer}</answer>"}
    text = written.get(answer_format, answer)
    started = time.process_time()
    (verdict,) = graded("rlvr", Item(text, GOLD, answer_format=answer_format, rule="countdown"))
    assert not verdict.correct
    assert time.process_time() - started < 0.5


def test_the_first_line_alone_is_an_answer() -> None:
    items = [
        Item(text, GOLD, answer_format="first-line", finish_reason=reason, rule="countdown")
        for text, reason in [
            (f"\n {GOLD} \nbecause", "stop"),
            (GOLD, "stop"),
            (GOLD, "length"),
            (f"{GOLD}\n", "length"),
            (f"Answer\n{GOLD}", "stop"),
        ]
    ]
    assert [verdict.correct for verdict in graded("rlvr", *items)] == [True, True, False, True, False]


def test_several_tags_are_several_answers_but_the_last_one_corrects_the_first() -> None:
    joined = f"<answer>{GOLD}</answer> or <answer>8*3</answer>"
    corrected = f"<answer>8*3</answer> That uses 3. <answer>{GOLD}</answer>"
    items = [
        Item(text, GOLD, answer_format="answer-tag", finish_reason=reason, rule="countdown")
        for text, reason in [
            (joined, "stop"),
            (corrected, "stop"),
            (corrected, "length"),
            (f"<think>Hm.</think>{corrected}", "length"),
            (f"<think>{corrected}", "stop"),
            (f"<answer>{GOLD}", "stop"),
            (
                f"<answer>{GOLD}</answer> It is in the <answer> </answer> tags, as <answer>...</answer>.",
                "stop",
            ),
            ("It is in the <answer> </answer> tags.", "stop"),
        ]
    ]
    expected = [False, True, False, True, False, False, True, False]
    assert [verdict.correct for verdict in graded("rlvr", *items)] == expected


def test_values_are_exact() -> None:
    gold = "8/(3-8/3)"
    answers = [r"\frac{8}{3-\frac{8}{3}}", "8*8/(3/3-8)", "8/(3-8/3)*1"]
    items = [Item(rf"\boxed{{{answer}}}", gold, rule="countdown") for answer in answers]
    assert [verdict.correct for verdict in graded("rlvr", *items)] == [True, False, False]
    found = evaluate("1/3+1/3+1/3")
    assert found is not None and found.value == 1


def test_an_expression_has_a_limit_of_numbers() -> None:
    assert evaluate("+".join(["1"] * MOST_NUMBERS)) is not None
    assert evaluate("+".join(["1"] * (MOST_NUMBERS + 1))) is None


def test_no_worker_starts_for_countdown() -> None:
    with Verifier() as verifier:
        verifier.verify_many([Item(rf"\boxed{{{answer}}}", GOLD, rule="countdown") for answer in HOSTILE])
        assert not verifier._workers


@pytest.mark.parametrize("gold", ["24", "2^3", "x"])
def test_a_gold_answer_that_is_no_solution_is_never_matched(gold: str) -> None:
    (verdict,) = graded("rlvr", Item(rf"\boxed{{{GOLD}}}", gold, rule="countdown"))
    assert not verdict.correct


@pytest.mark.parametrize("grader", ["released-eval", "released-reward", "nano-eval", "math-verify"])
def test_other_graders_refuse_countdown(grader: Grader) -> None:
    with pytest.raises(UserError, match="cannot check countdown; use the grader rlvr"):
        graded(grader, Item(rf"\boxed{{{GOLD}}}", GOLD, rule="countdown"))


@given(st.text(alphabet="0123456789+-*/() .^$\\xé٣", max_size=40))
def test_any_text_is_an_expression_or_none(text: str) -> None:
    found = evaluate(text)
    if found is not None:
        plain = re.sub(r"\\[() ]|[$ ]", "", text)  # layout of LaTeX, which Python does not read
        assert eval(plain) == pytest.approx(float(found.value))
