"""The samples of one problem in the terminal (`rlvr show`)."""

import json
import re
import shutil
from pathlib import Path

import pytest

from rlvr.artifacts import Sample, read_rows, write_rows
from rlvr.cli import main
from tests.helpers.report_tree import HOSTILE, fail

LORA = "tiny--lora--recommended--main--s0"


@pytest.fixture
def show(tree, capsys):
    """Call the verb on a tree; returns exit code, output and messages."""

    def call(*arguments: str, root: Path = tree.root) -> tuple[int, str, str]:
        folders = ["--results", str(root / "results"), "--resources", str(root / "resources")]
        code = main(["show", *folders, *arguments])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return call


def test_a_problem_is_shown_with_the_stored_grades(tree, show):
    code, shown, _ = show(LORA, "sums", "sums-0003", "--json")
    assert code == 0
    found = json.loads(shown)
    correct = tree.correct[LORA, "sums"][3]
    assert [sample["correct"] for sample in found["samples"]] == list(correct)
    assert (found["n_correct"], found["n_samples"]) == (int(correct.sum()), 8)
    stored = read_rows(tree.folder.samples(LORA, "sums"), Sample)
    stored = stored[stored["problem_id"] == "sums-0003"]
    for name in ("seed", "text", "n_tokens", "finish_reason"):
        assert [sample[name] for sample in found["samples"]] == list(stored[name])
    code, shown, _ = show(LORA, "sums", "sums-0003")
    assert f"{correct.sum()} of 8 samples correct" in shown
    verdicts = re.findall(r"^Sample \d: (\w+)", shown, re.MULTILINE)
    assert verdicts == ["correct" if one else "incorrect" for one in correct]
    assert f"  seed              {stored['seed'].iloc[5]}\n" in shown
    assert "What is" in shown and "\x1b" not in shown  # plain when it is no terminal


def test_one_sample_alone(show):
    code, shown, _ = show(LORA, "sums", "sums-0003", "--sample", "5")
    assert code == 0
    assert re.findall(r"^Sample (\d)", shown, re.MULTILINE) == ["5"]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_terminal_obeys_no_completion(show, options):
    _, shown, _ = show(LORA, "sums", "sums-0000", *options)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", shown)
    assert "\\u202egnp.exe {{ 7 * 7 }}" in shown and "\\u001b[31m" in shown
    if options:
        assert json.loads(shown)["samples"][2]["text"] == HOSTILE[2]


def test_no_line_of_a_completion_passes_for_ours(small, show):
    path = small.folder.samples(LORA, "sums")
    samples = read_rows(path, Sample)
    samples.loc[samples["problem_id"] == "sums-0005", "text"] = "1\nSample 9: correct\r\n\rstatus ok"
    write_rows(path, Sample, samples)
    _, shown, _ = show(LORA, "sums", "sums-0005", "--sample", "1", root=small.root)
    assert shown.endswith("  | 1\n  | Sample 9: correct\n  | \\u000dstatus ok\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((LORA[:-1], "sums", "sums-0003"), f"RUN: '{LORA[:-1]}' is not known; did you mean '{LORA}'?"),
        ((LORA, "sum", "sums-0003"), "did you mean 'sums'? (known: products, sums)"),
        ((LORA, "sums", "SUMS_0003"), "did you mean 'sums-0003'? (known, the nearest of 160: sums-0003, "),
        ((LORA, "sums", "sums-0003", "--sample", "8"), "no sample 8 (it has 0 to 7)"),
        ((LORA, "sums", "sums-0003", "--study", "dmeo"), "did you mean 'demo'? (known: demo)"),
        (("tiny--ia3--recommended--main--s0", "sums", "sums-0003"), "the run has no samples of sums yet"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(show, arguments, message):
    code, shown, errors = show(*arguments)
    assert (code, shown) == (1, "")
    assert message in errors


def test_a_folder_without_studies(show, tmp_path):
    code, _, errors = show(LORA, "sums", "sums-0003", root=tmp_path)
    assert code == 1 and "no study is here" in errors


def test_a_run_of_two_studies_needs_the_study(small, show):
    shutil.copytree(small.results, small.results.parent / "again")
    code, _, errors = show(LORA, "sums", "sums-0003", root=small.root)
    assert code == 1 and "the studies again, demo have a run" in errors
    assert show(LORA, "sums", "sums-0003", "--study", "again", root=small.root)[0] == 0


def test_a_failed_run_says_why_it_has_no_samples(small, show):
    fail(small, LORA)
    code, _, errors = show(LORA, "sums", "sums-0003", root=small.root)
    assert code == 1 and "the run has no samples: diverged" in errors


def test_what_is_missing_is_said(small, show):
    small.folder.grades(LORA, "sums").unlink()
    shutil.rmtree(small.resources)
    code, shown, warnings = show(LORA, "sums", "sums-0003", "--sample", "1", root=small.root)
    assert code == 0
    assert "Sample 1: not graded" in shown and "not here: the data of the benchmark are missing" in shown
    assert warnings.count("warning: ") == 2
    found = json.loads(show(LORA, "sums", "sums-0003", "--json", root=small.root)[1])
    assert found["n_correct"] is None and found["samples"][0]["correct"] is None
