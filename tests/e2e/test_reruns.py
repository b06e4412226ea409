"""Editing one input reruns what depends on it and nothing else."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.checkout import Checkout
from tests.helpers.paths import REPOSITORY

STUDY = "config/studies/mini.yaml"
LORA = "results/mini/runs/tiny--lora--recommended--main--s0"
TAIL = {"aggregate_study": 1, "answer_claims": 1, "render_report": 1, "check_runs": 1}


def training(runs: int) -> dict[str, int]:
    """Jobs that follow when the configurations of so many runs change."""
    jobs = ("resolve_config", "train_run", "generate_mini", "grade_samples")
    return {**dict.fromkeys(jobs, runs), "measure_spectra": 1, **TAIL}


MINI = ("all", "--config", "studies=[mini]")


@pytest.fixture(scope="module")
def checkout(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the finished study (times kept) that these tests may damage."""
    folder = tmp_path_factory.mktemp("reruns") / "checkout"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Checkout(folder)


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(text)


@contextmanager
def without(path: Path) -> Iterator[None]:
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def test_nothing_is_left_to_do(checkout):
    assert checkout.planned(*MINI) == {}
    assert "Nothing to be done" in checkout.snakemake(*MINI).stderr


@pytest.mark.parametrize(
    ("old", "new", "jobs"),
    [
        ("title: A shrunk demo", "title: Another title", {"resolve_config": 1, **TAIL}),
        ("rank: 8", "rank: 4", training(1)),
        ("steps: 30", "steps: 31", training(2)),
        (
            "batch_size: 1600", "dtype: bfloat16\n  batch_size: 1600",
            {"resolve_config": 1, "generate_mini": 3, "grade_samples": 3, **TAIL},
        ),
        (
            "batch_size: 1600", "grader: released-eval\n  batch_size: 1600",
            {"resolve_config": 2, "grade_samples": 3, **TAIL},
        ),
        ("prompt_tokens: 10", "threads: 1\n  memory_mb: 9999\n  train_minutes: 77", {}),
    ],
)  # fmt: skip
def test_editing_the_study_reruns_what_depends_on_the_edit(checkout, old, new, jobs):
    with edited(checkout.folder / STUDY, old, new):
        assert checkout.planned(*MINI) == jobs


def test_a_further_benchmark_and_more_samples_leave_the_samples_that_there_are(checkout):
    """One job for each run, which samples what is missing on all benchmarks."""
    samples = checkout.folder / LORA.replace("runs", "samples") / "sums.parquet"
    log = checkout.folder / f"{LORA}.log".replace("results", "logs").replace("runs", "generate")
    before = pd.read_parquet(samples)
    more = "{dataset: differences-test, title: More, samples_per_problem: 1, forgetting: true}"
    further = f"    more: {more}\n"
    with edited(checkout.folder / STUDY, "  benchmarks:\n", f"  benchmarks:\n{further}"):
        planned = checkout.planned(*MINI)
        assert planned["generate_mini"] == 3
        assert "train_run" not in planned
        checkout.snakemake(*MINI)
        assert f"continuing: {len(before)} of {len(before)} samples are in" in log.read_text()
        pd.testing.assert_frame_equal(pd.read_parquet(samples), before)
        assert len(pd.read_parquet(samples.with_name("more.parquet"))) == 200
        tables = checkout.folder / "results/mini/tables"
        forgetting, summary = pd.read_csv(tables / "forgetting.csv"), pd.read_csv(tables / "summary.csv")
        assert sorted(forgetting["measure"]) == ["accuracy"] * 2 + ["logprob"] * 2
        assert (forgetting["n_problems"] == 200).all() and (forgetting["before"] < 1).all()
        overall = summary.loc[summary["benchmark"] == "overall", "n_problems"]
        assert set(overall) == {before["problem_id"].nunique()}
        assert checkout.planned(*MINI) == {}
    checkout.snakemake(*MINI)
    pd.testing.assert_frame_equal(pd.read_parquet(samples), before)


def test_another_grading_rule_costs_no_generation(checkout):
    with edited(checkout.folder / STUDY, "answer_format: first-line-number", "answer_format: boxed"):
        planned = checkout.planned(*MINI)
    assert planned["grade_samples"] == 3
    assert planned["train_run"] == 2, "the reward uses the same rule, so training depends on it"


@pytest.mark.parametrize(
    ("file", "grader", "version"),
    [("verdict.py", "rlvr", "0+"), ("graders/base.py", "released-eval", "released-eval-0+")],
)
def test_changed_rules_of_the_grader_grade_again_and_sample_nothing(
    checkout, tmp_path, monkeypatch, file, grader, version
):
    """A checkout of the package whose rules have another number, before the installed one."""
    shutil.copytree(REPOSITORY / "rlvr", tmp_path / "rlvr")
    rules = tmp_path / "rlvr" / "verify" / file
    grades = checkout.folder / LORA.replace("runs", "grades") / "sums.parquet"
    with edited(checkout.folder / STUDY, "batch_size: 1600", f"grader: {grader}\n  batch_size: 1600"):
        checkout.snakemake(*MINI)
        assert checkout.planned(*MINI) == {}
        rules.write_text(re.sub(r'RULES_VERSION = "\d+"', 'RULES_VERSION = "0"', rules.read_text()))
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(tmp_path))
            assert checkout.planned(*MINI) == {"grade_samples": 3, **TAIL}
            checkout.snakemake(*MINI)
            assert all(pd.read_parquet(grades)["verifier_version"].str.startswith(version))
            assert checkout.planned(*MINI) == {}
    checkout.snakemake(*MINI)


def test_editing_a_local_data_file_prepares_it_again(checkout):
    file = checkout.folder / "mine.jsonl"
    file.write_text('{"problem": "1+1", "answer": "2"}\n')
    with edited(
        checkout.folder / "config/datasets.yaml",
        "datasets:\n",
        "datasets:\n  mine: {source: local, path: mine.jsonl}\n",
    ):
        prepared = "resources/data/mine.parquet"
        checkout.snakemake(prepared)
        assert checkout.planned(prepared) == {}
        file.write_text('{"problem": "1+1", "answer": "2"}\n{"problem": "1+2", "answer": "3"}\n')
        assert checkout.planned(prepared) == {"prepare_data": 1}


def test_editing_an_unrelated_model_or_data_set_reruns_nothing(checkout):
    with edited(checkout.folder / "config/datasets.yaml", "size: 700", "size: 600"):
        assert checkout.planned(*MINI) == {}


@pytest.mark.parametrize(
    ("missing", "jobs"),
    [
        ("results/mini/tables/summary.csv", TAIL),
        ("results/mini/tables/contamination.csv", {"find_contamination": 1, **TAIL}),
        (
            f"{LORA}/adapter",
            {"train_run": 1, "generate_mini": 1, "grade_samples": 1, "measure_spectra": 1, **TAIL},
        ),
        ("reports/mini.html", {"render_report": 1, "check_runs": 1}),
    ],
)
def test_a_deleted_file_is_rebuilt_with_what_depends_on_it(checkout, missing, jobs):
    with without(checkout.folder / missing):
        assert checkout.planned(*MINI) == jobs


def test_a_deleted_grade_file_is_really_rebuilt_the_same(checkout):
    path = next((checkout.folder / "results/mini/grades/tiny--base").glob("*.parquet"))
    summary = checkout.folder / "results/mini/tables/summary.csv"
    grades, table = path.read_bytes(), summary.read_bytes()
    path.unlink()
    assert checkout.planned(*MINI) == {"grade_samples": 1, **TAIL}
    checkout.snakemake(*MINI)
    assert path.read_bytes() == grades
    assert summary.read_bytes() == table
    assert checkout.planned(*MINI) == {}


def test_a_deleted_training_run_is_restored_from_its_checkpoint(checkout):
    """Minutes of training are not repeated because a file was lost."""
    trained = checkout.folder / LORA / "trained.safetensors"
    content = trained.read_bytes()
    trained.unlink()
    checkout.snakemake(str(trained.relative_to(checkout.folder)), "--config", "studies=[mini]")
    log = checkout.folder / "logs/mini/train" / f"{Path(LORA).name}.log"
    assert "resuming" in log.read_text()
    assert trained.read_bytes() == content
