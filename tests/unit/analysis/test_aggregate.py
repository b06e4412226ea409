import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rlvr.files import write_json
from tests.helpers.analysis_tree import (
    COMPARISON_HEADER,
    SUMMARY_HEADER,
    Results,
    fails,
    pick,
    small_study,
)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return small_study(tmp_path / "results" / "demo")


def test_summary_end_to_end(results: Results) -> None:
    summary, _ = results.aggregate()
    assert results.summary.read_text().splitlines()[0] == SUMMARY_HEADER
    metrics = ["avg@4", "pass@1", "pass@2", "pass@4", "maj@4", "avg@4/untruncated"]
    metrics += ["avg@4/truncated_as_incorrect", "avg@4/lenient"]
    metrics += ["no_answer_rate", "verifier_failure_rate", "verifier_timeout_rate", "truncation_rate"]
    metrics += ["tokens_mean", "tokens_p50", "tokens_p95", "tokens_mean/correct", "tokens_mean/incorrect"]
    metrics += ["rerun_se", "seconds_mean", "generation_device_seconds"]
    base = [row for row in summary if row["method"] == "base"]
    assert [(row["benchmark"], row["metric"]) for row in base] == [
        *[("sums", metric) for metric in metrics],
        *[("products", metric) for metric in metrics],
        ("overall", "avg@4"),
        ("overall_sample_weighted", "avg@4"),
        ("overall", "rerun_se"),
    ]
    assert len(summary) == 4 * (2 * len(metrics) + 3)

    grades = pd.read_parquet(results.folder / "grades" / "run0" / "sums.parquet")
    by_problem = grades.groupby("problem_id")["correct"].mean()
    row = pick(summary, method="base", benchmark="sums", metric="avg@4")
    assert float(row["value"]) == pytest.approx(by_problem.mean())
    assert float(row["se"]) == pytest.approx(stats.sem(by_problem))
    shape = ("train_seeds", "n_problems", "n_samples", "trainable_parameters", "device_seconds")
    assert [row[key] for key in shape] == ["0", "10", "40", "0", "0"]
    assert (
        float(pick(summary, method="base", benchmark="sums", metric="pass@4")["value"])
        == by_problem.gt(0).mean()
    )
    wrong = 1 - float(row["value"])
    for metric in ("no_answer_rate", "truncation_rate"):
        assert float(pick(summary, method="base", benchmark="sums", metric=metric)["value"]) == pytest.approx(
            wrong
        )
    tokens = pick(summary, method="base", benchmark="sums", metric="tokens_mean")
    assert float(tokens["value"]) == pytest.approx(6 - 2 * wrong)
    rerun = pick(summary, method="base", benchmark="sums", metric="rerun_se")
    assert float(rerun["value"]) == pytest.approx(math.sqrt(np.mean(by_problem * (1 - by_problem) / 3) / 10))
    assert rerun["se"] == rerun["ci_low"] == rerun["ci_high"] == ""
    other = float(pick(summary, method="base", benchmark="products", metric="rerun_se")["value"])
    overall = pick(summary, method="base", benchmark="overall", metric="rerun_se")
    assert float(overall["value"]) == pytest.approx(math.hypot(float(rerun["value"]), other) / 2)
    assert (overall["n_problems"], overall["n_samples"], overall["se"]) == ("16", "64", "")


def test_training_seeds_are_one_row(results: Results) -> None:
    summary, _ = results.aggregate()
    row = pick(summary, method="lora", benchmark="products", metric="avg@4")
    files = [results.folder / "grades" / run / "products.parquet" for run in ("run3", "run4")]
    means = [pd.read_parquet(path)["correct"].mean() for path in files]
    assert means[0] != means[1]
    assert float(row["value"]) == pytest.approx(np.mean(means))
    shape = ("train_seeds", "n_problems", "n_samples", "trainable_parameters", "device_seconds")
    assert [row[key] for key in shape] == ["2", "6", "48", "512", "21.5"]


def test_overall_is_the_macro_mean(results: Results) -> None:
    summary, _ = results.aggregate()
    for method in ("base", "full", "lora", "dora"):
        sums, products = (
            pick(summary, method=method, benchmark=name, metric="avg@4") for name in ("sums", "products")
        )
        overall = pick(summary, method=method, benchmark="overall", metric="avg@4")
        assert float(overall["value"]) == pytest.approx((float(sums["value"]) + float(products["value"])) / 2)
        if (
            sums["train_seeds"] in "01"
        ):  # several seeds answer both benchmarks: the errors are not independent
            expected = math.hypot(float(sums["se"]), float(products["se"])) / 2
            assert float(overall["se"]) == pytest.approx(expected)


def test_every_sample_counts_the_same_in_the_sample_weighted_mean(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 8, "products": 2})
    run = study.add("base")
    summary, _ = study.aggregate()
    verdicts = [
        pd.read_parquet(tmp_path / "grades" / run / f"{name}.parquet")["correct"] for name in study.samples
    ]
    row = pick(summary, benchmark="overall_sample_weighted")
    assert float(row["value"]) == pytest.approx(pd.concat(verdicts).mean())
    assert (row["metric"], row["n_problems"], row["n_samples"]) == ("avg", "16", "92")
    sums, products = (
        float(pick(summary, benchmark=name, metric=f"avg@{k}")["se"]) for name, k in study.samples.items()
    )
    assert float(row["se"]) == pytest.approx(math.hypot(80 / 92 * sums, 12 / 92 * products))
    assert float(row["value"]) != pytest.approx(
        float(pick(summary, benchmark="overall", metric="avg")["value"])
    )


def test_overall_has_no_k_where_the_benchmarks_differ_in_it(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4, "products": 1})
    study.add("base")
    summary, comparisons = study.aggregate()
    assert pick(summary, benchmark="overall")["metric"] == "avg"
    metrics = {row["metric"] for row in summary if row["benchmark"] == "products"}
    assert {"avg@1", "pass@1", "maj@1"} <= metrics
    assert "rerun_se" not in metrics and "pass@2" not in metrics
    assert comparisons == []
    assert study.comparisons.read_text() == COMPARISON_HEADER + "\n"


def test_pass_at_k_ends_with_the_number_of_samples(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 6})
    study.add("base")
    summary, _ = study.aggregate()
    tried = [row["metric"] for row in summary if row["metric"].startswith("pass@")]
    assert tried == ["pass@1", "pass@2", "pass@4", "pass@6"]


def test_comparisons_end_to_end(results: Results) -> None:
    summary, comparisons = results.aggregate()
    assert results.comparisons.read_text().splitlines()[0] == COMPARISON_HEADER
    pairs = [("full", "base"), ("full", "lora"), ("lora", "base"), ("lora", "full")]
    pairs += [("dora", "base"), ("dora", "full"), ("dora", "lora")]
    assert [(row["method"], row["baseline"]) for row in comparisons[::3]] == pairs
    for row in comparisons:
        ours, theirs = (
            float(pick(summary, method=method, benchmark=row["benchmark"], metric="avg@4")["value"])
            for method in (row["method"], row["baseline"])
        )
        assert float(row["difference"]) == pytest.approx(ours - theirs, abs=1e-9)
        assert float(row["ci_low"]) <= float(row["difference"]) <= float(row["ci_high"])
        assert float(row["p_value"]) <= float(row["p_holm"]) <= 1
        assert float(row["minimum_detectable"]) == pytest.approx(2.8 * float(row["se"]))
        runs = sum({"base": 1, "dora": 1}.get(side, 2) for side in (row["method"], row["baseline"]))
        assert int(row["n_samples"]) == runs * 4 * int(row["n_problems"])
        assert row["train_seeds"] == ("1" if "dora" in (row["method"], row["baseline"]) else "2")
    family = [row for row in comparisons if row["baseline"] == "base" and row["benchmark"] == "overall"]
    smallest = min(family, key=lambda row: float(row["p_value"]))
    assert float(smallest["p_holm"]) == pytest.approx(min(1, 3 * float(smallest["p_value"])))
    mirrored = [
        pick(comparisons, method=m, baseline=b, benchmark="sums")
        for m, b in (("full", "lora"), ("lora", "full"))
    ]
    assert float(mirrored[0]["difference"]) == -float(mirrored[1]["difference"])


def test_comparison_of_single_training_seeds_is_the_paired_one(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4})
    runs = [study.add("base"), study.add("dora", "recommended", "main", 0)]
    _, comparisons = study.aggregate()
    base, dora = (
        pd.read_parquet(study.folder / "grades" / run / "sums.parquet")
        .groupby("problem_id")["correct"]
        .mean()
        for run in runs
    )
    row = pick(comparisons, benchmark="sums")
    assert float(row["se"]) == pytest.approx(stats.sem(dora - base))


def test_a_baseline_of_the_same_setting_and_preset_is_preferred(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    study.add("base")
    for method, preset, setting in [
        ("lora", "paper", "main"), ("lora", "recommended", "main"), ("full", "recommended", "main"),
        ("dora", "paper", "main"), ("dora", "released", "main"), ("dora", "paper", "long"),
    ]:  # fmt: skip
        study.add(method, preset, setting, 0)
    summary, comparisons = study.aggregate()
    value = {
        (row["method"], row["preset"], row["setting"]): float(row["value"])
        for row in summary
        if row["metric"] == "avg@2" and row["benchmark"] == "sums"
    }
    baselines = {
        (preset, setting): [
            row["baseline"]
            for row in comparisons
            if (row["method"], row["preset"], row["setting"]) == ("dora", preset, setting)
            and row["benchmark"] == "sums"
        ]
        for preset, setting in [("paper", "main"), ("released", "main"), ("paper", "long")]
    }
    # two LoRA presets, none of them "released": no fair partner; full has one preset, so that is taken
    assert baselines == {
        ("paper", "main"): ["base", "full", "lora"],
        ("released", "main"): ["base", "full"],
        ("paper", "long"): ["base"],
    }
    row = pick(comparisons, method="dora", preset="paper", setting="main", baseline="lora", benchmark="sums")
    expected = value["dora", "paper", "main"] - value["lora", "paper", "main"]
    assert float(row["difference"]) == pytest.approx(expected)


def test_a_baseline_of_another_model_is_none(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    study.add("base", model="small")
    study.add("lora", "paper", "main", 0, model="tiny")
    study.add("dora", "paper", "main", 0, model="tiny")
    _, comparisons = study.aggregate()
    assert {(row["method"], row["baseline"]) for row in comparisons} == {("dora", "lora")}


def test_a_second_time_gives_the_same_bytes(results: Results) -> None:
    results.aggregate()
    tables = results.summary, results.comparisons, results.budget
    first = [table.read_bytes() for table in tables]
    results.aggregate()
    assert [table.read_bytes() for table in tables] == first


@pytest.mark.parametrize("kind", ["grades", "samples"])
def test_a_missing_sample_is_refused(results: Results, kind: str) -> None:
    def lose(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["problem_id"] != "sums-3") | (frame["sample_index"] != 2)]

    path = results.edit(kind, "run2", "sums", lose)
    fails(results, path, "'sums-3'", "3 samples", "4", "missing [2]")


@pytest.mark.parametrize("kind", ["grades", "samples"])
def test_a_doubled_sample_is_refused(results: Results, kind: str) -> None:
    path = results.edit(kind, "run1", "products", lambda frame: pd.concat([frame, frame.iloc[[5]]]))
    problem = pd.read_parquet(path)["problem_id"].iloc[5]
    fails(results, path, repr(problem), "more than once")


def test_fewer_samples_than_the_study_says_are_refused(results: Results) -> None:
    results.samples["sums"] = 8
    fails(
        results, results.folder / "grades" / "run0" / "sums.parquet", "'sums-0'", "asks for 8", "[4, 5, 6, 7]"
    )


def test_more_samples_than_the_study_says_are_refused(results: Results) -> None:
    results.samples["sums"] = 2
    fails(results, results.folder / "grades" / "run0" / "sums.parquet", "'sums-0'", "unexpected [2, 3]")


def test_different_problems_of_two_methods_are_refused(results: Results) -> None:
    def lose(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["problem_id"] != "products-4"]

    results.edit("samples", "run5", "products", lose)
    path = results.edit("grades", "run5", "products", lose)
    fails(results, f"{path}: problem 'products-4' is missing", "run0")


def test_grades_of_other_problems_than_the_samples_are_refused(results: Results) -> None:
    path = results.edit("samples", "run4", "sums", lambda frame: frame[frame["problem_id"] != "sums-9"])
    fails(results, f"{path}: problem 'sums-9' is missing")


def test_a_sample_without_a_verdict_is_refused(results: Results) -> None:
    def blank(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.astype({"correct": object}).assign(
            correct=lambda frame: frame["correct"].where(frame["problem_id"] != "sums-1", None)
        )

    fails(results, results.edit("grades", "run0", "sums", blank), "'sums-1'", "empty")


def test_two_verifier_versions_are_refused(results: Results) -> None:
    path = results.edit("grades", "run3", "sums", lambda frame: frame.assign(verifier_version="2"))
    fails(results, path, "'2'", "'1'")
    path = results.edit(
        "grades", "run0", "sums", lambda f: f.assign(verifier_version=["2"] + ["1"] * (len(f) - 1))
    )
    fails(results, path, "['1', '2']")


def test_an_empty_file_is_refused(results: Results) -> None:
    fails(results, results.edit("grades", "run0", "sums", lambda frame: frame.iloc[:0]), "no rows")


def test_a_missing_file_or_key_is_named(results: Results) -> None:
    record = results.folder / "runs" / "run1" / "run.json"
    write_json(record, {"run_info": {}, "train_info": {"trainable_parameters": 1}})
    fails(results, record, "'device_seconds'")
    record.unlink()
    fails(results, record, "not found")
    del results.runs[0]["preset"]
    fails(results, results.folder / "cells" / "study.json", "runs.0.preset: this key is required")
    results.runs.clear()
    fails(results, results.folder / "cells" / "study.json", "runs: List should have at least 1 item")


def test_a_failed_verification_counts_as_wrong_and_is_reported(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    run = study.add("base")

    def time_out(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(correct=False, extracted="9^9^9", status="timeout")

    study.edit("grades", run, "sums", time_out)
    summary, _ = study.aggregate()
    values = {row["metric"]: float(row["value"] or "nan") for row in summary if row["benchmark"] == "sums"}
    assert values["verifier_failure_rate"] == values["verifier_timeout_rate"] == 1
    assert values["avg@2"] == values["maj@2"] == values["no_answer_rate"] == 0
    row = pick(summary, benchmark="sums", metric="avg@2")
    assert row["se"] == "0" and float(row["ci_high"]) == pytest.approx(
        stats.binomtest(0, 10).proportion_ci(method="wilson").high
    )


def test_a_broken_gold_is_a_failure_but_no_timeout(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    run = study.add("base")
    study.edit("grades", run, "sums", lambda frame: frame.assign(correct=False, status="unparsed_gold"))
    summary, _ = study.aggregate()
    assert pick(summary, benchmark="sums", metric="verifier_failure_rate")["value"] == "1"
    assert pick(summary, benchmark="sums", metric="verifier_timeout_rate")["value"] == "0"


def test_a_rerun_of_a_single_sample_is_not_known_for_the_mean_either(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4, "products": 1})
    study.add("base")
    summary, _ = study.aggregate()
    assert [row["benchmark"] for row in summary if row["metric"] == "rerun_se"] == ["sums"]
