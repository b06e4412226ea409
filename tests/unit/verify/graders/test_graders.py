"""The rules of others, re-implemented: they must give the originals' verdicts, flaws included."""

import json
from pathlib import Path
from typing import get_args

import pytest

from rlvr.config import schema as config
from rlvr.verify import GraderName, Item, Verdict, Verifier, grader_version
from rlvr.verify.graders.registry import RELEASED_GRADERS, last_box, released_eval_answer
from rlvr.verify.graders.released_algebra import parse
from rlvr.verify.graders.released_text import math_form, plain_text, prm800k_form
from tests.helpers.paths import SHARED_DATA

PEER = {
    "released-eval": "released_eval_grader",
    "released-reward": "released_training_reward",
    "nano-eval": "nano_eval",
    "math-verify": "math_verify_wrapped",
}
"""Our grader -> its column in the file of the originals' verdicts."""
HANGING = r"\boxed{\dfrac{5^{\left(5^{\left(5^{\left(5^5\right)}\right)} - 4\right)} - 5}{16}}"


def judged(grader: GraderName, *items: Item) -> list[Verdict]:
    with Verifier(grader=grader, deadline=1.0) as verifier:  # seven of the shared cases hang their graders
        return verifier.verify_many(items)


def test_configuration_and_verifier_know_the_same_graders() -> None:
    assert set(get_args(config.Grader)) == set(get_args(GraderName)) == {"rlvr", *RELEASED_GRADERS}


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no shared/data beside the checkout")
@pytest.mark.parametrize(
    "grader",
    [name if name == "released-eval" else pytest.param(name, marks=pytest.mark.slow) for name in PEER],
)
def test_verdicts_agree_with_the_original_on_the_shared_cases(grader: GraderName) -> None:
    lines = (SHARED_DATA / "verifier_peer_verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    peers = {(case["prediction"], case["gold"]): case[PEER[grader]] for case in map(json.loads, lines)}
    cases = (SHARED_DATA / "verifier_cases.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [(case["prediction"], case["gold"]) for case in map(json.loads, cases)]
    known = [pair for pair in pairs if pair in peers]
    assert len(known) > 100
    verdicts = judged(grader, *(Item(prediction, gold) for prediction, gold in known))
    # An original that hung or broke gave no point; here that is a status, and no point either.
    wrong = [p for p, v in zip(known, verdicts, strict=True) if v.correct != (peers[p] is True)]
    assert len(wrong) <= 0.05 * len(known), wrong


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
def test_what_the_authors_evaluation_takes_for_the_answer(text: str, answer: str | None) -> None:
    assert released_eval_answer(text) == answer


def test_nano_eval_takes_the_last_closed_box() -> None:
    assert last_box(r"\boxed {a{b}} then \boxed{4") == "a{b}"
    assert last_box(r"\boxed{1} \boxed{ 2 }") == "2"
    assert last_box("Answer: 4") is None


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (r"\text{Evelyn}", "Evelyn"),
        (r"\dfrac12", r"\frac{1}{2}"),
        (r"\frac1{72}", r"\frac{1}{72}"),
        ("0.5", r"\frac{1}{2}"),
        (".25", "0.25"),
        ("3/4", r"\frac{3}{4}"),
        ("k = 5", "5"),
        ("abc=5", "abc=5"),
        (r"\sqrt3", r"\sqrt{3}"),
        (r"15\text{ cm}", "15"),
        (r"\left( 1, 2 \right]", "(1,2]"),
        (r"90^\circ", "90"),
        (r"10\%", "10"),
        (r"x \sqrt", r"x \sqrt"),
    ],
)
def test_the_form_of_math(answer: str, form: str) -> None:
    assert math_form(answer) == form


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (r"\$32,\!348", "32348"),
        ("7,425,000", "7425000"),
        ("1\\ 1/4", "1+1/4"),
        (r"5 \text{ or } 6", "5,6"),
        ("5 or 6", "5,6"),
        ("3 million", "3*10^6"),
        (r"12 \text{ inches}", "12"),
        (r"\frac{a+1}{b}", "a+1/b"),
        (r"\sqrt[3]{2}", "sqrt(2)"),
        ("East", "east"),
        ("12.0", "12"),
        (r"2^{10}", "2^10"),
        (r"\unknown{7}\pi", "7pi"),
    ],
)
def test_the_form_of_prm800k(answer: str, form: str) -> None:
    assert prm800k_form(answer) == form


def test_unfinished_latex_becomes_some_text() -> None:
    for broken in ("\\", r"\frac", r"\frac{1}", r"\sqrt[3", "{{{", "}}", r"\begin{pmatrix} 1"):
        assert isinstance(plain_text(broken), str)
        assert isinstance(math_form(broken), str)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2x(x+1)", "2*x^2+2*x"),
        ("1/2x", "x/2"),
        ("-x**2", "-(x^2)"),
        ("2^-3", "1/8"),
        ("2^3^2", "512"),
        ("3sqrt(2)", "sqrt(18)"),
        ("sqrt2", "s*q*r*t*2"),
        ("ln(2)pi", "pi*ln(2)"),
        ("4!/3!", "4"),
        ("6!!", "48"),
        ("x2", "2x"),
        ("--.5", "1/2"),
    ],
)
def test_plain_arithmetic_is_read_as_sympy_reads_it(text: str, same: str) -> None:
    assert (parse(text) - parse(same)).simplify() == 0


@pytest.mark.parametrize(
    "text", ["", "(", "2+", "1,2", "x<1", "[1]", "f'(x)", "__import__('os')", "x.y", "a:b"]
)
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unexpected|not closed"):
        parse(text)


def test_flaws_of_the_authors_evaluation_are_kept() -> None:
    verdicts = judged(
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


def test_the_authors_reward_sees_boxes_only_and_merges_them() -> None:
    verdicts = judged(
        "released-reward",
        Item(r"so \boxed{34}", "34"),
        Item("Answer: 34", "34"),
        Item(r"First \boxed{7}, no: \boxed{9}.", "9"),
        Item(r"\boxed{9}", r"\pm 9"),
    )
    assert [verdict.correct for verdict in verdicts] == [True, False, False, True]
    assert [verdict.extracted for verdict in verdicts][:2] == ["34", None]
    assert verdicts[1].status == "no_answer"


@pytest.mark.parametrize("grader", ["released-reward", "math-verify"])
def test_a_hanging_comparison_ends_at_the_deadline_and_stores_no_whole_text(grader: GraderName) -> None:
    with Verifier(grader=grader, deadline=1.0) as verifier:
        hung, next_one = verifier.verify_many([Item(HANGING, "7"), Item(r"\boxed{\frac{2}{4}}", "0.5")])
    assert (hung.correct, hung.status, hung.extracted) == (False, "timeout", None)
    assert next_one.correct


def test_nothing_is_executed(tmp_path: Path) -> None:
    trace = tmp_path / "hacked"
    codes = [f"__import__('os').system('touch {trace}')", f"open('{trace}','w')"]
    for grader in RELEASED_GRADERS:
        for verdict in judged(grader, *(Item(rf"\boxed{{{code}}}", gold) for code in codes for gold in "0x")):
            assert not verdict.correct
    assert not trace.exists()


def test_the_version_names_the_grader() -> None:
    assert grader_version("released-eval").startswith("released-eval-1+sympy-")
    assert "+math-verify-" in grader_version("rlvr")
    assert "released" not in grader_version("rlvr")
