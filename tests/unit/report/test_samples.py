"""Which samples are in the page, and that they and all counts are what was stored."""

import json
import os
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from rlvr.artifacts import Grade, Sample, read_rows, write_rows
from rlvr.config.resolved import Variant
from rlvr.errors import UserError
from rlvr.files import read_parquet, write_parquet
from rlvr.report.inputs import read_inputs
from rlvr.report.samples.choice import (
    EXCERPTS,
    between_method_variance,
    choose_problems,
    in_order_of_use,
    largest,
    rounds_within,
)
from rlvr.report.samples.chosen import STATUSES, choose_samples
from rlvr.report.samples.command import shell_word, show_command
from rlvr.report.samples.maps import problem_order
from rlvr.report.samples.outcomes import read_outcomes
from tests.helpers.report_page import Page
from tests.helpers.report_tree import HOSTILE, build, fail

LORA = "tiny--lora--recommended--main--s0"


def inputs_of(tree):
    return read_inputs(tree.manifest, tree.results, tree.resources)


@pytest.fixture(scope="module")
def data(page):
    """What the script gets."""
    (embedded,) = [e["text"] for e in page.all("script") if e["attributes"].get("type") == "application/json"]
    return json.loads(embedded)["samples"]


# Choice


def variant(method: str, model: str = "tiny") -> Variant:
    return Variant(model, method, "-", "-")


def test_the_variance_is_that_between_methods_and_the_mean_over_models():
    shares = {
        variant("base"): np.array([0.0, 0.5, 1.0]),
        variant("lora"): np.array([1.0, 0.5, 0.5]),
        variant("base", "big"): np.array([0.0, 0.5, 0.5]),
        variant("lora", "big"): np.array([0.0, 0.5, 0.5]),
    }
    assert between_method_variance(shares).tolist() == [0.125, 0, 0.03125]


def test_the_largest_are_above_zero_and_ties_keep_the_order_of_the_data():
    assert largest(np.array([0, 2, 5, 2, 0, 2]), 3) == [2, 1, 3]
    assert largest(np.array([0, 0, 1]), 3) == [2]


def test_the_useful_samples_of_a_method_come_first():
    correct, incorrect = (True, False, False), (False, False, False)
    truncated, disputed = (False, True, False), (True, False, True)
    assert in_order_of_use([correct, correct, incorrect, truncated, disputed]) == [0, 2, 3, 4, 1]
    assert in_order_of_use([truncated, incorrect, correct]) == [0, 2, 1]
    assert in_order_of_use([]) == []


def test_rounds_are_added_in_turn_until_one_does_not_fit():
    assert rounds_within([[5, 3, 1], [4, 4]], 100) == [3, 2]
    assert rounds_within([[5, 3, 1], [4, 4]], 12) == [2, 1]
    assert rounds_within([[5, 3, 1], [4, 4]], 4) == [0, 0]


def test_problems_are_chosen_for_each_reason(tree):
    (outcomes, _) = read_outcomes(inputs_of(tree))
    chosen = choose_problems(outcomes)
    of_reason = {
        reason: [position for position, reasons in chosen.items() if reason in reasons]
        for reason in ("variance", "graders", "truncated", "first")
    }
    assert {reason: len(found) for reason, found in of_reason.items()} == {
        "variance": 10, "graders": 5, "truncated": 5, "first": 4,
    }  # fmt: skip
    assert of_reason["first"] == [0, 1, 2, 3] and list(chosen) == sorted(chosen)
    shares = np.array([tree.correct[run.run, "sums"].mean(axis=1) for run in outcomes.runs])
    assert set(of_reason["variance"]) == set(np.argsort(-shares.var(axis=0), kind="stable")[:10])
    disputed = np.zeros(160, dtype=int)
    for run in outcomes.runs:
        grades = read_rows(tree.folder.grades(run.run, "sums"), Grade)
        wrong = grades[grades["correct"] != grades["lenient"]]["problem_id"]
        np.add.at(disputed, wrong.str[-4:].astype(int), 1)
    assert set(of_reason["graders"]) == set(np.argsort(-disputed, kind="stable")[:5])


def test_the_limit_holds_and_every_method_has_a_sample(tree):
    inputs = inputs_of(tree)
    benchmarks = list(read_outcomes(inputs))
    everything = choose_samples(inputs, benchmarks)
    assert everything.ends == EXCERPTS[0]
    assert everything.n_samples == sum(len(one.rounds) * 9 for one in everything.problems) and {
        len(one.rounds) for one in everything.problems
    } == {8, 4}  # all samples of nine methods
    for limit in (45_000, 90_000):
        some = choose_samples(inputs, benchmarks, limit)
        packed = [sample.packed() for one in some.problems for samples in one.rounds for sample in samples]
        assert len(json.dumps(packed, separators=(",", ":"))) <= limit + 2 * len(packed)
        assert all(len(one.rounds[0]) == 9 for one in some.problems)
        assert some.n_samples < everything.n_samples
    assert choose_samples(inputs, benchmarks, 45_000).ends != EXCERPTS[0]


def test_problems_are_sorted_by_the_untrained_model_then_by_the_mean():
    shares = {variant("base"): np.array([0.5, 1.0, 0.5]), variant("lora"): np.array([0.2, 0.0, 0.9])}
    assert problem_order(shares) == [1, 2, 0]
    assert problem_order({variant("lora"): np.array([0.2, 0.0, 0.9])}) == [2, 0, 1]


# What is embedded


def test_the_counts_of_every_problem_are_embedded(tree, data):
    for benchmark in data["benchmarks"]:
        for run, counts in zip(data["runs"], benchmark["counts"], strict=True):
            correct = tree.correct.get((run["word"], benchmark["name"]))
            assert counts == (None if correct is None else correct.sum(axis=1).tolist())
    assert [benchmark["contaminated"] for benchmark in data["benchmarks"]] == [[], [0, 1, 2]]
    assert data["benchmarks"][0]["ids"][3] == "sums-0003"
    assert len(json.dumps(data["benchmarks"][0]["counts"], separators=(",", ":"))) < 2.1 * 9 * 160


def test_embedded_samples_are_the_stored_ones(tree, data):
    for problem in data["chosen"]:
        benchmark = data["benchmarks"][problem["benchmark"]]
        for number, index, flags, tokens, extracted, *text in problem["samples"]:
            key = (benchmark["ids"][problem["problem"]], index)
            files = data["runs"][number]["word"], benchmark["name"]
            sample = stored(tree.folder.samples(*files), Sample).loc[key]
            grade = stored(tree.folder.grades(*files), Grade).loc[key]
            assert flags & 1 == grade["correct"] and (flags >> 1) & 1 == grade["lenient"]
            assert bool(flags & 4) == (sample["finish_reason"] == "length")
            assert (STATUSES[flags >> 3], tokens, extracted) == (
                grade["status"],
                sample["n_tokens"],
                grade["extracted"],
            )
            if sample["text"].isascii() and sample["text"].isprintable() and len(sample["text"]) < 1500:
                assert (text or [extracted]) == [sample["text"]]


tables: dict = {}


def stored(path, kind):
    """Return a file of samples or grades by problem and sample, read once."""
    if path not in tables:
        tables[path] = read_rows(path, kind).set_index(["problem_id", "sample_index"])
    return tables[path]


def test_texts_are_visible_and_shortened(data, html):
    texts = [text for problem in data["chosen"] for *_, text in problem["samples"] if isinstance(text, str)]
    assert HOSTILE[0] in texts and HOSTILE[1] in texts
    assert any(text.startswith("\\u202egnp.exe {{ 7 * 7 }} {% raw %} \\u0000\\u001b[31m") for text in texts)
    (long, *_) = [text for text in texts if "left out" in text]
    whole = len("Let me think about this. " * 400 + "\\boxed{12}")
    assert f"[… {whole - 1500:,} characters left out …]" in long and long.endswith("\\boxed{12}")
    assert "</pre></td>" not in html.partition('id="data"')[2].partition("</script>")[0]


def test_a_tall_problem_makes_no_tall_page(small):
    path = small.resources / "data" / "sums-test.parquet"
    problems = read_parquet(path, [])
    problems.loc[0, "problem"], problems.loc[0, "answer"] = "x\n" * 100_000, "9\u200b"
    write_parquet(path, problems)
    html = build(small)
    assert len(html) < 1_000_000 and html.count("9\\u200b") >= 1 and "\u200b" not in html


def test_a_second_grader_replaces_the_lenient_verdict(small):
    for run in (LORA, "tiny--base"):
        grades = read_rows(small.folder.grades(run, "sums"), Grade)
        flipped = grades.assign(correct=grades["correct"] ^ (grades["problem_id"] == "sums-0007"))
        write_rows(small.folder.second_grades(run, "sums"), Grade, flipped.assign(verifier_version="other-2"))
    (outcomes,) = read_outcomes(inputs_of(small))
    assert outcomes.of_run[LORA].disagreeing.any(axis=1).nonzero()[0].tolist() == [7]
    assert "graders" in choose_problems(outcomes)[7]
    page = Page(build(small))
    said = page.by_id("samples")["text"]
    assert "The second grader is other-2 for 2 and the study’s own, with answers" in said
    assert "accepted for 1 of the 3 files of samples." in said
    assert f"results/demo/second-grades/{LORA}/sums.parquet" in page.by_id("provenance")["text"]


def test_failed_and_missing_runs_leave_the_others(small):
    fail(small, LORA)
    small.folder.grades("tiny--base", "sums").unlink()
    (outcomes,) = read_outcomes(inputs_of(small))
    assert [run.method for run in outcomes.runs] == ["dora"]


@pytest.mark.parametrize("change", [lambda f: f.iloc[1:], lambda f: pd.concat([f, f.head(1)])])
def test_samples_and_grades_that_do_not_fit_are_an_error(small, change):
    path = small.folder.grades(LORA, "sums")
    write_rows(path, Grade, change(read_rows(path, Grade)))
    with pytest.raises(UserError, match=r"does not hold 4 samples of each of 40 problems, each once"):
        list(read_outcomes(inputs_of(small)))


def test_a_sample_of_an_unknown_problem_is_an_error(small):
    path = small.resources / "data" / "sums-test.parquet"
    write_parquet(path, read_parquet(path, []).iloc[1:])
    with pytest.raises(UserError, match="problem 'sums-0000' is not in"):
        list(read_outcomes(inputs_of(small)))


# The command for the others

WORDS = [
    "56+86",
    "=ls",
    "~",
    "-5+3",
    "a b",
    "it's",
    "$HOME `ls` $(ls)",
    "!1",
    "*",
    "a\\b",
    "\n",
    "\u200b'\\n",
    "#x",
    "{a,b}",
    "解",
]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_command_reaches_the_program_in_bash_and_zsh(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    for word in WORDS:
        command = show_command("demo", LORA, "sums", word, 3)
        script = f"rlvr() {{ printf '%s\\0' \"$@\"; }}; {command}"
        done = subprocess.run(
            [shell, *(["-O", "failglob"] if shell == "bash" else []), "-c", script],
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=True,
        )
        arguments = done.stdout.decode().split("\0")[:-1]
        assert [one for one in arguments if one != "--"] == [
            *("show", "--study", "demo", "--sample", "3", LORA, "sums", word)
        ]
    assert shell_word("56+86") == "56+86" and shell_word("a/b.c:d@e%f,g") == "a/b.c:d@e%f,g"


# The maps


def test_a_map_has_few_elements_and_rows_by_accuracy(tree, page):
    figures = [e for e in page.all("svg") if e["attributes"].get("class") == "map"]
    assert len(figures) == 2
    for figure, benchmark in zip(figures, ("sums", "products"), strict=True):
        inside = [e for e in page.elements if any(outer is figure for outer in e["within"])]
        assert len(inside) < 60
        labels = [e["text"] for e in inside if e["attributes"].get("class") == "label"]
        means = {
            run.split("--")[1]: correct.mean()
            for (run, name), correct in tree.correct.items()
            if name == benchmark
        }
        assert labels[0] == "base (untrained)" and labels[-1] == "ia3"
        shown = [means.pop(label) for label in labels[1:-1]]
        assert shown == sorted(shown, reverse=True) and list(means) == ["base"]
        assert "no samples" in figure["text"]
        marks = [e for e in inside if e["attributes"].get("class") == "contaminated"]
        assert len(marks) == (benchmark == "products")


def test_the_shades_of_a_map_are_the_shares(tree, page, data):
    (figure, _) = [e for e in page.all("svg") if e["attributes"].get("class") == "map"]
    drawn = np.zeros((10, 160), dtype=int)
    for path in page.all("path", figure):
        level = int(path["attributes"]["class"].removeprefix("shade"))
        for segment in path["attributes"]["d"].split("M")[1:]:
            start, rest = segment.split(" ")
            row, length = rest.split(".5h")
            drawn[int(row), int(start) : int(start) + int(length)] = level
    order = data["maps"][0]["problems"]
    for row, method in enumerate(data["maps"][0]["methods"][:9]):
        run = next(run["word"] for run in data["runs"] if run["method"] == method)
        shares = tree.correct[run, "sums"].mean(axis=1)[order]
        assert drawn[row].tolist() == np.ceil(shares * 10 - 1e-9).astype(int).tolist()


def test_without_scripts_some_samples_can_be_read(tree, page):
    (fallback,) = page.all("noscript")
    tables = page.all("table", fallback)
    assert len(tables) == 4  # two problems of each benchmark
    verdict = page.all("td", tables[0])[0]["text"]
    grade = stored(tree.folder.grades("tiny--base", "sums"), Grade).loc[("sums-0000", 0)]
    assert ("✓ correct" if grade["correct"] else "✗ incorrect") in verdict
    assert f"status {grade['status']}" in verdict


def test_a_study_without_samples_says_so(small):
    shutil.rmtree(small.results / "grades")
    section = Page(build(small)).by_id("samples")
    assert "No run has graded samples." in section["text"]
