"""`rlvr verify`: a file of cases in, a file of verdicts out."""

import json
import os
from pathlib import Path

import pytest

from rlvr.errors import UserError
from rlvr.verify.verify_file import verify_file
from tests.helpers.paths import SHARED_DATA


def test_verify_file(tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    lines = [
        {"prediction": r"\boxed{5}", "gold": "5", "note": "carried over"},
        {"prediction": "Answer: \ud800", "gold": "5", "finish_reason": "stop"},
    ]
    cases.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    verify_file(cases, tmp_path / "out.jsonl")
    graded = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert graded[0] | {"seconds": 0} == {
        "prediction": r"\boxed{5}",
        "gold": "5",
        "note": "carried over",
        "correct": True,
        "status": "ok",
        "extracted": "5",
        "seconds": 0,
    }
    assert graded[1]["prediction"] == "Answer: \ud800"
    assert graded[1]["correct"] is False


def test_the_problem_of_a_case_is_taken_into_account(tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    case = {"prediction": r"\boxed{9!/8!}", "gold": "9"}
    lines = [case, {**case, "problem": r"Compute $\dfrac{9!}{8!}$."}, {**case, "problem": None}]
    cases.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert [verdict.status for verdict in verify_file(cases, tmp_path / "out.jsonl")] == [
        *("ok", "unevaluated", "ok")
    ]


@pytest.mark.parametrize(
    "malformed",
    [
        "{",
        "[1]",
        '{"prediction": "x"}',
        '{"prediction": "x", "gold": 5}',
        '"\\',
        '{"prediction": 1, "gold": "1"}',
        '{"prediction": "1", "gold": "1", "problem": 5}',
    ],
)
def test_malformed_line_names_file_and_line(tmp_path: Path, malformed: str) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"prediction": "1", "gold": "1"}\n\n' + malformed + "\n")
    with pytest.raises(UserError, match=r"cases\.jsonl, line 3"):
        verify_file(cases, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.jsonl"):
        verify_file(tmp_path / "missing.jsonl", tmp_path / "out.jsonl")


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no shared/data beside the checkout")
def test_shared_cases(tmp_path: Path) -> None:
    verify_file(SHARED_DATA / "verifier_cases.jsonl", tmp_path / "out.jsonl", workers=1)
    graded = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [case for case in graded if case["correct"] != case["expected"]] == []
    assert max(case["seconds"] for case in graded) <= 2.0
    assert not os.path.exists("/tmp/hacked_by_verifier")
