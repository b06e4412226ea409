"""Every grader by its name; the foreign ones must give the verdicts of the originals, flaws included."""

import json
from pathlib import Path
from typing import get_args

import pytest

from rlvr.config.choices import Grader as GraderName
from rlvr.verify.graders.registry import GRADERS, grader_version
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item
from tests.helpers.grading import graded
from tests.helpers.paths import SHARED_DATA

PEER = {
    "released-eval": "released_eval_grader",
    "released-reward": "released_training_reward",
    "nano-eval": "nano_eval",
    "math-verify": "math_verify_wrapped",
}
"""Grader -> column of the original in the file of peer verdicts."""
HANGING = r"\boxed{\dfrac{5^{\left(5^{\left(5^{\left(5^5\right)}\right)} - 4\right)} - 5}{16}}"


def test_every_grader_of_the_configuration_is_registered_by_its_name() -> None:
    assert set(get_args(GraderName)) == set(GRADERS)


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
    items = [Item(prediction, gold) for prediction, gold in known]
    verdicts = graded(grader, *items, deadline=1.0)  # seven of the cases hang their graders
    # An original that hung or failed did not count the answer as correct; here that is a status.
    differing = [p for p, v in zip(known, verdicts, strict=True) if v.correct != (peers[p] is True)]
    assert len(differing) <= 0.05 * len(known), differing


@pytest.mark.parametrize("grader", ["released-reward", "math-verify"])
def test_a_hanging_comparison_ends_at_the_deadline_and_stores_no_whole_text(grader: GraderName) -> None:
    with Verifier(grader=grader, deadline=1.0) as verifier:
        hung, next_one = verifier.verify_many([Item(HANGING, "7"), Item(r"\boxed{\frac{2}{4}}", "0.5")])
    assert (hung.correct, hung.status, hung.extracted) == (False, "timeout", None)
    assert next_one.correct


def test_nothing_is_executed(tmp_path: Path) -> None:
    trace = tmp_path / "hacked"
    codes = [f"__import__('os').system('touch {trace}')", f"open('{trace}','w')"]
    for grader in PEER:
        for verdict in graded(grader, *(Item(rf"\boxed{{{code}}}", gold) for code in codes for gold in "0x")):
            assert not verdict.correct
    assert not trace.exists()


def test_the_version_names_the_grader() -> None:
    assert grader_version("released-eval").startswith("released-eval-1+sympy-")
    assert grader_version("rlvr").endswith("+math-verify-0.9.0")
    assert "released" not in grader_version("rlvr")
